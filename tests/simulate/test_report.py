"""The report: its counts agree with the mask, its special cases have values, its forms say what it found."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import attndsl
from attndsl.pipeline import Bound
from attndsl.schedule.build import schedule_with
from attndsl.simulate.devices import device
from attndsl.simulate.report import Report, report

CASES: list[tuple[str, dict[str, Any], Any, Any]] = [
    ("gna", {"shape": (12, 20), "window": (5, 6), "stride": (2, 1)}, (4, 4), (2, 8)),
    ("gna", {"shape": 96, "window": 12, "dilation": 4}, 16, 8),
    ("causal", {"shape": 100}, 16, 16),
    ("streaming", {"shape": 130, "sink": 4, "window": 33}, 16, 8),
    ("cswin", {"shape": (12, 12), "heads": 4, "stripe": 2}, (4, 4), (4, 4)),
    ("radial", {"shape": (5, 64), "text": 16, "block": 32, "heads": 2}, (1, 32), (1, 32)),
    ("video_infinity", {"shape": 24, "key_shape": 40, "pad": 6}, 8, 4),
]
ids = [f"{name}-{number}" for number, (name, *_) in enumerate(CASES)]


def tile_of(tokens: NDArray[np.int32], size: int) -> NDArray[np.int64]:
    """The tile of each token, from the table of the tokens of each tile."""
    tile = np.zeros(size, dtype=np.int64)
    for number, row in enumerate(tokens):
        tile[row[row >= 0]] = number
    return tile


def pairs_of_tiles(bound: Bound, report: Report) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Visible token pairs, and all token pairs, of each pair of tiles: [heads, q tiles, kv tiles] each."""
    schedule, mask = bound.schedule(report.q_tile, report.kv_tile), bound.mask()
    rows = tile_of(schedule.q_tiling.tokens()[0], mask.shape[1])
    columns = tile_of(schedule.kv_tiling.tokens()[0], mask.shape[2])
    visible = np.zeros((len(mask), schedule.q_tiling.tiles, schedule.kv_tiling.tiles), dtype=np.int64)
    every = np.zeros_like(visible)
    for head, one in enumerate(mask):
        np.add.at(visible[head], np.ix_(rows, columns), one)
        np.add.at(every[head], np.ix_(rows, columns), 1)
    return visible, every


@pytest.mark.parametrize(("name", "numbers", "q_tile", "kv_tile"), CASES, ids=ids)
def test_counts_are_those_of_the_mask(name: str, numbers: dict[str, Any], q_tile: Any, kv_tile: Any) -> None:
    bound = attndsl.pattern(name).bind(**numbers)
    report = bound.simulate(q_tile=q_tile, kv_tile=kv_tile)
    visible, every = pairs_of_tiles(bound, report)
    assert report.visited_tiles == (visible > 0).sum()
    assert report.full_tiles == ((visible == every) & (every > 0)).sum()
    assert report.partial_tiles == report.visited_tiles - report.full_tiles
    assert report.total_tiles == visible.size
    assert report.tile_speedup_mean == pytest.approx(visible.size / (visible > 0).sum())
    assert report.worst_q_tile_visits == (visible > 0).sum(axis=2).max()
    assert report.density == pytest.approx(bound.mask().mean())


@pytest.mark.parametrize(("name", "numbers", "q_tile", "kv_tile"), CASES, ids=ids)
def test_figures_of_heads_add_up(name: str, numbers: dict[str, Any], q_tile: Any, kv_tile: Any) -> None:
    report = attndsl.pattern(name).bind(**numbers).simulate(q_tile=q_tile, kv_tile=kv_tile)
    heads = [head for each in report.head_figures for head in each.heads]
    assert sorted(heads) == list(range(report.heads))
    total = sum(each.density * len(each.heads) for each in report.head_figures)
    assert report.density == pytest.approx(total / report.heads)
    assert report.tile_speedup == min(each.tile_speedup for each in report.head_figures)


def test_the_worst_head_and_the_mean_are_reported_where_heads_differ() -> None:
    bound = attndsl.pattern("moa").bind(
        shape=512, heads=2, alpha=(0, 256), beta=(0.0, 0.0), block=16, sink=16, minimum=32
    )
    report = bound.simulate(q_tile=32, kv_tile=32)
    narrow, wide = report.head_figures
    assert narrow.tile_speedup > wide.tile_speedup == report.tile_speedup
    assert wide.tile_speedup_mean < report.tile_speedup_mean < narrow.tile_speedup_mean


@pytest.mark.parametrize("name", ["full", "causal", "gna"])
def test_a_single_token(name: str) -> None:
    numbers = {"window": 1} if name == "gna" else {}
    report = attndsl.pattern(name).bind(shape=1, **numbers).simulate(attention_share=0.5)
    assert report.density == report.tile_speedup == report.end_to_end_speedup == 1.0
    assert report.perfectly_block_sparse


NOTHING = "pattern nothing():\n    space tokens(n)\n    attend k.n < 0\n"


