"""Routes in torch's graphs: plans are made, given and read by operators, with lists of known sizes."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._dynamo.testing import CompileCounter
from torch._subclasses import FakeTensorMode
from torch.library import opcheck

import attndsl
from attndsl.diagnostics import AttnCallError, AttnError
from attndsl.ir.plan import Plan
from attndsl.ir.route_sizes import plan_sizes
from attndsl.pipeline import Bound
from attndsl.runtime.plan_operators import check_lists, select_lists
from tests.patterns.examples import examples
from tests.patterns.inputs import random_inputs
from tests.patterns.names import ROUTED
from tests.runtime.attention_cases import needs_compiler

pytestmark = needs_compiler

MOBA: Bound = attndsl.pattern("moba").bind(shape=64, heads=2, block=16, topk=2)


def in_graph(call: Any) -> Any:
    """The call as one graph, whose backward pass is one too."""
    return torch.compile(call, backend="aot_eager", fullgraph=True)


@pytest.fixture(autouse=True)
def no_graphs_yet() -> Iterator[None]:
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def qkv(bound: Bound = MOBA, batch: int = 2) -> tuple[Tensor, Tensor, Tensor]:
    generator, ir = torch.Generator().manual_seed(0), bound.ir
    heads = ir.heads, ir.kv_heads, ir.kv_heads
    q, k, v = (torch.randn(batch, each, ir.query_space.size, 16, generator=generator) for each in heads)
    return q, k, v


def trained(call: Callable[..., Tensor], tensors: Sequence[Tensor], **inputs: Any) -> list[Tensor]:
    """Output and gradients."""
    leaves = [each.clone().requires_grad_() for each in tensors]
    out = call(*leaves, **inputs)
    torch.autograd.backward(out.square().sum())
    return [out.detach(), *(each.grad for each in leaves if each.grad is not None)]


def assert_same(found: list[Tensor], wanted: list[Tensor]) -> None:
    for mine, theirs in zip(found, wanted, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-5)


def test_whole_graphs_and_their_gradients() -> None:
    def model(q: Tensor, k: Tensor, v: Tensor) -> Any:
        return MOBA(q + 1, k, v) * 2

    compiled = in_graph(model)
    for mine, theirs in zip(trained(compiled, qkv()), trained(model, qkv()), strict=True):
        assert torch.equal(mine, theirs)


@pytest.mark.slow
@pytest.mark.parametrize("name", ROUTED)
@pytest.mark.parametrize("backend", ["aot_eager", "inductor"])
def test_every_route_of_the_library_in_a_graph(name: str, backend: str) -> None:
    bound = attndsl.pattern(name).bind(**examples(name)["small"])
    inputs: dict[str, Any] = random_inputs(bound.ir, 16)

    def model(q: Tensor, k: Tensor, v: Tensor, **inputs: Any) -> Any:
        return bound(q + 1, k, v, **inputs) * 2

    compiled = torch.compile(model, backend=backend, fullgraph=True)
    tensors = qkv(bound)
    assert_same(trained(compiled, tensors, **inputs), trained(model, tensors, **inputs))


def plans_of(found: Any) -> dict[str, Plan]:
    return found if isinstance(found, dict) else {"": found}


@pytest.mark.parametrize("name", ROUTED)
def test_plans_in_graphs_have_sizes_known_before_and_the_same_lists(name: str) -> None:
    bound = attndsl.pattern(name).bind(**examples(name)["small"])
    inputs: dict[str, Any] = random_inputs(bound.ir, 16)
    q, k, v = qkv(bound)
    parts = {each.branch: each for each in bound.ir.branches} or {"": bound.ir}
    for branch, wanted in plans_of(bound.plan(q, k, v, **inputs)).items():
        arguments: Any = " ".join(inputs), bound.key, [], branch, None
        indices, counts, *units = select_lists(q, k, v, list(inputs.values()), *arguments)
        most = wanted.indices.shape[3]
        assert torch.equal(indices[..., :most], wanted.indices.expand(2, -1, -1, -1))
        assert (indices[..., most:] == -1).all()
        assert torch.equal(counts, wanted.counts.expand(2, -1, -1))
        sizes = plan_sizes(parts[branch])
        assert (indices.shape[1], indices.shape[3]) == (sizes.heads, sizes.most)
        with FakeTensorMode() as mode:
            fakes = [mode.from_tensor(each) for each in (q, k, v, *inputs.values())]
            shapes = [each.shape for each in select_lists(*fakes[:3], fakes[3:], *arguments)]
        assert shapes == [each.shape for each in (indices, counts, *units)]


@pytest.mark.parametrize(
    ("phrases", "most"),
    [
        ("select top(2) per query", 2),
        ("select top(2) per query\n          always q.b - 1 <= k.b <= q.b", 4),
        ("select top(1) per query\n          always q.b == k.b and q.n % 3 == 0", 2),
        ("select ranks(1, 4) per query", 3),
        ("select top(2) per query\n          always mean(k in b) . q > 0.0", 8),
        ("select top(1) per head", 8),
        ("select nucleus(0.5) per query", 8),
    ],
)
def test_lists_are_as_long_as_the_route_can_make_them(phrases: str, most: int) -> None:
    text = f"space tokens(n)\n    blocks b of n by 8\n    route score mean(k in b) . q\n          {phrases}"
    bound = attndsl.parse(f"pattern p:\n    {text}\n    attend true\n").bind(shape=64)
    assert plan_sizes(bound.ir).most == most


def test_lists_of_a_million_tokens() -> None:
    long = attndsl.pattern("moba").bind(shape=2**20, heads=1, block=512, topk=3)
    assert plan_sizes(long.ir).most == 3


def test_the_operators_keep_their_promises() -> None:
    q, k, _ = qkv()
    opcheck(select_lists, (q, k, None, [], "", MOBA.key, [], "", 0.3))
    plan = MOBA.plan(q, k)
    opcheck(check_lists, (plan.indices, plan.counts, None, None, [64, 64, 1, 16]))


def test_plans_are_given_to_graphs_and_made_in_them() -> None:
    q, k, v = qkv()
    plan = MOBA.plan(q, k)
    of_plan = in_graph(lambda q, k, v, plan: MOBA(q, k, v, plan=plan))
    assert torch.equal(of_plan(q, k, v, plan), MOBA(q, k, v))
    of_numpy = replace(plan, indices=plan.indices.numpy(), counts=plan.counts.numpy())
    assert torch.equal(of_plan(q, k, v, of_numpy), MOBA(q, k, v))

    def twice(q: Tensor, k: Tensor, v: Tensor) -> tuple[Any, Plan]:
        plan = MOBA.plan(q, k)
        return MOBA(MOBA(q, k, v, plan=plan), k, v, plan=plan), plan

    out, made = in_graph(twice)(q, k, v)
    assert torch.equal(out, twice(q, k, v)[0])
    assert isinstance(made, Plan)
    assert torch.equal(MOBA(q, k, v, plan=made), MOBA(q, k, v))


def test_a_given_plan_is_checked_when_the_graph_runs() -> None:
    q, k, v = qkv()
    plan = MOBA.plan(q, k)
    compiled = torch.compile(lambda q, k, v, plan: MOBA(q, k, v, plan=plan), backend="eager", fullgraph=True)
    with pytest.raises(AttnCallError, match=r"A0694.*counts are not the lengths"):
        compiled(q, k, v, replace(plan, counts=plan.counts + 1))


def test_a_given_plan_of_other_sizes_is_refused_while_the_graph_is_made() -> None:
    q, k, v = qkv()
    plan = replace(MOBA.plan(q, k), queries=63)
    compiled = torch.compile(lambda q, k, v: MOBA(q, k, v, plan=plan), backend="eager", fullgraph=True)
    with pytest.raises(torch._dynamo.exc.Unsupported, match=r"A0692.*63 queries and 64 keys"):
        compiled(q, k, v)


def test_the_batch_of_a_graph_may_be_dynamic() -> None:
    counter = CompileCounter()
    compiled = torch.compile(lambda q, k, v: MOBA(q, k, v), fullgraph=True, dynamic=True, backend=counter)
    for batch in (3, 4, 5):
        given = qkv(batch=batch)
        assert torch.equal(compiled(*given), MOBA(*given))
    assert counter.frame_count == 1


class Calls(torch.nn.Module):
    def forward(self, q: Tensor, k: Tensor, v: Tensor, plan: Plan | None = None) -> Any:
        return MOBA(q, k, v, plan=plan)


@pytest.mark.parametrize("strict", [False, True])
def test_export(strict: bool) -> None:
    batch = {0: torch.export.Dim("batch", min=2, max=64)}
    program = torch.export.export(Calls(), qkv(), dynamic_shapes=[batch] * 3, strict=strict)
    given = qkv(batch=5)
    assert torch.equal(program.module()(*given), MOBA(*given))


def test_plans_go_through_exports_and_their_files() -> None:
    q, k, v = qkv()
    plan = MOBA.plan(q, k)
    buffer = io.BytesIO()
    torch.export.save(torch.export.export(Calls(), (q, k, v, plan)), buffer)
    buffer.seek(0)
    assert torch.equal(torch.export.load(buffer).module()(q, k, v, plan), MOBA(q, k, v))


def test_modules_with_routes_in_graphs() -> None:
    q, k, v = qkv()
    for topk in (2, 3):  # which share their code
        module = attndsl.nn.Attention("moba", block=16, topk=topk)
        found = in_graph(module)(q, k, v)
        assert torch.equal(found, module(q, k, v))
    exported = torch.export.export(module, (q, k, v)).module()
    assert torch.equal(exported(q, k, v), module(q, k, v))


def test_vmap_over_queries_and_plans() -> None:
    q, k, v = qkv()
    many = torch.stack([q, q * 2, -q])
    wanted = torch.stack([MOBA(each, k, v) for each in many])
    assert torch.equal(torch.vmap(lambda each: MOBA(each, k, v))(many), wanted)
    plans = torch.vmap(lambda each: MOBA.plan(each, k))(many)
    found = torch.vmap(lambda each, plan: MOBA(each, k, v, plan=plan))(many, plans)
    assert torch.equal(found, wanted)


def test_vmap_over_inputs_of_routes() -> None:
    bound = attndsl.pattern("dma").bind(shape=32, heads=2, window=8)
    q, k, _ = qkv(bound)
    many = torch.randn(3, 2, 32)
    plans = torch.vmap(lambda bias: bound.plan(q, k, bias=bias))(many)
    for place, bias in enumerate(many):
        assert torch.equal(plans.indices[place], bound.plan(q, k, bias=bias).indices.expand(2, -1, -1, -1))


def test_units_are_not_mapped(golden: Callable[[str, str], None]) -> None:
    q, k, v = qkv()
    plan = replace(MOBA.plan(q, k), kv_units=torch.arange(64, dtype=torch.int32).view(4, 16))
    many = replace(
        plan, **{name: torch.stack([getattr(plan, name)] * 2) for name in ("indices", "counts", "kv_units")}
    )
    with pytest.raises(AttnError) as caught:
        torch.vmap(lambda plan: MOBA(q, k, v, plan=plan))(many)
    golden("errors/units_under_vmap.txt", caught.value.render() + "\n")


def test_other_derivatives_are_refused() -> None:
    q, k, v = qkv()
    with pytest.raises(AttnCallError, match="A0624"):
        torch.func.grad(lambda q: MOBA(q, k, v).sum())(q)
