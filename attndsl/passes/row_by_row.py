"""Whether each row of a pattern is decided by its own query: then the last rows need no other queries."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NoReturn

from attndsl.diagnostics import AttnUnsupportedError
from attndsl.ir.bound import BoundIR, decays_by_channel
from attndsl.ir.derived import TENSORS, Derivation, Derived
from attndsl.ir.expr import Expr, InputAt, InputElement, LowRank
from attndsl.ir.pattern import PatternIR, Weighting
from attndsl.ir.route import InputVector, Pool, Route, Vectors
from attndsl.ir.route_groups import Mix, PoolWhere, TopAlike
from attndsl.passes.route_grains import TOKEN, Grain, grains
from attndsl.source import Span

Obstacle = tuple[str, Span | None]
"""What keeps the last queries from deciding the last rows, and where the text says so."""


def is_kernel_of_rows(ir: PatternIR | BoundIR) -> bool:
    """Whether the rows are a softmax over what a static mask shows, for which there are kernels."""
    if ir.branches or ir.derived or ir.route or ir.groups or (isinstance(ir, BoundIR) and ir.low_rank):
        return False
    roots = [ir.weighting.score]
    if isinstance(ir, BoundIR):
        roots = [term for region in ir.regions for term in region.terms]
    read = (node for root in roots for node in root.mentioned)
    by_index = any(isinstance(node, InputAt | InputElement | LowRank) for node in read)
    return not by_index and ir.weighting == Weighting(score=ir.weighting.score)


def refuse_rows(ir: PatternIR | BoundIR) -> None:
    """Raise AttnUnsupportedError A0905 where the last queries alone do not decide the last rows.

    Of a pattern that is not bound, what its numbers decide is left open.
    """
    if isinstance(ir, BoundIR) and ir.linear is not None and ir.linear.algorithm == "recurrence":
        raise AttnUnsupportedError(
            "A0905", f"rows of `{ir.name}` are not compiled yet: it is a recurrence",
            help="carry its state with `return_state=True` and `step`, or pass the queries of all tokens",
        )  # fmt: skip
    for each in ir.branches or (ir,):
        for obstacle in _obstacles(each):
            _refuse(ir, obstacle)


def _refuse(ir: PatternIR | BoundIR, obstacle: Obstacle) -> NoReturn:
    what, span = obstacle
    raise AttnUnsupportedError(
        "A0905", f"the last queries alone do not decide the last rows of `{ir.name}`: {what}",
        span=span, help="pass the queries of all tokens to the pattern itself",
    )  # fmt: skip


def _obstacles(ir: PatternIR | BoundIR) -> Iterator[Obstacle]:
    derived = ir.derived or ()
    for each in derived.tensors if isinstance(derived, Derivation) else derived:
        yield from _of_tensor(each)
    if ir.groups:
        yield "its groups choose among all queries", None
    if ir.route is not None:
        if len(ir.query_space.segments if isinstance(ir, BoundIR) else ir.query_space) > 1:
            yield "its route is about one of several segments", ir.route.span
        yield from _of_route(ir.route)
    decay = ir.weighting.decay
    if isinstance(ir, BoundIR) and decay is not None and decays_by_channel(ir):
        yield "its channels decay one by one", decay.span
    if ir.weighting.normalize == "flow":
        yield "its flows are sums over all queries", None


def _of_tensor(derived: Derived) -> Iterator[Obstacle]:
    """Keys and values may be made of keys and values, which a cache holds."""
    if derived.kind == "transposed":
        yield "its tokens are channels, whose products are sums over all queries", derived.span
    elif derived.kind == "branch":
        yield f"each {derived.role} is what all queries of branch `{derived.of}` give", derived.span
    elif derived.role == "query" or derived.of == TENSORS["query"]:
        yield f"`{derived.role} {derived.kind}({derived.of} in {derived.blocks})` pools queries", derived.span


def _of_route(route: Route) -> Iterator[Obstacle]:
    if len(route.per) == 1 and route.per[0] != "query":
        what = "all queries of all heads" if route.per[0] == "all" else "all queries of a head"
        yield f"`select .. per {route.per[0]}` lets {what} compete", route.span
    nodes = {node: grain for root in route.expressions for node, grain in _grains(root).items()}
    if route.queries != TOKEN and any(_reads_queries(node) for node in nodes):
        blocks = route.queries
        yield f"`select .. per {blocks}` decides for blocks, by all queries of a block `{blocks}`", route.span
    for node in nodes:
        what = _of_many_queries(node, nodes)
        if what:
            yield f"{what} in its route", route.span


def _grains(root: Expr) -> dict[Expr, Grain]:
    return dict(grains(root, lambda _: None))


def _reads_queries(node: Expr) -> bool:
    of_query = isinstance(node, InputAt) and node.side == "q"
    return of_query or isinstance(node, InputElement | InputVector) or node == Vectors("q")


def _of_many_queries(node: Expr, found: dict[Expr, Grain]) -> str:
    """What joins several queries in a node; nothing where it speaks of one."""
    match node:
        case Pool(kind, operand, blocks, sides) if "q" in sides and found[operand].query is not None:
            return f"`{kind}(..{f' in {blocks}' if blocks else ''})` pools queries"
        case PoolWhere(kind, _, _, "q"):
            return f"`{kind}(.. in ..)` is over queries"
        case TopAlike():
            return "`top(.. in .., ..)` adds up what all queries say"
        case Mix(_, vectors) if found[vectors].query is not None:
            return "`.` mixes the vectors of queries"
    return ""
