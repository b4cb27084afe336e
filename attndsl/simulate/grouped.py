"""Predictions for groups: the tiles that their members' pairs fill, for plans that are given or random.

The members of a group are gathered in their order, so that a tile is a run of members. What the mask hides of
a group is counted pair by pair. A pair of tokens that meets in several groups is computed in each.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attndsl.ir.bound import BoundIR
from attndsl.ir.evaluate import mask_of_pairs
from attndsl.ir.group_plans import both_plans
from attndsl.ir.plan_checks import check_units
from attndsl.ir.route_units import route_table
from attndsl.simulate.devices import Device
from attndsl.simulate.inputs import loosest
from attndsl.simulate.plan_draws import Distribution, Draws
from attndsl.simulate.plan_lists import Lists, lists_of_plan, with_rest
from attndsl.simulate.plan_tiles import TileCounts
from attndsl.simulate.routing import RoutingFigures, figures_of, problem_of
from attndsl.simulate.selection_work import SelectionWork, selection_work

Array = NDArray[Any]

Groups = list[tuple[Array, Array]]
"""The queries and the keys of every group of one head that is looked at, ascending."""


def grouped_figures(
    ir: BoundIR, target: Device, tokens: tuple[int, int], head_dim: int, batch: int, plan: Any,
    distribution: Distribution,
) -> RoutingFigures:  # fmt: skip
    """The figures of a bound pattern with groups. tokens: of q and kv tiles.

    plan: of queries and of keys. Without it plans are drawn; groups have no places, so that all tokens are
    equally near. Raises AttnCallError A0692 to A0696 for plans that do not fit.
    """
    drawn = None if plan is not None else replace(distribution, locality=0.0)
    draws = [] if drawn is None else _draws(ir, drawn)
    plans = list(_given(ir, plan) if drawn is None else _drawn(draws))
    members = [tokens for heads in plans for groups in heads for group in groups for tokens in group]
    longest = max(map(len, members), default=0)
    tile = min(tokens[0], max(longest, 1)), min(tokens[1], max(longest, 1))
    counts = [
        tuple(_counts(ir, head * ir.heads // len(heads), groups, tile) for head, groups in enumerate(heads))
        for heads in plans
    ]
    assumptions = tuple(dict.fromkeys(line for each in draws for line in each.assumptions))
    dense = -(-ir.query_space.size // tile[0]), -(-ir.key_space.size // tile[1])
    return figures_of(
        problem_of(ir, target, tile, head_dim, batch), "groups", (tile[:1], tile[1:]), dense, counts,
        _selection(ir, target, head_dim, batch), drawn, assumptions,
    )  # fmt: skip


def _selection(ir: BoundIR, target: Device, head_dim: int, batch: int) -> SelectionWork:
    """Choosing the members of both kinds."""
    first, second = (selection_work(each, target, head_dim, batch) for each in ir.groups)
    parts = dict(first.parts)
    for name, time in second.parts.items():
        parts[name] = parts.get(name, 0.0) + time
    return SelectionWork(
        first.flops + second.flops, first.bytes + second.bytes, first.launches + second.launches,
        first.seconds + second.seconds, parts,
    )  # fmt: skip


# ---------------------------------------------------------------- plans


def _given(ir: BoundIR, plan: Any) -> Iterator[list[Groups]]:
    """The groups of every head, for every element of the batch."""
    plans = both_plans(ir, plan)
    for each in ir.groups:
        check_units(each, plans[each.members])
    queries, keys = ([(each, plans[each.members])] for each in ir.groups)
    for element in range(max(plan.batch for plan in plans.values())):
        yield [
            _groups(*(
                _members(each, lists_of_plan(own, element % own.batch, head * own.heads // ir.heads))
                for each, own in (*queries, *keys)
            ))
            for head in range(ir.heads)
        ]  # fmt: skip


def _draws(ir: BoundIR, distribution: Distribution) -> list[Draws]:
    """Of queries and of keys, which know nothing of one another."""
    seeds = (2 * distribution.seed, 2 * distribution.seed + 1)
    return [
        Draws(each, replace(distribution, seed=seed), 1) for each, seed in zip(ir.groups, seeds, strict=True)
    ]


def _drawn(draws: Sequence[Draws]) -> Iterator[list[Groups]]:
    """The groups of some heads, for every drawn plan."""
    for plans in zip(*draws, strict=True):
        queries, keys = (
            [_members(own.ir, _with_rest(own, each)) for each in heads]
            for own, heads in zip(draws, plans, strict=True)
        )
        yield [_groups(*each) for each in zip(queries, keys, strict=False)]


def _with_rest(draws: Draws, lists: Lists) -> Lists:
    """The lists with the units of other segments, which are in all groups."""
    table, block = route_table(draws.ir, "k")
    units = -(-draws.ir.key_space.size // block) if table is None else len(table)
    groups = draws.queries.count
    return with_rest(lists, (groups, draws.keys.count), (groups, units))


def _groups(queries: list[Array], keys: list[Array]) -> Groups:
    return list(zip(queries, keys, strict=False))


def _members(ir: BoundIR, lists: Lists) -> list[Array]:
    """The tokens that each group lists. ir: the map of groups and tokens."""
    table, block = route_table(ir, "k")
    if table is None:
        table = np.arange(-(-ir.key_space.size // block) * block).reshape(-1, block)
        table = np.where(table < ir.key_space.size, table, -1)
    ends = np.searchsorted(lists.row, np.arange(1, len(lists.rows)))
    tokens = (table[units].reshape(-1) for units in np.split(lists.key, ends))
    return [np.sort(each[each >= 0]) for each in tokens]


# ---------------------------------------------------------------- tiles


def _counts(ir: BoundIR, head: int, groups: Groups, tile: tuple[int, int]) -> TileCounts:
    """What the groups of one head visit. Where some stand for all, what all of them would."""
    mask = loosest(ir)
    whole = ir.groups[0].query_space.size / max(len(groups), 1)
    found = [_tiles(mask_of_pairs(mask, head, queries, keys, {}), tile) for queries, keys in groups]
    visits = np.concatenate([each.sum(1) for each, _, _ in found]) if found else np.zeros(0, dtype=np.int64)
    listed = sum(len(queries) * len(keys) for queries, keys in groups)
    # queries in several groups are in several tiles: per tile of dense attention there are so many
    times = whole * len(visits) / max(-(-ir.query_space.size // tile[0]), 1)
    most = int(visits.max(initial=0))
    return TileCounts(
        visited=whole * float(visits.sum()),
        full=whole * sum(float(full.sum()) for _, full, _ in found),
        worst=int(np.ceil(most * times)),
        mean=times * float(visits.mean()) if len(visits) else 0.0,
        programs=whole * len(visits),
        longest=most,
        visible=whole * sum(visible for _, _, visible in found),
        listed=whole * listed,
        slots=whole * sum(len(queries) for queries, _ in groups),
        gathered_keys=whole * sum(len(keys) for _, keys in groups),
    )


def _tiles(visible: Array, tile: tuple[int, int]) -> tuple[Array, Array, float]:
    """Which tiles of a group are visited, and which are full, bool [q tiles, kv tiles]; visible pairs."""
    if not visible.size:
        return np.zeros((1, 1), dtype=bool), np.zeros((1, 1), dtype=bool), 0.0
    starts = (np.arange(0, extent, size) for extent, size in zip(visible.shape, tile, strict=True))
    rows, columns = starts
    sums = np.add.reduceat(np.add.reduceat(visible, rows, axis=0, dtype=np.int64), columns, axis=1)
    sizes = np.outer(*(
        np.diff(np.append(each, extent)) for each, extent in zip((rows, columns), visible.shape, strict=True)
    ))  # fmt: skip
    return sums > 0, sums == sizes, float(visible.sum())
