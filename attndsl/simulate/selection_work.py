"""What selection costs: the operations of torch that score units, choose some, and list them.

Each operation reads its operands from memory and writes its result there, in float32; rows of the map are
done in chunks, as `runtime/select.py` does. Sorting and top-k are radix passes over the map.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import ceil
from typing import Any, Literal

from attndsl.ir.bound import BoundIR
from attndsl.ir.expr import FALSE, TRUE, Apply, Const, Expr, topological
from attndsl.ir.route import Dot, Pool, Route, RouteNode, Softmax, Vectors
from attndsl.ir.route_groups import Mix
from attndsl.ir.route_numbers import heads_of, list_heads, units_of
from attndsl.ir.units import count_of_units
from attndsl.passes.route_grains import Grain, grains
from attndsl.simulate.devices import Device
from attndsl.simulate.linear_work import HALF, SINGLE, SLOWDOWN
from attndsl.simulate.machine import Kernel, seconds

CHUNK, FEWEST_ROWS = 2**21, 16
"""Scores of a chunk of rows, and rows of one; those of `runtime/select.py`."""

PASSES = 4
"""Radix passes over 32 bits, eight at a time. Top-k reads its map in each, sorting moves it."""

PLACE = 8
"""Bytes of a place that sorting moves along."""


Kind = Literal["pooling", "products", "softmax", "arithmetic", "choice"]
"""What an operation is for: `choice` is top-k or sorting, and what makes lists of its result."""


@dataclass(frozen=True)
class Step:
    """One operation on the device. by_chunk: whether it is done chunk by chunk."""

    kind: Kind
    flops: float
    bytes: float
    launches: int = 1
    slowdown: float = 1.0
    by_chunk: bool = True


@dataclass(frozen=True)
class SelectionWork:
    """Of all heads and batch entries. parts: the seconds of each kind of operation."""

    flops: float
    bytes: float
    launches: int
    seconds: float
    parts: Mapping[str, float]


def selection_work(ir: BoundIR, device: Device, head_dim: int, batch: int) -> SelectionWork:
    """The cost of selection for a bound pattern with a route. Tensors are bfloat16."""
    assert ir.route is not None, "callers ask for the selection of routed patterns"
    return _Selection(ir, ir.route, head_dim, batch).work(device)


@dataclass(frozen=True, eq=False)
class _Selection:
    ir: BoundIR
    route: Route
    head_dim: int
    batch: int

    def work(self, device: Device) -> SelectionWork:
        steps = list(self._steps())
        launches = [each.launches * self._chunks(each) for each in steps]
        parts: dict[str, float] = {}
        for each, count in zip(steps, launches, strict=True):
            kernel = Kernel(0, each.flops, 0.0, each.bytes, 0, each.slowdown, count)
            parts[each.kind] = parts.get(each.kind, 0.0) + seconds(kernel, device)
        flops, traffic = (sum(getattr(each, name) for each in steps) for name in ("flops", "bytes"))
        return SelectionWork(flops, traffic, sum(launches), sum(parts.values()), parts)

    def _chunks(self, step: Step) -> int:
        if not step.by_chunk or self.route.per[0] != "query":
            return 1
        return ceil(self._rows / max(FEWEST_ROWS, CHUNK // (self.batch * self.ir.heads * self._cells)))

    @cached_property
    def _cells(self) -> int:
        """The most entries that one row needs at once, of the map or of a finer one inside it."""
        found = (grain for root in self._roots for grain in grains(root, lambda _: None).values())
        maps = {(each.query, each.key) for each in found if None not in (each.query, each.key)}
        sizes = [self._units("q", query) * self._units("k", key) for query, key in maps]
        return max(1, self._keys, *(ceil(size / max(self._rows, 1)) for size in sizes))

    @property
    def _roots(self) -> tuple[Expr, ...]:
        return self.route.score, self.route.among, self.route.prefer, self.route.always

    @property
    def _rows(self) -> int:
        return units_of(self.ir, "q").count

    @property
    def _keys(self) -> int:
        return units_of(self.ir, "k").count

    def _steps(self) -> Iterator[Step]:
        seen: set[Expr] = set()
        for root in self._roots:
            found = grains(root, lambda _: None)
            for node in topological(root):
                if node not in seen:
                    seen.add(node)
                    yield from self._of_node(node, found)
        yield from self._of_choice()

    # ------------------------------------------------------------ scores

    def _of_node(self, node: Expr, found: Mapping[Expr, Grain]) -> Iterator[Step]:
        size = self._size(node, found[node])
        operands = sum(self._size(child, found[child]) for child in node.children)
        moved = SINGLE * (operands + size)
        by_chunk = found[node].query is not None
        match node:
            case Vectors():
                yield Step("pooling", 0.0, (HALF + SINGLE) * size, by_chunk=by_chunk)
            case Pool(kind, operand):
                flops = 0.0 if kind.startswith("stack") else self._size(operand, found[operand])
                yield Step("pooling", flops, moved + 2 * SINGLE * operands, 2, by_chunk=by_chunk)
            case Dot(left, right):
                width = self._width(left if found[left].vector else right)
                of_both = found[node].query is not None and found[node].key is not None
                slowdown = SLOWDOWN["ieee"] if of_both else 1.0
                yield Step("products", 2.0 * size * width, moved, 1, slowdown, by_chunk)
            case Softmax(_, condition):
                passes = 1 if condition is TRUE else 5
                yield Step("softmax", 5.0 * size, 2 * SINGLE * size * passes, passes, by_chunk=by_chunk)
            case Mix(weights, vectors):
                flops = 2.0 * self._size(weights, found[weights]) * self._width(vectors)
                yield Step("products", flops, moved, 1, SLOWDOWN["ieee"], by_chunk)
            case RouteNode() | Apply() if max(size, operands) > 1:
                yield Step("arithmetic", float(max(size, operands)), moved, by_chunk=by_chunk)

    def _size(self, node: Expr, grain: Grain) -> float:
        """The numbers of a value."""
        if not node.children and not isinstance(node, Vectors):
            heads = 1  # constants and positions
        else:
            heads = self.batch * heads_of(node, self.ir)
        counts = self._units("q", grain.query) * self._units("k", grain.key)
        return float(heads * counts * (self._width(node) if grain.vector else 1))

    def _units(self, side: Any, name: str | None) -> int:
        if name is None:
            return 1
        segment = units_of(self.ir, side).segment
        return count_of_units(self.route.block(name) if name else None, segment)

    def _width(self, node: Expr) -> int:
        """Channels of a vector."""
        if isinstance(node, Vectors):
            return self.head_dim
        own = max((self._width(child) for child in node.children), default=1)
        if isinstance(node, Pool) and node.kind.startswith("stack"):
            side = "q" if "q" in node.sides else "k"
            tokens = units_of(self.ir, "q" if side == "q" else "k").segment.size
            return own * ceil(tokens / max(1, self._units(side, node.blocks)))
        return own

    # ------------------------------------------------------------ choice

    @cached_property
    def _entries(self) -> float:
        return float(self.batch * list_heads(self.ir) * self._rows * self._keys)

    def _of_choice(self) -> Iterator[Step]:
        route, entries = self.route, self._entries
        masks = sum(root not in (TRUE, FALSE) for root in (route.among, route.always, route.prefer))
        yield Step("choice", masks * entries, 2 * SINGLE * entries * masks, masks)
        top = route.rule.name == "top" and isinstance(route.rule.arguments[0], Const)
        if top:
            yield Step("choice", PASSES * entries, PASSES * SINGLE * entries)
        else:
            sorts = 1 if route.prefer is FALSE else 2
            passes = PASSES * sorts
            yield Step("choice", passes * entries, passes * 2 * (SINGLE + PLACE) * entries, passes)
            yield Step("choice", 3 * entries, 3 * (SINGLE + PLACE) * entries, 4)
        if top and route.prefer is FALSE and route.per[0] == "query":
            listed = self._listed
            yield Step("choice", PASSES * listed, PASSES * 2 * SINGLE * listed, PASSES + 4)
        else:  # a map of what is chosen, read for counts and for lists
            yield Step("choice", 2 * entries, 3 * entries, 6)

    @property
    def _listed(self) -> float:
        count = self.route.rule.arguments[0]
        most = int(count.value) if isinstance(count, Const) else self._keys
        return self._entries / max(self._keys, 1) * min(most + (self.route.always is not FALSE), self._keys)
