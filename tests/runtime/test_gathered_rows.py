"""The last rows of patterns with routes, branches, weights and gates equal those of all queries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

import attndsl
from attndsl.diagnostics import AttnError
from attndsl.runtime import build
from tests.patterns.examples import examples
from tests.patterns.inputs import random_inputs
from tests.patterns.names import CHOSEN, WEIGHTED

Inputs = dict[str, Any]

DECIDED_BY_MANY = {
    "agent": "`query mean(q in group)` pools queries",
    "biformer": "`select .. per r`",
    "channel_attention": "channels",
    "dhsa": "`select .. per b`",
    "draft": "segments",
    "flowformer": "sums over all queries",
    "hip": "`select .. per a`",
    "routing_transformer": "groups",
    "minference": "`top(.. in .., ..)`",
    "sla": "`select .. per a`",
    "sparge": "`select .. per a`",
    "svg_route": "`select .. per head`",
    "vmoba": "`select .. per head`",
    "xattention": "`select .. per b`",
} | dict.fromkeys(("gla", "lightning", "lightning_fla", "retention", "simple_gla"), "recurrence")
"""What keeps the last queries from deciding the last rows."""

ROW_BY_ROW = sorted({*CHOSEN, *WEIGHTED} - DECIDED_BY_MANY.keys())

GROWING: dict[str, tuple[dict[str, Any], Callable[[int], Inputs]]] = {
    "moba": ({"block": 8, "topk": 3}, lambda n: {}),
    "delta": ({"page": 8, "pages": 4, "last": 2}, lambda n: {}),
    "dma": ({"window": 6}, lambda n: {"bias": torch.randn(2, 4, n)}),
    "nsa": (
        {"block": 8, "n_sel": 3, "window": 12},
        lambda n: {name: torch.randn(2, n, 4) for name in ("g_cmp", "g_slc", "g_swa")},
    ),
    "relu_attention": ({}, lambda n: {}),  # whose weights depend on the length
    "sigmoid_attention": ({}, lambda n: {}),
    "softplus_attention": ({}, lambda n: {}),
}
"""Patterns of one axis: their parameters, and the inputs of two texts with 4 heads."""


def close(found: Tensor, wanted: Tensor) -> None:
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)


def texts(length: int, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor, Tensor]:
    """Two texts, with 4 query heads and 2 key/value heads."""
    torch.manual_seed(length)
    q, k, v = (torch.randn(2, heads, length, 16, dtype=dtype) for heads in (4, 2, 2))
    return q, k, v


@pytest.mark.parametrize("name", ROW_BY_ROW)
def test_rows_of_every_pattern_that_decides_row_by_row(name: str) -> None:
    torch.manual_seed(0)
    bound = attndsl.pattern(name).bind(**examples(name)["small"])
    ir = bound.ir
    given = ir.derived or ir
    q, k, v = (
        torch.randn(2, heads, given.query_space.size, 16, dtype=torch.float64)
        for heads in (ir.heads, given.kv_heads, given.kv_heads)
    )
    inputs: Inputs = {key: value.double() for key, value in random_inputs(ir, 16, None).items()}
    wanted = bound.reference(q, k, v, **inputs)
    for count in (1, 3):
        close(bound.rows(q[:, :, -count:], k, v, **inputs), wanted[:, :, -count:])


@pytest.mark.parametrize("name", DECIDED_BY_MANY)
def test_what_more_than_a_query_decides_is_refused_by_its_clause(name: str) -> None:
    with pytest.raises(AttnError, match="A0905") as caught:
        _ = attndsl.pattern(name).bind(**examples(name)["small"]).rows
    assert DECIDED_BY_MANY[name] in caught.value.render()


@pytest.mark.parametrize("name", GROWING)
@pytest.mark.parametrize("length", [1, 7, 8, 9, 16, 17, 43])  # around the edges of blocks
def test_rows_at_any_length(name: str, length: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "_build_once", _refuse)
    numbers, inputs_of = GROWING[name]
    q, k, v = texts(length)
    inputs = inputs_of(length)
    wanted = (
        attndsl.pattern(name).bind(shape=length, heads=4, kv_heads=2, **numbers).reference(q, k, v, **inputs)
    )
    rows = attndsl.pattern(name).at_any_length(4, 2, **numbers).rows
    for count in {1, min(3, length), length}:
        close(rows(q[:, :, -count:], k, v, **inputs), wanted[:, :, -count:])


def _refuse(*_: Any) -> None:
    raise AssertionError("a kernel was compiled")


@pytest.mark.parametrize("name", GROWING)
@pytest.mark.parametrize("count", [1, 30])
def test_padding_changes_nothing(name: str, count: int) -> None:
    lengths, tokens = (33, 24), 40
    numbers, inputs_of = GROWING[name]
    pattern, (q, k, v), inputs = attndsl.pattern(name), texts(tokens), inputs_of(tokens)
    exists = torch.arange(tokens) >= tokens - torch.tensor(lengths)[:, None]
    rows = pattern.at_any_length(4, 2, **numbers).rows
    found = rows(q[:, :, -count:], k, v, exists=exists, **inputs)
    for text, length in enumerate(lengths):
        own: Inputs = {key: _last(value[text], length) for key, value in inputs.items()}
        mine, keys, values = (each[text : text + 1, :, -length:] for each in (q, k, v))
        bound = pattern.bind(shape=length, heads=4, kv_heads=2, **numbers)
        wanted = bound.reference(mine, keys, values, **own)
        seen = min(count, length)
        close(found[text : text + 1, :, -seen:], wanted[:, :, -seen:])
        assert not found[text, :, : count - seen].any()


def _last(value: Tensor, length: int) -> Tensor:
    """The last tokens of an input [tokens, heads] or [heads, tokens]."""
    return value[-length:] if value.shape[1] == 4 else value[:, -length:]


def test_a_text_of_padding_alone_gives_0() -> None:
    q, k, v = texts(20)
    exists = torch.ones(2, 20, dtype=torch.bool)
    exists[1] = False
    out, lse = (
        attndsl.pattern("moba")
        .at_any_length(block=8, topk=2)
        .rows(q[:, :, -1:], k, v, return_lse=True, exists=exists)
    )
    assert not out[1].any()
    assert (lse[1] == -torch.inf).all()
    assert lse[0].isfinite().all()


def test_gates_may_be_those_of_the_last_queries() -> None:
    q, k, v = texts(30)
    gate = torch.randn(2, 30, 4, 16)
    rows = attndsl.pattern("gated").at_any_length(4, 2, left=9).rows
    close(rows(q[:, :, -2:], k, v, g=gate[:, -2:]), rows(q[:, :, -2:], k, v, g=gate))


def test_the_log_sum_exp_of_rows() -> None:
    q, k, v = texts(43)
    bound = attndsl.pattern("moba").bind(shape=43, heads=4, kv_heads=2, block=8, topk=2)
    _, wanted = bound.reference(q, k, v, return_lse=True)
    _, lse = bound.rows(q[:, :, -3:], k, v, return_lse=True)
    close(lse, wanted[:, :, -3:])


def test_values_that_no_query_lists_are_not_read() -> None:
    q, k, v = texts(64)
    bound = attndsl.pattern("moba").bind(shape=64, heads=4, kv_heads=2, block=8, topk=2)
    listed = torch.as_tensor(bound.plan(q, k).to_mask())[:, :, -1].view(2, 2, 2, 64).any(2)
    wanted = bound.rows(q[:, :, -1:], k, v)
    close(bound.rows(q[:, :, -1:], k, v.masked_fill(~listed[..., None], torch.nan)), wanted)


def test_keys_that_a_mask_hides_are_not_read() -> None:
    text = "pattern p:\n    space tokens(n)\n    attend sliding(5)\n    weight sigmoid(s)\n"
    bound, (q, k, v) = attndsl.parse(text).bind(shape=64, heads=4, kv_heads=2), texts(64)
    wanted = bound.reference(q, k, v)[:, :, -1:]
    for each in (k, v):
        each[:, :, :58] = torch.nan
    close(bound.rows(q[:, :, -1:], k, v), wanted)


@pytest.mark.parametrize("name", ["moba", "dma", "sigmoid_attention"])
def test_gradients_of_rows(name: str) -> None:
    numbers, inputs_of = GROWING[name]
    q, k, v = texts(43, torch.float64)
    inputs = {key: value.double() for key, value in inputs_of(43).items()}
    leaves = [each.requires_grad_() for each in (q, k, v, *inputs.values())]
    bound = attndsl.pattern(name).bind(shape=43, heads=4, kv_heads=2, **numbers)
    outs = bound.rows(q[:, :, -2:], k, v, **inputs), bound.reference(q, k, v, **inputs)[:, :, -2:]
    found, wanted = (torch.autograd.grad(out.square().sum(), leaves) for out in outs)
    for mine, theirs in zip(found, wanted, strict=True):
        close(mine, theirs)


def test_blocks_of_queries_whose_scores_read_keys_only() -> None:
    pattern = attndsl.parse(
        """
