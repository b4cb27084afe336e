"""Mistakes in samples, and in requests to fit and capture, each with its whole error as a golden file."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

import attndsl
from attndsl.diagnostics import AttnError
from attndsl.fitting import program
from tests.fitting.sample_data import Array, arrays, write

Golden = Callable[[str, str], None]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own for the files, whose names errors mention."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def error_of(request: Callable[[], object]) -> str:
    with pytest.raises(AttnError) as caught:
        request()
    return caught.value.render() + "\n"


def changed(remove: str = "", **changes: Array) -> dict[str, Array]:
    """Samples of one layer, with arrays of it removed or changed."""
    named = arrays(1) | {f"layers.0.{name}": array for name, array in changes.items()}
    return {name: array for name, array in named.items() if name != remove}


Q = arrays(1)["layers.0.q"]
NAN = np.where(np.arange(Q.size).reshape(Q.shape) % 7, Q, np.float32("nan"))

FILES: dict[str, dict[str, Array]] = {
    "fit_three_dimensions": changed(q=Q[0]),
    "fit_integers": changed(q=Q.astype(np.int32)),
    "fit_batch": changed(k=np.concatenate([Q, Q])),
    "fit_head_dim": changed(k=Q[..., :8]),
    "fit_heads": changed(k=Q[:, :3]),
    "fit_no_elements": changed(q=Q[:0]),
    "fit_nan": changed(q=NAN),
    "fit_queries_missing": changed(q=Q[:, :, :10]),
    "fit_queries_outside": changed(q=Q[:, :, :2], queries=np.array([3, 64])),
    "fit_queries_not_rising": changed(q=Q[:, :, :2], queries=np.array([3, 3])),
    "fit_scale": changed(scale=np.array(np.inf)),
    "fit_mask_of_samples": changed(mask=np.ones((1, 4, 64, 63), dtype=bool)),
    "fit_blind": changed(mask=np.zeros((1, 1, 64, 64), dtype=bool)),
    "fit_no_samples": {"q": Q, "k": Q},
    "fit_no_keys": changed("layers.0.k"),
    "fit_causal_unknown": changed("causal"),
}


@pytest.mark.parametrize("name", FILES)
def test_mistake_in_the_samples(name: str, folder: Path, golden: Golden) -> None:
    write(folder, FILES[name])
    golden(f"errors/{name}.txt", error_of(lambda: attndsl.fit("samples.npz", {"causal": {}})))


def test_a_file_that_is_not_there(golden: Golden) -> None:
    golden("errors/fit_no_file.txt", error_of(lambda: attndsl.fit("no.safetensors", {"causal": {}})))


def test_a_file_of_another_kind(folder: Path, golden: Golden) -> None:
    (folder / "text.npz").write_text("text")
    golden("errors/fit_no_npz.txt", error_of(lambda: attndsl.fit("text.npz", {"causal": {}})))
    (folder / "text.safetensors").write_text("text")
    assert error_of(lambda: attndsl.fit("text.safetensors", {"causal": {}})).startswith("error[A0820]")


def test_a_damaged_file(folder: Path) -> None:
    path = write(folder, arrays(1))
    data = bytearray(path.read_bytes())
    data[300:400] = bytes(100)
    path.write_bytes(data)
    assert error_of(lambda: attndsl.fit(path, {"causal": {}})).startswith("error[A0820]")


def test_a_file_of_objects_is_not_unpickled(folder: Path) -> None:
    np.savez(folder / "a.npz", **{"layers.0.q": np.array([{}]), "layers.0.k": np.array([{}])})  # type: ignore[arg-type]
    assert error_of(lambda: attndsl.fit("a.npz", {"causal": {}})).startswith("error[A0820]")


def test_another_format(golden: Golden) -> None:
    golden("errors/fit_format.txt", error_of(lambda: attndsl.fit("samples.pt", {"causal": {}})))


WEIGHTS = "pattern capped():\n    space tokens(n)\n    attend causal\n    score 30 * tanh(s / 30)\n"

REQUESTS: dict[str, tuple[Any, Mapping[str, Any]]] = {
    "fit_budget_too_small": ({"streaming": {"sink": 0, "window": [4, 8]}}, {"budget": 0.01}),
    "fit_budget_above_one": ({"causal": {}}, {"budget": 25}),
    "fit_other_tokens": ({"gna": {"window": 3}}, {"shape": (8, 9)}),
    "fit_looks_ahead": ({"sliding_window": {"left": 4, "right": 1}}, {}),
    "fit_reads_an_input": ({"document": {}}, {}),
    "fit_weights": ([(attndsl.parse(WEIGHTS), {})], {}),
    "fit_two_spaces": ({"video_infinity": {"pad": 2}}, {}),
    "fit_empty_grid": ({"streaming": {"sink": [], "window": 8}}, {}),
    "fit_no_pattern": ({}, {}),
    "fit_pattern_without_values": ("causal", {}),
    "fit_too_many_candidates": ({"streaming": {"sink": list(range(200)), "window": list(range(200))}}, {}),
    "fit_unknown_layer": ({"causal": {}}, {"layers": [0, 7]}),
    "fit_no_queries": ({"causal": {}}, {"queries": 0}),
    "fit_value_per_head": ({"moa": {"alpha": (1, 2, 3), "beta": 0.5}}, {}),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_mistake_in_a_request(name: str, folder: Path, golden: Golden) -> None:
    write(folder, arrays(1))
    patterns, options = REQUESTS[name]
    golden(f"errors/{name}.txt", error_of(lambda: attndsl.fit("samples.npz", patterns, **options)))


def test_no_choice_was_made(folder: Path, golden: Golden) -> None:
    result = attndsl.fit(write(folder, arrays(1)), {"causal": {}})
    golden("errors/fit_no_choice.txt", error_of(result.plan))


def test_the_solver_runs_out_of_time(folder: Path, golden: Golden, monkeypatch: pytest.MonkeyPatch) -> None:
    late = SimpleNamespace(x=None, message="Time limit reached. (HiGHS Status 13)\n")
    optimize, _ = program.require_scipy()
    monkeypatch.setattr(optimize, "milp", lambda *_, **__: late)
    path = write(folder, arrays(1))
    golden("errors/fit_no_time.txt", error_of(lambda: attndsl.fit(path, {"causal": {}}, budget=1.0)))


@pytest.mark.parametrize("name", ["scipy", "safetensors"])
def test_a_package_is_missing(
    name: str, folder: Path, golden: Golden, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = builtins.__import__

    def without(module: str, *rest: Any) -> Any:
        if module == name:
            raise ImportError(name=name)
        return load(module, *rest)

    write(folder, arrays(1))
    monkeypatch.setattr(builtins, "__import__", without)
    path = "samples.npz" if name == "scipy" else "samples.safetensors"
    request = error_of(lambda: attndsl.fit(path, {"causal": {}}, budget=1.0))
    golden(f"errors/fit_no_{name}.txt", request)


class Model(torch.nn.Module):
    """Calls attention with q of a shape, k of as many or another number of tokens, and other arguments."""

    def forward(self, *shape: int, keys: int | None = None, **options: Any) -> torch.Tensor:
        q = torch.zeros(shape)
        k = torch.zeros(*shape[:-2], keys or shape[-2], shape[-1])
        return functional.scaled_dot_product_attention(q, k, k, **options)


def captured(*calls: Callable[[Model], object], **options: Any) -> None:
    model = Model()
    with attndsl.capture(model, "a.npz", **options):
        for call in calls:
            call(model)


SMALL = (1, 2, 8, 4)

CAPTURES: dict[str, Callable[[], object]] = {
    "capture_three_dimensions": lambda: captured(lambda model: model(2, 8, 4)),
    "capture_bias": lambda: captured(lambda model: model(*SMALL, attn_mask=torch.full((8, 8), -0.5))),
    "capture_no_module": lambda: attndsl.capture(torch.relu, "a.npz").__enter__(),  # type: ignore[arg-type]
    "capture_nothing": captured,
    "capture_decoding": lambda: captured(lambda model: model(1, 2, 1, 4, keys=9)),
    "capture_too_large": lambda: captured(lambda model: model(*SMALL), max_bytes=500),
    "capture_other_length": lambda: captured(
        lambda model: model(*SMALL), lambda model: model(1, 2, 6, 4), sequences=2
    ),
    "capture_other_mask": lambda: captured(
        lambda model: model(*SMALL), lambda model: model(*SMALL, is_causal=True), sequences=2
    ),
    "capture_no_sequences": lambda: captured(sequences=0),
    "capture_format": lambda: attndsl.capture(Model(), "a.pt").__enter__(),
}


@pytest.mark.parametrize("name", CAPTURES)
def test_mistake_in_a_capture(name: str, folder: Path, golden: Golden) -> None:
    golden(f"errors/{name}.txt", error_of(CAPTURES[name]))
    assert list(folder.iterdir()) == []
