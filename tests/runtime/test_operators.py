"""Kernels inside torch: graphs, exports, checkpoints, autocast, vmap, gradient scaling, refusals."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._dynamo.testing import CompileCounter
from torch.library import opcheck
from torch.utils.checkpoint import checkpoint

import attndsl
from attndsl.diagnostics import AttnCallError
from attndsl.pipeline import Bound
from attndsl.runtime.operators import attention, attention_backward
from attndsl.runtime.targets import find
from tests.runtime.attention_cases import Tensors, needs_compiler, tensors
from tests.runtime.gradient_cases import gradients

pytestmark = needs_compiler

BOUND: Bound = attndsl.pattern("sliding_window").bind(shape=50, heads=2, left=5, right=3)
DOCUMENT: Bound = attndsl.pattern("document").bind(shape=50, heads=2)
DOC = torch.arange(50) // 7


@pytest.fixture(autouse=True)
def no_graphs_yet() -> Iterator[None]:
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def qkv(batch: int = 2, dtype: torch.dtype = torch.float32) -> Tensors:
    return tensors(BOUND.ir, batch=batch, dtype=dtype)


def leaves(dtype: torch.dtype = torch.float32) -> Tensors:
    q, k, v = (tensor.requires_grad_() for tensor in qkv(dtype=dtype))
    return q, k, v


def assert_same_gradients(found: Callable[..., Any], wanted: Callable[..., Any], batch: int = 2) -> None:
    for mine, theirs in zip(gradients(found, qkv(batch)), gradients(wanted, qkv(batch)), strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
@pytest.mark.parametrize("needs_gradients", [False, True])
def test_operators_keep_their_promises(dtype: torch.dtype, needs_gradients: bool) -> None:
    given = leaves(dtype=dtype) if needs_gradients else qkv(dtype=dtype)
    opcheck(attention, (*given, [], "", BOUND.key, 0.3, []))
    strided = [tensor.mT.contiguous().mT for tensor in given]
    opcheck(attention, (*strided, [], "", BOUND.key, None, []))
    opcheck(attention, (*given, [DOC], "doc", DOCUMENT.key, None, []))


def test_the_backward_operator_keeps_its_promises() -> None:
    given = qkv()
    out, lse = BOUND(*given, return_lse=True)
    saved = (*given, out, lse, torch.randn_like(out), torch.randn_like(lse))
    for wanted in ((True, True), (True, False), (False, True)):
        opcheck(attention_backward, (*saved, [], "", BOUND.key, None, [], *wanted))


@pytest.mark.parametrize("return_lse", [False, True])
def test_whole_graphs(return_lse: bool) -> None:
    def model(q: Tensor, k: Tensor, v: Tensor) -> Any:
        return BOUND(q * 2, k, v, scale=0.2, return_lse=return_lse)

    compiled = torch.compile(model, fullgraph=True)
    torch.testing.assert_close(compiled(*qkv()), model(*qkv()), rtol=0, atol=0)


def test_gradients_of_whole_graphs() -> None:
    def model(q: Tensor, k: Tensor, v: Tensor, return_lse: bool) -> Any:
        return BOUND(q * 2, k, v, return_lse=return_lse)

    assert_same_gradients(torch.compile(model, fullgraph=True), model)


def test_graphs_of_masks_that_depend_on_inputs() -> None:
    def model(q: Tensor, k: Tensor, v: Tensor, return_lse: bool) -> Any:
        return DOCUMENT(q, k, v, return_lse=return_lse, doc=DOC)

    assert_same_gradients(torch.compile(model, fullgraph=True), model)


def test_graphs_of_a_compiled_kernel() -> None:
    kernel = BOUND.compile(head_dim=16)
    compiled = torch.compile(lambda q, k, v: kernel(q, k, v), fullgraph=True)
    assert torch.equal(compiled(*qkv()), kernel(*qkv()))


def test_the_batch_of_a_graph_may_be_dynamic() -> None:
    counter = CompileCounter()
    compiled = torch.compile(lambda q, k, v: BOUND(q, k, v), fullgraph=True, dynamic=True, backend=counter)
    for batch in (3, 4, 5, 7):
        given = qkv(batch)
        assert torch.equal(compiled(*given), BOUND(*given))
    assert counter.frame_count == 1


def test_tensors_that_do_not_fit_are_refused_while_the_graph_is_made() -> None:
    short = attndsl.pattern("causal").bind(shape=9)
    with pytest.raises(Exception, match="q has 50 tokens, the pattern is bound to 9"):
        torch.compile(lambda q, k, v: short(q, k, v), fullgraph=True)(*qkv())


class Model(torch.nn.Module):
    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Any:
        return BOUND(q, k, v, return_lse=True)


@pytest.mark.parametrize("strict", [False, True])
def test_export(strict: bool) -> None:
    batch = {0: torch.export.Dim("batch", min=2, max=64)}
    program = torch.export.export(Model(), qkv(), dynamic_shapes=[batch] * 3, strict=strict)
    given = qkv(5)
    torch.testing.assert_close(program.module()(*given), BOUND(*given, return_lse=True), rtol=0, atol=0)


LOAD = """
import io, sys, torch, attndsl
import attndsl.runtime.operators
program = torch.export.load(io.BytesIO(sys.stdin.buffer.read()))
module = program.module()
tensor = torch.ones(2, 2, 50, 16)
try:
    module(tensor, tensor, tensor)