def test_a_mask_that_shows_nothing_has_unbounded_speedups() -> None:
    report = attndsl.parse(NOTHING).bind(shape=64).simulate(attention_share=0.25)
    assert report.density == 0.0
    assert report.tile_speedup == report.flop_speedup == math.inf
    assert report.end_to_end_speedup == pytest.approx(1 / 0.75)
    assert report.to_dict()["tile_speedup"] is None
    assert "no finite value" in str(report)
    assert "unbounded" in str(report)


def test_json_has_no_infinite_numbers_even_if_all_time_is_attention() -> None:
    report = attndsl.parse(NOTHING).bind(shape=64).simulate(attention_share=1.0)
    data = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert data["end_to_end_speedup"] is None


def test_json_has_the_documented_fields() -> None:
    bound = attndsl.pattern("gna").bind(shape=(30, 48, 80), heads=24, window=(18, 24, 24))
    data = bound.simulate("h100", q_tile=(4, 8, 8), kv_tile=(2, 8, 8), attention_share=0.607).to_dict()
    assert data["tokens"] == 115_200
    assert data["q_tile"] == [4, 8, 8]
    assert data["device"] == "h100"
    assert data["perfectly_block_sparse"] is False
    assert data["tile_speedup_mean"] == data["total_tiles"] / data["visited_tiles"]
    documented = "density flop_speedup tile_speedup kv_tile end_to_end_speedup flop_end_to_end_speedup"
    assert set(documented.split()) <= data.keys()
    assert data == json.loads(json.dumps(data, allow_nan=False))


def test_dense_attention_has_tiles_of_neighbours() -> None:
    ir = attndsl.pattern("gna").bind(shape=56, window=3, dilation=8).ir
    found = report(schedule_with(ir, (8,), (8,), (8,), (8,)), device("b200"), None)
    assert (found.dense_kv_tiles, found.total_tiles) == (7, 64)
    assert found.tile_speedup == 7.0


def test_no_share_no_end_to_end_speedup() -> None:
    report = attndsl.pattern("causal").bind(shape=64).simulate()
    assert report.end_to_end_speedup is None
    assert report.flop_end_to_end_speedup is None
    assert "end to end" not in str(report)


def test_masks_that_read_inputs_are_predicted_for_inputs_that_hide_nothing() -> None:
    document = attndsl.pattern("document").bind(shape=256).simulate(q_tile=32, kv_tile=32)
    causal = attndsl.pattern("causal").bind(shape=256).simulate(q_tile=32, kv_tile=32)
    assert document.density == causal.density
    assert document.visited_tiles == causal.visited_tiles == document.partial_tiles
    assert document.data_dependent
    assert any("reads doc" in note for note in document.notes)


def test_dense_rows_are_pointed_out() -> None:
    report = attndsl.pattern("causal").bind(shape=1024).simulate(q_tile=64, kv_tile=64)
    assert report.tile_speedup == 1.0
    assert report.notes == ("6.2% of the q tiles visit every kv tile: read the mean, not the worst",)


@pytest.mark.parametrize("share", [-0.1, 1.1, math.nan, True, "half"])
def test_an_attention_share_outside_0_to_1_is_refused(share: Any) -> None:
    with pytest.raises(attndsl.AttnScheduleError, match="A0551"):
        attndsl.pattern("causal").bind(shape=8).simulate(attention_share=share)


def test_an_unknown_device_is_refused_with_the_closest_name() -> None:
    with pytest.raises(attndsl.AttnScheduleError, match="A0550") as caught:
        attndsl.pattern("causal").bind(shape=8).simulate("h10")
    assert caught.value.help == "did you mean `h100`?"


def test_tiles_of_a_wrong_rank_are_refused() -> None:
    bound = attndsl.pattern("gna").bind(shape=(8, 8), window=3)
    for tiles in ({"q_tile": 8}, {"kv_tile": (4, 4, 4)}, {"q_tile": (4,), "kv_tile": (4, 4)}):
        with pytest.raises(attndsl.AttnScheduleError, match="A0501"):
            bound.simulate(**tiles)


BAND = """
pattern local(left: int):
    space tokens(y, x)
    attend q.y == k.y and q.x - left <= k.x <= q.x
"""


def test_the_text_says_what_the_numbers_say() -> None:
    bound = attndsl.parse(BAND, "band.attn").bind(shape=(4, 64), heads=2, left=15)
    text = str(bound.simulate(q_tile=(1, 16), kv_tile=(2, 16), attention_share=0.5))
    assert text.splitlines() == [
        "local_l15 on b200: 256 tokens, 2 heads",
        "  density           5.52%, FLOP speedup 18.12x",
        "  tiles             q 1 x 16, kv 2 x 16",
        "  tile speedup      4.00x (the worst q tile visits 2 of 8 kv tiles), mean 4.57x",
        "  visited tiles     28 of 128: 0 full, 28 partial",
        "  block-sparse      not perfectly: 100.0% of the visited tiles are partial",
        "    in `attend q.y == k.y and q.x - left <= k.x <= q.x` (band.attn:4:12):",
        "               28 tiles: `q.y == k.y` on y (band.attn:4:12)",
        "               28 tiles: `q.x - left <= k.x <= q.x` on x (band.attn:4:27)",
        "  end to end        1.60x of a model with 50.0% attention; by FLOPs 1.90x",
    ]
