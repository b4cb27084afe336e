"""What patterns and tiles are called in one line."""

from __future__ import annotations

from collections.abc import Sequence

from attndsl.ir.bound import BoundIR, Space


def bound_headline(ir: BoundIR, any_heads: bool) -> str:
    """A bound pattern: `gna_w3x3, 8 x 8 tokens, 4 heads`."""
    keys = [] if ir.key_space == ir.query_space else [f"keys {extents(ir.key_space)}"]
    return ", ".join([ir.name, f"{extents(ir.query_space)} tokens", *keys, _heads(ir, any_heads)])


def _heads(ir: BoundIR, any_heads: bool) -> str:
    if any_heads:
        return "any number of heads"
    grouped = f", {ir.kv_heads} of keys and values" if ir.kv_heads != ir.heads else ""
    return f"{ir.heads} head{'s' * (ir.heads != 1)}{grouped}"


def extents(space: Space) -> str:
    """The tokens of a space: `30 x 48 x 80 + 256`."""
    return " + ".join(box(each.extents) for each in space.segments if each.size) or "0"


def box(tile: Sequence[int], step: Sequence[int] = ()) -> str:
    """A tile such as `4 x 8 x 8`, with the distance of its tokens where they are no neighbours."""
    sides = " x ".join(map(str, tile))
    return sides if all(each == 1 for each in step) else f"{sides} (every {' x '.join(map(str, step))})"
