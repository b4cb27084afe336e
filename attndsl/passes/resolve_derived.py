"""Resolution of derived tensors: `key mean(k in b)`, `value gather`, `query transposed(k)`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, cast

from attndsl.diagnostics import AttnNameError, AttnTypeError
from attndsl.ir.blocks import Blocks
from attndsl.ir.derived import POOLS, ROLES, TENSORS, Derived, Role
from attndsl.ir.expr import TRUE, Expr, FlatIndex, InputAt, InputElement, LowRank, Position, Side, WholeInput
from attndsl.ir.pattern import Arm, PatternIR, SegmentShape, Weighting
from attndsl.passes.measures import TOKENS
from attndsl.passes.scope import unknown_name
from attndsl.source import Span
from attndsl.syntax import ast

Segments = tuple[SegmentShape, ...]
SIDES: dict[str, Side] = {"q": "q", "k": "k", "v": "k"}
"""The side in whose space the tokens of each tensor live."""


@dataclass(frozen=True)
class Known:
    """What derived tensors may be made of. outputs: the queries' space of each branch, by name."""

    spaces: Mapping[Side, Segments]
    blocks: Mapping[str, Blocks]
    outputs: Mapping[str, Segments]


def derived_tensors(clauses: Sequence[ast.Clause], known: Known) -> tuple[Derived, ...]:
    """The derived tensors that clauses declare, in the order query, key, value."""
    found: dict[str, Derived] = {}
    for clause in clauses:
        if isinstance(clause, ast.Derived):
            if clause.role in found:
                raise AttnNameError(
                    "A0206",
                    f"a pattern has one `{clause.role}` clause at most",
                    span=clause.span,
                    help="keep one",
                )
            found[clause.role] = _derived(clause, known)
    transposed = [each for each in found.values() if each.kind == "transposed"]
    if transposed and len(transposed) < len(ROLES):
        raise AttnTypeError(
            "A0342", "either all of query, key and value are transposed, or none", span=transposed[0].span,
            help="write `query transposed(k)`, `key transposed(v)` and `value transposed(q)`",
        )  # fmt: skip
    return tuple(found[role] for role in ROLES if role in found)


def _derived(clause: ast.Derived, known: Known) -> Derived:
    role = cast(Role, clause.role)
    match clause.value:
        case ast.Call(pool, (ast.Argument(None, ast.Binary("in", ast.Name(of), ast.Name(name))),)) if (
            pool in POOLS
        ):
            _check_tensor(of, clause.value.span)
            _check_blocks(name, of, clause.value.span, known)
            return Derived(role, cast(Literal["mean", "max", "sum"], pool), of, name, clause.span)
        case ast.Call("transposed", (ast.Argument(None, ast.Name(of)),)):
            _check_tensor(of, clause.value.span)
            return Derived(role, "transposed", of, span=clause.span)
        case ast.Name(name):
            if name in known.outputs:
                return Derived(role, "branch", name, span=clause.span)
            raise unknown_name("branch", name, known.outputs, clause.value.span, "A0231")
    raise AttnTypeError(
        "A0341", f"this is nothing that `{role}` can be", span=clause.value.span,
        help=f"write `{role} mean({TENSORS[role]} in b)` (or `max`, `sum`) with blocks `b`,"
        f" the name of a branch, or `{role} transposed({TENSORS[role]})`; a space begins with `{role} space`",
    )  # fmt: skip


def _check_tensor(name: str, span: Span | None) -> None:
    if name not in SIDES:
        raise AttnTypeError(
            "A0341", f"`{name}` is none of the tensors `q`, `k` and `v`", span=span, help="pool one of these"
        )


def _check_blocks(name: str, of: str, span: Span | None, known: Known) -> None:
    if name not in known.blocks:
        raise unknown_name("blocks", name, known.blocks, span, "A0232")
    axes = {axis for segment in known.spaces[SIDES[of]] for axis in segment.axes}
    if not set(known.blocks[name].axes) <= axes:
        raise AttnTypeError(
            "A0343", f"blocks `{name}` cut an axis that tokens of `{of}` do not have", span=span,
            help=f"their axes are {', '.join(f'`{axis}`' for axis in sorted(axes))}",
        )  # fmt: skip


