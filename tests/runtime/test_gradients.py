"""Gradients of C++ kernels: inside FlashAttention's error rule, and equal to the reference at the edges."""

from __future__ import annotations

import platform
import threading
from typing import Any

import pytest
import torch

import attndsl
from attndsl.diagnostics import AttnCallError
from attndsl.ir.bound import BoundIR
from attndsl.runtime import compiler
from attndsl.runtime.build import load_kernel
from tests.runtime.attention_cases import DTYPES, cpu_kernel, mask_of, needs_compiler, tensors
from tests.runtime.gradient_cases import (
    assert_inside_gradient_rule,
    assert_like_reference,
    gradients,
    seeds,
)

pytestmark = needs_compiler


def sliding(tokens: int, left: int, heads: int = 2, kv_heads: int | None = None) -> BoundIR:
    ir: BoundIR = (
        attndsl.pattern("sliding_window").bind(shape=tokens, heads=heads, kv_heads=kv_heads, left=left).ir
    )
    return ir


def gna(heads: int = 2, kv_heads: int | None = None) -> BoundIR:
    ir: BoundIR = attndsl.pattern("gna").bind(shape=(9, 14), heads=heads, kv_heads=kv_heads, window=(3, 5)).ir
    return ir


def parsed(attend: str, shape: int, **numbers: Any) -> BoundIR:
    text = f"pattern p():\n    space tokens(n)\n    attend {attend}\n"
    ir: BoundIR = attndsl.parse(text).bind(shape=shape, **numbers).ir
    return ir


def check(ir: BoundIR, q_tile: Any, kv_tile: Any, **sizes: Any) -> None:
    """Compile, differentiate and compare one case. sizes: batch, dim, value_dim, dtype."""
    given = tensors(ir, **sizes)
    q, _, v = given
    kernel = cpu_kernel(ir, q_tile, kv_tile, q.shape[-1], v.shape[-1], q.dtype)
    found = gradients(kernel, given)
    for gradient, tensor in zip(found, given, strict=True):
        assert (gradient.shape, gradient.dtype) == (tensor.shape, tensor.dtype)
        assert gradient.is_contiguous()
    assert_inside_gradient_rule(found, ir, given)


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=DTYPES)
@pytest.mark.parametrize("dim", [8, 33, 64, 256])
def test_types_and_head_dimensions(dtype: torch.dtype, dim: int) -> None:
    check(sliding(100, 20), 16, 32, dim=dim, dtype=dtype)


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=DTYPES)
@pytest.mark.parametrize("dims", [(1, 40), (96, 7)])
def test_values_may_have_another_dimension(dtype: torch.dtype, dims: tuple[int, int]) -> None:
    check(sliding(50, 9), 16, 16, dim=dims[0], value_dim=dims[1], dtype=dtype)


@pytest.mark.parametrize("tiles", [(1, 1), (3, 7), (15, 17), (48, 16), (100, 100), (40, 128)])
def test_any_tile_size(tiles: tuple[int, int]) -> None:
    check(sliding(77, 13), *tiles)


@pytest.mark.parametrize("tokens", [1, 2, 15, 16, 17, 129])
def test_any_length(tokens: int) -> None:
    check(sliding(tokens, 4), 16, 16)


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=DTYPES)
@pytest.mark.parametrize(("heads", "kv_heads"), [(4, 2), (6, 2), (3, 1)])
def test_grouped_heads_are_summed(heads: int, kv_heads: int, dtype: torch.dtype) -> None:
    check(gna(heads, kv_heads), (4, 4), (2, 8), batch=2, dtype=dtype)


def test_heads_may_have_different_masks() -> None:
    ir = attndsl.parse(
        "pattern p(width: int[heads]):\n    space tokens(n)\n    attend abs(q.n - k.n) < width[head] + head\n"
    ).bind(shape=60, heads=4, kv_heads=2, width=[1, 9, 40, 2])
    check(ir.ir, 16, 16)


