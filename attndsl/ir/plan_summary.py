"""What a plan keeps, in a few figures: for people as text or as a table of rich, for programs as data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from attndsl.ir.plan import PLURALS, Kind, Plan, as_numpy, unit_sizes

if TYPE_CHECKING:
    from rich.console import Group

MOST_HEADS = 16
"""Heads that texts list one by one."""


@dataclass(frozen=True)
class HeadSummary:
    """Of one head, over the batch. kept: listed pairs of tokens / all pairs.

    least, mean, most: key units in the list of a query unit. empty: query units that keep nothing. unused:
    key units that no query unit keeps. busiest: query units that keep the most wanted key unit / all.
    """

    head: int
    kept: float
    least: int
    mean: float
    most: int
    empty: int
    unused: int
    busiest: float


@dataclass(frozen=True)
class PlanSummary:
    """The figures of a plan, before the static mask takes its part; one entry of `heads` per list head."""

    batch: int
    queries: int
    keys: int
    q_block: int
    kv_block: int
    query_units: int
    key_units: int
    kept: float
    heads: tuple[HeadSummary, ...]
    kinds: tuple[Kind, Kind] = ("query", "key")

    def to_dict(self) -> dict[str, Any]:
        """Numbers and lists only."""
        return asdict(self)

    @property
    def headline(self) -> str:
        """One line."""
        return headline(self, len(self.heads))

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield f"plan: {self.headline}"
        widths = [max(map(len, column)) for column in zip(HEADINGS, *self._rows(), strict=True)]
        for row in (HEADINGS, *self._rows()):
            yield "  " + "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        if len(self.heads) > MOST_HEADS:
            yield f"  and {len(self.heads) - MOST_HEADS} more heads"

    def _rows(self) -> list[tuple[str, ...]]:
        return [
            (
                str(each.head), f"{each.kept:.2%}", f"{each.least:,}", f"{each.mean:,.2f}", f"{each.most:,}",
                f"{each.empty:,}", f"{each.unused:,}", f"{each.busiest:.1%}",
            )
            for each in self.heads[:MOST_HEADS]
        ]  # fmt: skip

    def __rich__(self) -> Group:
        """The same for a console of rich."""
        from rich.console import Group
        from rich.table import Table

        table = Table(*HEADINGS, box=None, padding=(0, 2, 0, 0))
        for row in self._rows():
            table.add_row(*row)
        return Group(f"plan: {self.headline}", table)


HEADINGS = ("head", "kept", "least", "mean", "most", "empty", "unused", "busiest")


def headline(plan: Plan | PlanSummary, heads: int) -> str:
    """A plan in one line. heads: that have lists of their own."""
    batch = f"batch {plan.batch}, " if plan.batch > 1 else ""
    row, column = plan.kinds
    queries = _units(plan.query_units, plan.q_block, plan.queries, row, PLURALS[row])
    keys = _units(plan.key_units, plan.kv_block, plan.keys, column, PLURALS[column])
    return f"{batch}{heads} head{'s' * (heads != 1)}, {queries} to {keys}, {plan.kept:.2%} of all pairs kept"


def summarized(plan: Plan) -> PlanSummary:
    """The figures of a plan."""
    lists = as_numpy(plan.indices)
    queries = unit_sizes(plan.queries, plan.q_block, plan.q_units)
    keys = np.append(unit_sizes(plan.keys, plan.kv_block, plan.kv_units), 0)
    heads = tuple(
        _of_head(head, lists[:, head], queries, keys, plan.batch * plan.queries * plan.keys)
        for head in range(plan.heads)
    )
    return PlanSummary(
        plan.batch, plan.queries, plan.keys, plan.q_block, plan.kv_block,
        plan.query_units, plan.key_units, plan.kept, heads, plan.kinds,
    )  # fmt: skip


def _of_head(
    head: int, lists: NDArray[Any], queries: NDArray[np.int64], keys: NDArray[np.int64], pairs: int
) -> HeadSummary:
    """lists: [batch, query units, most kept]; keys: the tokens of each key unit, and 0 for the padding."""
    counts = (lists >= 0).sum(-1)
    listed = keys[lists].sum(-1)
    wanted = np.bincount(lists[lists >= 0], minlength=len(keys) - 1)
    return HeadSummary(
        head,
        kept=float((listed * queries).sum() / max(pairs, 1)),
        least=int(counts.min(initial=len(keys))) if counts.size else 0,
        mean=float(counts.mean()) if counts.size else 0.0,
        most=int(counts.max(initial=0)),
        empty=int((counts == 0).sum()),
        unused=int((wanted == 0).sum()),
        busiest=float(wanted.max(initial=0) / max(counts.size, 1)),
    )


def _units(count: int, size: int, tokens: int, one: str, many: str) -> str:
    """Such as `64 blocks of 256 keys`."""
    if size == 1:
        return f"{tokens:,} {one if tokens == 1 else many}"
    return f"{count:,} block{'s' * (count != 1)} of {size:,} {many}"
