"""Resolution: a syntax tree becomes pattern IR, with every name given its meaning and every type checked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar, cast

from attndsl.diagnostics import AttnNameError, AttnTypeError, AttnUnsupportedError
from attndsl.ir.expr import (
    Expr,
    FlatIndex,
    Head,
    InputAt,
    InputElement,
    LowRank,
    Position,
    Side,
    Symbol,
    topological,
)
from attndsl.ir.pattern import Arm, Parameter, PatternIR, SegmentShape
from attndsl.passes import types
from attndsl.passes.measures import Measures
from attndsl.passes.resolve_blocks import resolve_blocks
from attndsl.passes.resolve_branches import with_branches
from attndsl.passes.resolve_choices import check_choices, chosen
from attndsl.passes.resolve_derived import (
    Known,
    Segments,
    check_inputs,
    check_transposed,
    counted,
    derived_tensors,
    own_spaces,
)
from attndsl.passes.resolve_expr import Definition, Resolver, parameter_vector
from attndsl.passes.resolve_groups import refuse_groups, resolve_groups
from attndsl.passes.resolve_inputs import declared_input, kind_of
from attndsl.passes.resolve_route import resolve_route
from attndsl.passes.resolve_weights import check_flow, weighting
from attndsl.passes.scope import BUILTIN_FUNCTIONS, BUILTIN_SYMBOLS, Scope, Value, unknown_name
from attndsl.source import Span
from attndsl.syntax import ast

ClauseType = TypeVar("ClauseType", bound=ast.Clause)
RESERVED = ("shape", "heads", "kv_heads", "key_shape", "q", "k", "s", "head", "kv_head", "rank")


def functions_of(file: ast.File, prelude: Mapping[str, Definition]) -> dict[str, Definition]:
    """The functions that a file's patterns can call: the prelude's, and the file's own before them."""
    visible: dict[str, Definition] = dict(prelude)
    for each in file.definitions:
        if isinstance(each, ast.Function):
            _check_function(each)
            visible[each.name] = Definition(each, visible)
    return visible


def resolve(file: ast.File, prelude: Mapping[str, Definition]) -> list[PatternIR]:
    """The pattern IR of every pattern in the file, in order."""
    _refuse_repeats([(each.name, each.span) for each in file.definitions], "definition", "A0205")
    functions = functions_of(file, prelude)
    return [_resolve_pattern(each, functions) for each in file.definitions if isinstance(each, ast.Pattern)]


def _resolve_pattern(pattern: ast.Pattern, functions: Mapping[str, Definition]) -> PatternIR:
    query, key, cross = _spaces(pattern)
    resolver = Resolver(functions, {"q": query, "k": key}, {})
    scope = _pattern_scope(pattern, resolver)
    for each in _clauses(pattern, ast.Input):
        resolver.inputs[each.name] = declared_input(each, resolver, scope)
    parameters = tuple(_parameter(each, resolver, scope) for each in pattern.parameters)
    inputs = tuple(resolver.inputs.values())
    blocks = resolve_blocks(pattern.clauses, resolver, scope)
    resolver.other_axes = tuple(each.name for each in blocks)
    whole = PatternIR(
        pattern.name, parameters, query, key, inputs, (), (), cross=cross, blocks=blocks,
        documentation=pattern.documentation,
    )  # fmt: skip
    if not any(isinstance(clause, ast.Branch | ast.Combine) for clause in pattern.clauses):
        return _body(pattern, whole, resolver, scope, {})
    refuse_groups(pattern.clauses)
    _resolve_lets(pattern, resolver, scope)
    return with_branches(pattern, whole, resolver, scope, _branch)


def _branch(
    branch: ast.Pattern, whole: PatternIR, resolver: Resolver, scope: Scope, outputs: Mapping[str, Segments]
) -> PatternIR:
    refuse_groups(branch.clauses)
    own = resolve_blocks(branch.clauses, resolver, scope)
    return _body(branch, replace(whole, blocks=(*whole.blocks, *own)), resolver, scope, outputs)


def _body(
    pattern: ast.Pattern, whole: PatternIR, resolver: Resolver, scope: Scope, outputs: Mapping[str, Segments]
) -> PatternIR:
    """What a pattern, or a branch of one, says of pairs. outputs: the space of each branch's queries."""
    known = Known(resolver.spaces, {each.name: each for each in whole.blocks}, outputs)
    derived = derived_tensors(pattern.clauses, known)
    resolver.other_axes = (*resolver.axes("q"), *resolver.axes("k"), *known.blocks)
    resolver.spaces = own_spaces(derived, known)
    resolver.measures = Measures(counted(resolver.spaces, known), known.blocks)
    _resolve_lets(pattern, resolver, scope)
    arms = tuple(_arms(pattern, resolver, scope))
    weights = weighting(pattern.clauses, resolver, scope)
    check_transposed(derived, arms, weights, whole.cross)
    found = replace(
        whole,
        name=pattern.name,
        requirements=tuple(dict.fromkeys(resolver.requirements)),
        arms=arms,
        weighting=weights,
        derived=derived,
        route=resolve_route(pattern.clauses, whole.blocks, derived, resolver, scope),
        groups=resolve_groups(pattern.clauses, whole.blocks, derived, resolver, scope),
        spans=resolver.spans,
    )
    check_inputs(found)
    check_flow(found)
    return found


