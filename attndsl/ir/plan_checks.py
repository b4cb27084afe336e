"""Whether plans that a caller gives fit a bound pattern: kernels, predictions and pictures trust them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast
from weakref import WeakKeyDictionary

import numpy as np

from attndsl.diagnostics import AttnCallError
from attndsl.ir.bound import BoundIR
from attndsl.ir.expr import Side
from attndsl.ir.plan import ARRAYS, PLURALS, Kind, Plan, as_numpy, unit_count
from attndsl.ir.route_units import route_table

_checked: WeakKeyDictionary[Plan, tuple[int, ...]] = WeakKeyDictionary()
"""Plans whose arrays have been looked at, and the versions of their tensors: to look is to wait for a GPU."""


def no_route(name: str) -> AttnCallError:
    """The error for a plan of a pattern that has none."""
    return AttnCallError(
        "A0690", f"pattern `{name}` has no route, so there is nothing to plan", help="leave out the plan"
    )


def routed_branches(ir: BoundIR) -> dict[str, BoundIR]:
    """What has a route, by the name of the branch; '' is a pattern without branches or groups, or a branch.

    Raises AttnCallError A0690 where nothing has.
    """
    parts = {each.branch: each for each in ir.branches or ir.groups} or {"": ir}
    routed = {name: each for name, each in parts.items() if each.route is not None}
    if not routed:
        raise no_route(ir.name)
    return routed


def kinds_of(ir: BoundIR) -> tuple[Kind, Kind]:
    """What rows and columns of the plans of a bound pattern are."""
    kinds: dict[str, tuple[Kind, Kind]] = {"queries": ("group", "query"), "keys": ("group", "key")}
    return kinds[ir.members] if ir.members else ("query", "key")


def plans_by_name(ir: BoundIR, given: Any) -> dict[str, Any]:
    """What a caller gave, by branch. Raises AttnCallError A0690 and A0695."""
    routed = routed_branches(ir)
    if given is None:
        return {}
    if isinstance(given, Mapping):
        unknown = [name for name in given if name not in routed]
        if unknown:
            if ir.groups:
                raise AttnCallError(
                    "A0695", f"groups have no members `{unknown[0]}`",
                    help='pass plan={"queries": ..., "keys": ...}',
                )  # fmt: skip
            raise AttnCallError(
                "A0695", f"pattern `{ir.name}` has no routed branch `{unknown[0]}`",
                help=f"its routed branches: {', '.join(routed)}" if ir.branches else "pass the plan itself",
            )  # fmt: skip
        return dict(given)
    if len(routed) > 1:
        raise AttnCallError(
            "A0695", f"pattern `{ir.name}` has {len(routed)} routes, one plan given",
            help="pass plan={{{}}}".format(", ".join(f'"{name}": ...' for name in routed)),
        )  # fmt: skip
    return dict.fromkeys(routed, given)


def checked_plan(ir: BoundIR, plan: Any, batch: int | None, heads: int | None) -> Plan:
    """A plan that fits a pattern. batch, heads: of the queries, None for any.

    Raises AttnCallError A0692 to A0695.
    """
    check_sizes(ir, plan, batch, heads)
    versions = _versions(plan)
    if versions is None or _checked.get(plan) != versions:
        check_arrays(plan)
        if versions is not None:
            _checked[plan] = versions
    return cast(Plan, plan)


def _versions(plan: Plan) -> tuple[int, ...] | None:
    """How often the plan's tensors have changed; None where nobody counts."""
    arrays = plan.arrays.values()
    if not all(hasattr(each, "is_inference") and not each.is_inference() for each in arrays):
        return None
    return tuple(each._version for each in arrays)


def check_sizes(ir: BoundIR, plan: Any, batch: int | None, heads: int | None) -> None:
    """Raise AttnCallError A0692, A0693 or A0695 unless the sizes of a plan fit, as for `checked_plan`."""
    if not isinstance(plan, Plan):
        raise AttnCallError(
            "A0695", f"a plan is wanted, {type(plan).__name__} given",
            help="pass what `bound.plan(q, k)` returns",
        )  # fmt: skip
    queries, keys = ir.query_space.size, ir.key_space.size
    rows, columns = (PLURALS[each] for each in kinds_of(ir))
    if (plan.queries, plan.keys) != (queries, keys):
        raise AttnCallError(
            "A0692", f"the plan is for {plan.queries} {rows} and {plan.keys} {columns},"
            f" `{ir.name}` is bound to {queries} and {keys}", help="make a plan for these tensors",
        )  # fmt: skip
    if len(getattr(plan.indices, "shape", ())) != 4:
        return  # no list at all: see `check_arrays`
    fits_batch = batch is None or plan.batch == 1 or plan.batch == batch  # graphs compare no tuples
    if not fits_batch or not plan.heads or (heads is not None and heads % plan.heads):
        raise _of_other_heads(ir, plan, batch, heads)


