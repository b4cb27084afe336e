"""Which conditions of the text make tiles PARTIAL: those that are still undecided inside the tile.

Conditions are those a reader sees: a comparison (or a chain of them) with its own place in the text.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from attndsl.ir.bound import BoundIR
from attndsl.ir.bound import Region as Arm
from attndsl.ir.expr import Apply, Expr, Position
from attndsl.ir.text import expression
from attndsl.schedule.block_map import FULL, BlockMap
from attndsl.schedule.heads import for_head
from attndsl.schedule.pairs import Array, Pairs
from attndsl.schedule.region import Region
from attndsl.schedule.schedule import Schedule
from attndsl.source import Span

CONNECTIVES = ("and", "or", "not")


@dataclass(frozen=True)
class Blame:
    """A condition that leaves tiles undecided.

    text: the condition as written. place: where it is, None for masks that no text describes. axes: the
    axes it compares. clause, clause_place: the `attend` condition it is part of. tiles: how many PARTIAL
    tiles it is undecided in, over all heads whose masks differ; other conditions may be undecided there
    too.
    """

    text: str
    place: Span | None
    axes: tuple[str, ...]
    clause: str
    clause_place: Span | None
    tiles: int


@dataclass(frozen=True)
class _Condition:
    """A condition in one region for one head: the expression to analyse, and the one that was written."""

    node: Expr
    written: Expr


def blame(schedule: Schedule) -> tuple[Blame, ...]:
    """The conditions that make tiles PARTIAL, those with the most tiles first."""
    found: dict[Blame, int] = {}
    for number, block_map in enumerate(schedule.maps):
        heads = np.flatnonzero(np.asarray(schedule.map_of_head) == number)
        weight = len(heads) if len(schedule.maps) > 1 else 1
        for arm in schedule.ir.regions:
            for condition, tiles in _undecided(schedule, block_map, arm, int(heads[0])):
                entry = _describe(schedule.ir, arm, condition)
                found[entry] = found.get(entry, 0) + weight * tiles
    named = [Blame(**{**vars(entry), "tiles": tiles}) for entry, tiles in found.items() if tiles]
    return tuple(sorted(named, key=_importance))


def _importance(entry: Blame) -> tuple[int, int, tuple[str, ...]]:
    """Most tiles first, then in the order of the text."""
    return -entry.tiles, entry.place.start if entry.place else 0, entry.axes


def _undecided(
    schedule: Schedule, block_map: BlockMap, arm: Arm, head: int
) -> Iterator[tuple[_Condition, int]]:
    """Each condition of a region, and the number of PARTIAL tiles of one head in which it is undecided."""
    region = Region(schedule.q_tiling.segments[arm.query], schedule.kv_tiling.segments[arm.key])
    originals = _originals(arm.visible, head, schedule.ir)
    root = for_head(arm.visible, head)
    conditions = [node for node in _logic(root) if _is_condition(node, originals, schedule.ir)]
    counts = np.zeros(len(conditions), dtype=np.int64)
    for pairs in _partial_pairs(schedule, block_map, arm, region).chunks():
        reached = _reached(region, root, pairs)
        counts += [int(reached[node].sum()) for node in conditions]
    for node, tiles in zip(conditions, counts.tolist(), strict=True):
        yield _Condition(node, originals.get(node, node)), tiles


def _originals(visible: Expr, head: int, ir: BoundIR) -> dict[Expr, Expr]:
    """What was written for each truth value of one head; of several that became one, what has a place."""
    found: dict[Expr, Expr] = {}
    for node in _logic(visible):
        special = for_head(node, head)
        if found.get(special) not in ir.spans:
            found[special] = node
    return found


def _partial_pairs(schedule: Schedule, block_map: BlockMap, arm: Arm, region: Region) -> Pairs:
    """The PARTIAL pairs of tiles in one region, numbered inside their segments."""
    partial = block_map.renumbered(np.where(block_map.residual == FULL, -1, block_map.residual))
    row, column, _ = partial.entries()
    rows, columns = schedule.q_tiling.first_tile, schedule.kv_tiling.first_tile
    inside = (row >= rows[arm.query]) & (row < rows[arm.query + 1])
    inside &= (column >= columns[arm.key]) & (column < columns[arm.key + 1])
    return Pairs(region.axes, 0, row[inside] - rows[arm.query], column[inside] - columns[arm.key])


def _reached(region: Region, root: Expr, pairs: Pairs) -> dict[Expr, Array]:
    """For each logical node the pairs in which it is undecided and its value matters, bool [pairs] each."""
    order = _logic(root)
    truths = dict(zip(order, region.truths(order, pairs), strict=True))
    undecided = {node: truth.may_hold & truth.may_fail for node, truth in truths.items()}
    reached = {node: np.zeros(len(pairs), dtype=bool) for node in order}
    reached[root] = undecided[root]
    for node in order:
        for child in _operands(node):
            reached[child] = reached[child] | (reached[node] & undecided[child])
    return reached


def _logic(root: Expr) -> list[Expr]:
    """The truth values that a mask is made of, each before its operands."""
    order: dict[Expr, None] = {}
    _visit(root, order)
    return list(reversed(order))


def _visit(node: Expr, order: dict[Expr, None]) -> None:
    if node not in order:
        for operand in _operands(node):
            _visit(operand, order)
        order[node] = None


def _operands(node: Expr) -> tuple[Expr, ...]:
    """The truth values that a truth value is made of; none for a comparison of numbers."""
    if isinstance(node, Apply) and (node.op in CONNECTIVES or node.children[-1].type == "bool"):
        return node.children
    return ()


def _is_condition(node: Expr, originals: dict[Expr, Expr], ir: BoundIR) -> bool:
    """Whether a reader sees one condition here: a comparison, or a chain of them with one place."""

    def placed(truth: Expr) -> bool:
        return originals.get(truth, truth) in ir.spans

    if not _operands(node):
        return placed(node) or not any(node in _operands(chain) and placed(chain) for chain in originals)
    return placed(node) and not any(placed(inner) for inner in _logic(node)[1:])


def _describe(ir: BoundIR, arm: Arm, condition: _Condition) -> Blame:
    place = ir.spans.get(condition.written)
    segments = {"q": ir.query_space.segments[arm.query], "k": ir.key_space.segments[arm.key]}

    def axis_name(position: Position) -> str:
        assert isinstance(position.axis, int)
        return segments[position.side].axes[position.axis]

    positions = [leaf for leaf in condition.node.leaves if isinstance(leaf, Position)]
    axes = tuple(
        dict.fromkeys(axis_name(leaf) for leaf in sorted(positions, key=lambda leaf: str(leaf.axis)))
    )
    text = place.text if place else expression(condition.written, axis_name)
    clause = arm.span.text if arm.span else text
    return Blame(" ".join(text.split()), place, axes, " ".join(clause.split()), arm.span, 0)
