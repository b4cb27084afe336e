"""The GPU benchmark as a program: it runs small cases anywhere, keeps what it has, and records failures."""

from __future__ import annotations

import os
import subprocess
import sys
from argparse import Namespace
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.attention.flex_attention import create_mask

from attndsl.ir.plan import Plan
from benchmarks.environment import ROOT
from benchmarks.gpu import run
from benchmarks.gpu_cases import GpuCase
from benchmarks.gpu_check import difference, row_error
from benchmarks.gpu_contenders import contenders
from benchmarks.gpu_files import read, resumed, save
from benchmarks.gpu_measure import attempt
from benchmarks.gpu_results import GpuReport
from benchmarks.gpu_routed import CASES, error_of_few, plans_of
from benchmarks.gpu_smoke import SMOKE
from benchmarks.gpu_tensors import random_tensors
from tests.benchmarks.test_gpu_results import RESULT
from tests.runtime.triton_worker import needs_triton


def smoke(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """The program with its small cases, in Triton's interpreter."""
    command = [sys.executable, "-m", "benchmarks.gpu", "--smoke", "--output", str(folder), *options]
    environment = os.environ | {"TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


@needs_triton
def test_small_cases_run_in_the_interpreter_and_are_kept(tmp_path: Path) -> None:
    done = smoke(tmp_path, "--only", "documents")
    assert done.returncode == 0, done.stderr
    (file,) = tmp_path.glob("interpreter-*.json")
    (result,) = read(file).cases
    forward, training = result.passes["forward"], result.passes["training"]
    assert set(forward.milliseconds) == {"attndsl", "attndsl-dense", "sdpa-math", "flex-uncompiled"}
    assert set(training.milliseconds) == {"attndsl", "attndsl-dense", "sdpa-math"}
    assert "does not support backward on CPU" in training.failures["flex-uncompiled"]
    assert forward.failures == {}
    assert result.largest_error is not None
    assert result.largest_error < 1e-5
    assert "documents" in done.stdout


def test_a_time_limit_ends_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = Namespace(minutes=0, smoke=True, tune=False, without=[])
    report = GpuReport({})
    run(SMOKE, report, tmp_path / "gpu.json", given)
    assert report.cases == []
    assert "0 minutes are over: full and what follows is left out" in capsys.readouterr().out


def test_a_second_run_goes_on_in_the_same_environment_only(tmp_path: Path) -> None:
    file = tmp_path / "gpu.json"
    assert resumed(file, {"commit": "a"}).cases == []
    save(GpuReport({"commit": "a"}, [RESULT]), file)
    assert resumed(file, {"commit": "a"}).cases == [RESULT]
    assert resumed(file, {"commit": "b"}).cases == []
    names = [replace(SMOKE[0], name=RESULT.name)]
    run(names, read(file), None, Namespace(minutes=None, smoke=True, tune=False, without=[]))


@pytest.mark.slow
@needs_triton
def test_all_small_cases_agree_with_their_rivals(tmp_path: Path) -> None:
    done = smoke(tmp_path)
    assert done.returncode == 0, done.stderr
    (file,) = tmp_path.glob("*.json")
    cases = read(file).cases
    assert [case.name for case in cases] == [case.name for case in SMOKE]
    assert all(case.passes["forward"].failures == {} for case in cases)


def test_without_a_gpu_it_says_what_runs() -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    command = [sys.executable, "-m", "benchmarks.gpu"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "there is no GPU; with TRITON_INTERPRET=1 and --smoke small cases run on the CPU\n"


@pytest.mark.parametrize("case", [case for case in SMOKE if case.mask], ids=lambda case: case.name)
def test_the_masks_mean_what_the_patterns_mean(case: GpuCase) -> None:
    assert case.mask is not None
    mask = create_mask(case.mask("cpu"), None, case.heads, case.tokens, case.tokens, device="cpu")[0].numpy()
    wanted = case.bound.mask(**case.inputs)
    if case.kind == "routed":
        plan = plans_of(case, "cpu")
        assert isinstance(plan, Plan)
        wanted = wanted & plan.to_mask()[0]
    assert np.array_equal(np.broadcast_to(wanted, mask.shape), mask)


@pytest.mark.parametrize("name", ["moba", "nsa", "sla"])
def test_routes_are_compared_with_the_denotation_of_their_plan(name: str) -> None:
    assert error_of_few(next(case for case in SMOKE if case.name == name), "cpu") < 1e-4


def test_every_case_binds() -> None:
    assert len({case.name for case in CASES}) == len(CASES)
    assert {case.tokens for case in CASES} == {4096, 8192, 16384, 32768, 65536, 115200, 115456}
    static = [case for case in CASES if case.kind != "routed"]
    assert all(len(values) == case.tokens for case in static for values in case.inputs.values())


@pytest.mark.parametrize("name", ["radial-hunyuan", "moa-32k", "s2-32k", "gna-3d-stride-16-8-8", "gna-2d"])
def test_masks_of_large_cases_on_sampled_queries(name: str) -> None:
    from attndsl.ir.evaluate import mask_rows

    case = next(case for case in CASES if case.name == name)
    assert case.mask is not None
    mask, keys = case.mask("cpu"), torch.arange(case.tokens)
    for query in np.random.default_rng(0).choice(case.tokens, 20):
        head = int(query) % case.heads
        found = mask(torch.tensor(0), torch.tensor(head), torch.tensor(int(query)), keys)
        assert np.array_equal(
            found.numpy(), mask_rows(case.bound.ir, head, int(query), int(query) + 1, {})[0]
        )


def fail(error: Exception) -> Any:
    raise error


def test_failures_of_contenders_are_recorded() -> None:
    failures: dict[str, str] = {}
    assert not attempt("a", failures, lambda: fail(torch.OutOfMemoryError("CUDA out of memory")))
    assert not attempt("b", failures, lambda: fail(RuntimeError("\n  no kernel\nfor this")))
    assert attempt("c", failures, lambda: None)
    assert failures == {"a": "out of memory", "b": "RuntimeError: no kernel"}


def test_rows_are_compared_by_their_own_size() -> None:
    wanted = torch.tensor([[100.0, 1.0], [0.01, 0.0], [0.01, 0.0]])
    found = wanted.clone()
    found[1, 0] = 0.02
    assert difference((found,), (wanted,)) == pytest.approx(1.0)
    assert difference((torch.full_like(wanted, torch.nan),), (wanted,)) == torch.inf


def test_wrong_rows_are_found() -> None:
    case = next(case for case in SMOKE if case.name == "gna-3d")
    tensors = random_tensors(case, "cpu")
    right = case.bound.reference(*tensors)
    assert row_error(case, tensors, right) < 1e-5
    assert row_error(case, tensors, right * 1.01) == pytest.approx(0.01, rel=0.01)
    assert row_error(case, tensors, right * torch.nan) == torch.inf


def test_the_rivals_on_a_gpu() -> None:
    names = {"attndsl", "attndsl-dense", "sdpa-cudnn", "sdpa-flash", "flex", "flex-64", "flex-descriptors"}
    assert set(contenders(CASES[2], "cuda", tuned=False)) == names
    assert set(contenders(CASES[2], "cuda", tuned=True)) == names | {"flex-tuned", "flex-64-tuned"}
    moba, nsa = (next(case for case in CASES if case.pattern == name) for name in ("moba", "nsa"))
    assert set(contenders(moba, "cuda", tuned=False)) == names | {"attndsl-planned"}
    rivals = {name for name in names if not name.startswith("flex")}
    assert set(contenders(nsa, "cuda", tuned=False)) == rivals | {"attndsl-planned"}