pattern p(block: int):
    space tokens(n)
    blocks b of n by block
    route score mean(k in b) . mean(k)
          among k.b < q.b
          select top(2) per b
          always k.b == q.b
    attend causal
"""
    )
    bound, (q, k, v) = pattern.bind(shape=43, heads=4, kv_heads=2, block=8), texts(43)
    close(bound.rows(q[:, :, -12:], k, v), bound.reference(q, k, v)[:, :, -12:])


def test_rows_under_autocast_are_those_of_lower_precision() -> None:
    q, k, v = texts(43)
    rows = attndsl.pattern("moba").at_any_length(block=8, topk=2).rows
    wanted = rows(q[:, :, -1:].bfloat16(), k.bfloat16(), v.bfloat16())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = rows(q[:, :, -1:], k, v)
    torch.testing.assert_close(found, wanted, rtol=0, atol=0)


def test_rows_beside_a_compiled_graph() -> None:
    q, k, v = texts(43)
    rows = attndsl.pattern("moba").at_any_length(block=8, topk=2).rows
    exists = torch.arange(43) >= torch.tensor([[0], [7]])

    def step(q: Tensor, k: Tensor, v: Tensor) -> Any:
        return rows(q, k, v, exists=exists) * 2

    close(torch.compile(step, backend="eager")(q[:, :, -1:], k, v), step(q[:, :, -1:], k, v))


PER_QUERY = """
pattern p(block: int):
    space tokens(n)
    blocks b of n by block
    route score {score}
          select {select}
    attend causal
