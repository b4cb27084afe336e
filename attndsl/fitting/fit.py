"""`attndsl.fit`: samples and candidates in, figures and a choice out; the whole of it on one page.

samples --candidates at its queries--> mass kept, density, speedup per head --budget, solver--> plan
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from attndsl.diagnostics import AttnScheduleError
from attndsl.fitting.assignment import Choice, Family, assign, check_budget
from attndsl.fitting.candidates import Candidate, Grids, candidates, merged
from attndsl.fitting.layer_fit import Chosen, LayerFit
from attndsl.fitting.masks import Rows, rows_of
from attndsl.fitting.mass import kept_mass
from attndsl.fitting.price import Price, bind, price
from attndsl.fitting.result import Fit
from attndsl.fitting.sample_file import check_count
from attndsl.fitting.samples import Layer, open_samples
from attndsl.pipeline import Bound, Pattern
from attndsl.simulate.devices import device as find_device

Progress = Callable[[str, float], None]
"""Is told the stage at work, and the part of it that is done, 0 to 1."""


def fit(
    samples: str | Path,
    patterns: Grids | Iterable[tuple[str | Path | Pattern, Mapping[str, Any]]],
    *,
    budget: float | None = None,
    shape: Sequence[int] | int | None = None,
    causal: bool | None = None,
    layers: Sequence[int] | None = None,
    queries: int = 256,
    seed: int = 0,
    device: str = "b200",
    progress: Progress = lambda stage, part: None,
) -> Fit:
    """Measure what patterns keep of a model's attention, and choose under a density budget.

    samples: a safetensors or npz file, as `attndsl.capture` writes it. patterns: library names, `.attn` files
    or Patterns, each with its values by name; a list is a grid of values, a tuple one value. Segments after
    the main one are values too (`text=256`). budget: the largest mean density, visible pairs / all pairs;
    without it nothing is chosen. shape: extents of the main space; default one axis of all tokens. causal:
    whether the model is, for files that do not say. layers: numbers of those to look at. queries: how many
    are looked at in each layer, drawn at random by `seed`. device: for which tiles are predicted.

    Raises AttnFileError (A082x) and AttnCallError (A063x) for samples that cannot be used, AttnBindError for
    values that do not fit, AttnScheduleError (A052x) for a request that cannot be met.
    """
    find_device(device)
    if budget is not None:
        check_budget(budget)
    check_count("queries", queries)
    found = candidates(patterns)
    opened = open_samples(samples, causal, layers, queries, seed)
    bench = _Bench(found, (shape,) if isinstance(shape, int) else shape, device, progress)
    measured = []
    for place, number in enumerate(opened.numbers):
        measured.append(bench.measure(opened.layer(number), place, len(opened.numbers)))
    if budget is not None:
        progress("choosing", 0.0)
        measured = bench.choose(measured, budget)
        progress("choosing", 1.0)
    return Fit(Path(samples), tuple(found), tuple(measured), budget, device)


class _Bench:
    """Measures layers. Layers of equal size share prices, and mask rows while their queries are the same."""

    def __init__(
        self, found: Sequence[Candidate], shape: Sequence[int] | None, device: str, progress: Progress
    ) -> None:
        self.candidates = found
        self.shape = shape
        self.device = device
        self.progress = progress
        self.bounds: dict[tuple[int, int, int], list[Bound]] = {}
        self.prices: dict[tuple[int, int, int], list[Price]] = {}
        self.sizes: list[tuple[int, int, int]] = []
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

    def _predict(self, size: tuple[int, int, int], layer: Layer) -> None:
        if size in self.bounds:
            return
        self.bounds[size] = [bind(each, layer, self.shape) for each in self.candidates]
        self.prices[size] = []
        for number, bound in enumerate(self.bounds[size]):
            self.progress("predicting", number / len(self.candidates))
            self.prices[size].append(price(bound.simulate(device=self.device)))
        self.progress("predicting", 1.0)

    def _rows(self, size: tuple[int, int, int], layer: Layer) -> list[Rows]:
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

    def _chosen(
        self, layer: LayerFit, size: tuple[int, int, int], members: Sequence[int], choice: Choice
    ) -> Chosen:
        taken = [members[place] for place in choice.candidates]
        each = [self.candidates[number] for number in taken]
        values = merged(each)
        shape = self.bounds[size][taken[0]].ir.query_space.segments[0].extents
        bound = each[0].pattern.bind(shape=shape, heads=size[0], kv_heads=size[1], **values)
        kept = layer.kept[np.arange(layer.heads), taken]
        report = bound.simulate(device=self.device)
        return Chosen(each[0].name, tuple(taken), values, kept, bound, report)
