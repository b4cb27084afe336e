"""Random plans: they keep what the route says, in the stated distribution, and the same in every run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import attndsl
from attndsl.diagnostics import AttnScheduleError
from attndsl.ir.bound import BoundIR
from attndsl.ir.route_numbers import list_heads, ranks_by_query
from attndsl.simulate import plan_draws
from attndsl.simulate.plan_draws import Distribution, Draws

Chosen = NDArray[np.bool_]


def bound(name: str, branch: str = "", **numbers: Any) -> BoundIR:
    pattern = attndsl.pattern(name).bind(**numbers)
    return pattern.branches[branch].ir if branch else pattern.ir


MOBA = bound("moba", shape=256, heads=2, block=16, topk=4)


def chosen(ir: BoundIR, **distribution: Any) -> list[Chosen]:
    """What each drawn head lists, bool [query units, key units]; all plans one after the other."""
    draws = Draws(ir, Distribution(**{"draws": 3, **distribution}), 1)
    found = []
    for lists in (each for plan in draws for each in plan):
        mask = np.zeros((draws.queries.count, draws.keys.count), dtype=bool)
        mask[lists.rows[lists.row], lists.key] = True
        found.append(mask)
    return found


def test_the_same_seed_gives_the_same_plans() -> None:
    first, second, other = (chosen(MOBA, seed=seed) for seed in (1, 1, 2))
    assert all(map(np.array_equal, first, second))
    assert not any(map(np.array_equal, first, other))


def test_own_block_and_the_best_earlier_ones() -> None:
    own = np.arange(256)[:, None] // 16
    for mask in chosen(MOBA):
        assert mask[np.arange(256), own[:, 0]].all()
        assert not mask[np.arange(16) > own].any()
        assert np.array_equal(mask.sum(1), np.minimum(own[:, 0], 3) + 1)


def test_queries_of_a_head_compete() -> None:
    ir = bound("vmoba", shape=(3, 6, 8), heads=1, chunk=(1, 6, 8), layout=0, topk=2)
    for mask in chosen(ir):
        assert mask[np.arange(144), np.arange(144) // 48].all()
        assert mask.sum() == 2 * 144
        assert mask.sum(1).min() == 1 < mask.sum(1).max()


def test_classes_of_blocks_are_drawn_from_the_same_scores() -> None:
    numbers = {"shape": 192, "heads": 2, "bq": 16, "bk": 16, "keep": 0.25, "drop": 0.25}
    critical, marginal = (chosen(bound("sla", name, **numbers)) for name in ("critical", "marginal"))
    for first, second in zip(critical, marginal, strict=True):
        assert not (first & second).any()
        assert (first.sum(1) == 3).all()
        assert (second.sum(1) == 6).all()


def test_a_search_by_halves_finds_as_many_as_there_were_groups() -> None:
    for mask in chosen(bound("hip", shape=128, heads=1, mask_k=24, block_k=4, block_q=16)):
        assert np.array_equal(mask.sum(1), np.minimum(4 * np.arange(1, 9), 6))


def test_a_part_of_a_head_is_dropped() -> None:
    for mask in chosen(bound("draft", shape=(2, 8, 8), text=5, heads=1, pool=4, sparsity=0.75)):
        assert mask.sum() == 64 - 48


def test_keys_that_all_queries_rank_alike() -> None:
    ir = bound("dma", shape=64, heads=1, window=8)
    assert not ranks_by_query(ir)
    for mask in chosen(ir):
        assert np.array_equal(mask.sum(1), np.minimum(np.arange(64) + 1, 8))
        for query in range(1, 64):
            assert set(np.flatnonzero(mask[query])) <= {query, *np.flatnonzero(mask[query - 1])}


def test_rules_that_data_decide_keep_an_assumed_part() -> None:
    ir = bound("xattention", shape=512, heads=1, block=16, stride=4)
    candidates = 32 * 33 / 2
    for mask in chosen(ir, kept=0.5):
        assert abs(mask.sum() - candidates / 2) <= 32
        assert mask.diagonal().all()
        assert len(set(mask.sum(1)[16:])) > 1
    assert "0.5 of the candidates" in Draws(ir, Distribution(kept=0.5), 1).assumptions[0]


def test_without_skew_and_locality_units_are_drawn_evenly() -> None:
    ir = bound("biformer", shape=(32, 32), heads=1, n_win=8, topk=8)
    counts = sum(mask.sum(0) for mask in chosen(ir, draws=50, skew=0.0, locality=0.0))
    assert np.abs(np.asarray(counts) / (50 * 8) - 1).max() < 0.25
    assert np.asarray(sum(mask.sum(0) for mask in chosen(ir, skew=3.0))).max() > 3 * 8 * 4


def test_locality_prefers_units_that_are_near() -> None:
    ir = bound("sla", "critical", shape=1024, heads=1, bq=16, bk=16, keep=0.1, drop=0.0)

    def distance(locality: float) -> float:
        rows, keys = np.nonzero(np.stack(chosen(ir, skew=0.0, locality=locality)))[1:]
        return float(np.abs(rows - keys).mean())

    assert distance(16.0) < 0.5 * distance(4.0) < 0.5 * distance(0.0)


def test_heads_that_share_lists() -> None:
    assert list_heads(bound("biformer", shape=(8, 8), heads=4, n_win=2)) == 1
    assert list_heads(bound("nsa", "selected", shape=128, heads=8, kv_heads=2, block=16)) == 2
    assert list_heads(bound("dma", shape=16, heads=4)) == list_heads(MOBA) * 2 == 4


def test_long_maps_are_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan_draws, "MOST_PAIRS", 64 * 16)
    draws = Draws(MOBA, Distribution(draws=2), 16)
    ((lists,), _) = list(draws)
    assert len(lists.rows) == 64
    assert lists.weights.sum() == 256
    assert draws.assumptions == ("a sample of the queries stands for all of them",)


MISTAKES: dict[str, dict[str, Any]] = {
    "draws_zero": {"draws": 0},
    "draws_seed": {"seed": -1},
    "draws_skew": {"skew": -1.0},
    "draws_locality": {"locality": float("nan")},
    "draws_kept": {"kept": 1.5},
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistake(name: str, golden: Callable[[str, str], None]) -> None:
    with pytest.raises(AttnScheduleError) as caught:
        attndsl.pattern("moba").bind(shape=64, heads=1).simulate(**MISTAKES[name])
    assert caught.value.code == "A0554"
    golden(f"errors/{name}.txt", caught.value.render() + "\n")