"""


def routed(score: str = "mean(k in b) . q", select: str = "top(2) per query") -> Any:
    return attndsl.parse(PER_QUERY.format(score=score, select=select), name="my.attn").bind(shape=8, block=4)


def padded_rows_of_one_shape() -> Any:
    zeros = torch.zeros(1, 1, 8, 16)
    return routed().rows(zeros[:, :, :1], zeros, zeros, exists=torch.arange(8) > 2)


MISTAKES: dict[str, Callable[[], object]] = {
    "rows_per_head": lambda: routed(select="top(2) per head").rows,
    "rows_per_block": lambda: routed("mean(k in b) . mean(q in b)", "top(1) per b").rows,
    "rows_of_pooled_queries": lambda: routed("mean(k in b) . mean(q)").rows,
    "rows_of_all_queries": lambda: attndsl.pattern("agent").bind(shape=8, heads=1, agents=2).rows,
    "rows_of_one_shape_padded": padded_rows_of_one_shape,
    "rows_inside_vmap": lambda: torch.vmap(routed().rows)(*[torch.zeros(2, 1, 1, 8, 16)] * 3),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistake_in_gathered_rows(name: str, golden: Callable[[str, str], None]) -> None:
    with pytest.raises(AttnError) as caught:
        MISTAKES[name]()
    golden(f"errors/{name}.txt", caught.value.render() + "\n")
