"""Plans: what routing decides at run time, as data. Which key units each query unit attends to.

A unit is a run of tokens, or a row of a table of tokens where units are boxes. Rules that decide for each
query or each key alone have units of one token. A plan knows nothing of the pattern's static mask: what is
computed is the pairs that are in both.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from attndsl.diagnostics import AttnCallError

if TYPE_CHECKING:
    from attndsl.ir.plan_summary import PlanSummary

Array = Any
"""A NumPy array or a torch tensor."""

Kind = Literal["query", "key", "group"]
PLURALS: dict[Kind, str] = {"query": "queries", "key": "keys", "group": "groups"}

SIZES = ("queries", "keys", "q_block", "kv_block")
ARRAYS = ("indices", "counts", "q_units", "kv_units")
"""The fields of a plan that are sizes, and those that are arrays."""


@dataclass(frozen=True, eq=False, repr=False)
class Plan:
    """For each query unit the key units that it attends to.

    queries, keys: numbers of tokens. q_block, kv_block: the most tokens in a unit. indices: int32 [batch,
    heads, query units, most kept], key units in ascending order, padded with -1. counts: int32 [batch, heads,
    query units], how many of them there are. batch may be 1 for all elements of a batch, and heads any
    divisor of the query heads: each list serves as many heads in a row. q_units, kv_units: int32 [units,
    q_block or kv_block], the tokens of each unit padded with -1, each token in one unit; None where units
    are runs, the last of which may be short. kinds: what rows and columns are, for texts: of groups, the
    queries are groups, and the keys are their members.
    """

    queries: int
    keys: int
    q_block: int
    kv_block: int
    indices: Array
    counts: Array
    q_units: Array | None = None
    kv_units: Array | None = None
    kinds: tuple[Kind, Kind] = ("query", "key")

    @property
    def sizes(self) -> tuple[int, int, int, int]:
        """Queries, keys, and the most tokens in their units."""
        return self.queries, self.keys, self.q_block, self.kv_block

    @property
    def arrays(self) -> dict[str, Array]:
        """The arrays by name, without those that are None."""
        values = {name: getattr(self, name) for name in ARRAYS}
        return {name: value for name, value in values.items() if value is not None}

    @property
    def batch(self) -> int:
        """Elements of the batch with lists of their own."""
        return int(self.indices.shape[0])

    @property
    def heads(self) -> int:
        """Heads with lists of their own."""
        return int(self.indices.shape[1])

    @property
    def query_units(self) -> int:
        """Number of query units."""
        return unit_count(self.queries, self.q_block, self.q_units)

    @property
    def key_units(self) -> int:
        """Number of key units."""
        return unit_count(self.keys, self.kv_block, self.kv_units)

    @property
    def kept(self) -> float:
        """Listed pairs of tokens / all pairs of tokens, before the static mask takes its part."""
        queries = unit_sizes(self.queries, self.q_block, self.q_units)
        keys = unit_sizes(self.keys, self.kv_block, self.kv_units)
        lists = as_numpy(self.indices)
        listed = np.where(lists >= 0, np.append(keys, 0)[lists], 0).sum(-1)
        pairs = self.batch * self.heads * self.queries * self.keys
        return float((listed * queries).sum() / max(pairs, 1))

    def summary(self) -> PlanSummary:
        """What is kept, by head; its text and its table for rich say it to people."""
        from attndsl.ir.plan_summary import summarized

        return summarized(self)

    def __repr__(self) -> str:
        from attndsl.ir.plan_summary import headline

        return f"Plan({headline(self, self.heads)})"

    def to_mask(self) -> NDArray[np.bool_]:
        """Bool [batch, heads, queries, keys]: which pairs of tokens are listed."""
        return self.rows_mask(0, self.queries)

    def of_heads(self, heads: int) -> NDArray[np.bool_]:
        """The mask of so many query heads, bool [batch, heads or 1, queries, keys]."""
        mask = self.to_mask()
        return mask if self.heads == 1 else mask.repeat(heads // self.heads, axis=1)

    def rows_mask(self, start: int, stop: int) -> NDArray[np.bool_]:
        """The mask of the queries from `start` to `stop`, bool [batch, heads, rows, keys]."""
        rows = unit_of_token(self.queries, self.q_block, self.q_units)[start:stop]
        lists = as_numpy(self.indices)[:, :, rows]
        units = np.zeros((*lists.shape[:3], self.key_units + 1), dtype=bool)
        np.put_along_axis(
            units, lists.astype(np.int64), True, axis=3
        )  # the padding, -1, marks the last place
        return units[..., unit_of_token(self.keys, self.kv_block, self.kv_units)]

    def __or__(self, other: Plan) -> Plan:
        """All pairs of units in this plan or the other. Raises AttnCallError A0699 where they do not fit."""
        return _joined(self, other, np.union1d)

    def __and__(self, other: Plan) -> Plan:
        """All pairs of units in both plans. Raises AttnCallError A0699 where they do not fit."""
        return _joined(self, other, np.intersect1d)


def unit_count(tokens: int, block: int, units: Array | None) -> int:
    """Number of units of a side."""
    return -(-tokens // block) if units is None else int(units.shape[0])


def unit_sizes(tokens: int, block: int, units: Array | None) -> NDArray[np.int64]:
    """Tokens in each unit of a side."""
    return np.bincount(unit_of_token(tokens, block, units), minlength=unit_count(tokens, block, units))


def unit_of_token(tokens: int, block: int, units: Array | None) -> NDArray[np.int64]:
    """The unit of each token of a side."""
    if units is None:
        return np.arange(tokens) // block
    table = as_numpy(units)
    unit, place = np.nonzero(table >= 0)
    result = np.empty(tokens, dtype=np.int64)
    result[table[unit, place]] = unit
    return result


def as_numpy(values: Array) -> NDArray[Any]:
    """A NumPy array of an array or tensor."""
    return np.asarray(values.cpu() if hasattr(values, "cpu") else values)


def of_pairs(like: Plan, batch: int, heads: int, pairs: NDArray[np.int64]) -> Plan:
    """A plan over the same units from pairs: ascending numbers of (batch, head, query unit, key unit)."""
    rows, columns = np.divmod(pairs, max(like.key_units, 1))
    counts = np.bincount(rows, minlength=batch * heads * like.query_units)
    starts = np.cumsum(counts) - counts
    indices = np.full((len(counts), int(counts.max(initial=0))), -1, dtype=np.int32)
    indices[rows, np.arange(len(rows)) - starts[rows]] = columns
    shape = batch, heads, like.query_units
    return replace(like, indices=indices.reshape(*shape, -1), counts=counts.astype(np.int32).reshape(shape))


def _joined(first: Plan, second: Plan, join: Any) -> Plan:
    if not _same_units(first, second):
        raise _of_two_kinds("plans over different units", "make both with the same shape and sizes of blocks")
    batch, heads = max(first.batch, second.batch), max(first.heads, second.heads)
    for plan in (first, second):
        if plan.batch not in (1, batch) or not plan.heads or heads % plan.heads:
            sizes = f"a batch of {plan.batch} and {plan.heads} heads and of {batch} and {heads}"
            raise _of_two_kinds(f"plans for {sizes}", "make both for the same batch and heads, or for 1")
    return of_pairs(first, batch, heads, join(_pairs(first, batch, heads), _pairs(second, batch, heads)))


def _of_two_kinds(plans: str, fix: str) -> AttnCallError:
    return AttnCallError("A0699", f"{plans} cannot be joined", help=fix)


def _same_units(first: Plan, second: Plan) -> bool:
    if first.sizes != second.sizes:
        return False
    tables = ((first.q_units, second.q_units), (first.kv_units, second.kv_units))
    return all(
        one is other is None
        or (one is not None and other is not None and np.array_equal(as_numpy(one), as_numpy(other)))
        for one, other in tables
    )


def _pairs(plan: Plan, batch: int, heads: int) -> NDArray[np.int64]:
    """The listed pairs as ascending numbers of (batch, head, query unit, key unit)."""
    lists = as_numpy(plan.indices)
    lists = np.broadcast_to(lists, (batch, *lists.shape[1:])).repeat(heads // plan.heads, axis=1)
    lists = lists.reshape(batch * heads * plan.query_units, lists.shape[-1])
    rows, places = np.nonzero(lists >= 0)
    return np.asarray(rows * plan.key_units + lists[rows, places], dtype=np.int64)
