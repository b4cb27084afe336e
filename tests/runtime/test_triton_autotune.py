"""Autotuning: every candidate is tried and compared, the fastest is remembered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest
import torch

import attndsl
from attndsl.codegen.triton_configuration import Configuration, candidates, defaults
from attndsl.codegen.triton_targets import TARGETS
from attndsl.diagnostics import AttnBackendError
from attndsl.runtime.triton_autotune import autotune
from attndsl.runtime.triton_kernels import TritonKernels, compile_triton
from attndsl.runtime.triton_problem import Problem
from attndsl.runtime.triton_tuned import store, stored
from tests.runtime.triton_worker import interpreted, needs_triton

pytestmark = needs_triton

Result = TypeVar("Result")

IR = attndsl.pattern("causal").bind(shape=48).ir


def problem() -> Problem:
    return Problem(IR, 16, 16, torch.float32, TARGETS["sm90"])


def with_cache(folder: str, function: Callable[[], Result]) -> Result:
    """The result of a function that finds the cache in `folder`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ATTNDSL_CACHE_DIR", folder)
        return function()


def tune() -> tuple[Configuration, Configuration, list[str]]:
    """Tunes; times fall with every candidate, so that the last one must win."""
    said: list[str] = []
    times = iter(range(1000, 0, -1))

    def measure(run: Callable[[], None]) -> float:
        run()
        return next(times)

    kernels = TritonKernels(problem())
    q, k, v = (torch.randn(1, 1, 48, 16) for _ in range(3))
    won = autotune(kernels, q, k, v, directions=["forward"], report=said.append, measure=measure)
    taken = compile_triton(IR, None, 16, 16, torch.float32).choices("forward")
    assert taken == [won["forward"]]
    return won["forward"], stored(problem())["forward"], said


def test_the_fastest_candidate_is_stored_and_taken(tmp_path: Path) -> None:
    won, remembered, said = interpreted(with_cache, str(tmp_path), tune)
    default = defaults(TARGETS["sm90"], "forward", 16, 16, "float32")[-1]
    tried = list(dict.fromkeys([default, *candidates(default, TARGETS["sm90"])]))
    assert len(said) == len(tried)
    assert won == remembered == tried[-1]
    assert all(line.startswith(f"forward {number}/{len(tried)} ") for number, line in enumerate(said, 1))
    assert not any("left out" in line for line in said)


def tune_bound() -> tuple[list[str], bool, int]:
    """What a bound pattern's autotuning returns, whether its next call takes that, and how much it says."""
    bound = attndsl.pattern("causal").bind(shape=20)
    q, k, v = (torch.randn(1, 1, 20, 16) for _ in range(3))
    bound(q, k, v)
    said: list[str] = []
    won = bound.autotune(q, k, v, report=said.append)
    kernels = bound.kernel_for(q, k, v).kernels
    assert isinstance(kernels, TritonKernels)
    taken = all(kernels.choices(direction) == [won[direction]] for direction in ("forward", "dq", "dk_dv"))
    return list(won), taken, len(said)


@pytest.mark.slow
def test_bound_patterns_are_tuned_on_tensors(tmp_path: Path) -> None:
    won, taken, lines = interpreted(with_cache, str(tmp_path), tune_bound)
    assert won == ["forward", "dq", "dk_dv"]
    assert taken
    assert lines > 3


def test_tuning_needs_a_gpu() -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    q, k, v = (torch.randn(1, 1, 48, 16) for _ in range(3))
    with pytest.raises(AttnBackendError) as caught:
        attndsl.pattern("causal").bind(shape=48).autotune(q, k, v)
    assert caught.value.code == "A0714"


def test_a_broken_file_counts_as_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATTNDSL_CACHE_DIR", str(tmp_path))
    chosen = Configuration(64, 64, 4, 2)
    store(problem(), {"forward": chosen})
    store(problem(), {"dq": replace(chosen, stages=3)})
    assert stored(problem()) == {"forward": chosen, "dq": replace(chosen, stages=3)}
    (file,) = tmp_path.glob("tuned/*.json")
    for text in ("", "[]", '{"kernels": {"forward": {"warps": 4}}}', '{"kernels": {"forward": 3}}'):
        file.write_text(text, encoding="utf-8")
        assert stored(problem()) == {}
