"""`attndsl compile --target sm90` and the like: sources, assembly, resources, files that stand alone."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from attndsl.runtime import triton_interpreter
from tests.runtime.triton_worker import needs_triton

CAUSAL = ("compile", "causal", "--shape", "100", "--heads", "2", "--head-dim", "64", "--dtype", "bf16")


@pytest.mark.parametrize("target", ["triton", "sm80", "sm90", "sm100", "gfx942"])
@pytest.mark.parametrize("kernel", ["forward", "delta", "dq", "dk_dv"])
def test_sources_are_python(run: Callable[..., Any], target: str, kernel: str) -> None:
    tree = ast.parse(run(*CAUSAL, "--target", target, "--kernel", kernel).out)
    assert [node.name for node in tree.body if isinstance(node, ast.FunctionDef)][-1] == kernel


def test_targets_have_tiles_of_their_own(run: Callable[..., Any]) -> None:
    words = (*CAUSAL, "--shape", "1000", "--emit", "schedule")
    assert "q tile 128, kv tile 128 tokens" in run(*words, "--target", "sm90").out
    assert "q tile 128, kv tile 64 tokens" in run(*words, "--target", "gfx942").out


def test_the_algorithm_of_the_backward_pass(run: Callable[..., Any]) -> None:
    out = run(*CAUSAL, "--target", "sm90", "--emit", "tile-ir", "--kernel", "dk_dv").out
    assert out.startswith("program dk_dv")
    assert run(*CAUSAL, "--emit", "tile-ir", "--kernel", "dk_dv").out == out


def test_backward_kernels_in_cpp(run: Callable[..., Any]) -> None:
    assert "attndsl_dk_dv" in run(*CAUSAL, "--kernel", "dk_dv").out


@needs_triton
def test_assembly(run: Callable[..., Any]) -> None:
    assert "wgmma.mma_async" in run(*CAUSAL, "--target", "sm90", "--emit", "asm").out


@needs_triton
@pytest.mark.parametrize("dtype", ["bf16", "fp8"])
def test_resources_are_a_table(run: Callable[..., Any], dtype: str) -> None:
    lines = run(*CAUSAL[:-1], dtype, "--target", "sm90", "--emit", "resources").out.splitlines()
    rows = [dict(zip(_cells(lines[0]), _cells(line), strict=True)) for line in lines[2:]]
    assert [row["kernel"] for row in rows] == (["forward"] if dtype == "fp8" else ["forward", "dq", "dk_dv"])
    for row in rows:
        assert row["matrix"] == "wgmma"
        assert row["spills"] == "0"
        assert 0 < int(row["registers"]) <= 255
        assert 0 < int(row["shared"]) <= 232_448


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


RUN = """
import runpy, sys
sys.modules["attndsl"] = None  # importing it fails
runpy.run_path(sys.argv[2])["repair_interpreter"]()
import torch
attention = runpy.run_path(sys.argv[1])["attention"]
q, k, v = (torch.randn(2, 2, 100, 64) for _ in range(3))
out, lse = attention(q, k, v, *(eval(word) for word in sys.argv[3:]))
doc = torch.arange(100) // 30
mask = torch.ones(100, 100, dtype=torch.bool).tril()
if len(sys.argv) > 3:
    mask &= doc[:, None] == doc[None, :]
wanted = torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
torch.testing.assert_close(out, wanted, rtol=0, atol=1e-5)
scores = (q @ k.mT * 64**-0.5).masked_fill(~mask, -torch.inf)
torch.testing.assert_close(lse, scores.logsumexp(-1), rtol=0, atol=1e-5)
"""


@needs_triton
@pytest.mark.parametrize(("pattern", "inputs"), [("causal", []), ("document", ["torch.arange(100) // 30"])])
def test_a_file_that_stands_alone_runs_with_torch_and_triton_only(
    run: Callable[..., Any], tmp_path: Path, pattern: str, inputs: list[str]
) -> None:
    file = tmp_path / "kernel.py"
    words = ("compile", pattern, *CAUSAL[2:-1], "fp32", "--target", "sm90", "--standalone", "-o", file)
    assert run(*words).code == 0
    command = [sys.executable, "-c", RUN, str(file), triton_interpreter.__file__, *inputs]
    environment = os.environ | {"TRITON_INTERPRET": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--target", "sm90", "--standalone", "--kernel", "dq"], "A0725"),
        (["--emit", "resources"], "A0724"),
        (["--target", "sm80", "--dtype", "fp8"], "A0711"),
        (["--target", "sm90", "--dtype", "fp8", "--kernel", "dq"], "A0711"),
        (["--target", "sm90", "--head-dim", "300"], "A0711"),
        (["--dtype", "fp8"], "A0704"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else value,
)
def test_what_there_is_no_text_for(refuse: Callable[..., str], words: list[str], code: str) -> None:
    assert refuse(*CAUSAL, *words).startswith(f"error[{code}]: ")
