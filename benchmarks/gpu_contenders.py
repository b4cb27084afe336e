"""The ways to compute one case on a GPU, each as a function of queries, keys and values.

Making one may fail: for lack of memory, or because a rival does not support the case or the device.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.attention.flex_attention import BlockMask, create_block_mask, flex_attention
from torch.nn.functional import scaled_dot_product_attention

import attndsl
from attndsl.pipeline import Bound
from benchmarks.gpu_cases import CAUSAL, GpuCase
from benchmarks.gpu_results import FLEX, OURS, OWN_DENSE, PLANNED, SDPA
from benchmarks.gpu_routed import plans_of
from benchmarks.gpu_tensors import inputs_on

Attention = Callable[[Tensor, Tensor, Tensor], Tensor]
Make = Callable[[], Attention]

FLEX_OPTIONS: dict[str, dict[str, Any]] = {
    "": {},
    "-64": {"block": 64, "kernel_options": {"BLOCK_M": 64, "BLOCK_N": 64}},
    "-descriptors": {"kernel_options": {"USE_TMA": True}},
}
"""How FlexAttention is compiled: as it chooses itself, with smaller blocks, with tensor descriptors."""

FLEX_TUNED: dict[str, dict[str, Any]] = {
    "-tuned": {"mode": "max-autotune-no-cudagraphs"},
    "-64-tuned": {"block": 64, "mode": "max-autotune-no-cudagraphs"},
}
"""The same, with Inductor timing its candidates; compiling takes minutes."""

SDPA_BACKENDS = {
    f"{SDPA}-cudnn": SDPBackend.CUDNN_ATTENTION,
    f"{SDPA}-flash": SDPBackend.FLASH_ATTENTION,
}


def contenders(case: GpuCase, device: str, tuned: bool) -> dict[str, Make]:
    """All contenders of a case, in the order to measure them. tuned: also those that time candidates."""
    dense = case.bound if case.pattern == "full" else full(case.tokens)
    found: dict[str, Make] = {
        OURS: partial(_ours, case, device),
        **({PLANNED: partial(_planned, case, device)} if case.kind == "routed" else {}),
        OWN_DENSE: lambda: dense,
        **{name: partial(_sdpa, backend, case.pattern in CAUSAL) for name, backend in _sdpa_backends(device)},
    }
    if case.kind == "routed" and case.mask is None:
        return found
    masks = cache(partial(block_mask, case, device))
    options = FLEX_OPTIONS | (FLEX_TUNED if tuned else {}) if device == "cuda" else {"-uncompiled": {}}
    return found | {
        f"{FLEX}{name}": partial(_flex, masks, compiles=device == "cuda", **each)
        for name, each in options.items()
    }


def _ours(case: GpuCase, device: str) -> Attention:
    inputs = inputs_on(case, device)
    return lambda q, k, v: case.bound(q, k, v, **inputs)


def _planned(case: GpuCase, device: str) -> Attention:
    """The same without selection."""
    inputs, plan = inputs_on(case, device), plans_of(case, device)
    return lambda q, k, v: case.bound(q, k, v, plan=plan, **inputs)


def computes_the_pattern(case: GpuCase, contender: str) -> bool:
    """Whether a contender's results are to equal ours: others attend to all pairs, or by softmax."""
    if case.kind == "linear":
        return False
    if contender == OWN_DENSE:
        return case.pattern == "full"
    return not contender.startswith(SDPA) or case.kind == "dense"


@cache
def full(tokens: int) -> Bound:
    """Attention over all pairs, by attndsl."""
    return attndsl.pattern("full").bind(shape=tokens)


def block_mask(case: GpuCase, device: str, size: int) -> BlockMask | None:
    """FlexAttention's block mask, made by a compiled function on a GPU, without all pairs in memory."""
    if case.mask is None:
        return None
    heads = case.heads if case.pattern in ("s2", "moa", "moba") else None
    make = torch.compile(create_block_mask) if device == "cuda" else create_block_mask
    found: BlockMask = make(
        case.mask(device), None, heads, case.tokens, case.tokens, device=device, BLOCK_SIZE=size
    )
    return found


def _flex(
    masks: Callable[[int], BlockMask | None],
    compiles: bool,
    block: int = 128,
    mode: str | None = None,
    kernel_options: Any = None,
) -> Attention:
    """FlexAttention over tokens in their natural order."""
    attention = torch.compile(flex_attention, dynamic=False, mode=mode) if compiles else flex_attention
    call: Attention = partial(attention, block_mask=masks(block), kernel_options=kernel_options)
    return call


def _sdpa_backends(device: str) -> list[tuple[str, SDPBackend]]:
    return list(SDPA_BACKENDS.items()) if device == "cuda" else [(f"{SDPA}-math", SDPBackend.MATH)]


def _sdpa(backend: SDPBackend, causal: bool) -> Attention:
    """Torch's attention by one backend, over all pairs or all up to the query."""

    def attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        with sdpa_kernel(backend):
            shared = q.shape[1] != k.shape[1]
            return scaled_dot_product_attention(q, k, v, is_causal=causal, enable_gqa=shared)

    return attention
