"""Predictions for routes: figures of plans, their spread, and the share of selection."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch

import attndsl
from attndsl.diagnostics import AttnCallError
from attndsl.ir.plan import Plan
from attndsl.pipeline import Bound
from attndsl.runtime import select
from attndsl.simulate import selection_work as work
from attndsl.simulate.devices import device
from attndsl.simulate.routing import RoutingFigures

MOBA = attndsl.pattern("moba").bind(shape=1024, heads=4, kv_heads=2, block=64, topk=3)
SLA = attndsl.pattern("sla").bind(shape=512, heads=2, bq=32, bk=32, keep=0.25, drop=0.25)


def random_tensors(bound: Bound, batch: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    tokens = bound.ir.query_space.size
    return torch.randn(batch, bound.ir.heads, tokens, 32), torch.randn(batch, bound.ir.kv_heads, tokens, 32)


def figures(bound: Bound, **options: Any) -> RoutingFigures:
    found = bound.simulate(device="h100", **{"draws": 6, **options}).routing
    assert found is not None
    return found


def test_fields_of_the_contract_are_means_over_plans() -> None:
    report = MOBA.simulate(device="h100")
    found = report.routing
    assert found is not None
    assert found.plans == 20
    assert report.tile_speedup == found.tile_speedup.mean
    assert report.tile_speedup_mean == found.tile_speedup_mean.mean
    assert found.tile_speedup_mean.least < report.tile_speedup_mean < found.tile_speedup_mean.most
    assert found.tile_speedup_mean.deviation > 0
    assert report.density == found.density.mean < found.kept.mean
    assert report.visited_tiles == report.full_tiles + report.partial_tiles


def test_the_same_seed_gives_the_same_report() -> None:
    assert figures(MOBA, seed=3) == figures(MOBA, seed=3)
    assert figures(MOBA, seed=3).tile_speedup_mean != figures(MOBA, seed=4).tile_speedup_mean


@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("moba", {"shape": 1024, "block": 64}),
        ("vmoba", {"shape": (4, 16, 16), "chunk": (2, 8, 8)}),
        ("biformer", {"shape": (32, 32), "n_win": 8}),
        ("draft", {"shape": (4, 16, 16), "text": 40, "pool": 8}),
    ],
)
def test_even_draws_are_like_plans_of_random_tensors(name: str, numbers: dict[str, Any]) -> None:
    bound = attndsl.pattern(name).bind(heads=2, **numbers)
    drawn, real = (
        figures(bound, skew=0, locality=0),
        figures(bound, plan=bound.plan(*random_tensors(bound, 2))),
    )
    assert drawn.kept.mean == pytest.approx(real.kept.mean, rel=0.03)
    assert drawn.density.mean == pytest.approx(real.density.mean, rel=0.05)
    assert drawn.tile_speedup_mean.mean == pytest.approx(real.tile_speedup_mean.mean, rel=0.1)


def test_skew_makes_some_blocks_more_wanted() -> None:
    even, skewed = (figures(MOBA, skew=skew, locality=0).key_imbalance for skew in (0.0, 2.0))
    assert even is not None
    assert skewed is not None
    assert skewed.mean > 1.3 * even.mean


def test_elements_of_a_batch_are_plans() -> None:
    plan = MOBA.plan(*random_tensors(MOBA, 3))
    found = figures(MOBA, plan=plan)
    assert (found.plans, found.distribution) == (3, None)
    assert found.kept.mean == pytest.approx(plan.kept)


def test_a_plan_that_keeps_everything_visits_all_that_the_mask_shows() -> None:
    lists = np.tile(np.arange(16, dtype=np.int32), (1, 1, 1024, 1))
    plan = Plan(1024, 1024, 1, 64, lists, np.full((1, 1, 1024), 16, np.int32))
    report = MOBA.simulate(plan=plan)
    causal = attndsl.pattern("causal").bind(shape=1024).simulate()
    assert report.density == pytest.approx(causal.density)
    assert report.tile_speedup == 1.0


def test_plans_of_branches() -> None:
    report = SLA.simulate(plan={"critical": SLA.plan(*random_tensors(SLA))["critical"]})
    data = report.to_dict()["branches"]
    assert data["critical"]["routing"]["distribution"] is None
    assert data["marginal"]["routing"]["plans"] == 20
    assert data["critical"]["density"] == pytest.approx(0.25)
    assert data["marginal"]["density"] == pytest.approx(0.5)


def test_branches_together() -> None:
    report = SLA.simulate(device="h100")
    data = report.to_dict()
    parts = [data["branches"][name]["routing"] for name in ("critical", "marginal")]
    together = data["together"]
    pooled = parts[1]["selection"]["parts"]["pooling"]  # once for both
    assert together["selection_seconds"] == sum(each["selection"]["seconds"] for each in parts) - pooled
    assert together["attention_seconds"] == sum(each["attention_seconds"]["mean"] for each in parts)
    assert together["dense_seconds"] == parts[0]["dense_seconds"]
    assert f"{together['selection_share']:.0%} is selection" in str(report)
    nsa = attndsl.pattern("nsa").bind(shape=512, heads=4, block=32, n_sel=4, window=64).simulate().to_dict()
    selected = nsa["branches"]["selected"]["routing"]["attention_seconds"]["mean"]
    assert nsa["together"]["attention_seconds"] > selected + 10e-6  # two more kernels are launched
    agent = attndsl.pattern("agent").bind(shape=60, heads=1, agents=6)
    assert agent.simulate().to_dict()["together"] is None


def test_the_report_is_json_and_text() -> None:
    report = MOBA.simulate(device="h100", attention_share=0.5)
    data = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert data["routing"]["distribution"] == {
        "draws": 20, "seed": 0, "skew": 1.0, "locality": 4.0, "kept": 0.25,
    }  # fmt: skip
    assert 0 < data["routing"]["selection_share"] < 1
    assert 1 < data["end_to_end_speedup"] < 2
    both = data["routing"]["speedup"]
    assert data["routing"]["end_to_end_speedup"] == pytest.approx(1 / (0.5 + 0.5 / both))
    text = str(report)
    assert "20 random plans (skew 1, locality 4, seed 0), queries gathered by block of keys" in text
    assert "of the total" in text
    assert "by predicted times, selection included" in text
    assert "the most wanted block of keys" in text


def test_a_plan_for_a_pattern_without_route() -> None:
    with pytest.raises(AttnCallError, match="A0690"):
        attndsl.pattern("causal").bind(shape=1024).simulate(plan=MOBA.plan(*random_tensors(MOBA)))


def test_a_plan_over_other_units() -> None:
    other = attndsl.pattern("moba").bind(shape=1024, heads=4, kv_heads=2, block=32)
    with pytest.raises(AttnCallError, match="A0696"):
        other.simulate(plan=MOBA.plan(*random_tensors(MOBA)))


# ---------------------------------------------------------------- selection


def selection(bound: Bound, batch: int = 1) -> work.SelectionWork:
    return work.selection_work(bound.ir, device("h100"), 64, batch)


def test_products_and_pools_are_counted() -> None:
    tokens, blocks, heads, kv_heads, channels = 1024, 16, 4, 2, 64
    products = 2 * heads * tokens * blocks * channels
    pools = kv_heads * tokens * channels
    found = selection(MOBA)
    assert products + pools < found.flops < products + pools + 20 * heads * tokens * blocks
    assert found.bytes > 2 * channels * tokens * (heads + kv_heads)


def test_selection_of_queries_grows_with_the_square_of_the_length() -> None:
    short, long = (
        selection(attndsl.pattern("moba").bind(shape=tokens, heads=4, block=64)) for tokens in (8192, 32768)
    )
    assert 14 < long.flops / short.flops < 16
    assert long.launches > 8 * short.launches  # chunks of rows


def test_sorting_costs_more_than_the_largest_few() -> None:
    by_query, by_head = (
        attndsl.pattern("vmoba").bind(shape=(4, 16, 16), heads=2, chunk=(2, 8, 8), pool=pool, tau=0.5)
        for pool in ("query", "head")
    )
    few = attndsl.pattern("vmoba").bind(shape=(4, 16, 16), heads=2, chunk=(2, 8, 8), pool="query")
    assert selection(by_query).bytes > 1.5 * selection(few).bytes
    assert selection(by_head).bytes == selection(by_query).bytes


def test_stacked_channels_are_multiplied() -> None:
    bound = attndsl.pattern("xattention").bind(shape=1024, heads=1, block=64, stride=8)
    groups = 1024 // 8
    assert selection(bound).flops > 2 * groups * groups * 8 * 64


def test_parts_of_the_time() -> None:
    found = selection(MOBA)
    assert set(found.parts) == {"pooling", "products", "arithmetic", "choice"}
    assert sum(found.parts.values()) == found.seconds
    probabilities = attndsl.pattern("draft").bind(shape=(2, 16, 16), heads=2, pool=8)
    assert "softmax" in selection(probabilities).parts


def test_a_batch_multiplies_the_work() -> None:
    assert selection(MOBA, 4).flops == pytest.approx(4 * selection(MOBA).flops, rel=1e-3)


def test_chunks_are_those_of_the_runtime() -> None:
    assert (work.CHUNK, work.FEWEST_ROWS) == (select.CHUNK, select.FEWEST_ROWS)


def test_sums_of_blocks_cost_the_same_for_all_plans() -> None:
    marginal = SLA.branches["marginal"]
    report = marginal.simulate(device="h100")
    found, by_tiles = report.routing, marginal.using("tiles").simulate(device="h100")
    assert found is not None
    assert found.sums is not None
    assert by_tiles.routing is not None
    assert (report.algorithm, by_tiles.algorithm) == ("sums", "tiles")
    assert by_tiles.routing.sums is None
    assert found.attention_seconds.mean == found.sums.seconds
    assert found.tiles_seconds == by_tiles.routing.attention_seconds
    assert found.attention_seconds.deviation == 0.0
    assert "states of blocks are added; tiles would take" in str(report)
    assert SLA.simulate(device="h100").algorithm == "tiles + sums"


def test_sums_of_blocks_are_predicted_to_pay_at_length() -> None:
    report = attndsl.pattern("sla").bind(shape=32760, heads=12).branches["marginal"].simulate("h100", draws=1)
    assert 0.2 < report.part_of_tiles < 0.8
    assert attndsl.pattern("moba").bind(shape=1024, heads=1).simulate("h100", draws=1).part_of_tiles == 1.0