def _resolve_lets(pattern: ast.Pattern, resolver: Resolver, scope: Scope) -> None:
    """The lets, also those that nothing uses, and the requirements."""
    for clause in _clauses(pattern, ast.Let):
        if clause.name not in scope.values:
            resolver.let(clause, scope)
    for each in _clauses(pattern, ast.Require):
        resolver.require(each, scope)


# ---------------------------------------------------------------- clauses


def _clauses(pattern: ast.Pattern, kind: type[ClauseType]) -> list[ClauseType]:
    return [clause for clause in pattern.clauses if isinstance(clause, kind)]


def _single(pattern: ast.Pattern, clauses: Sequence[ClauseType], word: str) -> ClauseType | None:
    if len(clauses) > 1:
        raise AttnNameError(
            "A0206",
            f"pattern `{pattern.name}` has two `{word}` clauses",
            span=clauses[1].span,
            help="keep one",
        )
    return clauses[0] if clauses else None


def _spaces(pattern: ast.Pattern) -> tuple[tuple[SegmentShape, ...], tuple[SegmentShape, ...], bool]:
    by_role = {
        role: _single(pattern, [each for each in _clauses(pattern, ast.Space) if each.role == role], word)
        for role, word in (("both", "space"), ("query", "query space"), ("key", "key space"))
    }
    both, query, key = by_role["both"], by_role["query"], by_role["key"]
    if both is not None and query is None and key is None:
        segments = _segments(both)
        return segments, segments, False
    if both is None and query is not None and key is not None:
        return _segments(query), _segments(key), True
    raise AttnNameError(
        "A0211",
        f"pattern `{pattern.name}` must say where its tokens live",
        span=next((each.span for each in (both, query, key) if each), pattern.span),
        help="write one `space tokens(n)`, or both a `query space` and a `key space`",
    )


def _segments(space: ast.Space) -> tuple[SegmentShape, ...]:
    _refuse_repeats([(each.name, each.span) for each in space.segments], "segment", "A0205")
    axes = [(axis, each.span) for each in space.segments for axis in each.axes]
    _refuse_repeats(axes, "axis", "A0205")
    for axis, span in axes:
        if axis == "index":
            raise AttnNameError("A0207", "`index` cannot name an axis", span=span, help="choose another name")
    for segment in space.segments[1:]:
        if segment.variadic:
            raise AttnTypeError(
                "A0322",
                "only the first segment may have any number of axes",
                span=segment.span,
                help="name its axes",
            )
    return tuple(SegmentShape(each.name, each.axes, each.variadic) for each in space.segments)


def _pattern_scope(pattern: ast.Pattern, resolver: Resolver) -> Scope:
    lets = _clauses(pattern, ast.Let)
    named = [(each.name, each.span) for each in pattern.parameters]
    named += [(each.name, each.span) for each in lets]
    named += [(each.name, each.span) for each in _clauses(pattern, ast.Input)]
    named += [(each.name, each.span) for each in _clauses(pattern, ast.Blocks)]
    named += [(each.name, each.span) for each in _clauses(pattern, ast.Groups)]
    named += [(each.name, each.span) for each in _clauses(pattern, ast.Branch)]
    _refuse_repeats(named, "name", "A0205")
    for name, span in named:
        if name in RESERVED:
            raise AttnNameError(
                "A0207", f"`{name}` has a meaning of its own", span=span, help="choose another name"
            )
    choosing = [each for each in pattern.parameters if each.type and each.type.choices]
    resolver.choices |= {each.name: check_choices(each) for each in choosing}
    values: dict[str, Value] = {
        each.name: _parameter_value(each) for each in pattern.parameters if each not in choosing
    }
    return Scope(values, {each.name: each for each in lets})


def _parameter_value(parameter: ast.Parameter) -> Value:
    assert parameter.type is not None, "the parser demands types of pattern parameters"
    kind = kind_of(parameter.type, parameter.span)
    shape = parameter.type.shape
    if not shape:
        return Symbol(parameter.name, kind)
    if len(shape) == 1 and (
        shape[0] in ("axes", "heads") or (isinstance(shape[0], int) and 1 <= shape[0] <= 64)
    ):
        return parameter_vector(parameter.name, kind, shape[0])
    raise AttnTypeError(
        "A0307",
        f"`{parameter.name}` has a shape that parameters cannot have",
        span=parameter.type.span or parameter.span,
        help="use no shape, `[axes]`, `[heads]`, or one number from 1 to 64, as `[3]`",
    )


