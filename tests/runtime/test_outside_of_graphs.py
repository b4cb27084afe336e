"""What torch's graphs are cut at, since it looks at plans: references of routes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor

import attndsl
from attndsl.diagnostics import AttnError

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
