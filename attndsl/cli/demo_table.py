"""The demo's table: the simulator's predictions beside those that were published."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.table import Table

from attndsl.cli.demo_text import SETTING, SHARE, Published

if TYPE_CHECKING:
    from attndsl.pipeline import Pattern
    from attndsl.simulate.report import Report


def prediction_table(pattern: Pattern, rows: Sequence[Published]) -> tuple[Table, float]:
    """The table, and the largest difference between a predicted and a published number in it."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("stride")
    for heading in ("tile speedup", "published", "end to end", "published", "measured"):
        table.add_column(heading, justify="right")
    table.add_column("partial tiles")
    worst = 0.0
    for row in rows:
        report = predict(pattern, row)
        worst = max(worst, difference(report, row))
        table.add_row(*_cells(row, report), style="bold" if report.perfectly_block_sparse else None)
    return table, worst


def predict(pattern: Pattern, row: Published) -> Report:
    """The prediction for one row, with the tiles of the paper."""
    bound = pattern.bind(**{**SETTING, "stride": row.stride}, heads=24)
    return bound.simulate("b200", q_tile=(4, 8, 8), kv_tile=(2, 8, 8), attention_share=SHARE)


def difference(report: Report, row: Published) -> float:
    """The largest difference from the published numbers, at their two decimals."""
    assert report.end_to_end_speedup is not None
    pairs = ((report.tile_speedup, row.tile_speedup), (report.end_to_end_speedup, row.end_to_end))
    return max(abs(round(predicted, 2) - published) for predicted, published in pairs)


def _cells(row: Published, report: Report) -> tuple[str, ...]:
    share = 100 * report.partial_tiles / max(report.visited_tiles, 1)
    return (
        " x ".join(map(str, row.stride)),
        f"{report.tile_speedup:.2f}x",
        f"{row.tile_speedup:.2f}x",
        f"{report.end_to_end_speedup:.2f}x",
        f"{row.end_to_end:.2f}x",
        f"{row.measured:.2f}x",
        f"{share:.0f} %" if report.partial_tiles else "none",
    )