def _parameter(parameter: ast.Parameter, resolver: Resolver, scope: Scope) -> Parameter:
    assert parameter.type is not None
    if parameter.type.choices:
        return chosen(parameter)
    kind = kind_of(parameter.type, parameter.span)
    default: Expr | None = None
    if parameter.default is not None:
        value = resolver.expr(parameter.default, scope)
        default = types.scalar(value, "a default", parameter.default.span)
        if (default.type == "bool") != (kind == "bool") or (default.type == "real" and kind == "int"):
            raise AttnTypeError(
                "A0320",
                f"the default of `{parameter.name}` must be {types.WORDS[kind]}",
                span=parameter.default.span,
                note=f"this is {types.WORDS[default.type]}",
                help=f"`{parameter.name}` is declared as `{kind}`",
            )
        if any(isinstance(leaf, Position | FlatIndex | InputAt | Head) for leaf in default.leaves):
            raise AttnTypeError(
                "A0316",
                "a default is a number known at bind",
                span=parameter.default.span,
                help="use numbers",
            )
    return Parameter(parameter.name, kind, parameter.type.plain_shape, default, parameter.span)


def _arms(pattern: ast.Pattern, resolver: Resolver, scope: Scope) -> Iterable[Arm]:
    attend = _single(pattern, _clauses(pattern, ast.Attend), "attend")
    if attend is None:
        raise AttnNameError(
            "A0212", f"pattern `{pattern.name}` has no `attend` clause", span=pattern.span,
            help="write `attend true` for full attention",
        )  # fmt: skip
    seen: set[tuple[str | None, str | None]] = set()
    for arm in attend.arms:
        _check_arm_names(arm, resolver)
        if (arm.query, arm.key) in seen:
            raise AttnNameError(
                "A0213", "this pair of segments has an arm already", span=arm.span, help="merge the two arms"
            )
        seen.add((arm.query, arm.key))
        visible = types.truth(resolver.expr(arm.condition, scope), "`attend`", arm.condition.span)
        _check_coordinates(arm, visible, resolver)
        _check_mask_inputs(visible, resolver)
        yield Arm(arm.query, arm.key, visible, arm.condition.span)
    _check_coverage(attend, seen, resolver)


def _check_arm_names(arm: ast.Arm, resolver: Resolver) -> None:
    for name, side in ((arm.query, "q"), (arm.key, "k")):
        known = [segment.name for segment in resolver.spaces[cast(Side, side)]]
        if name is not None and name not in known:
            raise unknown_name("segment", name, known, arm.span, "A0204")


def _check_coordinates(arm: ast.Arm, visible: Expr, resolver: Resolver) -> None:
    """Every coordinate that the arm reads must exist in the segments that the arm is about."""
    positions = [leaf for leaf in topological(visible) if isinstance(leaf, Position)]
    for leaf in positions:
        segments = resolver.spaces[leaf.side]
        name = arm.query if leaf.side == "q" else arm.key
        relevant = [segment for segment in segments if name is None or segment.name == name]
        lacking = [each for each in relevant if isinstance(leaf.axis, str) and leaf.axis not in each.axes]
        if isinstance(leaf.axis, str) and lacking:
            raise AttnNameError(
                "A0214",
                f"tokens of segment `{lacking[0].name}` have no coordinate `{leaf.axis}`",
                span=resolver.spans.get(leaf, arm.span),
                help=f"write one arm per pair of segments: `{segments[0].name} -> {segments[0].name}: ...`",
            )


def _check_mask_inputs(visible: Expr, resolver: Resolver) -> None:
    for node in visible.mentioned:
        if isinstance(node, InputElement | LowRank):
            raise AttnUnsupportedError(
                "A0902",
                "a mask cannot read inputs of this shape yet",
                span=resolver.spans.get(node),
                help="a mask can read inputs that run over `tokens`, `query` or `key` alone",
            )


def _check_coverage(attend: ast.Attend, seen: set[tuple[str | None, str | None]], resolver: Resolver) -> None:
    if (None, None) in seen:
        return
    for query in resolver.spaces["q"]:
        for key in resolver.spaces["k"]:
            if (query.name, key.name) not in seen:
                raise AttnNameError(
                    "A0215",
                    f"no arm says which tokens of `{key.name}` the tokens of `{query.name}` see",
                    span=attend.span,
                    help=f"add `{query.name} -> {key.name}: ...` or `else: true`",
                )


# ---------------------------------------------------------------- checks


def _check_function(function: ast.Function) -> None:
    if function.name in BUILTIN_FUNCTIONS or function.name in BUILTIN_SYMBOLS:
        raise AttnNameError(
            "A0207", f"`{function.name}` is built in", span=function.span, help="choose another name"
        )
    named = [(each.name, each.span) for each in function.parameters]
    named += [(each.name, each.span) for each in function.clauses if isinstance(each, ast.Let)]
    _refuse_repeats(named, "name", "A0205")
    for parameter in function.parameters:
        if parameter.type is not None:
            _parameter_value(parameter)


def _refuse_repeats(named: Sequence[tuple[str, Span | None]], kind: str, code: str) -> None:
    seen: set[str] = set()
    for name, span in named:
        if name in seen:
            raise AttnNameError(
                code, f"{kind} `{name}` is defined twice", span=span, help="rename one of them"
            )
        seen.add(name)
