"""`attndsl.nn.Attention` and `attndsl.attention` compute what the bound pattern computes."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import attndsl
from attndsl.diagnostics import AttnCallError
from attndsl.functional import attention_of
from attndsl.plans import LayerPlan


def qkv(tokens: int = 24, heads: int = 4, kv_heads: int = 2) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(0)
    return tuple(
        torch.randn(2, count, tokens, 8, generator=generator) for count in (heads, kv_heads, kv_heads)
    )


def close(found: torch.Tensor, wanted: torch.Tensor) -> None:
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)


def test_the_function_follows_the_length_of_its_tensors() -> None:
    for tokens in (24, 31):
        q, k, v = qkv(tokens)
        bound = attndsl.pattern("sliding_window").bind(shape=tokens, left=3)
        close(attndsl.attention(q, k, v, "sliding_window", left=3), bound.reference(q, k, v))


def test_the_function_takes_a_shape_parameters_per_head_and_inputs() -> None:
    q, k, v = qkv()
    bound = attndsl.pattern("gna").bind(shape=(4, 6), window=(3, 3))
    close(attndsl.attention(q, k, v, "gna", shape=(4, 6), window=(3, 3)), bound.reference(q, k, v))
    moa: dict[str, Any] = {"alpha": [1, 2, 3, 4], "beta": 0.5, "block": 2, "sink": 2, "minimum": 4}
    bound = attndsl.pattern("moa").bind(shape=24, heads=4, kv_heads=2, **moa)
    close(attndsl.attention(q, k, v, "moa", **moa), bound.reference(q, k, v))
    doc = torch.arange(24) // 7
    bound = attndsl.pattern("document").bind(shape=24)
    close(attndsl.attention(q, k, v, "document", doc=doc), bound.reference(q, k, v, doc=doc))


def test_the_function_binds_once() -> None:
    q, k, _ = qkv()
    pattern = attndsl.pattern("sliding_window")
    first, again, other = (attention_of(pattern, None, q, k, {"left": left}) for left in (3, 3, 4))
    assert first is again
    assert first is not other


def test_a_module_without_projections() -> None:
    q, k, v = qkv()
    module = attndsl.nn.Attention("streaming", sink=2, window=5)
    wanted = attndsl.pattern("streaming").bind(shape=24, sink=2, window=5).reference(q, k, v)
    close(module(q, k, v), wanted)
    with pytest.raises(AttnCallError, match="A0623"):
        module(q)


def test_a_module_with_projections_is_multi_head_attention() -> None:
    torch.manual_seed(0)
    module = attndsl.nn.Attention("full", 32, 4, bias=True)
    twin = torch.nn.MultiheadAttention(32, 4, batch_first=True)
    with torch.no_grad():
        projections = (module.q_proj, module.k_proj, module.v_proj)
        twin.in_proj_weight.copy_(torch.cat([each.weight for each in projections]))
        twin.in_proj_bias.copy_(torch.cat([each.bias for each in projections]))
        twin.out_proj.load_state_dict(module.out_proj.state_dict())
    hidden = torch.randn(2, 10, 32)
    close(module(hidden), twin(hidden, hidden, hidden)[0])
    module(hidden).sum().backward()
    twin(hidden, hidden, hidden)[0].sum().backward()
    assert module.q_proj.weight.grad is not None
    assert twin.in_proj_weight.grad is not None
    close(module.q_proj.weight.grad, twin.in_proj_weight.grad[:32])


def test_grouped_heads_have_smaller_projections() -> None:
    module = attndsl.nn.Attention("causal", 32, 4, kv_heads=2)
    assert module.k_proj.weight.shape == (16, 32)
    assert module(torch.randn(2, 9, 32)).shape == (2, 9, 32)
    with pytest.raises(AttnCallError, match="A0622"):
        attndsl.nn.Attention("causal", 30, 4)


def test_a_layer_of_a_plan() -> None:
    q, k, v = qkv()
    module = attndsl.nn.Attention(LayerPlan("sliding_window", {"left": 3}))
    close(module(q, k, v), attndsl.attention(q, k, v, "sliding_window", left=3))


def test_a_module_inside_a_compiled_graph() -> None:
    module = attndsl.nn.Attention("sliding_window", 32, 4, kv_heads=2, left=3)
    compiled = torch.compile(module, backend="eager", fullgraph=True)
    hidden = torch.randn(2, 9, 32)
    close(compiled(hidden), module(hidden))


@pytest.mark.parametrize("name", ["lightning", "soft_pag", "linear"])
def test_the_first_call_of_a_module_may_be_that_of_a_graph(name: str) -> None:
    """Graphs bind the pattern when they are made, and do not look inside."""
    q, k, v = qkv(13)
    numbers: dict[str, Any] = {"u": 0.5} if name == "soft_pag" else {}
    module = attndsl.nn.Attention(name, num_heads=4, kv_heads=2, **numbers)
    found = torch.compile(module, backend="eager", fullgraph=True)(q, k, v)
    close(found, module(q, k, v))


@pytest.mark.parametrize("pattern", ["lightning", "simple_gla"])
def test_a_text_is_continued_token_by_token(pattern: str) -> None:
    torch.manual_seed(0)
    module, hidden = attndsl.nn.Attention(pattern, 32, 4, kv_heads=2), torch.randn(2, 14, 32)
    gates = {"g": -torch.rand(2, 4, 14)} if pattern == "simple_gla" else {}
    whole = module(hidden, **gates)
    start = {name: each[..., :9] for name, each in gates.items()}
    out, state = module(hidden[:, :9], return_state=True, **start)
    outs = [out]
    for token in range(9, 14):
        now = {name: each[..., token : token + 1] for name, each in gates.items()}
        out, state = module.step(hidden[:, token : token + 1], state=state, **now)
        outs.append(out)
    close(torch.cat(outs, 1), whole)
    rest = {name: each[..., 9:] for name, each in gates.items()}
    close(
        module(hidden[:, 9:], initial_state=module(hidden[:, :9], return_state=True, **start)[1], **rest),
        whole[:, 9:],
    )


def test_plans_of_routes_go_through_modules_and_the_function() -> None:
    q, k, v = qkv(64)
    numbers: dict[str, Any] = {"block": 16, "topk": 2}
    bound = attndsl.pattern("moba").bind(shape=64, heads=4, kv_heads=2, **numbers)
    plan = bound.plan(q.flip(2), k)
    wanted = bound.reference(q, k, v, plan=plan)
    assert not torch.allclose(bound.reference(q, k, v), wanted)
    close(attndsl.nn.Attention("moba", **numbers)(q, k, v, plan=plan), wanted)
    close(attndsl.attention(q, k, v, "moba", **numbers, plan=plan), wanted)
    close(bound.compile(head_dim=8)(q, k, v, plan=plan), wanted)


def test_the_function_carries_states() -> None:
    q, k, v = qkv()
    whole, last = attndsl.attention(q, k, v, "lightning", return_state=True)
    start, rest = ([each[:, :, part] for each in (q, k, v)] for part in (slice(7), slice(7, None)))
    _, state = attndsl.attention(start[0], start[1], start[2], "lightning", return_state=True)
    out = attndsl.attention(rest[0], rest[1], rest[2], "lightning", initial_state=state)
    close(out, whole[:, :, 7:])
    kernel = attndsl.pattern("lightning").bind(shape=24, heads=4, kv_heads=2).compile(head_dim=8)
    close(kernel(q, k, v, return_state=True)[1], last)
    assert kernel.algorithm == "recurrence"
