"""Plans: files, lists and the JSON that MoA publishes become patterns and parameters by layer."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import attndsl
from attndsl.diagnostics import AttnFileError
from attndsl.plans import LayerPlan, load_plan

STREAMING = {"pattern": "streaming", "parameters": {"sink": 4, "window": 60}}
FILE = {"format": "attndsl-plan", "version": 1, "layers": [STREAMING, None, {"pattern": "causal"}]}


def test_a_plan_file(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(FILE), encoding="utf-8")
    plan = load_plan(path)
    assert plan.layers == (LayerPlan("streaming", {"sink": 4, "window": 60}), None, LayerPlan("causal"))
    assert plan == load_plan(plan)
    assert plan.layers[0] is not None
    bound = plan.layers[0].bind(100, heads=2)
    assert (bound.mask() == attndsl.pattern("streaming").bind(100, sink=4, window=60).mask()).all()


def test_the_plans_that_moa_publishes() -> None:
    data = {"alphas": [[0, 64], [-128, 0]], "betas": [[0.25, 0.5], [1.0, 0.0]]}
    plan = load_plan(data)
    assert len(plan.layers) == 2
    assert plan.layers[1] == LayerPlan("moa", {"alpha": [-128, 0], "beta": [1.0, 0.0]})
    assert plan.layers[1].bind(256, heads=2).per_head


def test_a_list() -> None:
    pattern = attndsl.pattern("causal")
    plan = load_plan([None, "causal", pattern, ("streaming", {"sink": 4, "window": 60})])
    assert plan.layers[:3] == (None, LayerPlan("causal"), LayerPlan(pattern))
    assert plan.layers[3] == LayerPlan("streaming", {"sink": 4, "window": 60})


def test_patterns_by_name_and_file(tmp_path: Path) -> None:
    path = tmp_path / "own.attn"
    path.write_text("pattern own:\n    space tokens(n)\n    attend causal\n", encoding="utf-8")
    assert LayerPlan(path).resolve().name == LayerPlan(str(path)).resolve().name == "own"
    path.write_text(path.read_text() + "\n" + path.read_text().replace("own", "other"), encoding="utf-8")
    with pytest.raises(AttnFileError, match="A0807"):
        LayerPlan(path).resolve()
    assert LayerPlan(f"{path}:other").resolve().name == "other"


MISTAKES: dict[str, Any] = {
    "plan_without_layers": {"format": "attndsl-plan", "version": 1},
    "plan_version": {"format": "attndsl-plan", "version": 7, "layers": []},
    "plan_layer": {"format": "attndsl-plan", "version": 1, "layers": [None, {"patern": "causal"}]},
    "plan_moa_layers": {"alphas": [[1.0]], "betas": []},
    "plan_moa_heads": {"alphas": [[1.0, 2.0]], "betas": [[0.5]]},
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistake_in_a_plan(name: str, golden: Callable[[str, str], None]) -> None:
    with pytest.raises(AttnFileError) as caught:
        load_plan(MISTAKES[name])
    golden(f"errors/{name}.txt", caught.value.render() + "\n")


def test_mistake_in_a_plan_file(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    with pytest.raises(AttnFileError, match="A0801"):
        load_plan(path)
    path.write_text("{", encoding="utf-8")
    with pytest.raises(AttnFileError, match="A0840"):
        load_plan(path)
