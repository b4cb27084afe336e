"""Bind: a pattern and its numbers become bound IR, with every requirement and every range checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import cast

import numpy as np

from attndsl.diagnostics import AttnBindError
from attndsl.ir.bound import BoundIR, InputDeclaration, Region, Segment, Space
from attndsl.ir.evaluate import evaluate
from attndsl.ir.expr import Const, Element, Expr, Extent, Number, Side, Symbol
from attndsl.ir.pattern import Arm, Input, Parameter, PatternIR, Requirement
from attndsl.passes import values
from attndsl.passes.bind_derived import Place, derived_place, own_inputs
from attndsl.passes.bind_expr import QUERY_HEADS_PER_KV_HEAD, Numbers, bind_expr
from attndsl.passes.bind_groups import with_groups
from attndsl.passes.bind_route import with_route
from attndsl.passes.bind_weights import bind_weighting
from attndsl.passes.bound_name import bound_name, branch_name
from attndsl.passes.decays import check_factors, computed_inputs, decay_kind, with_decay
from attndsl.passes.linear_form import linear_form
from attndsl.passes.ranges import check_indices, check_ranges
from attndsl.stages import report


def bind(
    pattern: PatternIR,
    shape: object,
    heads: object,
    kv_heads: object,
    key_shape: object,
    given: Mapping[str, object],
) -> BoundIR:
    """Give a pattern its numbers. Raises AttnBindError (A04xx) for numbers that do not fit."""
    values.refuse_unknown(pattern, given)
    head_count, kv_head_count = values.check_heads(heads, heads if kv_heads is None else kv_heads)
    query, key = _spaces(pattern, shape, key_shape, given)
    numbers = _numbers(pattern, query, key, head_count, kv_head_count)
    numbers = _parameters(pattern, given, numbers, head_count)
    place = Place(query, key, head_count, kv_head_count, numbers, {})
    ir = _bound(pattern, place, bound_name(pattern, numbers))
    report("bind", ir.name, lambda: f"{query.size:,} queries, {key.size:,} keys, {head_count} heads")
    return ir


def _bound(pattern: PatternIR, place: Place, name: str, branch: str = "") -> BoundIR:
    """A pattern, or a branch of that name, at the place of the tensors that the caller passes."""
    for requirement in pattern.requirements:
        _check(requirement, place.numbers, place.heads)
    if pattern.branches:
        return _with_branches(pattern, place, name)
    place = derived_place(pattern, place)
    query, key, numbers = place.query, place.key, place.numbers
    places = [(q, k) for q in range(len(query.segments)) for k in range(len(key.segments))]
    local = [_local(query.segments[q], key.segments[k], numbers) for q, k in places]
    check_factors(pattern.weighting.decay, local[0], place.heads)
    kind = decay_kind(pattern.weighting.decay, pattern.inputs)
    computed = computed_inputs(kind, pattern.inputs)
    weighting, terms, low_rank = bind_weighting(with_decay(pattern.weighting, kind, computed), local)
    regions = tuple(
        _region(pattern, *place, each, own) for place, each, own in zip(places, local, terms, strict=True)
    )
    ir = BoundIR(
        name=name,
        query_space=query,
        key_space=key,
        heads=place.heads,
        kv_heads=place.kv_heads,
        regions=regions,
        inputs=tuple(_input(each, numbers) for each in own_inputs(pattern, bool(branch))),
        weighting=weighting,
        low_rank=low_rank,
        computed=tuple(_input(each, numbers) for each in computed),
        spans=numbers.bound_spans,
        pattern=pattern,
        parameters=_parameter_values(pattern, numbers),
        derived=place.derivation,
        branch=branch,
    )
    _check_low_rank(ir)
    ir = with_route(ir, pattern.route, local)
    ir = replace(ir, linear=linear_form(pattern.weighting, ir))
    ir = with_groups(ir, pattern.groups, local)
    check_ranges(ir)
    return ir


def _with_branches(pattern: PatternIR, place: Place, name: str) -> BoundIR:
    """A pattern of branches: nothing but these, and what combines them."""
    branches: list[BoundIR] = []
    for each in pattern.branches:
        outputs = {found.branch: found.query_space for found in branches}
        branches.append(
            _bound(each, replace(place, outputs=outputs), branch_name(name, each.name), each.name)
        )
    assert pattern.combine is not None
    ir = BoundIR(
        name=name,
        query_space=place.query,
        key_space=place.key,
        heads=place.heads,
        kv_heads=place.kv_heads,
        regions=(),
        inputs=tuple(_input(each, place.numbers) for each in pattern.inputs),
        spans=place.numbers.bound_spans,
        pattern=pattern,
        parameters=_parameter_values(pattern, place.numbers),
        branches=tuple(branches),
        combine=bind_expr(pattern.combine, replace(place.numbers, spans=pattern.spans)),
    )
    check_indices(ir)
    return ir


def _check_low_rank(ir: BoundIR) -> None:
    """Keys have no rows of their own for each query head where heads are grouped."""
    names = {key for _, key in ir.low_rank} if ir.heads != ir.kv_heads else set()
    for declared in ir.inputs:
        if declared.name in names and "heads" in declared.shape:
            raise AttnBindError(
                "A0419",
                f"input `{declared.name}` has rows for {ir.heads} heads, keys have {ir.kv_heads}",
                help=f"declare `{declared.name}` over `kv_heads`",
            )


def _spaces(
    pattern: PatternIR, shape: object, key_shape: object, given: Mapping[str, object]
) -> tuple[Space, Space]:
    if shape is None:
        axes = values.spelled(pattern.query_space[0].axes)
        raise AttnBindError("A0401", f"pattern `{pattern.name}` needs a shape", help=f"pass shape={axes}")
    query = values.space(pattern.query_space, shape, given, "shape")
    if not pattern.cross:
        if key_shape is not None:
            raise AttnBindError(
                "A0409",
                f"queries and keys of pattern `{pattern.name}` live in one space",
                help="leave out key_shape, or declare a `query space` and a `key space`",
            )
        return query, query
    if key_shape is None:
        axes = values.spelled(pattern.key_space[0].axes)
        raise AttnBindError(
            "A0409",
            f"the keys of pattern `{pattern.name}` live in a space of their own",
            help=f"pass key_shape={axes}",
        )
    return query, values.space(pattern.key_space, key_shape, given, "key_shape")


def _numbers(pattern: PatternIR, query: Space, key: Space, heads: int, kv_heads: int) -> Numbers:
    extents: dict[str, int] = {}
    for segment in (*query.segments, *key.segments):
        for axis, extent in zip(segment.axes, segment.extents, strict=True):
            extents.setdefault(axis, extent)
    main = query.segments[0]
    counts = {
        "heads": heads,
        "kv_heads": kv_heads,
        "rank": len(main.axes),
        QUERY_HEADS_PER_KV_HEAD: heads // kv_heads,
    }
    return Numbers(
        scalars={name: Const(count) for name, count in counts.items()},
        arrays={},
        extents=extents,
        main_axes=main.axes,
        axes=main.axes,
        axis_extents=main.extents,
        segments={"q": main, "k": key.segments[0]},
        spans=pattern.spans,
    )


def _parameters(pattern: PatternIR, given: Mapping[str, object], numbers: Numbers, heads: int) -> Numbers:
    """Values of all parameters; a default may use parameters that stand before it."""
    scalars, arrays = dict(numbers.scalars), dict(numbers.arrays)
    for parameter in pattern.parameters:
        numbers = replace(numbers, scalars=scalars, arrays=arrays)
        elements = _parameter(pattern, parameter, given, numbers, heads)
        if parameter.shape:
            arrays[parameter.name] = elements
        else:
            scalars[parameter.name] = elements[0]
    return replace(numbers, scalars=scalars, arrays=arrays)


def _parameter_values(pattern: PatternIR, numbers: Numbers) -> dict[str, tuple[Number, ...]]:
    """The elements of every parameter, by name."""
    return {
        each.name: tuple(
            element.value for element in numbers.arrays.get(each.name) or (numbers.scalars[each.name],)
        )
        for each in pattern.parameters
    }


def _parameter(
    pattern: PatternIR, parameter: Parameter, given: Mapping[str, object], numbers: Numbers, heads: int
) -> tuple[Const, ...]:
    if parameter.name in given:
        value = given[parameter.name]
    elif parameter.default is not None:
        default = _default(parameter.default, parameter, numbers)
        value = float(default.value) if parameter.kind == "real" else default.value
        value = parameter.choices[int(value)] if parameter.choices else value
    else:
        raise AttnBindError(
            "A0401",
            f"pattern `{pattern.name}` needs `{parameter.name}`",
            span=parameter.span,
            help=f"pass {parameter.name}={values.example(parameter)}",
        )
    return values.convert(parameter, value, rank=len(numbers.axes), heads=heads)


def _default(default: Expr, parameter: Parameter, numbers: Numbers) -> Const:
    for leaf in default.leaves:
        if isinstance(leaf, Symbol) and leaf.name not in numbers.scalars and leaf.name != "kv_head":
            raise AttnBindError(
                "A0415",
                f"the default of `{parameter.name}` uses `{leaf.name}`, which comes later",
                span=parameter.span,
                help="order the parameters so that defaults use earlier ones",
            )
    return cast(Const, bind_expr(default, numbers))


def _check(requirement: Requirement, numbers: Numbers, heads: int) -> None:
    condition = bind_expr(requirement.condition, numbers)
    if not np.all(evaluate(condition, lambda _: np.arange(heads))):
        raise AttnBindError(
            "A0410", requirement.message, span=requirement.span, note=_given(requirement.condition, numbers),
            help=f"choose numbers for which `{requirement.text}` holds",
        )  # fmt: skip


def _given(condition: Expr, numbers: Numbers) -> str:
    """The values of what the condition mentions: `window = (1, 24), stride = 2`."""
    parts: dict[str, str] = {}
    for node in sorted(condition.mentioned, key=repr):
        match node:
            case Symbol(name) if name in numbers.scalars:
                parts[name] = str(numbers.scalars[name].value)
            case Element(name, _, _):
                elements = [str(each.value) for each in numbers.arrays[name]][:8]
                parts[name] = f"({', '.join(elements)})" if len(elements) > 1 else elements[0]
            case Extent(str(axis)):
                parts[f"extent({axis})"] = str(numbers.extents[axis])
            case Extent():
                parts["shape"] = f"({', '.join(map(str, numbers.axis_extents))})"
    return ", ".join(f"{name} = {value}" for name, value in sorted(parts.items()))


def _local(query: Segment, key: Segment, numbers: Numbers) -> Numbers:
    """The numbers as one pair of segments sees them."""
    segments: dict[Side, Segment] = {"q": query, "k": key}
    return replace(numbers, segments=segments, axes=query.axes, axis_extents=query.extents)


def _region(pattern: PatternIR, q: int, k: int, local: Numbers, terms: tuple[Expr, ...]) -> Region:
    arm = _arm(pattern.arms, local.segments["q"], local.segments["k"])
    return Region(q, k, bind_expr(arm.visible, local), arm.span, terms)


def _input(declared: Input, numbers: Numbers) -> InputDeclaration:
    shape = tuple(
        each if isinstance(each, str) else _size(declared, each, numbers) for each in declared.shape
    )
    return InputDeclaration(declared.name, declared.kind, shape)


def _size(declared: Input, size: Expr, numbers: Numbers) -> int:
    value = cast(Const, bind_expr(size, numbers)).value
    if value < 1:
        raise AttnBindError(
            "A0418", f"input `{declared.name}` would have {value} elements along one dimension",
            span=numbers.spans.get(size), help="choose numbers that make it 1 or more",
        )  # fmt: skip
    return int(value)


def _arm(arms: tuple[Arm, ...], query: Segment, key: Segment) -> Arm:
    """The arm of this pair of segments, or the `else` arm."""
    exact = [arm for arm in arms if (arm.query, arm.key) == (query.name, key.name)]
    return (exact or [arm for arm in arms if arm.query is None])[0]
