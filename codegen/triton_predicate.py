"""Prints as Triton which pairs of a PARTIAL tile are visible: the factors of all its residuals.

Residuals share most of their factors, so the kernel has one loop for all of them: it computes each factor
once, and a residual that does not ask for a factor lets it pass. What only the query or only the key decides
is a vector, computed for the tile of that side; what only the head decides is computed here, exactly, and
read from an array.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attndsl.codegen.levels import Level, level_of
from attndsl.codegen.ranges import Places, node_ranges
from attndsl.codegen.triton_expression import Text, TritonType, print_node, triton_type
from attndsl.codegen.triton_factors import Factor, choose_names
from attndsl.codegen.triton_tokens import Sides
from attndsl.ir.bound import BoundIR, Region, input_sizes
from attndsl.ir.evaluate import evaluate
from attndsl.ir.expr import Apply, Expr, Head, InputAt, InputElement, Position, Side, Table, topological
from attndsl.ir.text import expression, region_axis_names
from attndsl.schedule.schedule import Schedule

Array = NDArray[Any]


class Predicate:
    """The text of all factors about one pair of segments, and the names that their parts get.

    prefix: distinguishes the names of different pairs of segments.
    """

    def __init__(self, ir: BoundIR, places: Places, roots: Sequence[Expr], sides: Sides, prefix: str) -> None:
        self.ir = ir
        self.places = places
        self.roots = roots
        self.sides = sides
        self.prefix = prefix
        self.nodes = list(topological(*roots))
        self.ranges = {node: value for root in roots for node, value in node_ranges(ir, root, places).items()}
        self.levels = {node: level_of(node) for node in self.nodes}
        self.names = choose_names(self.nodes, roots, self.levels, prefix)

    def lines(self, level: Level) -> Iterator[str]:
        """Assignments of the named values of one level, in order."""
        for node in self.nodes:
            if node in self.names and self.levels[node] == level and not isinstance(node, Head):
                yield f"{self.names[node]} = {self._define(node)}{self._origin(node)}"

    def value(self, root: Expr, level: Level) -> Text:
        """An expression as read at `level`."""
        return self._reference(root, level)

    def test(self, root: Expr) -> Text:
        """A factor, as a condition [q, kv] on the pairs of a tile, or a scalar."""
        return self._reference(root, "pair")

    def in_words(self, root: Expr) -> str:
        """A factor in the language's spelling, and the segments it is about."""
        if self.places is None:
            return expression(root)
        names = region_axis_names(self.ir, Region(*self.places, root))
        query, key = self.ir.query_space.segments[self.places[0]], self.ir.key_space.segments[self.places[1]]
        text = expression(root, names)
        several = len(self.ir.query_space.segments) + len(self.ir.key_space.segments) > 2
        return f"{query.name} -> {key.name}: {text}" if several else text

    def axes(self, side: Side) -> list[int]:
        """The axes of one side whose coordinates are needed."""
        found = {n.axis for n in self.nodes if isinstance(n, Position) and n.side == side}
        return sorted(axis for axis in found if isinstance(axis, int))

    @property
    def inputs(self) -> bool:
        """Whether declared inputs are read."""
        return any(isinstance(node, InputAt | InputElement) for node in self.nodes)

    @property
    def fragile(self) -> bool:
        """Whether coordinates of tokens that do not exist could divide by zero or read outside a table."""
        return any(
            (isinstance(node, Table | InputElement) and self.levels[node] != "head")
            or (isinstance(node, Apply) and node.op in ("floordiv", "mod") and _is_about_tokens(node.args[1]))
            for node in self.nodes
        )

    @property
    def rounds_pairs(self) -> bool:
        """Whether the GPU multiplies reals, whose products must be rounded before they are added."""
        return any(
            node.type == "real"
            and self.levels[node] != "head"
            and isinstance(node, Apply)
            and node.op == "mul"
            for node in self.nodes
        )

    @cached_property
    def arrays(self) -> dict[str, Array]:
        """Numbers that the kernel reads: values per head, and tables that are indexed by tokens."""
        heads = np.arange(self.ir.heads)
        found: dict[str, Array] = {}
        for node in self.nodes:
            if self._is_known(node) and node in self.names:
                values = evaluate(node, lambda leaf: heads)
                found[self.names[node]] = np.broadcast_to(values, heads.shape).astype(_stored(node))
            elif isinstance(node, Table) and not self._is_known(node):
                found[f"{self.prefix}{node.name}"] = np.asarray(node.values).astype(_stored(node))
        return found

    def _is_known(self, node: Expr) -> bool:
        """Whether the value for every head is known before any call."""
        reads_inputs = any(isinstance(each, InputElement) for each in node.mentioned)
        return self.levels[node] == "head" and not reads_inputs and not isinstance(node, Head)

    def _type(self, node: Expr) -> TritonType:
        return triton_type(node, self.ranges[node])

    def _define(self, node: Expr) -> str:
        """The value of a named node at its own level."""
        _level, kind = self.levels[node], self._type(node)
        if isinstance(node, InputAt):
            tokens = self.sides.q if node.side == "q" else self.sides.kv
            mask = f", mask={tokens.side}_exists, other=0" if tokens.cut else ""
            return f"tl.load({node.name}_values + {tokens.side}_token{mask}).to(tl.{kind})"
        if self._is_known(node):
            return f"tl.load({self.names[node]}_of + head).to(tl.{kind})"
        return self._compute(node).text

    def _compute(self, node: Expr) -> Text:
        match node:
            case Position(side, int(axis)):
                assert self.places is not None
                tokens = self.sides.q if side == "q" else self.sides.kv
                return Text(tokens.coordinate_name(self.places[side == "k"], axis), "int32")
            case Head():
                return Text("head", "int32")
            case InputElement(name):
                kind = self._type(node)
                return Text(f"tl.load({name}_values + {self._place_in(node)}).to(tl.{kind})", kind)
            case Table(name, _, index):
                place = self._reference(index, self.levels[node]).text
                kind = self._type(node)
                return Text(f"tl.load({self.prefix}{name}_of + {place}).to(tl.{kind})", kind)
        level = self.levels[node]
        operands = [self._reference(child, level) for child in node.children]
        ranges = [self.ranges[child] for child in node.children]
        return print_node(node, operands, self._type(node), ranges)

    def _place_in(self, node: InputElement) -> str:
        """The place of an element in an input that lies in memory row by row."""
        place = ""
        for index, size in zip(node.indices, input_sizes(self.ir, node.name), strict=True):
            text = self._reference(index, self.levels[node])
            place = f"({place}) * {size} + {text}" if place else str(text)
        return f"({place})"

    def _reference(self, node: Expr, level: Level) -> Text:
        """The node as an operand of a value at `level`."""
        own = self.levels[node]
        named = node in self.names
        text = Text(self.names[node], self._type(node)) if named else self._compute(node)
        if own == level or own == "head":
            return text
        return Text(f"{text}{self.sides.index('q' if own == 'query' else 'kv')}", text.type)

    def _origin(self, node: Expr) -> str:
        span = self.ir.spans.get(node)
        return f"  # {span}: {' '.join(span.text.split())}" if span else ""


def predicates(schedule: Schedule, found: Sequence[Factor], sides: Sides) -> dict[Places, Predicate]:
    """One printer for all factors about the same pair of segments."""
    roots: dict[Places, list[Expr]] = {}
    for factor in found:
        roots.setdefault(factor.places, []).append(factor.predicate)
    prefixes = ("" if len(roots) == 1 else f"in_{number}_" for number in range(len(roots)))
    return {
        places: Predicate(schedule.ir, places, own, sides, prefix)
        for (places, own), prefix in zip(roots.items(), prefixes, strict=True)
    }


def _is_about_tokens(node: Expr) -> bool:
    return level_of(node) != "head"


def _stored(node: Expr) -> Any:
    return {"bool": np.int8, "int": np.int64, "real": np.float64}[node.type]
