"""`attndsl bench PATTERN`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import attndsl
from attndsl.cli.bench_work import Work, work_of
from attndsl.cli.problem import bind

pytest.importorskip("torch")

from attndsl.runtime.rivals import random_inputs

WORDS = ("bench", "sliding_window", "--shape", "512", "--set", "left=40", "--heads", "2", "--head-dim", "32")


def test_json_compares_with_dense_attention(run: Callable[..., Any]) -> None:
    result = json.loads(run(*WORDS, "--rounds", "2", "--json").out)
    assert result["correct"] is True
    assert result["density"] == pytest.approx((41 * 512 - 40 * 41 / 2) / 512**2)
    ours, dense = result["results"]
    assert (ours["name"], ours["ratio"]) == ("attndsl", 1.0)
    assert dense["ratio"] == pytest.approx(dense["milliseconds"] / ours["milliseconds"])
    flops = 4 * 2 * 512**2 * 32
    assert dense["gflops"] == pytest.approx(flops / dense["milliseconds"] / 1e6)
    assert ours["gflops"] == pytest.approx(result["density"] * flops / ours["milliseconds"] / 1e6)


def test_keys(run: Callable[..., Any], golden: Callable[[str, str], None]) -> None:
    golden("cli/bench_keys.txt", "\n".join(json.loads(run(*WORDS, "--rounds", "1", "--json").out)) + "\n")


def test_a_table_for_people(run: Callable[..., Any]) -> None:
    outcome = run(*WORDS, "--rounds", "1", "--dtype", "bf16")
    assert outcome.code == 0
    assert "dense (torch)" in outcome.out
    assert "agrees with the float64 denotation" in " ".join(outcome.out.split())


def test_inputs_and_groups(run: Callable[..., Any]) -> None:
    words = (
        "bench",
        "document",
        "--shape",
        "8",
        "--set",
        "doc=0,0,0,1,1,2,2,2",
        "--heads",
        "4",
        "--kv-heads",
        "2",
    )
    result = json.loads(run(*words, "--rounds", "1", "--head-dim", "16", "--json").out)
    assert result["correct"] is True
    assert result["density"] == pytest.approx((6 + 3 + 6) / 64)


SCORED = """
pattern scored:
    space tokens(n)
    input table: real[heads, 4]
    input g: real[query, heads]
    attend causal
    score s - slope(head, heads) * (q.n - k.n) + table[head, q.n % 4]
    gate sigmoid(g)
"""


def test_scores_and_gates_are_checked_on_random_inputs(run: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "scored.attn").write_text(SCORED)
    words = ("bench", tmp_path / "scored.attn", "--shape", "64", "--heads", "2", "--head-dim", "16")
    result = json.loads(run(*words, "--rounds", "1", "--json").out)
    assert result["correct"] is True
    assert 0 < result["largest_error"] < 1e-5
    shown = run(*words, "--rounds", "1").out
    assert "agrees with the float64 denotation on all queries" in " ".join(shown.split())


def test_what_takes_too_long_is_not_checked(
    run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("attndsl.cli.bench_check.MOST_PAIRS", 1000)
    (tmp_path / "scored.attn").write_text(SCORED)
    words = ("bench", tmp_path / "scored.attn", "--shape", "64", "--heads", "2", "--head-dim", "16")
    result = json.loads(run(*words, "--rounds", "1", "--json").out)
    assert (result["correct"], result["largest_error"]) == (None, None)
    assert "The output was not checked" in run(*words, "--rounds", "1").out


@pytest.mark.parametrize(
    ("words", "algorithm", "contenders"),
    [
        (["lightning", "--shape", "96"], "recurrence", ["attndsl, all pairs"]),
        (["linear", "--shape", "96"], "sums", ["attndsl, all pairs"]),
        pytest.param(
            ["moba", "--shape", "96", "--set", "block=16", "--set", "topk=2"],
            "tiles",
            ["attndsl, plan given"],
            marks=pytest.mark.slow,
        ),
        pytest.param(
            ["lizard", "--shape", "96", "--set", "window=12"],
            "recurrence + tiles",
            [],
            marks=pytest.mark.slow,
        ),
    ],
    ids=lambda value: value[0] if isinstance(value, list) and value else None,
)
def test_other_algorithms_are_checked_and_compared(
    run: Callable[..., Any], words: list[str], algorithm: str, contenders: list[str]
) -> None:
    options = ("--heads", "2", "--head-dim", "16", "--rounds", "1", "--json")
    result = json.loads(run("bench", *words, *options).out)
    assert result["algorithm"] == algorithm
    assert result["correct"] is True
    assert [each["name"] for each in result["results"]] == ["attndsl", *contenders, "dense (torch)"]
    assert 0 < result["density"] <= 1


def test_the_work_of_branches_is_their_sum() -> None:
    problem = bind("lizard", (96,), 2, None, None, ["window=12"])
    far, near = (work_of(problem.of_branch(name), 16, {}) for name in ("far", "near"))
    assert work_of(problem, 16, {}) == Work(far.pairs + near.pairs, far.flops + near.flops)
    assert near.flops == 4 * 16 * near.pairs
    linear = problem.bound.branches["far"].simulate(head_dim=16).linear
    assert linear is not None
    assert linear.linear is not None
    assert far.flops == linear.linear.flops


def test_random_decays_forget() -> None:
    text = (
        "pattern p:\n    space tokens(n)\n    input g: real[heads, tokens]\n    attend causal\n    weight s\n"
    )
    for decay, least, largest in (("exp(g)", -9.0, 0.0), ("g", 0.0, 1.0)):
        bound = attndsl.parse(f"{text}    decay {decay} per step of n\n").bind(shape=50, heads=2)
        drawn = random_inputs(bound.ir, 16)["g"]
        assert least <= drawn.min()
        assert drawn.max() < largest


def test_flex_attention_is_for_masks(refuse: Callable[..., str]) -> None:
    assert "A0729" in refuse("bench", "lightning", "--shape", "32", "--heads", "1", "--flex")


def test_a_mask_without_its_input_is_refused(refuse: Callable[..., str]) -> None:
    assert "A0611" in refuse("bench", "document", "--shape", "8")


def test_without_torch_there_is_advice(refuse: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("attndsl.cli.output.find_spec", lambda name: None)
    assert "pip install torch" in refuse(*WORDS)


def test_without_a_compiler_one_warning_says_what_to_do(
    run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("attndsl.runtime.compile._said", set())
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    outcome = run(*WORDS, "--rounds", "1")
    assert outcome.code == 0
    assert "backend reference" in outcome.out
    assert outcome.err.startswith("warning: ")
    assert "install g++" in outcome.err


def test_tensors_too_large_for_memory_are_refused(refuse: Callable[..., str]) -> None:
    words = ("bench", "sliding_window", "--shape", "2000000000", "--set", "left=1", "--heads", "60000")
    assert "A0723" in refuse(*words)


@pytest.mark.slow
def test_flex_attention_agrees(run: Callable[..., Any]) -> None:
    result = json.loads(run(*WORDS, "--rounds", "1", "--flex", "--json").out)
    assert [each["name"] for each in result["results"]] == ["attndsl", "dense (torch)", "FlexAttention"]