def check_arrays(plan: Plan) -> None:
    """Raise AttnCallError A0694 unless the arrays of a plan are lists of units."""
    problem = next(_problems(plan), None)
    if problem:
        raise AttnCallError(
            "A0694", f"this is no plan: {problem}",
            help="lists hold key units in ascending order, padded with -1; `bound.plan(q, k)` makes them",
        )  # fmt: skip


def _of_other_heads(ir: BoundIR, plan: Plan, batch: int | None, heads: int | None) -> AttnCallError:
    if batch is None:
        problem = f"the plan is for {plan.heads} heads, `{ir.name}` is bound to {heads}"
        return AttnCallError("A0693", problem, help="bind the pattern with heads=, or make a plan anew")
    problem = f"the plan is for a batch of {plan.batch} and {plan.heads} heads, q has {batch} and {heads}"
    return AttnCallError("A0693", problem, help="make a plan for these tensors")


def check_units(ir: BoundIR, plan: Plan) -> None:
    """Raise AttnCallError A0696 unless the plan's units are the tokens or blocks of the pattern's route."""
    sides: tuple[tuple[Side, int, Any], ...] = (
        ("q", plan.q_block, plan.q_units),
        ("k", plan.kv_block, plan.kv_units),
    )
    for side, block, table in sides:
        wanted, size = route_table(ir, side)
        if size == block and _equal(wanted, table):
            continue
        what = PLURALS[kinds_of(ir)[side == "k"]]
        if size != block:
            problem = f"the plan is for units of {block} {what}, the route of `{ir.name}` has units of {size}"
        else:
            problem = f"the plan groups {what} into other units than the route of `{ir.name}`"
        raise AttnCallError(
            "A0696", problem,
            help="bind the pattern with the block sizes that the plan was made with, or make a plan anew",
        )  # fmt: skip


def _equal(first: Any, second: Any) -> bool:
    if first is None or second is None:
        return first is second
    return np.array_equal(as_numpy(first), as_numpy(second))


def _problems(plan: Plan) -> Iterator[str]:
    """What is wrong with the arrays of a plan; kernels trust them."""
    unreadable = next(_unreadable(plan), None)
    if unreadable:
        yield unreadable
        return
    units = (plan.queries, plan.q_block, plan.q_units), (plan.keys, plan.kv_block, plan.kv_units)
    for tokens, block, table in units:
        if block < 1 or (table is not None and not _is_partition(as_numpy(table), tokens, block)):
            yield "its units are no partition of the tokens"
            return
    lists, counts = as_numpy(plan.indices), as_numpy(plan.counts)
    rows = unit_count(*units[0])
    if lists.ndim != 4 or lists.shape[2] != rows or counts.shape != lists.shape[:3]:
        yield f"its lists have the shape {lists.shape}, and counts {counts.shape}, for {rows} query units"
    elif lists.dtype != np.int32 or counts.dtype != np.int32:
        yield f"its arrays are {lists.dtype} and {counts.dtype}, not int32"
    elif not np.array_equal((lists >= 0).sum(-1), counts):
        yield "its counts are not the lengths of its lists"
    elif lists.size and not (lists.min() >= -1 and lists.max() < plan.key_units and _ascends(lists)):
        yield f"a list is not ascending, or leaves the {plan.key_units} key units"


def _unreadable(plan: Plan) -> Iterator[str]:
    for name in ("q_block", "kv_block"):
        if not isinstance(getattr(plan, name), (int, np.integer)):
            yield f"{name} is no integer"
    for name in ARRAYS:
        value = getattr(plan, name)
        if not (_is_array(value) or (value is None and name.endswith("units"))):
            yield f"{name} is no array, and no dense tensor with data"


def _is_array(value: Any) -> bool:
    is_dense = str(getattr(value, "layout", None)) == "torch.strided" and not value.is_meta
    return is_dense or isinstance(value, np.ndarray)


def _is_partition(table: np.ndarray[Any, Any], tokens: int, block: int) -> bool:
    """Whether each token is in one unit, and each unit has one at least."""
    if table.ndim != 2 or table.shape[1] != block or table.dtype.kind != "i":
        return False
    filled = bool((table >= 0).any(1).all())
    return filled and np.array_equal(np.sort(table[table >= 0]), np.arange(tokens))


def _ascends(lists: np.ndarray[Any, Any]) -> bool:
    """Whether each list ascends, with its padding at the end."""
    earlier, later = lists[..., :-1], lists[..., 1:]
    return bool(np.all((later < 0) | ((later > earlier) & (earlier >= 0))))
