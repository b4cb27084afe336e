"""Kernels on a GPU inside torch: graphs of CUDA, graphs of the compiler, no waiting for the device."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._dynamo.testing import CompileCounter
from torch.library import opcheck
from torch.utils.checkpoint import checkpoint

import attndsl
from attndsl.pipeline import Bound
from attndsl.runtime.operators import attention
from tests.gpu.device import DEVICE, on_gpu

pytestmark = on_gpu

BOUND: Bound = attndsl.pattern("sliding_window").bind(shape=500, heads=2, left=50, right=30)
DOCUMENT: Bound = attndsl.pattern("document").bind(shape=500, heads=2)


@pytest.fixture(autouse=True)
def no_graphs_yet() -> Iterator[None]:
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def doc() -> Tensor:
    return torch.arange(500, device=DEVICE) // 70


def qkv(
    tokens: int = 500, dtype: torch.dtype = torch.float32, batch: int = 2
) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator(DEVICE).manual_seed(tokens)
    q, k, v = (
        torch.randn(batch, 2, tokens, 64, generator=generator, device=DEVICE).to(dtype) for _ in range(3)
    )
    return q, k, v


def leaves(dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor, Tensor]:
    q, k, v = (tensor.requires_grad_() for tensor in qkv(dtype=dtype))
    return q, k, v


def trained(call: Any, given: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Output, log-sum-exp and gradients."""
    out, lse = call(*given, return_lse=True)
    gradients = torch.autograd.grad((out.float().square().sum() + lse.sum()), given)
    return (out.detach(), lse.detach(), *gradients)


def test_tensors_on_a_gpu_take_triton_kernels() -> None:
    assert BOUND.kernel_for(*qkv()).backend == "triton"  # type: ignore[arg-type,unused-ignore]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_operators_keep_their_promises(dtype: torch.dtype) -> None:
    opcheck(attention, (*leaves(dtype), [], "", BOUND.key, 0.3, []))
    opcheck(attention, (*qkv(dtype=dtype), [doc()], "doc", DOCUMENT.key, None, []))


@pytest.mark.parametrize("needs_inputs", [False, True])
def test_a_call_does_not_wait_for_the_device(needs_inputs: bool) -> None:
    given, inputs = leaves(), {"doc": doc()} if needs_inputs else {}
    bound = DOCUMENT if needs_inputs else BOUND

    def call(*tensors: Tensor, return_lse: bool) -> Any:
        return bound(*tensors, return_lse=return_lse, **inputs)  # type: ignore[arg-type,misc]

    trained(call, given)
    torch.cuda.synchronize()
    before = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("error")
    try:
        trained(call, given)
    finally:
        torch.cuda.set_sync_debug_mode(before)


def test_cuda_graphs_capture_a_call() -> None:
    q, k, v = qkv(dtype=torch.bfloat16)
    BOUND(q, k, v)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        out = BOUND(q, k, v)
    for value in qkv(501, torch.bfloat16):
        q.copy_(value[:, :, :500])
        graph.replay()
        assert torch.equal(out, BOUND(q, k, v))


def test_cuda_graphs_capture_forward_and_backward() -> None:
    given = leaves(torch.bfloat16)
    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        trained(BOUND, given)
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = trained(BOUND, given)
    with torch.no_grad():
        given[1].mul_(0.5)
    graph.replay()
    torch.cuda.synchronize()
    assert all(map(torch.equal, captured, trained(BOUND, given)))


def test_cuda_graphs_capture_masks_that_read_inputs() -> None:
    (q, k, v), documents = qkv(), doc()
    DOCUMENT(q, k, v, doc=documents)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        out = DOCUMENT(q, k, v, doc=documents)
    documents.copy_(torch.arange(500, device=DEVICE) // 130)
    graph.replay()
    torch.cuda.synchronize()
    assert torch.equal(out, DOCUMENT(q, k, v, doc=documents))


@pytest.mark.parametrize("mode", [None, "reduce-overhead"])
def test_whole_graphs(mode: str | None) -> None:
    def model(q: Tensor, k: Tensor, v: Tensor, return_lse: bool = True) -> Any:
        return BOUND(q * 2, k, v, return_lse=return_lse)

    compiled = torch.compile(model, fullgraph=True, mode=mode)
    wanted = trained(model, leaves())
    for _ in range(3):
        found = tuple(each.clone() for each in trained(compiled, leaves()))
        for mine, theirs in zip(found, wanted, strict=True):
            torch.testing.assert_close(mine, theirs)


def test_lengths_share_one_graph() -> None:
    attend, counter = attndsl.pattern("sliding_window").at_any_length(left=50), CompileCounter()
    compiled = torch.compile(lambda q, k, v: attend(q, k, v), fullgraph=True, dynamic=True, backend=counter)
    for tokens in (130, 257, 400):
        assert torch.equal(compiled(*qkv(tokens)), attend(*qkv(tokens)))
    assert counter.frame_count == 1


def test_exported_programs_run() -> None:
    class Model(torch.nn.Module):
        def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Any:
            return BOUND(q, k, v)

    program = torch.export.export(Model(), qkv())
    assert torch.equal(program.module()(*qkv()), BOUND(*qkv()))  # type: ignore[arg-type,unused-ignore]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast(dtype: torch.dtype) -> None:
    with torch.autocast("cuda", dtype=dtype):
        out = BOUND(*leaves())  # type: ignore[arg-type,unused-ignore]
    assert out.dtype == dtype


def test_gradients_of_float16_are_scaled() -> None:
    parameters = list(leaves())
    optimizer = torch.optim.SGD(parameters, lr=0.1)
    scaler = torch.amp.GradScaler("cuda", init_scale=2.0**10)
    with torch.autocast("cuda", dtype=torch.float16):
        loss = BOUND(*parameters).float().square().mean()  # type: ignore[arg-type,unused-ignore]
    scaler.scale(loss).backward()
    scaler.unscale_(optimizer)
    wanted = torch.autograd.grad(BOUND.reference(*parameters).square().mean(), parameters)  # type: ignore[arg-type,unused-ignore]
    for parameter, gradient in zip(parameters, wanted, strict=True):
        assert parameter.grad is not None
        torch.testing.assert_close(parameter.grad, gradient, rtol=0.02, atol=1e-6)
    scaler.step(optimizer)
    scaler.update()
    assert scaler.get_scale() == 2.0**10


@pytest.mark.parametrize("reentrant", [False, True])
def test_activation_checkpoints(reentrant: bool) -> None:
    def call(*given: Tensor, return_lse: bool) -> Any:
        return checkpoint(BOUND, *given, None, return_lse, use_reentrant=reentrant)

    given = leaves()
    out, lse = call(*given, return_lse=True)
    (out.square().sum() + lse.sum()).backward()
    found = [tensor.grad for tensor in given]
    assert all(
        gradient is not None and torch.equal(gradient, wanted)
        for gradient, wanted in zip(found, trained(BOUND, leaves())[2:], strict=True)
    )


def test_threads_may_make_the_first_call_at_once() -> None:
    bound, given = attndsl.pattern("causal").bind(shape=333, heads=2), qkv(333)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: bound(*given), range(16)))  # type: ignore[arg-type,unused-ignore]
    torch.cuda.synchronize()
    assert all(torch.equal(each, found[0]) for each in found)


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="there is one GPU")
def test_tensors_on_another_gpu() -> None:
    q, k, v = (tensor.to("cuda:1") for tensor in qkv())
    out = BOUND(q, k, v)
    assert out.device == q.device
    torch.testing.assert_close(out.cpu(), BOUND(*qkv()).cpu())  # type: ignore[arg-type,unused-ignore]
