"""Attention mass kept: equal to a dense computation by the definition, whatever the layer looks like."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import attndsl
from attndsl.diagnostics import AttnCallError
from attndsl.fitting import masks, mass
from attndsl.fitting.masks import rows_of
from attndsl.fitting.mass import kept_mass
from attndsl.fitting.samples import Layer
from attndsl.pipeline import Bound
from tests.fitting.sample_data import Array, dense_mass, local_attention

TOKENS = 64


def layer(
    causal: bool = True, batch: int = 1, chosen: Array | None = None, mask: Array | None = None
) -> Layer:
    q, k = local_attention(batch=batch, tokens=TOKENS)
    queries = np.arange(TOKENS) if chosen is None else chosen
    shown = None if mask is None else mask[:, :, queries]
    return Layer(0, q[:, :, queries], k, queries, 0.25, causal, shown)


def bind(name: str, **values: Any) -> Bound:
    return attndsl.pattern(name).bind(shape=TOKENS, heads=4, kv_heads=2, **values)


BOUNDS = [
    bind("streaming", sink=2, window=8),
    bind("s2", block=8, local=2, stride=3),
    bind("moa", alpha=(8, 16, 24, 32), beta=0.0, block=8, sink=8, minimum=8),
    bind("causal"),
]


def measured(of: Layer, bounds: list[Bound]) -> Array:
    rows = [each for number, bound in enumerate(bounds) for each in rows_of(number, bound.ir, of.queries)]
    return kept_mass(of, rows, len(bounds))


def expected(of: Layer, bounds: list[Bound], own: Array) -> Array:
    """Float64 [heads, candidates], by the definition."""
    kept = [dense_mass(of.q, of.k, bound.mask()[:, of.queries], own, of.scale) for bound in bounds]
    return np.stack([each.mean(axis=(0, 2)) for each in kept], axis=1)


def past(of: Layer) -> Array:
    return np.arange(TOKENS) <= of.queries[:, None]


SOME = np.array([0, 3, 17, 40, 41, 63])


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("chosen", [None, SOME], ids=["all queries", "some queries"])
def test_the_mass_of_a_causal_model_equals_the_dense_computation(batch: int, chosen: Array | None) -> None:
    of = layer(batch=batch, chosen=chosen)
    assert measured(of, BOUNDS) == pytest.approx(expected(of, BOUNDS, past(of)), abs=2e-6)


def test_causal_attention_keeps_all_of_a_causal_model() -> None:
    assert measured(layer(), [bind("causal")]) == pytest.approx(1.0, abs=1e-6)


def test_a_model_that_is_not_causal_loses_what_lies_ahead() -> None:
    of = layer(causal=False)
    bounds = [bind("causal"), bind("full"), bind("sliding_window", left=4, right=4)]
    kept = measured(of, bounds)
    assert kept == pytest.approx(expected(of, bounds, np.array(True)), abs=2e-6)
    assert (kept[:, 0] < 0.9).all()
    assert kept[:, 1] == pytest.approx(1.0, abs=1e-6)


def test_keys_that_the_model_hides_do_not_count() -> None:
    hidden = np.ones((1, 1, TOKENS, TOKENS), dtype=bool)
    hidden[..., :5] = False  # padding on the left: the first queries see nothing and do not count either
    of = layer(mask=hidden)
    seeing = past(of) & hidden[0, 0]
    of_seeing = layer(mask=hidden, chosen=np.arange(5, TOKENS))
    assert measured(of, BOUNDS) == pytest.approx(expected(of_seeing, BOUNDS, seeing[5:]), abs=2e-6)


def test_each_sequence_of_the_batch_has_a_mask_of_its_own() -> None:
    hidden = np.ones((2, 1, TOKENS, TOKENS), dtype=bool)
    hidden[1, ..., 20:40] = False
    of = layer(batch=2, mask=hidden, causal=False)
    assert measured(of, BOUNDS) == pytest.approx(expected(of, BOUNDS, hidden), abs=2e-6)


def test_small_blocks_of_rows_give_the_same_mass(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = measured(layer(), BOUNDS)
    for module in (masks, mass):
        monkeypatch.setattr(module, "ENTRIES", 5 * TOKENS)
    assert measured(layer(), BOUNDS) == pytest.approx(whole, abs=1e-6)


def test_memory_does_not_grow_with_the_square_of_the_tokens() -> None:
    assert all(run.stop - run.start <= 2 for run in masks.blocks(1_000, 2**23))


def test_progress_adds_up_to_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(masks, "ENTRIES", 16 * TOKENS)
    parts: list[float] = []
    of = layer(batch=2)
    kept_mass(of, rows_of(0, bind("causal").ir, of.queries), 1, parts.append)
    assert len(parts) > 2
    assert sum(parts) == pytest.approx(1.0)


def test_rows_know_whether_they_look_ahead() -> None:
    queries = np.arange(TOKENS)
    assert not any(each.looks_ahead for each in rows_of(0, bind("s2", block=8).ir, queries))
    assert rows_of(0, bind("sliding_window", left=4, right=1).ir, queries)[0].looks_ahead


def test_scores_that_overflow_are_refused() -> None:
    of = layer()
    huge = Layer(0, of.q * np.float32(1e25), of.k * np.float32(1e25), of.queries, 1.0, True)
    with pytest.raises(AttnCallError, match="A0631"):
        measured(huge, BOUNDS)


def test_a_layer_in_which_no_query_sees_a_key_is_refused() -> None:
    with pytest.raises(AttnCallError, match="A0635"):
        measured(layer(mask=np.zeros((1, 1, TOKENS, TOKENS), dtype=bool)), BOUNDS)
