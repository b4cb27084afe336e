"""`attndsl fit SAMPLES`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import attndsl
from tests.fitting.sample_data import arrays, write

MOA = "moa alpha=8|16|32|64 beta=0 block=8 sink=8 minimum=8"
STREAMING = "streaming sink=2 window=4|16"


@pytest.fixture
def samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return write(tmp_path, arrays(2))


def test_from_samples_to_a_plan_that_binds(run: Callable[..., Any], samples: Path) -> None:
    outcome = run("fit", samples, "-p", MOA, "-p", STREAMING, "-p", "causal", "--budget", 0.3, "-o", "a.json")
    assert outcome.code == 0
    assert "wrote a.json" in outcome.out
    plan = json.loads(Path("a.json").read_text())
    assert len(plan["layers"]) == 2
    for layer in plan["layers"]:
        attndsl.pattern(layer["pattern"]).bind(shape=64, heads=4, **layer["parameters"])


def test_the_default_file_of_the_plan(run: Callable[..., Any], samples: Path) -> None:
    assert run("fit", samples, "-p", "causal", "--budget", "0.6").code == 0
    assert Path("plan.json").exists()


def test_without_a_budget_there_is_a_table_and_no_file(run: Callable[..., Any], samples: Path) -> None:
    outcome = run("fit", samples, "-p", STREAMING)
    assert "streaming sink=2 window=16" in outcome.out
    assert [path.name for path in samples.parent.iterdir()] == ["samples.npz"]


def test_json_is_one_object(run: Callable[..., Any], samples: Path) -> None:
    outcome = run("fit", samples, "-p", MOA, "--budget", "0.3", "--json")
    data = json.loads(outcome.out, parse_constant=pytest.fail)
    assert data["density"] <= 0.3
    assert len(data["layers"]) == 2
    assert len(data["layers"][0]["kept"]) == 4
    assert data["layers"][0]["chosen"]["parameters"]["block"] == 8


def test_a_picture_of_each_layer(run: Callable[..., Any], samples: Path) -> None:
    run("fit", samples, "-p", STREAMING, "--pictures", "new/folder")
    pictures = sorted(Path("new/folder").iterdir())
    assert [each.name for each in pictures] == ["layer_0.png", "layer_1.png"]
    assert all(each.read_bytes().startswith(b"\x89PNG") for each in pictures)


def test_figures_of_each_head(run: Callable[..., Any], samples: Path) -> None:
    out = run("fit", samples, "-p", STREAMING, "--per-head", "--budget", "0.4").out
    assert out.count("  head 3") == 2
    assert out.count(" <") == 8  # a choice of each head of each layer


def test_layers_queries_and_seed(run: Callable[..., Any], samples: Path) -> None:
    words = ("fit", samples, "-p", STREAMING, "--layers", "1", "--queries", "8", "--json")
    first, same, other = (
        json.loads(run(*words, *more).out) for more in ([], ["--seed", "0"], ["--seed", "1"])
    )
    assert [layer["layer"] for layer in first["layers"]] == [1]
    assert first == same != other


def test_shapes_and_vectors(run: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = write(tmp_path, arrays(1, causal=None))
    words = ("fit", path, "--no-causal", "--shape", "8,8", "-p", "gna window=3,3|5,5 stride=1", "--json")
    candidates = json.loads(run(*words).out)["candidates"]
    assert [each["parameters"]["window"] for each in candidates] == [[3, 3], [5, 5]]


def test_a_pattern_of_ones_own(run: Callable[..., Any], samples: Path) -> None:
    head = "pattern near(left: int[heads]):\n    space tokens(n)\n"
    Path("my.attn").write_text(f"{head}    attend causal and q.n - k.n <= left[head]\n")
    run("fit", samples, "-p", "my.attn left=2|8|32", "--budget", "0.2")
    layers = json.loads(Path("plan.json").read_text())["layers"]
    assert {layer["pattern"] for layer in layers} == {"my.attn"}
    assert all(len(layer["parameters"]["left"]) == 4 for layer in layers)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["no.npz", "-p", "causal"], "A0820"),
        (["samples.npz", "-p", "causla"], "A0811"),
        (["samples.npz", "-p", "streaming sink=2 window=x"], "A0403"),
        (["samples.npz", "-p", "streaming sink=2"], "A0401"),
        (["samples.npz", "-p", "streaming sink=2 windw=3 window=3"], "A0402"),
        (["samples.npz", "-p", "causal", "--budget", "1.5"], "A0521"),
        (["samples.npz", "-p", "causal", "--device", "b20"], "A0550"),
        (["samples.npz", "-p", "causal", "--budget", "1", "-o", "no/such/folder/a.json"], "A0810"),
        (["samples.npz", "-p", "causal", "--pictures", "samples.npz"], "A0812"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else value,
)
def test_wrong_samples_and_requests(
    refuse: Callable[..., str], samples: Path, words: list[str], code: str
) -> None:
    assert refuse("fit", *words).startswith(f"error[{code}]: ")


@pytest.mark.parametrize(
    "words",
    [
        ["samples.npz"],
        ["samples.npz", "-p", ""],
        ["samples.npz", "-p", "sink=2"],
        ["samples.npz", "-p", "streaming sink"],
        ["samples.npz", "-p", "streaming sink=2 sink=3"],
        ["samples.npz", "-p", "causal", "-o", "plan.json"],
        ["samples.npz", "-p", "causal", "--queries", "0"],
        ["samples.npz", "-p", "causal", "--layers", "all"],
    ],
    ids=" ".join,
)
def test_wrong_usage(run: Callable[..., Any], samples: Path, words: list[str]) -> None:
    outcome = run("fit", *words)
    assert outcome.code == 2
    assert "Traceback" not in outcome.err