except attndsl.AttnCallError as error:
    print(error.code)
bound = attndsl.pattern("sliding_window").bind(shape=50, heads=2, left=5, right=3)
print(torch.equal(module(tensor, tensor, tensor)[0], bound(tensor, tensor, tensor)))
"""


def test_exported_programs_run_in_other_processes_that_bind_the_pattern() -> None:
    buffer = io.BytesIO()
    torch.export.save(torch.export.export(Model(), qkv()), buffer)
    command = [sys.executable, "-W", "ignore", "-c", LOAD]
    result = subprocess.run(command, input=buffer.getvalue(), capture_output=True, check=False)
    assert result.stdout.decode().split() == ["A0618", "True"], result.stderr.decode()


def test_a_graph_keeps_its_pattern_alive() -> None:
    bound = attndsl.pattern("causal").bind(shape=50, heads=2)
    program = torch.export.export(_calling(bound), qkv())
    wanted, key = bound(*qkv()), bound.key
    del bound
    assert find(key) is not None
    assert torch.equal(program.module()(*qkv()), wanted)


def _calling(bound: Bound) -> torch.nn.Module:
    class Calling(torch.nn.Module):
        def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Any:
            return bound(q, k, v)

    return Calling()


def test_keys_say_what_is_computed() -> None:
    def key(**numbers: Any) -> str:
        bound: Bound = attndsl.pattern("moa").bind(**{"shape": 256, "heads": 2, **numbers})
        return bound.key

    numbers = {"alpha": [0, 128], "beta": [0.5, 0.1]}
    assert key(**numbers) == key(**numbers)
    assert key(**numbers) != key(**{**numbers, "alpha": [0, 192]})
    assert key(**numbers) != key(**numbers, shape=512)


@pytest.mark.parametrize("reentrant", [False, True])
def test_activation_checkpoints(reentrant: bool) -> None:
    plain, given = gradients(BOUND, qkv()), leaves()
    out, lse = checkpoint(BOUND, *given, None, True, use_reentrant=reentrant)
    torch.autograd.backward((out, lse), _seeds(out, lse))
    for tensor, wanted in zip(given, plain, strict=True):
        assert tensor.grad is not None
        assert torch.equal(tensor.grad, wanted)


def _seeds(out: Tensor, lse: Tensor) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(7)
    return torch.randn(out.shape, generator=generator), torch.randn(lse.shape, generator=generator)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("compiles", [False, True])
def test_autocast(dtype: torch.dtype, compiles: bool) -> None:
    model = torch.compile(BOUND, fullgraph=True) if compiles else BOUND
    given = leaves()
    with torch.autocast("cpu", dtype=dtype):
        out = model(*given)
        assert out.dtype == dtype
        assert BOUND(*qkv(dtype=torch.float64)).dtype == torch.float64
    q, k, v = (tensor.detach().to(dtype) for tensor in given)
    assert torch.equal(out, BOUND(q, k, v))
    assert all(gradient.dtype == torch.float32 for gradient in torch.autograd.grad(out.sum(), given))


def test_gradients_of_float16_are_scaled() -> None:
    given = leaves(dtype=torch.float16)
    q, k, v = parameters = [tensor.detach().float().requires_grad_() for tensor in given]
    optimizer = torch.optim.SGD(parameters, lr=0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
    with torch.autocast("cpu", dtype=torch.float16):
        loss = BOUND(q, k, v).float().square().mean()
    scaler.scale(loss).backward()
    scaler.unscale_(optimizer)
    wanted = torch.autograd.grad(BOUND.reference(q, k, v).square().mean(), parameters)
    for parameter, gradient in zip(parameters, wanted, strict=True):
        assert parameter.grad is not None
        torch.testing.assert_close(parameter.grad, gradient, rtol=0.02, atol=1e-6)
    scaler.step(optimizer)
    scaler.update()
    assert scaler.get_scale() == 2.0**10


def test_vmap_over_queries() -> None:
    q, k, v = qkv()
    many = torch.stack([q, q * 2, -q])
    found = torch.func.vmap(lambda each: BOUND(each, k, v))(many)
    assert torch.equal(found, torch.stack([BOUND(each, k, v) for each in many]))


def test_vmap_over_any_dimension_and_inputs() -> None:
    q, k, v = qkv()
    docs = torch.stack([DOC, DOC * 0, DOC // 2])
    per_batch = torch.stack([docs, docs.flip(0)], 1)  # [3, batch, tokens]
    for doc in (docs, per_batch):
        found = torch.func.vmap(lambda x, d: DOCUMENT(x, k, v, doc=d, return_lse=True), in_dims=(2, 0))(
            torch.stack([q] * 3, 2), doc
        )
        wanted = [DOCUMENT(q, k, v, doc=each, return_lse=True) for each in doc]
        assert torch.equal(found[0], torch.stack([out for out, _ in wanted]))
        assert torch.equal(found[1], torch.stack([lse for _, lse in wanted]))


def test_vmap_over_tables() -> None:
    clauses = (
        "input bias: real[heads, 9]\n    attend sliding(8)\n    score s + bias[head, clamp(q.n - k.n, 0, 8)]"
    )
    bound = attndsl.parse(f"pattern p:\n    space tokens(n)\n    {clauses}\n").bind(shape=50, heads=2)
    q, k, v = qkv()
    many = torch.randn(3, 2, 9)
    found = torch.func.vmap(lambda bias: bound(q, k, v, bias=bias))(many)
    torch.testing.assert_close(found, torch.stack([bound(q, k, v, bias=bias) for bias in many]))
    found = torch.func.vmap(lambda q: bound(q, k, v, bias=many[0]))(torch.stack([q, -q]))
    torch.testing.assert_close(found[1], bound(-q, k, v, bias=many[0]))


def test_gradients_through_vmap() -> None:
    q, k, v = leaves()
    out = torch.func.vmap(lambda factor: BOUND(q * factor, k, v))(torch.tensor([1.0, 2.0]))
    wanted = BOUND(q, k, v) + BOUND(q * 2, k, v)
    for mine, theirs in zip(
        torch.autograd.grad(out.sum(), (q, k, v)), torch.autograd.grad(wanted.sum(), (q, k, v)), strict=True
    ):
        torch.testing.assert_close(mine, theirs)


def _forward_mode() -> object:
    q, k, v = qkv()
    with torch.autograd.forward_ad.dual_level():
        return BOUND(torch.autograd.forward_ad.make_dual(q, q), k, v)  # type: ignore[no-untyped-call]


REFUSED: dict[str, Callable[[], object]] = {
    "grad": lambda: torch.func.grad(lambda q: BOUND(q, *qkv()[1:]).sum())(qkv()[0]),
    "jvp": lambda: torch.func.jvp(lambda q: BOUND(q, *qkv()[1:]), (qkv()[0],), (qkv()[0],)),
    "forward mode": _forward_mode,
}


@pytest.mark.parametrize("name", REFUSED)
def test_other_derivatives_are_refused(name: str) -> None:
    with pytest.raises(AttnCallError) as caught:
        REFUSED[name]()
    assert caught.value.code == "A0624"


def test_calls_without_gradients_do_not_pass_through_operators(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any) -> None:
        raise AssertionError("the operator was called")

    monkeypatch.setattr("attndsl.runtime.attend_pairs.attention", refuse)
    BOUND(*qkv())
    with torch.no_grad():
        BOUND(*leaves())
    with torch.inference_mode():
        BOUND(*qkv())
    with pytest.raises(AssertionError):
        BOUND(*leaves())


def test_modes_that_watch_operators_see_them() -> None:
    from torch.utils._python_dispatch import TorchDispatchMode

    seen = []

    class Watching(TorchDispatchMode):  # type: ignore[no-untyped-call]
        def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            seen.append(str(function))
            return function(*args, **(kwargs or {}))

    with Watching():  # type: ignore[no-untyped-call]
        BOUND(*qkv())
    assert "attndsl.attention.default" in seen
