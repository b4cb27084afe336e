"""The proof that linear weights can be computed in linear time, or the clause that prevents it.

With weights that are the products themselves, a causal mask makes the output a function of one state that is
carried from token to token (S_t = decay * S_{t-1} + k_t v_t^T, o_t = q_t^T S_t), and a mask that shows
everything one of two sums. Where a route lists blocks of keys for blocks of queries, each block of keys has a
state that takes the place of its pairs. Source: A. Katharopoulos et al., Transformers are RNNs, 2020
(arXiv:2006.16236).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from attndsl.ir.bound import BoundIR, LinearForm, Region, Segment
from attndsl.ir.expr import TRUE, Apply, Const, Expr, InputAt, Position
from attndsl.ir.pattern import Decay, Weighting
from attndsl.ir.route import Route
from attndsl.ir.route_units import block_tokens
from attndsl.source import Span

SMALLEST_BLOCK, FEWEST_PAIRS = 16, 512
"""Tokens of a block, and pairs of tokens of two blocks, from which on a route adds up states.

To add a state costs D * Dv, whether it is listed or not, and a pair of tokens D + Dv where it is listed: with
128 channels a state is cheaper from 64 listed pairs on, an eighth of 512. Blocks of single queries would need
a sum of states each.
"""

Difference = tuple[dict[Expr, int], int]
"""A linear function of coordinates: their factors, and what is added."""


def linear_form(given: Weighting, ir: BoundIR) -> LinearForm | None:
    """How a pattern with linear weights is computed; None where weights are no products.

    given: the weighting before decays became part of weights.
    """
    if not given.is_linear or ir.low_rank:
        return None
    if ir.route is not None:
        return _of_route(given.decay, ir, ir.route)
    obstacle = _obstacle_of_space(ir)
    if obstacle:
        return LinearForm("tiles", obstacle=obstacle)
    region = ir.regions[0]
    if region.visible is TRUE and given.decay is None:
        return LinearForm("sums")
    return _recurrence(region, given.decay, ir)


def _of_route(decay: Decay | None, ir: BoundIR, route: Route) -> LinearForm:
    """Sums of the states of listed blocks, where a listed block is seen as a whole and worth its state."""
    hiding = next((region for region in ir.regions if region.visible is not TRUE), None)
    if hiding is not None:
        obstacle = "`attend` hides pairs inside the blocks that its route lists"
        return LinearForm("tiles", obstacle=obstacle, span=hiding.span)
    if decay is not None:
        return LinearForm("tiles", obstacle="`decay` differs within the blocks of its route", span=decay.span)
    queries, keys = block_tokens(ir, "q"), block_tokens(ir, "k")
    if not has_states(queries, keys):
        obstacle = f"its route is over units of {queries} x {keys} tokens, too small for states of their own"
        return LinearForm("tiles", obstacle=obstacle, span=route.span)
    return LinearForm("sums")


def has_states(queries: int, keys: int) -> bool:
    """Whether states of blocks of so many tokens are added, rather than pairs computed."""
    return min(queries, keys) >= SMALLEST_BLOCK and queries * keys >= FEWEST_PAIRS


def _obstacle_of_space(ir: BoundIR) -> str:
    queries, keys = ir.query_space.segments, ir.key_space.segments
    return "its space has several segments" if len(queries) * len(keys) > 1 else ""


def _recurrence(region: Region, decay: Decay | None, ir: BoundIR) -> LinearForm:
    segment = ir.query_space.segments[0]
    if ir.query_space != ir.key_space:
        return LinearForm("tiles", obstacle="queries and keys live in different spaces", span=region.span)
    if decay is not None and len(segment.axes) > 1:
        obstacle = f"`decay` is along one of {len(segment.axes)} axes, and tokens come one after the other"
        return LinearForm("tiles", obstacle=obstacle, span=decay.span)
    documents: list[str] = []
    causal = False
    for part in _conjuncts(region.visible):
        if _is_causal(part, segment):
            causal = True
        elif (name := _same_document(part)) is not None:
            documents.append(name)
        else:
            return _not_causal(region.span)
    if not causal or len(set(documents)) > 1:
        return _not_causal(region.span)
    return LinearForm("recurrence", documents=documents[0] if documents else None)


def _not_causal(span: Span | None) -> LinearForm:
    return LinearForm("tiles", obstacle="`attend` is not `causal`, alone or within documents", span=span)


def _conjuncts(visible: Expr) -> Iterator[Expr]:
    match visible:
        case Apply("and", parts):
            for part in parts:
                yield from _conjuncts(part)
        case _:
            yield visible


def _same_document(part: Expr) -> str | None:
    """The input of `doc[q] == doc[k]`."""
    match part:
        case Apply("eq", (InputAt(first, one), InputAt(second, other))) if first == second and one != other:
            return first
    return None


def _is_causal(part: Expr, segment: Segment) -> bool:
    """Whether it says that the key comes no later than the query."""
    match part:
        case Apply("le", (small, large)) | Apply("ge", (large, small)):
            slack = 0
        case Apply("lt", (small, large)) | Apply("gt", (large, small)):
            slack = 1
        case _:
            return False
    found = _difference(large, small)
    return found is not None and (_moving(found[0], segment), found[1]) == (_steps(segment.extents), slack)


def _moving(factors: dict[Expr, int], segment: Segment) -> dict[Expr, int]:
    """Without the coordinates on axes of one token, which are 0."""
    fixed = {Position(side, axis) for side in ("q", "k") for axis, n in enumerate(segment.extents) if n == 1}
    return {place: factor for place, factor in factors.items() if place not in fixed}


def _steps(extents: Sequence[int]) -> dict[Expr, int]:
    """The number of the query less that of the key, as factors of coordinates."""
    factors: dict[Expr, int] = {}
    stride = 1
    for axis in range(len(extents) - 1, -1, -1):
        if extents[axis] > 1:
            factors |= {Position("q", axis): stride, Position("k", axis): -stride}
        stride *= extents[axis]
    return factors


def _difference(large: Expr, small: Expr) -> Difference | None:
    left, right = _linear(large), _linear(small)
    if left is None or right is None:
        return None
    return _sum(left, right, -1)


def _linear(value: Expr) -> Difference | None:
    """The expression as a linear function of coordinates, if it is one."""
    match value:
        case Const(int(number)):
            return {}, int(number)
        case Position():
            return {value: 1}, 0
        case Apply("add" | "sub" as op, (first, second)):
            left, right = _linear(first), _linear(second)
            return None if left is None or right is None else _sum(left, right, 1 if op == "add" else -1)
        case Apply("mul", (Const(int(factor)), other)) | Apply("mul", (other, Const(int(factor)))):
            found = _linear(other)
            return None if found is None else _sum(({}, 0), found, int(factor))
    return None


def _sum(left: Difference, right: Difference, factor: int) -> Difference:
    names = {*left[0], *right[0]}
    total = {name: left[0].get(name, 0) + factor * right[0].get(name, 0) for name in names}
    return {name: each for name, each in total.items() if each}, left[1] + factor * right[1]
