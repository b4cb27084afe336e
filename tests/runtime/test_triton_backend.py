"""The Triton backend's way from text to function, its errors, and its calls."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from torch.library import opcheck

import attndsl
from attndsl.codegen.triton_configuration import defaults
from attndsl.codegen.triton_targets import TARGETS, target_of
from attndsl.diagnostics import AttnBackendError
from attndsl.runtime.operators import attention
from attndsl.runtime.triton_kernels import TritonKernels, compile_triton, with_positive_scale
from attndsl.runtime.triton_problem import Problem
from tests.runtime.triton_worker import interpreted, needs_triton

pytestmark = needs_triton

CAUSAL = attndsl.pattern("causal").bind(shape=40, heads=2)


def tensors(tokens: int = 40, batch: int = 1, dim: int = 16) -> list[torch.Tensor]:
    return [torch.randn(batch, 2, tokens, dim) for _ in range(3)]


def test_without_a_gpu_the_error_names_the_other_ways() -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(AttnBackendError, match="TRITON_INTERPRET=1") as caught:
        CAUSAL.compile(backend="triton", head_dim=16)
    assert caught.value.code == "A0714"


@pytest.mark.parametrize(
    ("dim", "dtype", "target"),
    [(257, torch.float16, "sm90"), (64, torch.float64, "sm90"), (64, torch.float8_e4m3fn, "sm80")],
)
def test_what_there_are_no_kernels_for(dim: int, dtype: torch.dtype, target: str) -> None:
    with pytest.raises(AttnBackendError) as caught:
        Problem(CAUSAL.ir, dim, dim, dtype, TARGETS[target])
    assert caught.value.code == "A0711"


def test_devices_take_the_nearest_older_target() -> None:
    assert target_of("cuda", "sm_90").name == "sm90"
    assert target_of("cuda", "sm_87").name == "sm86"
    assert target_of("cuda", "sm_103").name == "sm100"
    assert target_of("cuda", "sm_75").name == "sm80"
    assert target_of("hip", "gfx950").name == "gfx942"


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("dim", [8, 64, 65, 256])
def test_every_size_has_a_default(target: str, dtype: str, dim: int) -> None:
    for direction in ("forward", "delta", "dq", "dk_dv"):
        assert defaults(TARGETS[target], direction, dim, 8, dtype)


def test_scales_become_positive() -> None:
    q = torch.randn(3)
    for scale in (2.0, -2.0, 0.0, 1e-30):
        scaled, positive = with_positive_scale(q, scale)
        assert positive > 0
        torch.testing.assert_close(scaled * positive, q * scale)


def call_through_bound() -> tuple[str, float]:
    q, k, v = tensors()
    kernel = CAUSAL.kernel_for(q, k, v)
    return kernel.backend, float((CAUSAL(q, k, v) - CAUSAL.reference(q, k, v)).abs().max())


def test_in_the_interpreter_bound_patterns_call_triton_kernels() -> None:
    backend, error = interpreted(call_through_bound)
    assert backend == "triton"
    assert error < 1e-5


def eight_bit_call() -> tuple[torch.dtype, float]:
    q, k, v = (tensor.to(torch.float8_e4m3fn) for tensor in tensors(dim=32))
    opcheck(attention, (q, k, v, [], "", CAUSAL.key, None, []), test_utils="test_faketensor")
    out = CAUSAL(q, k, v)
    exact = CAUSAL.reference(q.double(), k.double(), v.double())
    return out.dtype, float((out - exact).abs().max() / exact.abs().max())


def test_eight_bit_tensors_give_outputs_of_sixteen() -> None:
    dtype, error = interpreted(eight_bit_call)
    assert dtype == torch.bfloat16
    assert error < 2**-7  # a unit in the last place of bfloat16: Triton's interpreter cuts off what is beyond


def empty_calls() -> list[bool]:
    kernels = compile_triton(CAUSAL.ir, None, 16, 16, torch.float32)
    q, k, v = tensors(batch=0)
    out, lse = kernels.forward(0.3, {}, q, k, v)
    return [out.shape == q.shape, lse.shape == q.shape[:3]]


def test_empty_batches() -> None:
    assert all(interpreted(empty_calls))


def load_from_threads() -> int:
    kernels = TritonKernels(Problem(CAUSAL.ir, 16, 16, torch.float32, TARGETS["sm90"]))
    chosen = kernels.choices("forward")[0]
    with ThreadPoolExecutor(8) as pool:
        return len({id(kernel) for kernel in pool.map(lambda _: kernels.load("forward", chosen), range(16))})


def test_many_threads_load_a_kernel_once() -> None:
    assert interpreted(load_from_threads) == 1


def test_files_in_the_cache_are_readable_and_mended(tmp_path: Path) -> None:
    code = (
        "import attndsl, torch\n"
        "from attndsl.codegen.triton_targets import TARGETS\n"
        "from attndsl.runtime.triton_kernels import TritonKernels\n"
        "from attndsl.runtime.triton_problem import Problem\n"
        "ir = attndsl.pattern('causal').bind(shape=40).ir\n"
        "kernels = TritonKernels(Problem(ir, 16, 16, torch.float32, TARGETS['sm90']))\n"
        "out, _ = kernels.forward(0.25, {}, *(torch.ones(1, 1, 40, 16) for _ in range(3)))\n"
        "assert torch.allclose(out, torch.ones_like(out))\n"
    )
    environment = os.environ | {"ATTNDSL_CACHE_DIR": str(tmp_path), "TRITON_INTERPRET": "1"}
    command = [sys.executable, "-c", code]
    subprocess.run(command, env=environment, check=True, capture_output=True)
    (file,) = tmp_path.glob("triton/*/kernel.py")
    text = file.read_text(encoding="utf-8")
    assert "bound causal: heads 1, kv_heads 1" in text
    file.write_text("raise SystemExit('foreign')\n", encoding="utf-8")
    subprocess.run(command, env=environment, check=True, capture_output=True)
    assert file.read_text(encoding="utf-8") == text
