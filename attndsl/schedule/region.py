"""One region of the mask, evaluated over boxes of tokens: the engine below the classifier.

A sub-expression that depends on few tokens (on one side only, or on small axes of both) is evaluated exactly
for all of them and summarised per box, so that correlations inside it cost no precision. The rest is
computed by interval analysis on pairs of boxes; what depends on few axes is computed once per combination of
their boxes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attndsl.ir.expr import Apply, Const, Expr, InputAt, Position, Table
from attndsl.ir.intervals import UNKNOWN_NUMBER, UNKNOWN_TRUTH, Strided, Truth, Value, apply, exactly
from attndsl.schedule.exact import evaluate_exactly, sample, summarise
from attndsl.schedule.pairs import Axes, Pairs
from attndsl.schedule.pyramid import Pyramid
from attndsl.schedule.tiling import SegmentTiling

Array = NDArray[Any]
Dimensions = tuple[int, ...]

ONE_SIDED, TWO_SIDED = 2**22, 2**18
"""A sub-expression with at most so many combinations of operands is evaluated exactly."""


class Region:
    """The tokens of one (query segment, key segment) pair in tiles; expressions are given per call.

    inputs: the values of declared inputs for the tokens of the whole space, [tokens] each, as far as known.
    """

    def __init__(
        self, query: SegmentTiling, key: SegmentTiling, inputs: Mapping[str, Array] | None = None
    ) -> None:
        self.tilings = query, key
        self.axes = Axes(tuple(map(Pyramid, query.axes)), tuple(map(Pyramid, key.axes)))
        self._extents = tuple(axis.tiling.extent for axis in self.axes.all)
        self._inputs = inputs or {}
        self._exact: dict[Expr, Array] = {}
        self._summaries: dict[tuple[Expr, int], Value] = {}
        self._plans: dict[Expr, list[Expr]] = {}
        self._supports: dict[Expr, Dimensions] = {}
        self._exactness: dict[Expr, bool] = {}

    @property
    def pairs_of_tiles(self) -> int:
        """The number of all pairs of tiles, 0 where a segment has no tokens."""
        return self.tilings[0].tiles * self.tilings[1].tiles

    def truth(self, root: Expr, pairs: Pairs) -> Truth:
        """Whether `root` may hold and may fail inside each pair of boxes, both bool [pairs]."""
        return self.truths([root], pairs)[0]

    def truths(self, roots: list[Expr], pairs: Pairs) -> list[Truth]:
        """The same for several expressions."""
        return self._evaluate(roots, pairs, lambda node: self._summary(node, pairs.level))

    def truth_at(self, root: Expr, pairs: Pairs, fractions: tuple[float, ...]) -> Truth:
        """The value of `root` at one token pair of each pair of boxes.

        fractions: where in its box the token lies along each dimension, from 0 (first) to 1 (last).
        """
        places = [
            axis.starts(pairs.level) + ((axis.lengths(pairs.level) - 1) * fraction).round().astype(np.int64)
            for axis, fraction in zip(self.axes.all, fractions, strict=True)
        ]
        return self._evaluate([root], pairs, lambda node: sample(self._values(node), places))[0]

    def _evaluate(self, roots: list[Expr], pairs: Pairs, base: Callable[[Expr], Value]) -> list[Truth]:
        gather, values = _Gather(pairs), dict[Expr, Value]()
        with np.errstate(all="ignore"):
            for node in (node for root in roots for node in self._plan(root)):
                if node not in values:
                    values[node] = self._value(node, values, gather, base)
            return [gather.truth(values[root]) for root in roots]

    def _value(
        self, node: Expr, values: Mapping[Expr, Value], gather: _Gather, base: Callable[[Expr], Value]
    ) -> Value:
        if self._is_exact(node):
            return base(node)
        if isinstance(node, InputAt):
            return UNKNOWN_TRUTH if node.kind == "bool" else UNKNOWN_NUMBER
        assert isinstance(node, (Const, Apply, Table))
        operands = [values[child] for child in node.children]
        if prod(gather.grid[d] for d in self._support(node)) > len(gather.pairs):
            operands = [gather(operand) for operand in operands]
        return apply(node, operands)

    def _plan(self, root: Expr) -> list[Expr]:
        """The nodes to compute, operands first; those evaluated exactly have no operands here."""
        if root not in self._plans:
            order: dict[Expr, None] = {}
            self._visit(root, order)
            self._plans[root] = list(order)
        return self._plans[root]

    def _visit(self, node: Expr, order: dict[Expr, None]) -> None:
        if node not in order:
            for child in () if self._is_exact(node) else node.children:
                self._visit(child, order)
            order[node] = None

    def is_unknown(self, node: Expr) -> bool:
        """Whether the value depends on an input that is not known."""
        return any(isinstance(leaf, InputAt) and leaf.name not in self._inputs for leaf in node.leaves)

    def _is_exact(self, node: Expr) -> bool:
        if node not in self._exactness:
            self._exactness[node] = self._decide_exactness(node)
        return self._exactness[node]

    def _decide_exactness(self, node: Expr) -> bool:
        if self.is_unknown(node):
            return False
        support = self._support(node)
        sides = {dimension < len(self.axes.query) for dimension in support}
        operands = prod(self._extents[dimension] for dimension in support)
        return len(support) == 1 or (
            bool(sides) and operands <= (ONE_SIDED if len(sides) == 1 else TWO_SIDED)
        )

    def _support(self, node: Expr) -> Dimensions:
        """The dimensions on which a node depends, as far as inputs are known."""
        if node not in self._supports:
            dimensions = {d for leaf in node.leaves for d in self._dimensions(leaf)}
            self._supports[node] = tuple(sorted(dimensions))
        return self._supports[node]

    def _dimensions(self, leaf: Expr) -> Dimensions:
        queries, everything = len(self.axes.query), len(self._extents)
        match leaf:
            case Position(side, int(axis)):
                return (axis if side == "q" else queries + axis,)
            case InputAt(name, side) if name in self._inputs:
                return tuple(range(queries) if side == "q" else range(queries, everything))
        return ()

    def _summary(self, node: Expr, level: int) -> Value:
        """The values of an exact node in each box of a level."""
        if (node, level) not in self._summaries:
            self._summaries[node, level] = self._summarised(node, level)
        return self._summaries[node, level]

    def _summarised(self, node: Expr, level: int) -> Value:
        if level < 0:
            finer = [axis.children(level)[0] for axis in self.axes.all]
            return summarise(self._summary(node, level + 1), finer)
        starts = [axis.starts(level) for axis in self.axes.all]
        return summarise(exactly(self._values(node)), starts)

    def _values(self, node: Expr) -> Array:
        """The value of an exact node for every combination of its coordinates, in tile order."""
        if node not in self._exact:
            leaves = {leaf: self._leaf(leaf) for leaf in node.leaves if not isinstance(leaf, Const)}
            self._exact[node] = evaluate_exactly(node, leaves)
        return self._exact[node]

    def _leaf(self, leaf: Expr) -> Array:
        shape = [1] * len(self._extents)
        dimensions = self._dimensions(leaf)
        orders = [self.axes.all[dimension].tiling.order for dimension in dimensions]
        for dimension in dimensions:
            shape[dimension] = self._extents[dimension]
        if isinstance(leaf, Position):
            return orders[0].reshape(shape)
        assert isinstance(leaf, InputAt)
        segment = self.tilings[leaf.side == "k"].segment
        tokens = self._inputs[leaf.name][segment.offset : segment.offset + segment.size]
        if tokens.dtype.kind in "iu":
            tokens = tokens.astype(np.int64)
        return tokens.reshape(segment.extents)[np.ix_(*orders)].reshape(shape)


class _Gather:
    """Brings values of boxes to a list of pairs; values of pairs, and constants, stay as they are."""

    def __init__(self, pairs: Pairs) -> None:
        self.pairs = pairs
        self.grid = pairs.axes.grid(pairs.level)
        self._index: dict[tuple[int, ...], Array] = {}

    def __call__(self, value: Value) -> Value:
        if isinstance(value, Truth):
            return Truth(self._take(value.may_hold), self._take(value.may_fail))
        stride = None if value.stride is None else self._take(value.stride)
        return Strided(self._take(value.lo), self._take(value.hi), stride)

    def truth(self, value: Value) -> Truth:
        """Both possibilities for every pair."""
        assert isinstance(value, Truth)
        size = len(self.pairs)
        may_hold, may_fail = self._take(value.may_hold), self._take(value.may_fail)
        return Truth(np.broadcast_to(may_hold, size), np.broadcast_to(may_fail, size))

    def _take(self, array: Array) -> Array:
        if np.ndim(array) < 2:
            return array
        shape = array.shape
        if shape not in self._index:
            self._index[shape] = self._flat_index(shape)
        return array.reshape(-1).take(self._index[shape])

    def _flat_index(self, shape: tuple[int, ...]) -> Array:
        index: Array = np.zeros(1, dtype=np.int64)
        for size, coordinate in zip(shape, self.pairs.coordinates, strict=True):
            if size > 1:
                index = index * size + coordinate
        return np.broadcast_to(index, len(self.pairs))
