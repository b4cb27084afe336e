"""Measures layers against all candidates: what fit does for each layer, and for its choice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from attndsl.diagnostics import AttnScheduleError
from attndsl.fitting.assignment import assign
from attndsl.fitting.candidates import Candidate, merged
from attndsl.fitting.layer_fit import Chosen, LayerFit
from attndsl.fitting.masks import Rows, rows_of
from attndsl.fitting.mass import kept_mass
from attndsl.fitting.price import Price, bind, price
from attndsl.fitting.program import Choice, Family
from attndsl.fitting.samples import Layer
from attndsl.pipeline import Bound, Extents

Progress = Callable[[str, float], None]
"""Is told the stage at work, and the part of it that is done, 0 to 1."""

Size = tuple[int, int, int]
"""Heads, key/value heads and tokens of a layer."""


class Bench:
    """Measures layers. Layers of equal size share prices, and mask rows while their queries are the same."""

    def __init__(
        self, found: Sequence[Candidate], shape: Extents | None, device: str, progress: Progress
    ) -> None:
        self.candidates = found
        self.shape = shape
        self.device = device
        self.progress = progress
        self.bounds: dict[Size, list[Bound]] = {}
        self.prices: dict[Size, list[Price]] = {}
        self.sizes: list[Size] = []
        self.rows: tuple[object, list[Rows]] = (None, [])

    def measure(self, layer: Layer, place: int, count: int) -> LayerFit:
        """All figures of a layer, which is number `place` of `count`."""
        size = (layer.heads, layer.kv_heads, layer.tokens)
        self.sizes.append(size)
        self._predict(size, layer)
        rows = self._rows(size, layer)
        done = float(place)

        def advance(part: float) -> None:
            nonlocal done
            done += part
            self.progress("measuring", min(done / count, 1.0))

        kept = kept_mass(layer, rows, len(self.candidates), advance)
        prices = self.prices[size]
        return LayerFit(
            number=layer.number,
            tokens=layer.tokens,
            causal=layer.causal,
            kept=kept,
            density=np.stack([each.density for each in prices], axis=1),
            tile_speedup=np.stack([each.tile_speedup for each in prices], axis=1),
            tile_speedup_mean=np.stack([each.tile_speedup_mean for each in prices], axis=1),
        )

    def _predict(self, size: Size, layer: Layer) -> None:
        if size in self.bounds:
            return
        self.bounds[size] = [bind(each, layer, self.shape) for each in self.candidates]
        self.prices[size] = []
        for number, bound in enumerate(self.bounds[size]):
            self.progress("predicting", number / len(self.candidates))
            self.prices[size].append(price(bound.simulate(device=self.device)))
        self.progress("predicting", 1.0)

    def _rows(self, size: Size, layer: Layer) -> list[Rows]:
        key = (size, layer.queries.tobytes())
        if self.rows[0] != key:
            bounds = self.bounds[size]
            rows = [each for n, bound in enumerate(bounds) for each in rows_of(n, bound.ir, layer.queries)]
            self.rows = (key, rows)
        for each in self.rows[1]:
            if layer.causal and each.looks_ahead:
                raise AttnScheduleError(
                    "A0523",
                    f"`{self.candidates[each.candidate].label}` shows keys after the query, "
                    f"and layer {layer.number} is causal",
                    help="choose a causal pattern, or values that make it causal",
                )
        return self.rows[1]

    def choose(self, measured: Sequence[LayerFit], budget: float) -> list[LayerFit]:
        """The layers with what the solver chose for them."""
        members: list[list[int]] = [[] for _ in {each.family for each in self.candidates}]
        for number, each in enumerate(self.candidates):
            members[each.family].append(number)
        families = [
            [Family(layer.kept[:, own], layer.density[:, own]) for own in members] for layer in measured
        ]
        choices = assign(families, [layer.weight for layer in measured], budget)
        return [
            replace(layer, chosen=self._chosen(layer, size, members[choice.family], choice))
            for layer, size, choice in zip(measured, self.sizes, choices, strict=True)
        ]

    def _chosen(self, layer: LayerFit, size: Size, members: Sequence[int], choice: Choice) -> Chosen:
        taken = [members[place] for place in choice.candidates]
        each = [self.candidates[number] for number in taken]
        values = merged(each)
        shape = self.bounds[size][taken[0]].ir.query_space.segments[0].extents
        bound = each[0].pattern.bind(shape=shape, heads=size[0], kv_heads=size[1], **values)
        kept = layer.kept[np.arange(layer.heads), taken]
        report = bound.simulate(device=self.device)
        return Chosen(each[0].name, tuple(taken), values, kept, bound, report)