def test_queries_and_keys_may_live_in_different_spaces() -> None:
    spaces = "    query space q(a)\n    key space k(b, c)\n"
    pattern = attndsl.parse(f"pattern cross():\n{spaces}    attend q.a % 3 == k.c or k.b == 0\n")
    ir = pattern.bind(shape=29, key_shape=(5, 11), heads=2)
    check(ir.ir, 16, (4, 4), value_dim=24)


def test_queries_that_see_nothing_and_keys_that_no_one_sees_have_no_gradient() -> None:
    ir = parsed("k.n < q.n - 40 and k.n % 3 != 0", 100)
    kernel, given = cpu_kernel(ir, 16, 16), tensors(ir)
    assert_like_reference(kernel, ir, given)
    dq, dk, dv = gradients(kernel, given)
    (visible,) = mask_of(ir)
    assert not dq[:, :, ~visible.any(1)].any()
    assert not dk[:, :, ~visible.any(0)].any()
    assert not dv[:, :, ~visible.any(0)].any()


def test_a_gradient_of_minus_infinity_means_nothing() -> None:
    ir = parsed("k.n < q.n - 40", 60)
    leaves = [tensor.requires_grad_() for tensor in tensors(ir)]
    out, lse = cpu_kernel(ir, 16, 16)(*leaves, return_lse=True)
    found = torch.autograd.grad((out, lse), leaves, (torch.ones_like(out), torch.full_like(lse, torch.nan)))
    assert not found[0][:, :, :41].any()


def test_a_mask_may_be_empty_altogether() -> None:
    ir = parsed("k.n < -q.n", 20)
    assert not any(gradient.any() for gradient in gradients(cpu_kernel(ir, 16, 16), tensors(ir)))


def test_tensors_may_be_empty() -> None:
    ir = sliding(20, 4)
    found = gradients(cpu_kernel(ir, 16, 16), tensors(ir, batch=0))
    assert [gradient.shape for gradient in found] == [(0, 2, 20, 16)] * 3


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=DTYPES)
def test_huge_scores(dtype: torch.dtype) -> None:
    ir = sliding(64, 30)
    q, k, v = tensors(ir, dtype=dtype)
    factor = 20 if dtype == torch.float16 else 100  # scores in the thousands, as far as the type goes
    given = (q * factor, k * factor, v)
    found = gradients(cpu_kernel(ir, 16, 16, dtype=dtype), given, of_lse=False)
    assert_inside_gradient_rule(found, ir, given, of_lse=False)


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=DTYPES)
def test_any_strides(dtype: torch.dtype) -> None:
    ir = sliding(50, 11, heads=4, kv_heads=2)
    kernel = cpu_kernel(ir, 16, 16, dtype=dtype)
    given = tensors(ir, batch=2, dtype=dtype)
    wanted = gradients(kernel, given)
    token_major = [tensor.transpose(1, 2).contiguous().transpose(1, 2) for tensor in given]
    channel_major = [tensor.mT.contiguous().mT for tensor in given]
    every_other = [torch.stack([t, t], -1).flatten(-2)[..., ::2] for t in given]
    for strided in (token_major, channel_major, every_other):
        assert all(map(torch.equal, gradients(kernel, strided), wanted))


def test_gradients_of_the_output_may_have_any_strides() -> None:
    ir = sliding(50, 11)
    leaves = [tensor.requires_grad_() for tensor in tensors(ir)]
    out = cpu_kernel(ir, 16, 16)(*leaves)
    seed, _ = seeds(leaves[0], leaves[2])
    wanted = torch.autograd.grad(out, leaves, seed, retain_graph=True)
    found = torch.autograd.grad(out, leaves, seed.mT.contiguous().mT, retain_graph=True)
    assert all(map(torch.equal, found, wanted))
    ones = torch.autograd.grad(out, leaves, torch.ones_like(out), retain_graph=True)
    assert all(map(torch.equal, torch.autograd.grad(out.sum(), leaves), ones))


