"""The search for cheaper settings: its figures are those of simulations and masks, and nothing beats them."""

from __future__ import annotations

import json
from itertools import product
from typing import Any

import pytest

import attndsl
from attndsl.pipeline import Bound
from attndsl.simulate.choices import Choice
from attndsl.simulate.loss import loss
from attndsl.simulate.optimize import Optimization, optimize
from attndsl.simulate.rebind import nearby, rebound

TEXT = """
pattern hybrid(window: int[axes], stride: int[axes] = 1):
    space video(y, x) ++ text(n)
    attend
        video -> video: neighborhood(window, stride)
        else: true
"""

SQUARE = """
pattern square(stride: int[axes]):
    space image(y, x)
    attend q.y // max(stride[0], 1) == k.y // max(stride[0], 1) and abs(q.x - k.x) < stride[0]
"""


def bound_with(bound: Bound, choice: Choice) -> Bound:
    """The pattern with the parameters of a choice."""
    ir = rebound(bound.ir, choice.parameters)
    assert ir is not None
    return Bound(ir)


REQUESTS: list[tuple[Bound, list[str] | None]] = [
    (attndsl.pattern("gna").bind(shape=(24, 32), window=(6, 10)), None),
    (attndsl.pattern("gna").bind(shape=(6, 16, 16), window=(3, 6, 7), causal=(True, False, False)), None),
    (attndsl.pattern("gna").bind(shape=192, window=24, dilation=2), None),
    (attndsl.pattern("sta").bind(shape=(24, 24), tile=4, window=12), ["tile"]),
    (attndsl.pattern("halo").bind(shape=(32, 32), block=8, halo=2), ["halo"]),
    (attndsl.pattern("sliding_window").bind(shape=512, left=200), ["left"]),
    (
        attndsl.pattern("moa").bind(shape=512, heads=2, alpha=(0, 256), beta=(0, 0), block=16),
        ["block", "sink"],
    ),
    (attndsl.parse(TEXT).bind(shape=(16, 24), text=20, window=(5, 8)), None),
    (attndsl.parse(SQUARE).bind(shape=(24, 24), stride=(6, 4)), None),
]
NAMES = [bound.name for bound, _ in REQUESTS]


@pytest.mark.parametrize(("bound", "parameters"), REQUESTS, ids=NAMES)
def test_the_figures_of_each_choice_are_those_of_its_simulation(bound: Bound, parameters: Any) -> None:
    for choice in optimize(bound.ir, device="a100", parameters=parameters, attention_share=0.4).choices:
        tiles = choice.tiles
        report = bound_with(bound, choice).simulate(
            "a100", q_tile=tiles.q_tile, kv_tile=tiles.kv_tile, attention_share=0.4
        )
        if report.q_step == tiles.q_step:
            assert choice.tile_speedup == pytest.approx(report.tile_speedup)
            assert choice.tile_speedup_mean == pytest.approx(report.tile_speedup_mean)
            assert choice.perfectly_block_sparse == report.perfectly_block_sparse
            assert choice.end_to_end_speedup == pytest.approx(report.end_to_end_speedup)


@pytest.mark.parametrize(("bound", "parameters"), REQUESTS, ids=NAMES)
def test_losses_are_those_of_the_masks(bound: Bound, parameters: Any) -> None:
    requested = bound.mask()
    for choice in optimize(bound.ir, device="a100", parameters=parameters).choices:
        mask = bound_with(bound, choice).mask()
        assert choice.lost == pytest.approx((requested & ~mask).sum() / requested.sum())
        assert choice.gained == pytest.approx((mask & ~requested).sum() / requested.sum())


@pytest.mark.parametrize(("bound", "parameters"), REQUESTS, ids=NAMES)
def test_choices_rise_in_loss_and_in_speedup_from_the_request_on(bound: Bound, parameters: Any) -> None:
    found = optimize(bound.ir, device="a100", parameters=parameters)
    speedups = [getattr(choice, found.objective) for choice in found.choices]
    losses = [choice.lost for choice in found.choices]
    assert speedups == sorted(set(speedups))
    assert losses == sorted(losses)
    assert losses[0] == 0.0


