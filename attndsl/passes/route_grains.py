"""What the values of a route stand for: one per token, one per block, or one for all, on each side.

A map of scores has one row per query or block of queries, and one column per key or block of keys. The two
sides of every operation must agree, so that nothing is stretched silently.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from attndsl.diagnostics import AttnTypeError
from attndsl.ir.expr import Apply, Expr, FlatIndex, InputAt, Position, Side, topological
from attndsl.ir.route import BlockIndex, Dot, InputVector, OverHeads, Pool, Softmax, Vectors
from attndsl.ir.route_groups import Mix, PoolAlike, PoolWhere, TopAlike
from attndsl.source import Span

TOKEN = ""
"""The grain of tokens; that of blocks is their name."""

Place = Callable[[Expr], Span | None]


@dataclass(frozen=True)
class Grain:
    """query, key: what a value has one of, None if it is one for all. vector: whether it has channels."""

    query: str | None = None
    key: str | None = None
    vector: bool = False

    def of(self, side: Side) -> str | None:
        """The grain of one side."""
        return self.query if side == "q" else self.key


def grains(root: Expr, place: Place) -> Mapping[Expr, Grain]:
    """The grain of every node. Raises AttnTypeError A0361 to A0364 where operands do not fit together."""
    found: dict[Expr, Grain] = {}
    for node in topological(root):
        found[node] = _grain(node, [found[child] for child in node.children], place)
    return found


def _grain(node: Expr, operands: list[Grain], place: Place) -> Grain:
    match node:
        case Vectors(name):
            return Grain(query=TOKEN, vector=True) if name == "q" else Grain(key=TOKEN, vector=True)
        case Position(side) | FlatIndex(side) | InputAt(_, side):
            return Grain(query=TOKEN) if side == "q" else Grain(key=TOKEN)
        case Pool():
            return _pooled(node, operands[0], place)
        case OverHeads():
            return operands[0]
        case InputVector():
            return _of_indices(node, operands, place)
        case PoolWhere(_, _, _, side):
            value = operands[0]
            return (
                Grain(None, value.key, value.vector)
                if side == "q"
                else Grain(value.query, None, value.vector)
            )
        case Mix():
            return replace(_both(node, operands, place), key=None, vector=True)
        case TopAlike():
            return operands[1]
        case PoolAlike():
            return replace(_both(node, operands, place), vector=operands[0].vector)
        case Dot():
            _check_vectors(node, operands, place)
            return _both(node, operands, place)
        case Softmax():
            _check_scores(node, operands[0], place)
            return _both(node, operands, place)
    return _of_numbers(node, operands, place)


def _both(node: Expr, operands: list[Grain], place: Place) -> Grain:
    """One number for what the operands have one of."""
    query = _joined(node, [each.query for each in operands], place)
    return Grain(query, _joined(node, [each.key for each in operands], place))


def _of_indices(node: Expr, operands: list[Grain], place: Place) -> Grain:
    """One vector of an input for what its indices have one of, on one side of a map at most."""
    grain = _both(node, operands, place)
    if grain.query is not None and grain.key is not None:
        raise AttnTypeError(
            "A0362", "this is a vector for each pair", span=place(node),
            help="let the indices speak of one side of the map",
        )  # fmt: skip
    return replace(grain, vector=True)


def _joined(node: Expr, given: list[str | None], place: Place) -> str | None:
    """The grain that operands share."""
    names = sorted({each for each in given if each is not None})
    if len(names) > 1:
        fine, coarse = (f"one per block `{name}`" if name else "one value per token" for name in names[:2])
        raise AttnTypeError(
            "A0361", f"this joins {fine} with {coarse}", span=place(node),
            help=f"pool the finer one first, as in `mean(k in {names[-1]})`",
        )  # fmt: skip
    return names[0] if names else None


_OF_VECTORS = ("add", "sub", "mul", "div", "neg", "abs", "min", "max", "exp", "tanh", "sqrt", "select")


def _of_numbers(node: Expr, operands: list[Grain], place: Place) -> Grain:
    """Of arithmetic, which vectors go through channel by channel."""
    grain, vector = _both(node, operands, place), any(each.vector for each in operands)
    if not vector:
        return grain
    if not (isinstance(node, Apply) and node.op in _OF_VECTORS):
        raise AttnTypeError(
            "A0362", "this needs numbers, and a vector has many", span=place(node),
            help="compare vectors by their product, `mean(k in b) . q`",
        )  # fmt: skip
    if grain.query is not None and grain.key is not None:
        raise AttnTypeError(
            "A0362", "this is a vector for each pair of a query and a key", span=place(node),
            help="make vectors of queries and vectors of keys, and multiply them: `q . mean(k in b)`",
        )  # fmt: skip
    return Grain(grain.query, grain.key, vector)


def _pooled(node: Pool, operand: Grain, place: Place) -> Grain:
    touched = [side for side in node.sides if operand.of(side) is not None]
    if not touched or (not node.blocks and len(touched) > 1):
        problem = "this is a map of scores" if touched else f"there is nothing to take the {node.kind} of"
        raise AttnTypeError(
            "A0363", problem, span=place(node),
            help="pool what has one value per token: `mean(k in b)`, `mean(k)`; of a map: `sum(x in k.b)`",
        )  # fmt: skip
    if node.kind.startswith("stack") and not operand.vector:
        raise AttnTypeError(
            "A0362", f"`{node.kind}` is for vectors", span=place(node), help=f"write `{node.kind}(k in b)`"
        )
    grain = node.blocks or None
    query, key = (grain if "q" in touched else operand.query), (grain if "k" in touched else operand.key)
    return Grain(query, key, operand.vector)


def _check_vectors(node: Dot, operands: list[Grain], place: Place) -> None:
    for child, operand in zip(node.children, operands, strict=True):
        if not operand.vector:
            raise AttnTypeError(
                "A0362", "`.` multiplies two vectors", span=place(child) or place(node),
                note="this is a number",
                help="write `q . k`, or vectors made of them; numbers are multiplied by `*`",
            )  # fmt: skip


def _check_scores(node: Softmax, operand: Grain, place: Place) -> None:
    if operand.vector or operand.key is None:
        raise AttnTypeError(
            "A0364", "`softmax` runs over keys", span=place(node),
            help="give it scores of queries and keys, such as `softmax(scale * q . mean(k in b))`",
        )  # fmt: skip


def blocks_numbered(root: Expr, side: Side) -> str | None:
    """The blocks that an expression numbers on one side, where nothing else says what it has one of."""
    numbered = {node for node in root.mentioned if isinstance(node, BlockIndex) and node.side == side}
    names = {node.blocks for node in numbered}
    return names.pop() if len(names) == 1 else None


def operand_context(node: Pool | PoolWhere | Mix | TopAlike, context: Grain) -> Grain:
    """What the sides of a pool's operand stand for, given what those of the pool do."""
    if isinstance(node, TopAlike):
        return Grain(TOKEN, TOKEN)
    if isinstance(node, Mix):
        return replace(context, key=grains(node.vectors, lambda _: None)[node.vectors].key)
    if isinstance(node, PoolWhere):
        return replace(context, query=TOKEN) if node.side == "q" else replace(context, key=TOKEN)
    inner = grains(node.operand, lambda _: None)[node.operand]
    query = inner.query if "q" in node.sides and inner.query is not None else context.query
    key = inner.key if "k" in node.sides and inner.key is not None else context.key
    return Grain(query, key)


def in_contexts(root: Expr, context: Grain) -> Iterator[tuple[Expr, Grain]]:
    """Every node with what the sides stand for where it is evaluated; inside a pool that is finer."""
    seen: set[tuple[Expr, Grain]] = set()
    stack = [(root, context)]
    while stack:
        node, where = stack.pop()
        if (node, where) not in seen:
            seen.add((node, where))
            yield node, where
            inner = (
                operand_context(node, where) if isinstance(node, Pool | PoolWhere | Mix | TopAlike) else where
            )
            stack.extend((child, inner) for child in node.children)