def own_spaces(derived: Sequence[Derived], known: Known) -> dict[Side, Segments]:
    """The spaces of what is attended with. Raises AttnTypeError A0344 where keys have no values."""
    of_role = {
        role: next(
            (_space(each, known) for each in derived if each.role == role), known.spaces[SIDES[TENSORS[role]]]
        )
        for role in ROLES
    }
    if of_role["key"] != of_role["value"]:
        blamed = next(each for each in derived if each.role != "query")
        raise AttnTypeError(
            "A0344", f"keys live in {_spelled(of_role['key'])}, values in {_spelled(of_role['value'])}",
            span=blamed.span,
            help="derive both: `key mean(k in b)` and `value mean(v in b)`, or take the value from a branch"
            " whose queries are made as the keys are",
        )  # fmt: skip
    return {"q": of_role["query"], "k": of_role["key"]}


def counted(spaces: Mapping[Side, Segments], known: Known) -> dict[Side, str]:
    """What coordinates of each side count: blocks of a name, or tokens."""
    return {side: TOKENS if own == known.spaces[side] else own[0].name for side, own in spaces.items()}


def _space(derived: Derived, known: Known) -> Segments:
    if derived.kind == "branch":
        return known.outputs[derived.of]
    if derived.kind == "transposed":
        return (CHANNELS,)
    return (SegmentShape(derived.blocks, (derived.blocks,)),)


CHANNELS = SegmentShape("channels", ("channel",))
"""The space of transposed tensors."""


def _spelled(segments: Segments) -> str:
    return " ++ ".join(f"`{each.name}({', '.join(each.axes)})`" for each in segments)


def check_inputs(ir: PatternIR) -> None:
    """Refuse inputs with one element per token where tokens are blocks or channels."""
    sides = {"q" if each.role == "query" else "k" for each in ir.derived}
    if not sides:
        return
    shapes = {each.name: each.shape for each in ir.inputs}
    roots = [*(arm.visible for arm in ir.arms), *ir.weighting.expressions]
    for node in (node for root in roots for node in root.mentioned):
        name = _read_by_token(node, sides, shapes, all(each.kind == "transposed" for each in ir.derived))
        if name:
            raise AttnTypeError(
                "A0346", f"input `{name}` has one element per token, and here tokens are blocks or channels",
                span=ir.spans.get(node, ir.arms[0].span), help="read it in another branch, or in `combine`",
            )  # fmt: skip


def _read_by_token(
    node: Expr, sides: set[str], shapes: Mapping[str, tuple[str | Expr, ...]], is_transposed: bool
) -> str:
    """The name of the input that a node reads at a token of one of the sides; empty if it reads none."""
    match node:
        case InputAt(name, side) if side in sides:
            return name
        case InputElement(name, indices) if any(
            FlatIndex(side) in indices for side in ("q", "k") if side in sides
        ):
            return name
        case WholeInput(name) if (
            {"query", "tokens"} & set(shapes[name]) and "q" in sides and not is_transposed
        ):
            return name
        case LowRank(name):
            return name
    return ""


def check_transposed(
    derived: Sequence[Derived], arms: Sequence[Arm], weighting: Weighting, cross: bool
) -> None:
    """Channels have no order and no edges: they all see one another."""
    for each in derived:
        if each.kind == "transposed":
            hidden = next((arm for arm in arms if arm.visible is not TRUE), None)
            if hidden is not None:
                raise AttnTypeError(
                    "A0345", "channels all see one another", span=hidden.span,
                    help="write `attend true` where tensors are transposed",
                )  # fmt: skip
            if cross:
                raise AttnTypeError(
                    "A0345", "transposed queries and keys need one space", span=each.span,
                    help="write `space tokens(n)` in place of a `query space` and a `key space`",
                )  # fmt: skip
            nodes = {node for root in weighting.expressions for node in root.mentioned}
            special = weighting.feature or weighting.decay or weighting.normalize == "flow"
            if special or any(isinstance(node, Position | FlatIndex) for node in nodes):
                raise AttnTypeError(
                    "A0345", "channels have no positions, steps or features", span=each.span,
                    help="scores of channels speak of `s`, heads, parameters and inputs",
                )  # fmt: skip
