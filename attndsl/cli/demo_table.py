"""The demo's table: the simulator's predictions beside those that were published."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.table import Table

from attndsl.cli.demo_text import SETTING, SHARE, Published

if TYPE_CHECKING:
    from attndsl.pipeline import Pattern
    from attndsl.simulate.report import Report


def prediction_table(pattern: Pattern, rows: Sequence[Published]) -> tuple[Table, int]:
    """The table, and how many of its predictions equal the published ones in all published digits."""
    table = Table(box=None, padding=(0, 3, 0, 0))
    table.add_column("stride")
    for heading in ("tile speedup", "published", "end to end", "published", "measured there"):
        table.add_column(heading, justify="right")
    table.add_column("partial tiles")
    agree = 0
    for row in rows:
        report = predict(pattern, row)
        agree += equal(report.tile_speedup, row.tile_speedup) + equal(
            report.end_to_end_speedup, row.end_to_end
        )
        table.add_row(*_cells(row, report), style="bold" if report.perfectly_block_sparse else None)
    return table, agree


def predict(pattern: Pattern, row: Published) -> Report:
    """The prediction for one row, with the tiles of the paper."""
    bound = pattern.bind(**{**SETTING, "stride": row.stride}, heads=24)
    return bound.simulate("b200", q_tile=(4, 8, 8), kv_tile=(2, 8, 8), attention_share=SHARE)


def equal(predicted: float | None, published: float) -> bool:
    """Whether a prediction rounds to the published number of at most two decimals."""
    return predicted is not None and abs(predicted - published) < 0.0051


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
