"""Random bound patterns, built from IR nodes: what no one would write must be scheduled correctly too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from attndsl.ir.bound import BoundIR, InputDeclaration, Region, Segment, Space
from attndsl.ir.evaluate import mask_rows
from attndsl.ir.expr import Apply, Const, Expr, Head, InputAt, Position, Side, Table

AXES = ("t", "h", "w")


@dataclass(frozen=True)
class RandomIR:
    """A bound pattern with values for its inputs, and tiles: q, kv and steps."""

    ir: BoundIR
    inputs: dict[str, NDArray[Any]]
    q_tile: tuple[int, ...]
    kv_tile: tuple[int, ...]
    step: tuple[int, ...] | None

    def mask(self) -> NDArray[np.bool_]:
        """The mask of every head, by direct evaluation."""
        rows = self.ir.query_space.size
        return np.stack([mask_rows(self.ir, head, 0, rows, self.inputs) for head in range(self.ir.heads)])


def extents(rank: int) -> st.SearchStrategy[tuple[int, ...]]:
    largest = {1: 40, 2: 9, 3: 5}[rank]
    return st.tuples(*[st.integers(1, largest)] * rank)


@st.composite
def spaces(draw: st.DrawFn) -> Space:
    shape = draw(st.integers(1, 3).flatmap(extents))
    main = Segment("video", AXES[: len(shape)], shape, 0)
    text = draw(st.none() | st.integers(0, 7))
    rest = () if text is None else (Segment("text", ("n",), (text,), main.size),)
    return Space((main, *rest))


LEAVES = ("position", "constant", "head", "table")
ARITHMETIC = (
    "add",
    "sub",
    "min",
    "max",
    "mul",
    "floordiv",
    "mod",
    "abs",
    "neg",
    "bit_length",
    "round",
    "select",
)
INTEGERS = st.sampled_from([*LEAVES, "position", "position", *ARITHMETIC])
TRUTHS = st.sampled_from(["compare", "compare", "and", "and", "or", "not", "eq", "select"])
COMPARISONS = st.sampled_from(["lt", "le", "gt", "ge", "eq", "ne"])
ROUNDINGS = st.sampled_from(["floor", "ceil", "round", "int"])
CONSTANTS, FACTORS, DIVISORS = st.integers(-4, 9), st.integers(-3, 3), st.sampled_from([-3, 1, 2, 3, 4, 5, 8])
SCALES = st.sampled_from([0.37, -1.5])
SIDES: st.SearchStrategy[Side] = st.sampled_from(["q", "k"])


@dataclass(frozen=True)
class Expressions:
    """Draws expressions over the coordinates of one pair of segments."""

    draw: st.DrawFn
    axes: dict[Side, int]
    heads: int
    inputs: bool

    def integer(self, depth: int) -> Expr:
        kind = self.draw(INTEGERS)
        if depth == 0 or kind in LEAVES:
            return self._leaf(kind)
        first = self.integer(depth - 1)
        match kind:
            case "mul":
                return Apply("mul", (first, Const(self.draw(FACTORS))))
            case "floordiv" | "mod":
                return Apply(kind, (first, Const(self.draw(DIVISORS))))
            case "abs" | "neg" | "bit_length":
                return Apply(kind, (first,))
            case "round":
                return Apply(self.draw(ROUNDINGS), (Apply("mul", (first, Const(self.draw(SCALES)))),))
            case "select":
                return Apply("select", (self.truth(depth - 1), first, self.integer(depth - 1)))
        return Apply(kind, (first, self.integer(depth - 1)))

    def _leaf(self, kind: str) -> Expr:
        match kind:
            case "constant":
                return Const(self.draw(CONSTANTS))
            case "head":
                return Head()
            case "table":
                values = tuple(self.draw(CONSTANTS) for _ in range(self.heads))
                return Table("alpha", values, Head())
        side = self.draw(SIDES)
        return Position(side, self.draw(st.integers(0, self.axes[side] - 1)))

    def truth(self, depth: int) -> Expr:
        kind = self.draw(TRUTHS)
        if depth == 0 or kind == "compare":
            return self._comparison(max(depth - 1, 0))
        operands = {"not": 1, "select": 3}.get(kind, 2)
        return Apply(kind, tuple(self.truth(depth - 1) for _ in range(operands)))

    def _comparison(self, depth: int) -> Expr:
        operator = self.draw(COMPARISONS)
        if self.inputs and self.draw(st.booleans()):
            return Apply(operator, (InputAt("doc", "q", "int"), InputAt("doc", "k", "int")))
        return Apply(operator, (self.integer(depth), self.integer(depth)))


@st.composite
def bound_patterns(draw: st.DrawFn, inputs: bool = False) -> RandomIR:
    """A bound pattern, with one input `doc` on request, and tiles for it."""
    query = draw(spaces())
    key = query if inputs or draw(st.booleans()) else draw(spaces())
    heads = draw(st.integers(1, 3))
    names = ("doc",) if inputs else ()
    regions = tuple(
        Region(i, j, _mask(draw, q, k, heads, inputs))
        for i, q in enumerate(query.segments)
        for j, k in enumerate(key.segments)
    )
    declared = tuple(InputDeclaration(name, "int", ("tokens",)) for name in names)
    ir = BoundIR("random", query, key, heads, heads, regions, declared)
    values = st.lists(st.integers(0, 2), min_size=query.size, max_size=query.size)
    q_shape, k_shape = query.segments[0].extents, key.segments[0].extents
    same_rank = len(q_shape) == len(k_shape)
    return RandomIR(
        ir,
        {name: np.array(draw(values), dtype=np.int64) for name in names},
        draw(st.tuples(*[st.integers(1, 5)] * len(q_shape))),
        draw(st.tuples(*[st.integers(1, 5)] * len(k_shape))),
        draw(st.none() | st.tuples(*[st.integers(1, 3)] * len(q_shape))) if same_rank else None,
    )


def _mask(draw: st.DrawFn, query: Segment, key: Segment, heads: int, inputs: bool) -> Expr:
    axes: dict[Side, int] = {"q": len(query.axes), "k": len(key.axes)}
    return Expressions(draw, axes, heads, inputs).truth(draw(st.integers(0, 4)))
