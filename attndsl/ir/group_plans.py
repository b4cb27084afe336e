"""The plans of groups: which pairs of tokens meet in a group, and in which."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attndsl.diagnostics import AttnCallError
from attndsl.ir.bound import BoundIR
from attndsl.ir.groups import MEMBERS
from attndsl.ir.plan import Plan
from attndsl.ir.plan_checks import checked_plan, plans_by_name, routed_branches


@dataclass(frozen=True, eq=False)
class OneGroup:
    """A group of each head. queries, keys: bool [batch or 1, heads, tokens], which of them are members."""

    queries: NDArray[np.bool_]
    keys: NDArray[np.bool_]

    @property
    def heads(self) -> int:
        """Heads with members of their own."""
        return int(self.queries.shape[1])

    def rows_mask(self, start: int, stop: int) -> NDArray[np.bool_]:
        """The pairs of the queries from `start` to `stop`, bool [batch or 1, heads, rows, keys]."""
        mask: NDArray[np.bool_] = self.queries[:, :, start:stop, None] & self.keys[:, :, None, :]
        return mask


def both_plans(ir: BoundIR, given: Any, batch: int | None = None) -> dict[str, Plan]:
    """The plans of queries and of keys that a caller gave. Raises AttnCallError A0692 to A0695."""
    maps, plans = routed_branches(ir), plans_by_name(ir, given)
    for name in MEMBERS:
        if name not in plans:
            raise AttnCallError(
                "A0695", f"the plan of the {name} of the groups of `{ir.name}` is missing",
                help="pass both plans, as `bound.plan(q, k)` returns them",
            )  # fmt: skip
    return {name: checked_plan(maps[name], plan, batch, ir.heads) for name, plan in plans.items()}


def each_group(plans: Mapping[str, Plan], heads: int) -> Iterator[OneGroup]:
    """Every group, for so many query heads."""
    queries, keys = (_members(plans[name], heads) for name in MEMBERS)
    for group in range(queries.shape[2]):
        yield OneGroup(queries[:, :, group], keys[:, :, group])


def pairs_in_groups(plans: Mapping[str, Plan], heads: int) -> NDArray[np.bool_]:
    """The pairs of tokens that are in one group at least, bool [batch or 1, heads, queries, keys]."""
    queries, keys = (_members(plans[name], heads).astype(np.float32) for name in MEMBERS)
    pairs: NDArray[np.bool_] = np.swapaxes(queries, 2, 3) @ keys > 0
    return pairs


def _members(plan: Plan, heads: int) -> NDArray[np.bool_]:
    """Bool [batch, heads, groups, tokens]."""
    return plan.to_mask().repeat(heads // plan.heads, axis=1)
