"""What torch's graphs are cut at, since it looks at plans: references of routes, and groups."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

import attndsl
from attndsl.diagnostics import AttnError
from tests.patterns.examples import examples
from tests.patterns.inputs import random_inputs

MOBA = attndsl.pattern("moba").bind(shape=64, heads=2, block=16, topk=2)


@pytest.fixture(autouse=True)
def no_graphs_yet() -> Iterator[None]:
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def qkv() -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(1, 2, 64, 8, generator=generator) for _ in range(3))
    return q, k, v


class Module(torch.nn.Module):
    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        out: Tensor = MOBA.reference(q + 1, k, v)
        return out * 2


@pytest.mark.slow
def test_a_graph_is_cut_at_a_reference() -> None:
    out = torch.compile(Module(), backend="eager")(*qkv())
    torch.testing.assert_close(out, Module()(*qkv()), rtol=1e-5, atol=1e-6)


def test_a_whole_graph_is_refused_with_the_reason() -> None:
    graph = torch.compile(Module(), backend="eager", fullgraph=True)
    with pytest.raises(torch._dynamo.exc.Unsupported, match=r"(?s)plans are data.*leave out fullgraph=True"):
        graph(*qkv())


def test_the_reference_of_a_route_cannot_be_exported(golden: Callable[[str, str], None]) -> None:
    with pytest.raises(AttnError) as caught:
        torch.export.export(Module(), qkv())
    golden("errors/route_in_an_export.txt", caught.value.render() + "\n")


def test_graphs_are_cut_at_groups() -> None:
    bound = attndsl.pattern("routing_transformer").bind(**examples("routing_transformer")["small"])
    inputs: dict[str, Any] = random_inputs(bound.ir, 16)
    heads = bound.ir.heads, bound.ir.kv_heads, bound.ir.kv_heads
    q, k, v = (torch.randn(1, each, bound.ir.query_space.size, 16) for each in heads)
    compiled = torch.compile(lambda *tensors: bound(*tensors, **inputs) * 2, backend="eager")
    assert torch.equal(compiled(q, k, v), bound(q, k, v, **inputs) * 2)
