"""What keeps a pattern with linear weights from linear time, said where it would hurt."""

from __future__ import annotations

from functools import lru_cache

from attndsl.diagnostics import AttnCallError
from attndsl.ir.bound import BoundIR, decays_by_channel
from attndsl.schedule.build import build
from attndsl.source import Span

MOST_PAIRS = 2**30
"""Pairs of tokens per head up to which tiles stand in for a linear algorithm without being asked to."""


def refuse_slow_tiles(ir: BoundIR) -> None:
    """Refuse what tiles cannot compute (A0673), or what would silently take quadratic time (A0672)."""
    if decays_by_channel(ir):
        raise AttnCallError(
            "A0673",
            f"`{ir.name}` decays channel by channel inside its products, which no kernel of pairs computes",
            span=_span(ir), note=_reason(ir), help=_other_way(ir),
        )  # fmt: skip
    if ir.linear is None or not ir.linear.obstacle:
        return
    if ir.query_space.size * ir.key_space.size > MOST_PAIRS and (pairs := _visited_pairs(ir)) > MOST_PAIRS:
        raise AttnCallError(
            "A0672", f"`{ir.name}` has linear weights, but would visit {pairs:.1e} pairs of tokens per head",
            span=_span(ir), note=f"no recurrence: {_reason(ir)}",
            help="change that clause, or ask for it: `bound.using('tiles')`",
        )  # fmt: skip


@lru_cache(maxsize=64)
def _visited_pairs(ir: BoundIR) -> int:
    """Pairs of tokens in the tiles that one head visits, the most of any."""
    schedule = build(ir)
    tile = schedule.q_tiling.capacity * schedule.kv_tiling.capacity
    return max(each.visited_tiles for each in schedule.maps) * tile


def _reason(ir: BoundIR) -> str:
    return (ir.linear.obstacle if ir.linear else "") or "tiles were asked for"


def _other_way(ir: BoundIR) -> str:
    if ir.linear is not None and ir.linear.obstacle:
        return "write `attend causal` in a space of one axis, or use the bound pattern's reference()"
    return "leave out `using('tiles')`: as a recurrence it is computed, in linear time"


def _span(ir: BoundIR) -> Span | None:
    return ir.linear.span if ir.linear else None