def test_expanded_tensors_get_the_sum() -> None:
    ir = sliding(50, 11, heads=2)
    q, k, v = (tensor[:, :1].requires_grad_() for tensor in tensors(ir))
    out = cpu_kernel(ir, 16, 16)(*(tensor.expand(3, 2, -1, -1) for tensor in (q, k, v)))
    assert isinstance(out, torch.Tensor)
    (found,) = torch.autograd.grad(out.sum(), k)
    assert found.shape == k.shape


@pytest.mark.parametrize("shape", ["tokens", "batch"])
def test_masks_may_depend_on_inputs(shape: str) -> None:
    ir = attndsl.pattern("document").bind(shape=90, heads=2).ir
    lengths = [[30, 1, 40, 19], [5, 50, 5, 30]]
    documents = torch.stack([torch.repeat_interleave(torch.arange(4), torch.tensor(x)) for x in lengths])
    doc = documents if shape == "batch" else documents[0]
    assert_like_reference(cpu_kernel(ir, 16, 16), ir, tensors(ir, batch=2), doc=doc)


def test_inputs_that_change_change_the_maps() -> None:
    ir = attndsl.pattern("document").bind(shape=40, heads=1).ir
    kernel, given = cpu_kernel(ir, 16, 16), tensors(ir)
    doc = torch.arange(40) // 16
    for _ in range(20):
        doc[torch.randint(40, (1,))] += 1
        assert_like_reference(kernel, ir, given, doc=doc)


@pytest.mark.parametrize("needed", ["q", "k", "v", "qk", "kv"])
def test_only_what_is_asked_for_is_computed(needed: str) -> None:
    ir = gna()
    kernel, given = cpu_kernel(ir, (4, 4), (4, 4)), tensors(ir)
    wanted = dict(zip("qkv", gradients(kernel, given), strict=True))
    some = [t.detach().requires_grad_(name in needed) for name, t in zip("qkv", given, strict=True)]
    outputs = kernel(*some, return_lse=True)
    leaves = [tensor for tensor in some if tensor.requires_grad]
    found = torch.autograd.grad(outputs, leaves, seeds(given[0], given[2]))
    assert all(torch.equal(each, wanted[name]) for name, each in zip(needed, found, strict=True))


