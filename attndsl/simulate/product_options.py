"""The settings that a search has on each axis, for masks that are products over the axes.

A parameter with one value per axis changes the mask on that axis alone, so each axis has its own few
options.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product

from attndsl.ir.bound import BoundIR
from attndsl.ir.expr import Const, Expr
from attndsl.ir.pattern import Parameter
from attndsl.schedule.heads import head_classes
from attndsl.schedule.product import AxisCount, AxisMask, Known, product_masks
from attndsl.schedule.tiling import AxisTiling
from attndsl.simulate.rebind import nearby, rebound, with_element


@dataclass(frozen=True, eq=False)
class Option:
    """Values of the searched parameters on one axis, and the mask there.

    values: none for the request's own. pairs: visible pairs of coordinates of the axis; both: those that
    the request shows as well.
    """

    axis: int
    values: Mapping[str, int]
    mask: AxisMask
    pairs: int
    both: int
    _counts: dict[tuple[AxisTiling, AxisTiling], AxisCount] = field(default_factory=dict)

    def figures(self, query: AxisTiling, key: AxisTiling) -> tuple[int, int, int, int, int]:
        """With tiles of these sizes: most visits, visited and FULL pairs of tiles; and `pairs` and `both`."""
        if (query, key) not in self._counts:
            self._counts[query, key] = self.mask.count(query, key)
        count = self._counts[query, key]
        return count.worst, count.visited, count.full, self.pairs, self.both


def axis_options(
    ir: BoundIR, parameters: Sequence[Parameter], coarse: bool = False
) -> list[list[Option]] | None:
    """For each part of the product, the settings to choose from, the request's first. coarse: see `nearby`.

    None if the mask is no product of the kind: heads that differ, parameters that touch several axes, or
    masks between further segments that show a part.
    """
    known: Known = {}
    parts = _parts(ir, known)
    if parts is None or any(not each.shape for each in parameters):
        return None
    options = [[_option(0, {}, part, part)] for part in parts]
    for axis in range(len(ir.query_space.segments[0].axes)):
        for values in _values(ir, parameters, axis, coarse):
            changes = {name: with_element(ir.parameters[name], axis, value) for name, value in values.items()}
            changed = rebound(ir, changes)
            others = _parts(changed, known) if changed else parts
            place = _changed_part(parts, others or [])
            if place is None:
                return None
            if place >= 0 and others is not None:
                options[place].append(_option(axis, values, others[place], parts[place]))
    return options


def _parts(ir: BoundIR, known: Known) -> list[AxisMask] | None:
    if len(head_classes(ir)[0]) > 1 or not all(isinstance(each.visible, Const) for each in ir.regions[1:]):
        return None
    return product_masks(ir.query_space.segments[0], ir.key_space.segments[0], _main(ir), known)


def _main(ir: BoundIR) -> Expr:
    return head_classes(ir)[0][0].masks[0]


def _values(
    ir: BoundIR, parameters: Sequence[Parameter], axis: int, coarse: bool
) -> Iterator[dict[str, int]]:
    """Combinations of values of all parameters on one axis, without the request's own."""
    extent = ir.query_space.segments[0].extents[axis]
    requested = {each.name: int(ir.parameters[each.name][axis]) for each in parameters}
    choices = [nearby(name, value, extent, coarse) for name, value in requested.items()]
    for values in product(*choices):
        named = dict(zip(requested, values, strict=True))
        if named != requested:
            yield named


def _changed_part(parts: list[AxisMask], others: list[AxisMask]) -> int | None:
    """The one part that differs, -1 if none does, None if several do (equal factors share one table)."""
    if [(each.query, each.key) for each in parts] != [(each.query, each.key) for each in others]:
        return None
    pairs = enumerate(zip(parts, others, strict=True))
    changed = [number for number, (part, other) in pairs if part.visible is not other.visible]
    return None if len(changed) > 1 else changed[0] if changed else -1


def _option(axis: int, values: Mapping[str, int], mask: AxisMask, requested: AxisMask) -> Option:
    both = int((mask.visible & requested.visible).sum())
    return Option(axis, values, mask, int(mask.visible.sum()), both)