def test_nothing_beats_the_choices() -> None:
    bound = attndsl.pattern("gna").bind(shape=(16, 24), window=(4, 6))
    found = optimize(bound.ir, q_tile=(4, 4), kv_tile=(2, 4), limit=1000)
    for stride in product(range(1, 5), range(1, 7)):
        ir = rebound(bound.ir, {"stride": stride})
        assert ir is not None
        lost, report = loss(bound.ir, ir).lost, Bound(ir).simulate(q_tile=(4, 4), kv_tile=(2, 4))
        assert any(
            choice.lost <= lost + 1e-12 and choice.tile_speedup >= report.tile_speedup / 1.006
            for choice in found.choices
        )


def hunyuan_video() -> Optimization:
    bound = attndsl.pattern("gna").bind(shape=(30, 48, 80), heads=24, window=(18, 24, 24))
    return optimize(bound.ir, q_tile=(4, 8, 8), kv_tile=(2, 8, 8), attention_share=0.607)


def test_the_strides_of_the_paper_are_found() -> None:
    found = {choice.parameters["stride"]: choice for choice in hunyuan_video().choices}
    for stride, speedup in {(1, 1, 1): 3.27, (2, 1, 1): 3.60, (2, 8, 8): 10.0, (16, 8, 8): 11.11}.items():
        assert found[stride].tile_speedup == pytest.approx(speedup, abs=0.005)
    assert found[16, 8, 8].perfectly_block_sparse


def test_the_table_and_the_json() -> None:
    found = hunyuan_video()
    lines = str(found).splitlines()
    assert lines[0] == "gna_w18x24x24 on b200: the best tiles and stride, by loss of visible pairs"
    assert " ".join(lines[1].split()) == "speedup mean end to end lost gained sparse stride q tile kv tile"
    row = "11.11x 11.11x 2.23x 15.8% 15.8% perfect 16,8,8 4 x 8 x 8 2 x 8 x 8"
    assert " ".join(lines[-1].split()) == row
    data = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert data["choices"][-1]["parameters"] == {"stride": [16, 8, 8]}
    assert data["choices"][-1]["kv_tile"] == [2, 8, 8]


def test_patterns_without_a_stride_get_their_tiles_only() -> None:
    (choice,) = optimize(attndsl.pattern("causal").bind(shape=2048).ir).choices
    assert choice.parameters == {}
    assert choice.lost == choice.gained == 0.0


def test_masks_that_read_inputs_can_be_optimized() -> None:
    (choice,) = optimize(attndsl.pattern("document").bind(shape=2048).ir).choices
    assert choice.tile_speedup_mean == pytest.approx(64 / 36)


def test_at_most_so_many_choices_as_asked_for_from_one_end_to_the_other() -> None:
    ir = attndsl.pattern("gna").bind(shape=(30, 48, 80), window=(18, 24, 24)).ir
    every, some = (optimize(ir, limit=limit).choices for limit in (1000, 3))
    assert len(every) > len(some) == 3
    assert (some[0], some[-1]) == (every[0], every[-1])


@pytest.mark.parametrize("name", ["strode", "causal", "shape"])
def test_only_integer_parameters_can_be_searched(name: str) -> None:
    with pytest.raises(attndsl.AttnScheduleError, match="A0552") as caught:
        optimize(attndsl.pattern("gna").bind(shape=16, window=4).ir, parameters=[name])
    assert caught.value.help == "choose from: window, stride, dilation"


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("stride", 1, [1, 2, 3, 4, 5, 6, 8, 10, 12]),
        ("window", 10, [8, 9, 10, 11, 12]),
        ("window", 3, [2, 3, 4]),
        ("dilation", 1, [1]),
    ],
)
def test_values_nearby(name: str, value: int, expected: list[int]) -> None:
    assert nearby(name, value, 12) == expected


def test_rebinding_keeps_everything_else() -> None:
    bound = attndsl.parse(TEXT).bind(shape=(16, 24), text=20, window=(5, 8), heads=6, kv_heads=2)
    changed = rebound(bound.ir, {"stride": (2, 2)})
    assert changed is not None
    assert (
        changed
        == attndsl.parse(TEXT)
        .bind(shape=(16, 24), text=20, window=(5, 8), heads=6, kv_heads=2, stride=(2, 2))
        .ir
    )
    assert rebound(bound.ir, {"stride": (6, 1)}) is None
    crossed = attndsl.pattern("video_infinity").bind(shape=24, key_shape=40, pad=6)
    assert rebound(crossed.ir, {}) == crossed.ir
