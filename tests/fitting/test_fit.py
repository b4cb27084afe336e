"""`attndsl.fit`: from a file of samples to a plan that binds and keeps to its budget."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import attndsl
from attndsl.fitting.result import Fit
from tests.fitting.sample_data import arrays, dense_mass, write

TOKENS = 64
MOA = {"alpha": [8, 16, 32, 64], "beta": 0.0, "block": 8, "sink": 8, "minimum": 8}
PATTERNS: dict[str, dict[str, Any]] = {
    "moa": MOA,
    "streaming": {"sink": 2, "window": [4, 16, 32]},
    "s2": {"block": 8, "local": 2, "stride": 3},
    "causal": {},
}


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("samples"), arrays(layers=3))


@pytest.fixture(scope="module")
def result(samples: Path) -> Fit:
    return attndsl.fit(samples, PATTERNS, budget=0.3)


def test_the_plan_binds_and_its_density_is_within_the_budget(result: Fit) -> None:
    plan = json.loads(result.plan_text())
    assert (plan["format"], plan["version"], len(plan["layers"])) == ("attndsl-plan", 1, 3)
    densities = []
    for layer in plan["layers"]:
        pattern = attndsl.pattern(layer["pattern"])
        mask = pattern.bind(shape=TOKENS, heads=4, kv_heads=2, **layer["parameters"]).mask()
        densities.append(np.broadcast_to(mask, (4, TOKENS, TOKENS)).mean())
    assert np.mean(densities) <= 0.3
    assert result.density == pytest.approx(np.mean(densities))


def test_the_plan_loads_as_models_load_it(result: Fit, tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text(result.plan_text())
    loaded = attndsl.load_plan(tmp_path / "plan.json")
    for entry, layer in zip(loaded.layers, result.layers, strict=True):
        assert entry is not None
        assert layer.chosen is not None
        assert entry.bind(TOKENS, 4, 2).ir == layer.chosen.bound.ir


def test_a_pattern_of_a_file_of_several_loads_too(samples: Path, tmp_path: Path) -> None:
    path = tmp_path / "two.attn"
    body = ":\n    space tokens(n)\n    attend causal\n"
    path.write_text(f"pattern one{body}pattern two{body}")
    plan = attndsl.fit(samples, {f"{path}:two": {}}, budget=1.0).plan()
    entry = attndsl.load_plan(plan).layers[0]
    assert entry is not None
    assert entry.resolve().name == "two"


def test_heads_take_values_of_their_own(result: Fit) -> None:
    layers = [layer for layer in result.plan()["layers"] if layer["pattern"] == "moa"]
    assert layers
    assert all(len(layer["parameters"]["alpha"]) == 4 for layer in layers)
    assert any(len(set(layer["parameters"]["alpha"])) > 1 for layer in layers)


def test_the_mass_of_the_choice_is_that_of_the_bound_pattern(samples: Path, result: Fit) -> None:
    named = np.load(samples)
    own = np.tri(TOKENS, dtype=bool)
    for layer in result.layers:
        assert layer.chosen is not None
        q, k = (named[f"layers.{layer.number}.{name}"] for name in "qk")
        kept = dense_mass(q, k, layer.chosen.bound.mask(), own, 0.25).mean(axis=(0, 2))
        assert layer.chosen.kept == pytest.approx(kept, abs=2e-6)


def test_density_of_every_candidate_is_that_of_its_mask(result: Fit) -> None:
    for place, each in enumerate(result.candidates):
        mask = np.broadcast_to(each.bind((TOKENS,), 4, 2).mask(), (4, TOKENS, TOKENS))
        assert result.layers[0].density[:, place] == pytest.approx(mask.mean(axis=(1, 2)))


def test_speedups_are_those_of_a_simulation(samples: Path) -> None:
    found = attndsl.fit(samples, {"streaming": {"sink": 0, "window": 8}}, device="h100", layers=[1])
    report = attndsl.pattern("streaming").bind(shape=TOKENS, heads=4, sink=0, window=8).simulate("h100")
    assert found.layers[0].tile_speedup[:, 0].tolist() == [report.tile_speedup] * 4
    assert found.layers[0].tile_speedup_mean[:, 0].tolist() == [report.tile_speedup_mean] * 4


def test_a_larger_budget_keeps_at_least_as_much(samples: Path, result: Fit) -> None:
    larger = attndsl.fit(samples, PATTERNS, budget=0.4)
    assert result.kept < larger.kept <= 1.0
    everything = attndsl.fit(samples, PATTERNS, budget=0.6)
    assert everything.kept == pytest.approx(1.0, abs=1e-6)


def test_layers_without_samples_stay_as_they_are(samples: Path) -> None:
    plan = attndsl.fit(samples, {"causal": {}}, budget=1.0, layers=[2]).plan()
    assert plan["layers"] == [None, None, {"pattern": "causal", "parameters": {}}]


def test_sampled_queries_estimate_the_mass_of_all(samples: Path, result: Fit) -> None:
    some = attndsl.fit(samples, PATTERNS, queries=48)
    for layer, whole in zip(some.layers, result.layers, strict=True):
        assert layer.kept == pytest.approx(whole.kept, abs=0.06)
        assert layer.density == pytest.approx(whole.density)


def test_spaces_of_several_axes_take_a_shape(tmp_path: Path) -> None:
    path = write(tmp_path, arrays(1, causal=False))
    grid = {"window": [(3, 3), (5, 5), (8, 8)], "stride": 1}
    found = attndsl.fit(path, {"gna": grid, "full": {}}, shape=(8, 8), budget=0.5)
    assert found.plan()["layers"][0]["pattern"] == "gna"
    kept = found.layers[0].kept.mean(axis=0)
    assert kept[0] < kept[1] < kept[2]


def test_tokens_of_further_segments_belong_to_the_values(tmp_path: Path) -> None:
    path = write(tmp_path, arrays(1, causal=False))
    values = {"text": 8, "block": 7, "decay": [0.5, 1.0]}
    found = attndsl.fit(path, {"radial": values}, shape=(4, 14), budget=1.0)
    layer = found.plan()["layers"][0]
    assert attndsl.pattern("radial").bind(shape=(4, 14), **layer["parameters"]).ir.query_space.size == TOKENS


def test_layers_may_differ_in_heads_and_tokens(tmp_path: Path) -> None:
    small = {name.replace("0", "5"): each for name, each in arrays(1, heads=2, tokens=32).items()}
    found = attndsl.fit(write(tmp_path, arrays(1) | small), {"moa": MOA, "causal": {}}, budget=0.4)
    assert [(layer.number, layer.heads, layer.tokens) for layer in found.layers] == [(0, 4, 64), (5, 2, 32)]
    visible = sum(
        each.heads * each.tokens**2 * each.chosen.report.density for each in found.layers if each.chosen
    )
    assert found.density == pytest.approx(visible / (4 * 64**2 + 2 * 32**2))
    assert found.density <= 0.4


def test_progress_names_the_stages(samples: Path) -> None:
    told: list[tuple[str, float]] = []
    attndsl.fit(samples, PATTERNS, budget=0.3, progress=lambda *at: told.append(at))
    assert list(dict.fromkeys(stage for stage, _ in told)) == ["predicting", "measuring", "choosing"]
    assert [part for stage, part in told if stage == "measuring"][-1] == pytest.approx(1.0)
    assert all(0 <= part <= 1 for _, part in told)


def test_everything_is_plain_data(result: Fit) -> None:
    data = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert len(data["layers"]) == 3
    assert np.shape(data["layers"][0]["kept"]) == (4, len(result.candidates))
    assert data["layers"][0]["chosen"]["pattern"] in PATTERNS


def test_the_text_names_every_candidate_and_the_choice(result: Fit) -> None:
    text = str(result)
    assert all(each.label[:48] in text for each in result.candidates)
    assert "chosen within a density of 0.3" in text
    assert max(map(len, text.splitlines())) <= 110


def test_without_a_budget_nothing_is_chosen(samples: Path) -> None:
    found = attndsl.fit(samples, {"causal": {}})
    assert found.layers[0].chosen is None
    assert "chosen" not in str(found)
    with pytest.raises(attndsl.AttnScheduleError, match="A0529"):
        found.plan()
