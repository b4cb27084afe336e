"""One callable for all lengths: bound once per length, traced once for all of them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch._dynamo.testing import CompileCounter

import attndsl
from attndsl.diagnostics import AttnBindError, AttnCallError
from attndsl.runtime import any_length
from attndsl.runtime.targets import Target
from tests.runtime.attention_cases import Tensors, needs_compiler
from tests.runtime.gradient_cases import gradients

pytestmark = needs_compiler

SLIDING = attndsl.pattern("sliding_window")


def qkv(tokens: int) -> Tensors:
    generator = torch.Generator().manual_seed(tokens)
    q, k, v = (torch.randn(1, 2, tokens, 16, generator=generator) for _ in range(3))
    return q, k, v


def test_it_computes_what_the_bound_pattern_computes() -> None:
    attend = SLIDING.at_any_length(left=5)
    for tokens in (1, 17, 50):
        bound = SLIDING.bind(shape=tokens, left=5)
        assert torch.equal(attend(*qkv(tokens)), bound(*qkv(tokens)))
        assert all(map(torch.equal, gradients(attend, qkv(tokens)), gradients(bound, qkv(tokens))))


def test_a_length_is_bound_once(monkeypatch: pytest.MonkeyPatch) -> None:
    attend = SLIDING.at_any_length(left=5)
    bound: list[int] = []
    original = attend.bind

    def bind(shape: tuple[int, ...], queries: int, keys: int) -> Target:
        bound.append(queries)
        return original(shape, queries, keys)

    monkeypatch.setattr(attend, "bind", bind)
    for tokens in (20, 30, 20, 30, 20):
        attend(*qkv(tokens))
    assert bound == [20, 30]


def test_lengths_used_first_are_dropped_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(any_length, "LENGTHS", 2)
    attend = SLIDING.at_any_length(left=5)
    for tokens in (20, 30, 40):
        attend(*qkv(tokens))
    assert [key[0] for key in attend._bound] == [30, 40]  # type: ignore[index]


@pytest.mark.parametrize("dynamic", [None, True])
def test_lengths_share_one_graph(dynamic: bool | None) -> None:
    attend, counter = SLIDING.at_any_length(left=5), CompileCounter()
    compiled = torch.compile(
        lambda q, k, v: attend(q, k, v), fullgraph=True, dynamic=dynamic, backend=counter
    )
    for tokens in range(20, 60, 3):
        assert torch.equal(compiled(*qkv(tokens)), attend(*qkv(tokens)))
    assert counter.frame_count == (1 if dynamic else 2)


def test_gradients_of_a_dynamic_graph() -> None:
    attend = SLIDING.at_any_length(left=5)

    def model(q: Tensor, k: Tensor, v: Tensor, return_lse: bool) -> Any:
        return attend(q * 2, k, v, return_lse=return_lse)

    compiled = torch.compile(model, fullgraph=True, dynamic=True)
    for tokens in (20, 33, 50):
        assert all(map(torch.equal, gradients(compiled, qkv(tokens)), gradients(model, qkv(tokens))))


def test_export_at_any_length() -> None:
    attend = SLIDING.at_any_length(left=5)

    class Model(torch.nn.Module):
        def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Any:
            return attend(q, k, v)

    tokens = {2: torch.export.Dim("tokens", min=2, max=4096)}
    program = torch.export.export(Model(), qkv(50), dynamic_shapes=[tokens] * 3)
    assert torch.equal(program.module()(*qkv(77)), attend(*qkv(77)))


def test_several_axes_are_given_with_the_call() -> None:
    attend = attndsl.pattern("gna").at_any_length(window=(3, 5))
    bound = attndsl.pattern("gna").bind(shape=(6, 8), window=(3, 5))
    assert torch.equal(attend(*qkv(48), shape=(6, 8)), bound(*qkv(48)))
    compiled = torch.compile(
        lambda q, k, v, y, x: attend(q, k, v, shape=(y, x)), fullgraph=True, dynamic=True
    )
    assert torch.equal(compiled(*qkv(48), 6, 8), bound(*qkv(48)))
    with pytest.raises(AttnBindError):
        attend(*qkv(48))


def test_gradients_where_the_shape_is_given_with_the_call() -> None:
    attend = attndsl.pattern("gna").at_any_length(window=(3, 5))
    bound = attndsl.pattern("gna").bind(shape=(6, 8), window=(3, 5))
    q, k, v = (each.requires_grad_() for each in qkv(48))
    outs = attend(q, k, v, shape=(6, 8)), bound(q, k, v)
    found, wanted = (torch.autograd.grad(out.square().sum(), q) for out in outs)
    assert torch.equal(found[0], wanted[0])


def test_vmap_over_decays_at_any_length() -> None:
    text = "input g: real[heads, tokens]\n    attend sliding(8)\n    decay exp(g) per step of n\n    weight s"
    attend = attndsl.parse(f"pattern p:\n    space tokens(n)\n    {text}\n").at_any_length(2)
    q, k, v = qkv(32)
    many = -torch.rand(3, 2, 32)
    found = torch.vmap(lambda g: attend(q, k, v, g=g))(many)
    torch.testing.assert_close(found, torch.stack([attend(q, k, v, g=g) for g in many]))


def test_further_segments_keep_their_extent() -> None:
    arms = "        video -> video: k.n <= q.n\n        else: true\n"
    pattern = attndsl.parse(f"pattern p():\n    space video(n) ++ text(m)\n    attend\n{arms}")
    attend = pattern.at_any_length(text=7)
    assert torch.equal(attend(*qkv(30)), pattern.bind(shape=23, text=7)(*qkv(30)))


def test_keys_may_have_a_length_of_their_own() -> None:
    pattern = attndsl.parse(
        "pattern p():\n    query space q(a)\n    key space k(b)\n    attend q.a % 3 != k.b % 4\n"
    )
    q, (_, k, v) = qkv(20)[0], qkv(33)
    bound = pattern.bind(shape=20, key_shape=33)
    assert torch.equal(pattern.at_any_length()(q, k, v), bound(q, k, v))


def test_what_is_wrong_at_any_length_is_said_as_ever() -> None:
    attend = SLIDING.at_any_length(left=5)
    q, k, v = qkv(20)
    with pytest.raises(AttnCallError, match="q must be"):
        attend(q[0], k, v)
    with pytest.raises(AttnBindError, match="lft"):
        SLIDING.at_any_length(lft=5)(q, k, v)


def test_a_graph_carries_the_state_of_a_recurrence() -> None:
    attend = attndsl.pattern("lightning").at_any_length(heads=2)
    q, k, v = qkv(12)
    whole, last = attend(q, k, v, return_state=True)

    def continued(q: Tensor, k: Tensor, v: Tensor, state: Tensor) -> Any:
        return attend(q, k, v, initial_state=state, return_state=True)

    graph = torch.compile(continued, backend="eager", fullgraph=True)
    step = torch.compile(attend.step, backend="eager", fullgraph=True)
    _, state = graph(q[:, :, :11], k[:, :, :11], v[:, :, :11], torch.zeros_like(last))
    out, after = step(q[:, :, 11:], k[:, :, 11:], v[:, :, 11:], state)
    torch.testing.assert_close(out, whole[:, :, 11:], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(after, last, rtol=1e-4, atol=1e-4)
