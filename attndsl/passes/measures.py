"""What coordinates count: tokens or blocks. Numbers of tokens are not compared with numbers of blocks.

Over pooled keys `k.index` counts blocks and `q.index` tokens, so that `k.index <= q.index` (the prelude's
`causal`) would mean something else than it says. Multiplied or divided, a number counts something of its
own: `(k.b + 1) * size` and `q.n // size` may be compared with anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from attndsl.diagnostics import AttnTypeError
from attndsl.ir.blocks import Blocks
from attndsl.ir.expr import Apply, Expr, FlatIndex, Position, Side
from attndsl.ir.route import BlockIndex
from attndsl.ir.text import expression
from attndsl.source import Span

TOKENS = ""
"""What is counted where no blocks stand in the place of tokens."""

_KEPT = ("neg", "abs", "floor", "ceil", "round", "int", "real")
_JOINED = ("add", "sub", "min", "max", "select")
_COMPARED = ("lt", "le", "gt", "ge", "eq", "ne")
_SCALED = ("mul", "div", "floordiv", "mod")


class Measure(NamedTuple):
    """What a number counts: blocks of a name, or tokens, and what the count was multiplied and divided by."""

    counted: str
    scaling: tuple[tuple[str, Expr], ...] = ()


@dataclass
class Measures:
    """What the numbers of a pattern or branch count. counted: blocks, or tokens, of each side."""

    counted: Mapping[Side, str]
    blocks: Mapping[str, Blocks]
    known: dict[Expr, Measure | None] = field(default_factory=dict)

    def check(self, node: Expr, place: Span | None) -> None:
        """Raise AttnTypeError A0348 where tokens and blocks are counted by the same measure."""
        if self.blocks:
            self._of(node, place)

    def _of(self, node: Expr, place: Span | None) -> Measure | None:
        if node not in self.known:
            operands = [self._of(child, place) for child in node.children]
            self.known[node] = self._measure(node, operands, place)
        return self.known[node]

    def _measure(self, node: Expr, operands: list[Measure | None], place: Span | None) -> Measure | None:
        match node:
            case Position(side) | FlatIndex(side):
                return Measure(self.counted[side])
            case BlockIndex(_, name):
                return Measure(name)
            case Apply(op) if op in _KEPT:
                return operands[0]
            case Apply(op) if op in (*_JOINED, *_COMPARED):
                joined = self._joined(operands[1:] if op == "select" else operands, place)
                return joined if op in _JOINED else None
            case Apply(op, (_, other)) if op in _SCALED and operands[0] and not operands[1]:
                return Measure(operands[0].counted, (*operands[0].scaling, (op, other)))
            case Apply("mul", (other, _)) if operands[1] and not operands[0]:
                return Measure(operands[1].counted, (*operands[1].scaling, ("mul", other)))
        return None

    def _joined(self, operands: list[Measure | None], place: Span | None) -> Measure | None:
        """The measure of a sum or a comparison; none where the operands count in different measures."""
        found = sorted({each for each in operands if each is not None}, key=lambda each: each.counted)
        if len(found) == 2 and found[0].scaling == found[1].scaling:
            raise self._mixed(found[0].counted, found[1].counted, place)
        return found[0] if len(found) == 1 else None

    def _mixed(self, first: str, second: str, place: Span | None) -> AttnTypeError:
        blocks = self.blocks.get(second)
        one = f"blocks `{first}`" if first else "tokens"
        other = f"blocks `{second}`" if blocks else f"`{second}`"
        return AttnTypeError(
            "A0348", f"this compares numbers of {one} with numbers of {other}", span=place,
            help=self._spelling(blocks) if blocks and not first else "pool both by the same blocks",
        )  # fmt: skip

    def _spelling(self, blocks: Blocks) -> str:
        """How a block and a token are compared."""
        name = blocks.name
        if self.counted["q"] == self.counted["k"]:
            return f"compare blocks with blocks, as in `k.{name} <= q.{name}`"
        if len(blocks.axes) > 1:
            return f"say where a block lies among the tokens, as in `k.{name} * 64 <= q.index`"
        size = expression(blocks.size)
        size = size if size.replace("_", "").isalnum() else "size"
        if self.counted["q"] == name:
            return (
                f"say where a block lies among the tokens, as in `k.{blocks.axis} < (q.{name} + 1) * {size}`"
            )
        token = f"q.{blocks.axis}"
        return (
            f"write `k.{name} <= {token} // {size}` for blocks that have begun,"
            f" `(k.{name} + 1) * {size} <= {token} + 1` for those that have ended"
        )
