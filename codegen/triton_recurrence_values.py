"""Prints as Triton what only chunked recurrences have: pairs inside a chunk, and running sums over it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from attndsl.codegen import tile_ir as tile
from attndsl.codegen.triton_values import Printed, Values

_PAIRS = {"up_to": "row >= column", "before": "row > column", "same": "row == column"}


@dataclass
class ChunkValues(Values):
    """Prints values of a chunk. exact: the tensors that are float32 whatever the type of the others."""

    exact: frozenset[tile.Tensor] = field(default_factory=frozenset)

    def _print(self, value: tile.Expression) -> Printed:
        match value:
            case tile.Relabel(inner):
                return self._print(inner)
            case tile.Scan(tile.Elementwise("select", (tile.Pairs("before"), steps, _)), "through", 0):
                return Printed(f"steps_between({self.text(steps)})")
            case tile.Pairs("halves", half):
                apart = f"(row ^ column) // {half}" if half > 1 else "(row ^ column)"
                return Printed(f"(row > column) & ({apart} == 1)", atomic=False)
            case tile.Pairs(relation):
                return Printed(_PAIRS[relation], atomic=False)
            case tile.Scan():
                return Printed(self._scan(value))
            case tile.Total(inner):
                return Printed(f"tl.sum({self.text(inner)}, axis=0)")
        return super()._print(value)

    def _scan(self, scan: tile.Scan) -> str:
        name = self.text(scan.value)
        if scan.kind == "after":
            name = next_name(name)
        if scan.block:
            return f"sum_{scan.kind}_in_blocks({name}, {scan.block})"
        return f"tl.cumsum({name}, axis=0{', reverse=True' if scan.kind == 'after' else ''})"

    def is_tile_of_tensor(self, value: tile.Expression) -> bool:
        """Whether the value is a tensor's tile in the tensor's type."""
        return self._is_stored(value)

    def stored_text(self, value: tile.Expression) -> str:
        """Such a tile, in the tensor's type."""
        return self._stored_text(value)

    def _is_stored(self, value: tile.Expression) -> bool:
        return super()._is_stored(value) and not (isinstance(value, tile.Load) and value.tensor in self.exact)


def next_name(name: str) -> str:
    """The name of a variable's rows moved up by one, whose sums are those of the rows after each row."""
    return f"next_{name}"


def scanned_after(statements: tuple[tile.Statement, ...]) -> set[str]:
    """The variables whose rows after each row are summed."""
    found: set[str] = set()
    for statement in statements:
        if isinstance(statement, tile.ForChunks):
            found |= scanned_after(statement.body)
        elif isinstance(statement, tile.Assign | tile.Store):
            found |= set(_scanned_after(statement.value))
    return found


def _scanned_after(value: tile.Expression) -> Iterator[str]:
    if isinstance(value, tile.Scan) and value.kind == "after":
        assert isinstance(value.value, tile.Variable)
        yield value.value.name
    for operand in value.operands:
        yield from _scanned_after(operand)
