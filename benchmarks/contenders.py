"""The ways to compute one case, each as a function of no arguments that returns the output."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, create_block_mask, create_mask, flex_attention
from torch.nn.functional import scaled_dot_product_attention

from benchmarks.cases import HEAD_DIM, HEADS, Case

FLEX_BLOCKS = (64, 128)
MATRIX = 2048
"""Rows and columns of the matrix product whose rate is the ceiling of this machine."""


@dataclass(frozen=True)
class Tensors:
    """Queries, keys and values of a case, [1, heads, tokens, head_dim]."""

    q: Tensor
    k: Tensor
    v: Tensor


def random_tensors(case: Case) -> Tensors:
    """Standard normal tensors, the same in every run."""
    generator = torch.Generator().manual_seed(0)
    shape = (3, 1, HEADS, case.tokens, HEAD_DIM)
    q, k, v = torch.randn(shape, generator=generator).to(getattr(torch, case.dtype))
    return Tensors(q, k, v)


def dense_mask(case: Case) -> Tensor | None:
    """The mask as booleans [1, 1, tokens, tokens]; None for full attention."""
    if case.mask is None:
        return None
    return create_mask(case.mask, None, None, case.tokens, case.tokens, device="cpu")


def block_masks(case: Case) -> dict[str, BlockMask | None]:
    """FlexAttention's block mask for each block size worth trying, by contender."""
    if case.mask is None:
        return {"flex": None}
    tokens = case.tokens
    return {
        f"flex-{size}": create_block_mask(case.mask, None, None, tokens, tokens, "cpu", BLOCK_SIZE=size)
        for size in FLEX_BLOCKS
    }


def flex_contenders(tensors: Tensors, masks: dict[str, BlockMask | None]) -> dict[str, Callable[[], Tensor]]:
    """FlexAttention compiled for these shapes, once for each block mask."""
    torch._dynamo.reset()  # else it counts recompilations over all cases and then runs uncompiled
    compiled = torch.compile(flex_attention, dynamic=False)
    call = partial(compiled, tensors.q, tensors.k, tensors.v)
    return {name: partial(call, block_mask=mask) for name, mask in masks.items()}


def sdpa_contenders(tensors: Tensors, mask: Tensor | None) -> dict[str, Callable[[], Tensor]]:
    """Torch's own attention: over all pairs, and with the mask as a tensor."""
    q, k, v = tensors.q, tensors.k, tensors.v
    contenders: dict[str, Callable[[], Tensor]] = {"sdpa": lambda: scaled_dot_product_attention(q, k, v)}
    if mask is not None:
        contenders["sdpa-mask"] = lambda: scaled_dot_product_attention(q, k, v, attn_mask=mask)
    return contenders


def matrix_product(dtype: str) -> Callable[[], Tensor]:
    """A large product of two square matrices."""
    left, right = torch.randn(2, MATRIX, MATRIX).to(getattr(torch, dtype))
    return lambda: left @ right


def computed_pairs(mask: BlockMask | None, tokens: int) -> int:
    """Pairs of one head in all the blocks that FlexAttention visits."""
    if mask is None:
        return tokens * tokens
    counts = (mask.kv_num_blocks, mask.full_kv_num_blocks)
    blocks = sum(int(count.sum()) for count in counts if count is not None)
    return blocks * mask.BLOCK_SIZE[0] * mask.BLOCK_SIZE[1]
