"""`attndsl.fit`: samples and candidates in, figures and a choice out; the whole of it on one page.

samples --candidates at its queries--> mass kept, density, speedup per head --budget, solver--> plan
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from attndsl.fitting.assignment import check_budget
from attndsl.fitting.bench import Bench, Progress
from attndsl.fitting.candidates import Patterns, candidates
from attndsl.fitting.result import Fit
from attndsl.fitting.sample_file import check_count
from attndsl.fitting.samples import open_samples
from attndsl.pipeline import Extents
from attndsl.simulate.devices import device as find_device


def fit(
    samples: str | Path,
    patterns: Patterns,
    *,
    budget: float | None = None,
    shape: Extents | None = None,
    causal: bool | None = None,
    layers: Sequence[int] | int | None = None,
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
    check_count("seed", seed, least=0)
    found = candidates(patterns)
    opened = open_samples(samples, causal, [layers] if isinstance(layers, int) else layers, queries, seed)
    bench = Bench(found, shape, device, progress)
    measured = []
    for place, number in enumerate(opened.numbers):
        measured.append(bench.measure(opened.layer(number), place, len(opened.numbers)))
    if budget is not None:
        progress("choosing", 0.0)
        measured = bench.choose(measured, budget)
        progress("choosing", 1.0)
    return Fit(Path(samples), tuple(found), tuple(measured), budget, device)
