"""Mistakes at the doors: what commands and models cannot do with recurrences, sums, branches and routes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

import attndsl
from attndsl.cli.compile_kernel import Request, stage
from attndsl.diagnostics import AttnError
from attndsl.runtime.rivals import flex

LIGHTNING = attndsl.pattern("lightning").bind(shape=8, heads=2)
SUMS = attndsl.pattern("linear").bind(shape=8, heads=2)
MOBA = attndsl.pattern("moba").bind(shape=64, heads=2, block=16, topk=2)
DMA = attndsl.pattern("dma").bind(shape=64, heads=2, window=8)
GROWING = attndsl.parse(
    "pattern p:\n    space tokens(n)\n    attend causal\n    weight s\n"
    "    decay exp(-1.0 / extent(n)) per step of n\n",
    name="my.attn",
)
TENSORS = torch.zeros(1, 2, 8, 4), torch.zeros(1, 2, 8, 4), torch.zeros(1, 2, 8, 4)
TOKEN = TENSORS[0][:, :, :1], TENSORS[1][:, :, :1], TENSORS[2][:, :, :1]


def request(**changes: object) -> Request:
    """Of the forward kernel in C++, with some of it changed."""
    wanted: dict[str, object] = {"target": "cpp", "emit": "source", "head_dim": 16, "dtype": "float32"}
    return Request(**wanted | changes)  # type: ignore[arg-type]


MISTAKES: dict[str, Callable[[], object]] = {
    "kernel_of_sums": lambda: stage(SUMS, request()),
    "kernel_of_a_recurrence": lambda: stage(LIGHTNING, request(kernel="delta")),
    "recurrence_that_stands_alone": lambda: stage(LIGHTNING, request(target="sm90", standalone=True)),
    "kernel_of_a_route": lambda: stage(MOBA, request(kernel="delta")),
    "kernel_of_single_keys": lambda: stage(DMA, request()),
    "flex_of_a_recurrence": lambda: flex(LIGHTNING.ir, *TENSORS, {}),
    "rows_of_a_recurrence": lambda: attndsl.pattern("lightning").at_any_length(2).rows(*TENSORS),
    "state_at_any_length": lambda: attndsl.pattern("causal").at_any_length().step(*TOKEN),
    "state_of_branches": lambda: attndsl.attention(
        *TENSORS, "lizard", window=4, g=torch.zeros(2, 8), return_state=True
    ),
    "step_of_a_length": lambda: GROWING.at_any_length().step(*TOKEN),
    "plan_of_a_softmax": lambda: attndsl.attention(*TENSORS, "causal", plan=MOBA),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistake_at_a_door(name: str, golden: Callable[[str, str], None]) -> None:
    with pytest.raises(AttnError) as caught:
        MISTAKES[name]()
    golden(f"errors/{name}.txt", caught.value.render() + "\n")
