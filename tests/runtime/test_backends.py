"""Which backend runs, and what is said when it is not the fast one."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch

import attndsl
from attndsl.diagnostics import AttnBackendError, AttnCallError, AttnWarning
from attndsl.ir.bound import BoundIR
from attndsl.runtime import compile as compiling
from attndsl.runtime.compile import compile_attention
from attndsl.runtime.compiled import CompiledAttention
from attndsl.schedule.build import build
from tests.runtime.attention_cases import cpu_kernel, needs_compiler, tensors

IR: BoundIR = attndsl.pattern("sliding_window").bind(shape=20, heads=2, left=3).ir


@pytest.fixture(autouse=True)
def nothing_said_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiling, "_said", set())


def compile_for(**options: Any) -> CompiledAttention:
    settings = {"backend": "auto", "head_dim": 16, "value_dim": 16, **options}
    return compile_attention(IR, lambda: build(IR, 16, 16), **settings)


@needs_compiler
@pytest.mark.parametrize("dtype", [None, torch.float32, "float32", "bf16", "float16"])
def test_auto_takes_cpp_for_single_and_half_precision(dtype: Any) -> None:
    assert compile_for(dtype=dtype).backend == "cpu"


def test_auto_takes_the_reference_for_double_precision() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert compile_for(dtype=torch.float64).backend == "reference"


def test_auto_takes_the_reference_on_other_devices_and_says_so_once() -> None:
    with pytest.warns(AttnWarning, match="no kernels for mps"):
        assert compile_for(device="mps").backend == "reference"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        compile_for(device="mps")


def test_without_a_compiler_the_reference_runs_and_one_warning_names_the_fix(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.warns(AttnWarning, match="install g\\+\\+") as caught:
        kernel = compile_for()
    assert len(caught) == 1
    assert kernel.backend == "reference"
    assert kernel(*tensors(IR)).shape == (1, 2, 20, 16)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        compile_for()


def test_cpp_that_was_asked_for_is_never_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(AttnBackendError) as caught:
        compile_for(backend="cpu")
    assert caught.value.code == "A0702"


@pytest.mark.parametrize(
    ("code", "options"),
    [
        ("A0701", {"backend": "tpu"}),
        ("A0704", {"backend": "cpu", "dtype": torch.float64}),
        ("A0704", {"backend": "cpu", "device": "cuda"}),
        ("A0704", {"dtype": "int8"}),
        ("A0704", {"dtype": 3}),
    ],
)
def test_what_a_backend_cannot_do_is_an_error(code: str, options: dict[str, Any]) -> None:
    with pytest.raises(AttnBackendError) as caught:
        compile_for(**options)
    assert caught.value.code == code


@needs_compiler
def test_a_kernel_refuses_tensors_it_is_not_compiled_for() -> None:
    with pytest.raises(AttnCallError, match="compiled for head_dim 16") as caught:
        cpu_kernel(IR, 16, 16)(*tensors(IR, dim=8))
    assert caught.value.code == "A0615"


@needs_compiler
def test_without_gradients_nothing_is_kept() -> None:
    q, k, v = (t.requires_grad_() for t in tensors(IR))
    with torch.no_grad():
        out = cpu_kernel(IR, 16, 16)(q, k, v)
    assert not out.requires_grad