@pytest.mark.skipif(platform.machine() != "x86_64", reason="these are x86 targets")
@pytest.mark.parametrize("target", ["-march=x86-64", "-march=x86-64-v3", "-march=native"])
@pytest.mark.parametrize("dtype", DTYPES.values(), ids=DTYPES)
def test_every_vector_width(target: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    flags = (*compiler.FLAGS, target)
    monkeypatch.setattr(compiler.Compiler, "flags", property(lambda self: flags))
    check(gna(), (4, 4), (4, 8), dim=24, value_dim=20, dtype=dtype)


def test_results_are_the_same_with_any_number_of_threads() -> None:
    ir = gna(4, 2)
    kernel, given = cpu_kernel(ir, (4, 4), (4, 4)), tensors(ir)
    before = torch.get_num_threads()
    results = []
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            results.append(gradients(kernel, given))
    finally:
        torch.set_num_threads(before)
    assert all(all(map(torch.equal, result, results[0])) for result in results)


def test_threads_may_differentiate_one_kernel_at_once() -> None:
    ir = sliding(100, 30)
    kernel, given = cpu_kernel(ir, 16, 16), tensors(ir)
    results: list[tuple[torch.Tensor, ...]] = []

    def work() -> None:
        results.extend(gradients(kernel, given) for _ in range(5))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 20
    assert all(all(map(torch.equal, result, results[0])) for result in results)


@pytest.mark.parametrize("dtype", [torch.float32, pytest.param(torch.bfloat16, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("heads", "kv_heads"), [(3, 3), (4, 2)])
def test_threads_that_share_heads_compute_the_same(
    heads: int, kv_heads: int, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    ir = gna(heads, kv_heads)
    given = tensors(ir, batch=2, dim=24, dtype=dtype)
    alone = gradients(cpu_kernel(ir, (4, 4), (4, 8), 24, dtype=dtype), given)
    monkeypatch.setattr("attndsl.runtime.cpu.MOST_PACKED", 0)
    shared = gradients(cpu_kernel(ir, (4, 4), (4, 8), 24, dtype=dtype), given)
    assert all(map(torch.equal, alone, shared))


def test_tokens_that_do_not_exist_have_no_weight() -> None:
    ir = sliding(50, 50)  # the last tile is cut off, and exp(0 - lse) overflows
    q, k, v = tensors(ir)
    q, k = torch.full_like(q, 8.0), torch.full_like(k, -8.0)
    assert_like_reference(cpu_kernel(ir, 32, 32), ir, (q, k, v))


def test_backward_kernels_are_built_when_first_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[str] = []

    def counting(source: str, name: str, function: str) -> Any:
        built.append(function)
        return load_kernel(source, name, function)

    monkeypatch.setattr("attndsl.runtime.cpu.load_kernel", counting)
    ir = sliding(30, 3)
    kernel, given = cpu_kernel(ir, 16, 16), tensors(ir)
    kernel(*given)
    assert built == ["attndsl_forward"]
    gradients(kernel, given)
    gradients(kernel, given)
    assert sorted(built[1:]) == ["attndsl_delta", "attndsl_dq_dk_dv"]


def test_only_tensors_of_the_call_are_kept_for_the_backward_pass() -> None:
    ir = sliding(30, 3)
    leaves = [tensor.requires_grad_() for tensor in tensors(ir)]
    kept: list[tuple[int, ...]] = []

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        kept.append(tuple(tensor.shape))
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        cpu_kernel(ir, 16, 16)(*leaves)
    assert kept == [(1, 2, 30, 16)] * 4 + [(1, 2, 30)]


def test_second_derivatives_are_one_clear_error() -> None:
    ir = sliding(30, 3)
    leaves = [tensor.requires_grad_() for tensor in tensors(ir)]
    out = cpu_kernel(ir, 16, 16)(*leaves)
    assert isinstance(out, torch.Tensor)
    (gradient, *_) = torch.autograd.grad(out.square().sum(), leaves, create_graph=True)
    with pytest.raises(AttnCallError, match="second derivatives") as caught:
        gradient.sum().backward()  # type: ignore[no-untyped-call]
    assert caught.value.code == "A0617"


def test_inputs_that_only_mask_have_no_gradient() -> None:
    declared = "    space tokens(n)\n    input height: real[tokens]\n"
    ir = attndsl.parse(f"pattern p():\n{declared}    attend height[k] <= height[q]\n").bind(shape=20).ir
    kernel, given = cpu_kernel(ir, 16, 16), tensors(ir)
    height = torch.randn(20, requires_grad=True)
    for q in (given[0], given[0].clone().requires_grad_()):
        with pytest.raises(AttnCallError, match="height") as caught:
            kernel(q, *given[1:], height=height)
        assert caught.value.code == "A0616"
        with torch.no_grad():
            kernel(q, *given[1:], height=height)
        kernel(q, *given[1:], height=height.detach())


def test_the_reference_backend_is_differentiated_in_the_same_way() -> None:
    bound = attndsl.pattern("sliding_window").bind(shape=12, heads=2, kv_heads=1, left=3)
    q, k, v = (tensor.requires_grad_() for tensor in tensors(bound.ir, dim=3, dtype=torch.float64))

    def outputs(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> Any:
        return bound(q, k, v, return_lse=True)

    assert torch.autograd.gradcheck(outputs, (q, k, v))
