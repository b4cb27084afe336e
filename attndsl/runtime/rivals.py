"""What torch itself offers for a bound pattern: random tensors, dense attention, and FlexAttention.

The commands `bench` and `demo` measure attndsl beside these.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from attndsl.diagnostics import AttnBackendError
from attndsl.ir.bound import BoundIR, decays_by_channel, input_sizes
from attndsl.ir.expr import Head, WholeInput, topological
from attndsl.ir.factors import LogOfFactor
from attndsl.runtime.flex_mask import mask_function

Call = Callable[[], Tensor]

RANK = 8
"""Channels of inputs whose last dimension is the caller's choice."""


def random_tensors(ir: BoundIR, head_dim: int, dtype: str) -> tuple[Tensor, Tensor, Tensor]:
    """Standard normal q [1, heads, Nq, D], k and v [1, kv_heads, Nk, D]; the same in every run.

    Raises AttnBackendError A0723 where they do not fit into memory.
    """
    generator = torch.Generator().manual_seed(0)
    kind = getattr(torch, dtype)

    def draw(heads: int, tokens: int) -> Tensor:
        try:
            return torch.randn((1, heads, tokens, head_dim), generator=generator).to(kind)
        except RuntimeError as error:
            what = f"tensors of {heads} heads, {tokens:,} tokens and head dimension {head_dim}"
            reason = str(error).split("\n")[0]
            raise AttnBackendError(
                "A0723", f"{what} do not fit into memory", note=reason, help="use a smaller shape"
            ) from None

    queries, keys = ir.query_space.size, ir.key_space.size
    return draw(ir.heads, queries), draw(ir.kv_heads, keys), draw(ir.kv_heads, keys)


def random_inputs(ir: BoundIR, head_dim: int) -> dict[str, Tensor]:
    """Inputs for all that masks do not read, as scores, sinks and gates do: normal reals, 0 and 1 else."""
    generator = torch.Generator().manual_seed(1)
    read = {each.name for branch in (ir, *ir.branches) for each in branch.mask_inputs}
    drawn: dict[str, Tensor] = {}
    for each in ir.inputs:
        if each.name not in read:
            sizes = [size or RANK for size in input_sizes(ir, each.name, head_dim)]
            normal = _decaying(ir, each.name, torch.randn(sizes, generator=generator))
            drawn[each.name] = {"real": normal, "int": (normal > 0).long(), "bool": normal > 0}[each.kind]
    return drawn


def _decaying(ir: BoundIR, name: str, normal: Tensor) -> Tensor:
    """The numbers as they are; for a decay as logarithms of factors below 1, or as such factors."""

    def reads(node: LogOfFactor) -> bool:
        return any(isinstance(leaf, WholeInput) and leaf.name == name for leaf in node.leaves)

    for each in ir.branches or (ir,):
        if name in each.decay_inputs and each.weighting.decay is not None:
            factors = (
                node for node in topological(each.weighting.decay.log) if isinstance(node, LogOfFactor)
            )
            return normal.sigmoid() if any(map(reads, factors)) else -normal.abs()
    return normal


def has_pairs(ir: BoundIR) -> bool:
    """Whether a pattern in linear time can be computed pair by pair too."""
    in_linear_time = ir.linear is not None and ir.linear.algorithm != "tiles"
    return in_linear_time and ir.weighting.normalize != "flow" and not decays_by_channel(ir)


def dense(q: Tensor, k: Tensor, v: Tensor) -> Call:
    """Torch's attention over all pairs, without a mask."""
    grouped = q.shape[1] != k.shape[1]
    return lambda: scaled_dot_product_attention(q, k, v, enable_gqa=grouped)


def flex(ir: BoundIR, q: Tensor, k: Tensor, v: Tensor, inputs: Mapping[str, Any]) -> Call:
    """FlexAttention, compiled for these tensors, with the pattern's mask over tokens in memory order.

    Raises AttnBackendError A0729 for what is more than a mask.
    """
    if ir.branches or ir.linear or ir.route or ir.groups:
        raise AttnBackendError(
            "A0729", f"FlexAttention computes one softmax over a mask that is known, not `{ir.name}`",
            help="leave out --flex",
        )  # fmt: skip
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention

    read = {each.name: torch.as_tensor(inputs[each.name]) for each in ir.mask_inputs}
    mask = mask_function(ir, read)
    per_head = ir.heads if any(Head() in region.visible.leaves for region in ir.regions) else None
    blocks = create_block_mask(mask, None, per_head, q.shape[2], k.shape[2], device="cpu")
    compiled = torch.compile(flex_attention, dynamic=False)
    grouped = q.shape[1] != k.shape[1]
    return lambda: compiled(q, k, v, block_mask=blocks, enable_gqa=grouped)


def torch_facts() -> dict[str, Any]:
    """Version, threads and GPUs of this machine's torch."""
    gpus = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    return {"version": torch.__version__, "threads": torch.get_num_threads(), "gpus": gpus}


def input_tensors(arrays: Mapping[str, Any]) -> dict[str, Tensor]:
    """Declared inputs as tensors [tokens]."""
    return {name: torch.as_tensor(array) for name, array in arrays.items()}


def to_array(tensor: Tensor) -> Any:
    """The first batch element as a NumPy array, at least single precision."""
    tensor = tensor.detach()[0]
    return (tensor if tensor.dtype == torch.float64 else tensor.float()).numpy()
