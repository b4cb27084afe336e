"""`attndsl plan PATTERN`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import attndsl
from attndsl.cli.problem import example_options, examples

MOBA = ("moba", "--shape", "128", "--heads", "2", "--set", "block=16", "--set", "topk=2")
BOUND = attndsl.pattern("moba").bind(shape=128, heads=2, block=16, topk=2)


def written(folder: Path, **arrays: Any) -> Path:
    np.savez(folder / "tensors.npz", **arrays)
    return folder / "tensors.npz"


def random_arrays() -> dict[str, Any]:
    chance = np.random.default_rng(0)
    return {name: chance.standard_normal((1, 2, 128, 8), dtype=np.float32) for name in "qk"}


def test_random_tensors_give_a_plan_that_is_saved(run: Callable[..., Any], tmp_path: Path) -> None:
    outcome = run("plan", *MOBA, "-o", tmp_path / "plan.npz")
    assert outcome.code == 0
    assert outcome.out.startswith(
        "plan: 2 heads, 128 queries to 8 blocks of 16 keys, 23.44% of all pairs kept"
    )
    assert outcome.out.endswith(f"wrote {tmp_path / 'plan.npz'}\n")
    assert BOUND.load_plan(tmp_path / "plan.npz").heads == 2


@pytest.mark.parametrize("prefix", ["", "layers.3."])
def test_tensors_from_a_file(run: Callable[..., Any], tmp_path: Path, prefix: str) -> None:
    arrays = random_arrays()
    path = written(tmp_path, **{prefix + name: array for name, array in arrays.items()})
    words = ("--tensors", path, *(("--layer", "3") if prefix else ()))
    assert run("plan", *MOBA, *words, "-o", tmp_path / "plan.npz").code == 0
    plan = BOUND.plan(torch.from_numpy(arrays["q"]), torch.from_numpy(arrays["k"]))
    assert np.array_equal(BOUND.load_plan(tmp_path / "plan.npz").indices, plan.indices)


def test_inputs_that_the_route_reads_come_from_the_file(run: Callable[..., Any], tmp_path: Path) -> None:
    bias = np.arange(64, dtype=np.float32)[None, ::-1].copy()
    path = written(tmp_path, q=np.zeros((1, 1, 64, 8)), k=np.zeros((1, 1, 64, 8)), bias=bias)
    words = ("plan", "dma", "--shape", "64", "--heads", "1", "--set", "window=4", "--tensors", path)
    (head,) = json.loads(run(*words, "--json").out)["heads"]
    assert (head["most"], head["unused"], head["busiest"]) == (4, 60, 1.0)


def test_a_saved_plan_is_summarized(run: Callable[..., Any], tmp_path: Path) -> None:
    run("plan", *MOBA, "-o", tmp_path / "plan.npz")
    data = json.loads(run("plan", *MOBA, "--plan", tmp_path / "plan.npz", "--json").out)
    assert (data["key_units"], data["heads"][1]["most"]) == (8, 2)


def test_branches_have_plans_of_their_own(run: Callable[..., Any]) -> None:
    words = ("plan", "sla", "--shape", "256", "--heads", "1", "--set", "keep=0.25")
    out = run(*words).out
    assert "branch critical: plan: 1 head" in out
    assert set(json.loads(run(*words, "--json").out)) == {"critical", "marginal"}


def test_a_plan_is_simulated(run: Callable[..., Any], tmp_path: Path) -> None:
    run("plan", *MOBA, "-o", tmp_path / "plan.npz")
    report = json.loads(run("simulate", *MOBA, "--plan", tmp_path / "plan.npz", "--json").out)
    assert report["routing"]["distribution"] is None
    assert report["tile_speedup"] == 4.0


def test_random_plans_are_simulated(run: Callable[..., Any]) -> None:
    words = ("--draws", "3", "--seed", "5", "--skew", "0", "--locality", "0", "--kept", "0.5", "--json")
    routing = json.loads(run("simulate", *MOBA, *words).out)["routing"]
    assert routing["plans"] == 3
    assert routing["distribution"] == {"draws": 3, "seed": 5, "skew": 0.0, "locality": 0.0, "kept": 0.5}


def test_mistakes(run: Callable[..., Any], refuse: Callable[..., str], tmp_path: Path) -> None:
    assert "A0690" in refuse("plan", "causal", "--shape", "64")
    assert "A0854" in refuse("plan", *MOBA, "--tensors", written(tmp_path, q=np.zeros((1, 2, 128, 8))))
    words = ("plan", *MOBA, "--tensors")
    assert "A0854" in refuse(*words, written(tmp_path, q=np.array(["a"]), k=np.array(["b"])))
    assert "A06" in refuse(*words, written(tmp_path, q=np.zeros((1, 2, 64, 8)), k=np.zeros((1, 2, 64, 8))))
    assert "A0820" in refuse(*words, tmp_path / "nothing.npz")
    assert "A0821" in refuse(*words, tmp_path / "tensors.txt")
    assert "A0801" in refuse("simulate", *MOBA, "--plan", tmp_path / "nothing.npz")
    assert "A0810" in refuse("plan", *MOBA, "-o", tmp_path / "no" / "plan.npz")
    assert run("plan", *MOBA, "--layer", "1").code == 2
    assert run("simulate", *MOBA, "--plan", "a.npz", "--optimize").code == 2
    assert run("show", *MOBA, "--plan", "a.npz", "--q-tile", "16").code == 2
    assert run("plan", *MOBA, "--plan", "a.npz", "--tensors", "b.npz").code == 2


def test_a_plan_is_drawn(run: Callable[..., Any], refuse: Callable[..., str], tmp_path: Path) -> None:
    run("plan", *MOBA, "-o", tmp_path / "plan.npz")
    words = ("show", *MOBA, "--plan", tmp_path / "plan.npz", "-o", tmp_path / "plan.png")
    assert run(*words).out == f"wrote {tmp_path / 'plan.png'}\n"
    assert (tmp_path / "plan.png").read_bytes().startswith(b"\x89PNG")
    assert "A0561" in refuse(*words, "--head", "2")
    assert "A0808" in refuse(*words[:-1], tmp_path / "plan.txt")


def test_the_plan_of_one_branch_is_drawn(
    run: Callable[..., Any], refuse: Callable[..., str], tmp_path: Path
) -> None:
    nsa = ("nsa", "--shape", "128", "--heads", "2", "--set", "block=16", "--set", "n_sel=2")
    assert run("plan", *nsa, "-o", tmp_path / "plan.npz").code == 0
    words = ("show", *nsa, "--plan", tmp_path / "plan.npz", "-o", tmp_path / "a.svg", "--head", 1, "--branch")
    assert run(*words, "selected").code == 0
    assert "A0855" in refuse(*words, "sliding")


def test_heads_that_are_left_open_are_those_of_the_plan(run: Callable[..., Any], tmp_path: Path) -> None:
    run("plan", *MOBA, "-o", tmp_path / "plan.npz")
    words = ("moba", "--shape", "128", "--set", "block=16", "--plan", tmp_path / "plan.npz")
    assert json.loads(run("simulate", *words, "--json").out)["heads"] == 2
    bound = attndsl.pattern("moba").bind(shape=128, block=16)
    assert bound.for_plan(bound.load_plan(tmp_path / "plan.npz")).ir.heads == 2


SLA = ("sla", "--shape", "128", "--heads", "1", "--set", "keep=0.5")
MISTAKES: dict[str, tuple[str, tuple[object, ...]]] = {
    "tensors_without_keys": ("A0854", ("plan", *MOBA, "--tensors", "tensors.npz")),
    "plan_of_no_branch": ("A0855", ("show", *SLA, "--plan", "sla.npz", "--branch", "marginal")),
    "optimize_a_route": ("A0555", ("simulate", *MOBA, "--optimize")),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_golden_mistake(
    name: str, refuse: Callable[..., str], golden: Callable[[str, str], None],
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    written(tmp_path, q=np.zeros((1, 2, 128, 8)))
    sla = attndsl.pattern("sla").bind(shape=128, heads=1, keep=0.5)
    q = torch.randn(1, 1, 128, 8)
    sla.save_plan({"critical": sla.plan(q, q)["critical"]}, "sla.npz")
    code, words = MISTAKES[name]
    error = refuse(*words)
    assert code in error
    golden(f"errors/{name}.txt", error)


def routed_examples() -> dict[str, list[str]]:
    """The first example of every shipped pattern with a route, as options."""
    found = {}
    for name in attndsl.patterns():
        pattern = attndsl.pattern(name)
        if any(each.route is not None for each in (pattern.ir, *pattern.ir.branches)):
            example = next(iter(examples(pattern.documentation).values()))
            found[name] = [name, *example_options(example).split()]
    return found


EXAMPLES = routed_examples()


@pytest.mark.parametrize("name", EXAMPLES)
def test_plans_of_the_library_are_saved_and_predicted(
    name: str, run: Callable[..., Any], tmp_path: Path
) -> None:
    words = EXAMPLES[name]
    assert run("plan", *words, "--head-dim", "16", "-o", tmp_path / "plan.npz").code == 0
    for more in (("--plan", tmp_path / "plan.npz"), ("--draws", "2")):
        report = json.loads(run("simulate", *words, *more, "--json").out, parse_constant=pytest.fail)
        parts = [each["routing"] for each in report.get("branches", {"": report}).values()]
        routings = [each for each in parts if each is not None]
        assert routings
        assert all(0 <= each["density"]["mean"] <= each["kept"]["mean"] <= 1 + 1e-9 for each in routings)
        assert all(each["selection"]["flops"] > 0 for each in routings)
