"""Autotuning on a GPU: it times real candidates, reports each, and what it keeps is used and right."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import attndsl
from attndsl.codegen.triton_configuration import Configuration
from attndsl.runtime.triton_kernels import TritonKernels
from tests.gpu.device import DEVICE, on_gpu

pytestmark = on_gpu


def test_winners_are_kept_and_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATTNDSL_CACHE_DIR", str(tmp_path))
    bound = attndsl.pattern("gna").bind(shape=(40, 50), heads=4, window=(9, 9))
    q, k, v = (torch.randn(1, 4, 2000, 64, device=DEVICE, dtype=torch.bfloat16) for _ in range(3))
    said: list[str] = []
    before = bound(q, k, v)
    won = bound.autotune(q, k, v, report=said.append)
    assert set(won) == {"forward", "dq", "dk_dv"}
    assert any(line.endswith(" ms") for line in said)
    kernels = bound.kernel_for(q, k, v).kernels
    assert isinstance(kernels, TritonKernels)
    assert kernels.choices("forward") == [won["forward"]]
    assert isinstance(won["forward"], Configuration)
    torch.testing.assert_close(bound(q, k, v), before, rtol=0.02, atol=0.02)
