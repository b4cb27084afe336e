"""Routes in torch's graphs: the graph is cut where a plan is made and read, or the reason is said."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

import attndsl
from attndsl.diagnostics import AttnError
from tests.runtime.attention_cases import needs_compiler

pytestmark = needs_compiler

MOBA = attndsl.pattern("moba").bind(shape=64, heads=2, block=16, topk=2)


def qkv() -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(1, 2, 64, 8, generator=generator) for _ in range(3)]


class Module(torch.nn.Module):
    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        out: Tensor = MOBA(q + 1, k, v)
        return out * 2


def test_a_graph_is_cut_at_a_route() -> None:
    q, k, v = qkv()
    q.requires_grad_()
    out = torch.compile(Module(), backend="eager")(q, k, v)
    wanted = MOBA.reference(q + 1, k, v) * 2
    torch.testing.assert_close(out, wanted, rtol=1e-4, atol=1e-5)
    grads = [torch.autograd.grad(each.square().sum(), q)[0] for each in (out, wanted)]
    torch.testing.assert_close(*grads, rtol=1e-3, atol=1e-4)


def test_a_whole_graph_is_refused_with_the_reason() -> None:
    graph = torch.compile(Module(), backend="eager", fullgraph=True)
    with pytest.raises(torch._dynamo.exc.Unsupported, match=r"plans are data.*leave out fullgraph=True"):
        graph(*qkv())


def test_a_route_cannot_be_exported(golden: Callable[[str, str], None]) -> None:
    with pytest.raises(AttnError) as caught:
        torch.export.export(Module(), tuple(qkv()))
    golden("errors/route_in_an_export.txt", caught.value.render() + "\n")
