"""The panel of a plan: which key units each query unit of a head lists, a pixel per pair or an average."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from attndsl.ir.bound import BoundIR
from attndsl.ir.plan import Plan, as_numpy
from attndsl.schedule.block_map import FULL, BlockMap
from attndsl.schedule.heads import head_classes
from attndsl.schedule.masks import build_maps
from attndsl.show import palette
from attndsl.show.panel import Array, Box, add_axes, count_ticks, show_image
from attndsl.simulate.inputs import loosest
from attndsl.simulate.plan_sides import unit_side

MOST_PIXELS = 600

SHOWN, CUT, HIDDEN = "full", "partial", "hidden by the mask"
"""Classes of listed pairs of units: all pairs of tokens are visible, some, or none."""

COLOURS = {SHOWN: palette.FULL, CUT: palette.PARTIAL, HIDDEN: palette.MASKED}
PLAIN_COLOURS = {SHOWN: palette.INK, CUT: palette.FAINT}
"""Of a static mask beside branches, whose colours mean something else."""

BRANCH_COLOURS = (palette.FULL, palette.PARTIAL, "#009E73", "#CC79A7")
"""Of the branches of a pattern that route, in their order."""


@dataclass(frozen=True, eq=False)
class Cells:
    """Pairs of units by class, each as numbers of query units and of key units.

    rows, columns: all units. colours: of the classes.
    """

    rows: int
    columns: int
    classes: Mapping[str, tuple[Array, Array]]
    colours: Mapping[str, str]

    def count(self, name: str) -> int:
        """Pairs of a class."""
        return len(self.classes[name][0])

    @property
    def listed(self) -> int:
        """Pairs of some class: those of plans may be in several."""
        return len(np.unique(np.concatenate([r * self.columns + c for r, c in self.classes.values()])))

    def image(self) -> Array:
        """Colours [rows, columns, 3] of at most `MOST_PIXELS` a side; pixels of several pairs mix theirs."""
        size = -(-self.rows // MOST_PIXELS) or 1, -(-self.columns // MOST_PIXELS) or 1
        shape = -(-self.rows // size[0]), -(-self.columns // size[1])
        shares = np.stack(
            [
                np.bincount(row // size[0] * shape[1] + column // size[1], minlength=shape[0] * shape[1])
                for row, column in self.classes.values()
            ],
            axis=-1,
        ) / (size[0] * size[1])
        return _mixed(shares.reshape(*shape, -1), [self.colours[name] for name in self.classes])


def _mixed(shares: Array, colours: Sequence[str]) -> Array:
    """The hue is the mean of what is listed, the depth the root of its share, as in block maps."""
    listed = shares.sum(axis=-1, keepdims=True)
    hue = (shares / np.where(listed > 0, listed, 1.0)) @ np.stack([palette.rgb(each) for each in colours])
    depth = np.sqrt(np.clip(listed, 0.0, 1.0))
    mixed: Array = depth * hue + (1 - depth) * palette.rgb(palette.SKIPPED)
    return np.clip(mixed, 0.0, 1.0)


def static_map(ir: BoundIR, head: int) -> BlockMap:
    """The block map of the static mask whose tiles are the units of a pattern's route."""
    ir = loosest(ir)
    everything = max(ir.query_space.size, ir.key_space.size, 1)
    queries, keys = unit_side(ir, "q", everything), unit_side(ir, "k", everything)
    maps = build_maps(ir, queries.tiling, keys.tiling).maps
    return maps[int(head_classes(ir)[1][head])]


def static_cells(block_map: BlockMap, colours: Mapping[str, str]) -> Cells:
    """The static mask alone."""
    row, column, residual = block_map.entries()
    is_full = residual == FULL
    classes = {SHOWN: (row[is_full], column[is_full]), CUT: (row[~is_full], column[~is_full])}
    return Cells(block_map.rows, block_map.columns, classes, colours)


def plan_cells(plan: Plan, block_map: BlockMap, batch: int, head: int) -> Cells:
    """The lists of one head of a plan, by what the static mask shows of them."""
    row, column = _listed(plan, batch, head)
    residual = block_map.residual_of(row, column)
    kinds = {SHOWN: residual == FULL, CUT: residual > FULL, HIDDEN: residual < FULL}
    classes = {name: (row[kind], column[kind]) for name, kind in kinds.items()}
    return Cells(plan.query_units, plan.key_units, classes, COLOURS)


def branch_cells(plans: Mapping[str, Plan], batch: int, heads: Mapping[str, int]) -> Cells:
    """The lists of one head in the plans of several branches. heads: the list head of each."""
    first = next(iter(plans.values()))
    classes = {name: _listed(plan, batch, heads[name]) for name, plan in plans.items()}
    colours = dict(zip(plans, BRANCH_COLOURS, strict=False))
    return Cells(first.query_units, first.key_units, classes, colours)


def _listed(plan: Plan, batch: int, head: int) -> tuple[Array, Array]:
    lists = as_numpy(plan.indices)[min(batch, plan.batch - 1), head]
    row, place = np.nonzero(lists >= 0)
    return row, lists[row, place].astype(np.int64)


@dataclass(frozen=True, eq=False)
class PlanPanel:
    """Cells with a title. unit: what rows and columns count."""

    title: str
    cells: Cells
    units: tuple[str, str]

    def width(self, height: float) -> float:
        """As wide as high."""
        return height

    def draw(self, figure: Figure, box: Box) -> None:
        """Draw the cells."""
        axes = add_axes(figure, box)
        show_image(axes, self.cells.image())
        axes.images[0].set_extent((0, self.cells.columns, self.cells.rows, 0))
        count_ticks(axes)
        axes.set_ylabel(self.units[0])
        axes.set_xlabel(self.units[1])
