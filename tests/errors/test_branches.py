"""Mistakes with bound patterns of branches, blocks and derived tensors, with their errors as golden files."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

import attndsl
from attndsl.diagnostics import AttnError
from attndsl.passes.branch_spaces import refuse_products
from attndsl.passes.joint import with_text
from attndsl.passes.open_length import causally

AGENT = attndsl.pattern("agent").bind(shape=8, heads=1, agents=2)
CHANNELS = attndsl.pattern("channel_attention").bind(shape=8, heads=1)
PAG = attndsl.pattern("soft_pag").bind(shape=8, heads=1, u=0.5)
Q, NARROW = torch.zeros(1, 1, 8, 16), torch.zeros(1, 1, 8, 4)
BLOCKS = attndsl.parse(
    """
pattern p(size: int):
    space tokens(n)
    blocks b of n by size
    key mean(k in b)
    value mean(v in b)
    attend true
""",
    name="my.attn",
)
TWO = attndsl.parse(
    """
pattern p(u: real[heads]):
    space tokens(n)
    branch near:
        attend sliding(2)
    branch channels:
        query transposed(k)
        key transposed(k)
        value transposed(q)
        attend true
    combine near + u[head + 1] * channels
""",
    name="my.attn",
)
OUTPUTS = attndsl.parse(
    """
pattern p:
    space tokens(n)
    branch channels:
        query transposed(k)
        key transposed(k)
        value transposed(q)
        attend true
    combine channels
""",
    name="my.attn",
).bind(shape=8, heads=1)

MISTAKES: dict[str, Callable[[], Any]] = {
    "block_of_zero": lambda: BLOCKS.bind(shape=8, size=0),
    "combine_outside": lambda: TWO.bind(shape=8, heads=2, u=(0.25, 0.5)),
    "mask_of_blocks": AGENT.mask,
    "mask_of_channels": CHANNELS.mask,
    "schedule_of_branches": AGENT.schedule,
    "causal_blocks": lambda: causally(BLOCKS.ir),
    "blocks_beside_a_text": lambda: with_text(AGENT.ir.pattern or BLOCKS.ir),
    "branch_alone": lambda: AGENT.branches["spread"](Q, Q, Q),
    "channels_of_two_sizes": lambda: CHANNELS(Q, Q, NARROW),
    "outputs_of_two_sizes": lambda: OUTPUTS(Q, Q, NARROW),
    "channels_have_no_lse": lambda: CHANNELS(Q, Q, Q, return_lse=True),
    "combination_has_no_lse": lambda: PAG(Q, Q, Q, return_lse=True),
    "flow_in_a_kernel": lambda: refuse_products(attndsl.pattern("flowformer").bind(shape=8).ir),
    "channels_in_a_kernel": lambda: CHANNELS.compile(backend="cpu", head_dim=16),
    "branches_take_whole_tensors": lambda: AGENT(Q, Q[:, :, :2], Q[:, :, :2]),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistake_with_branches(name: str, golden: Callable[[str, str], None]) -> None:
    with pytest.raises(AttnError) as caught:
        MISTAKES[name]()
    golden(f"errors/{name}.txt", caught.value.render() + "\n")
