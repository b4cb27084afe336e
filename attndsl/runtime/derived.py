"""Derived tensors in torch: pooled, transposed, or the output of a branch; autograd differentiates all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import cast

import torch
from torch import Tensor

from attndsl.diagnostics import AttnCallError
from attndsl.ir.blocks import Blocks
from attndsl.ir.bound import BoundIR, Space
from attndsl.ir.derived import ROLES, TENSORS, Derivation, Derived
from attndsl.ir.expr import Const
from attndsl.runtime.checks import check_tensors

Tensors = tuple[Tensor, Tensor, Tensor]


def derived_tensors(ir: BoundIR, q: Tensor, k: Tensor, v: Tensor, outputs: Mapping[str, Tensor]) -> Tensors:
    """The queries, keys and values that a pattern or branch attends with. outputs: of other branches."""
    derivation = ir.derived
    if derivation is None:
        return q, k, v
    given = {"q": q, "k": k, "v": v}
    named = {each.role: each for each in derivation.tensors}
    found = []
    for role in ROLES:
        made = given[TENSORS[role]] if role not in named else _made(named[role], derivation, given, outputs)
        found.append(_with_heads(made, ir.heads if role == "query" else ir.kv_heads))
    return found[0], found[1], found[2]


def check_sources(ir: BoundIR, q: Tensor, k: Tensor, v: Tensor) -> None:
    """Refuse tensors that derived ones cannot be made of, as `check_tensors`."""
    if ir.derived is not None:
        check_tensors(of_sources(ir), q, k, v)


def of_sources(ir: BoundIR) -> BoundIR:
    """The pattern in the spaces of the tensors that the caller passes, which inputs run over."""
    assert ir.derived is not None
    query, key, kv_heads = ir.derived.query_space, ir.derived.key_space, ir.derived.kv_heads
    return replace(ir, query_space=query, key_space=key, kv_heads=kv_heads)


def _made(
    derived: Derived, derivation: Derivation, given: Mapping[str, Tensor], outputs: Mapping[str, Tensor]
) -> Tensor:
    if derived.kind == "branch":
        if derived.of not in outputs:
            raise AttnCallError(
                "A0682", f"this branch takes the output of branch `{derived.of}`",
                help="call the whole pattern, of which both are branches",
            )  # fmt: skip
        return outputs[derived.of]
    tensor = given[derived.of]
    if derived.kind == "transposed":
        return tensor.mT
    blocks = next(each for each in derivation.blocks if each.name == derived.blocks)
    space = derivation.query_space if derived.of == "q" else derivation.key_space
    return pooled(derived.kind, tensor, blocks, space)


def _with_heads(tensor: Tensor, heads: int) -> Tensor:
    """The tensor with so many heads; each of its own serves a group of them."""
    return tensor if tensor.shape[1] == heads else tensor.repeat_interleave(heads // tensor.shape[1], 1)


def pooled(kind: str, tensor: Tensor, blocks: Blocks, space: Space) -> Tensor:
    """The mean, maximum or sum of the tokens of each block, [batch, heads, blocks, channels].

    Blocks that the edge of the space cuts off count their own tokens only. Sums of half precision are taken
    in float32.
    """
    segment = next(each for each in space.segments if set(blocks.axes) <= set(each.axes))
    sizes = {axis: int(cast(Const, size).value) for axis, size in zip(blocks.axes, blocks.sizes, strict=True)}
    wide = tensor if tensor.dtype == torch.float64 else tensor.float()
    grid = wide[:, :, segment.offset : segment.offset + segment.size]
    grid = grid.unflatten(2, segment.extents)  # type: ignore[no-untyped-call]
    for place, (axis, extent) in enumerate(zip(segment.axes, segment.extents, strict=True), 2):
        grid = _along(kind, grid, place, min(sizes.get(axis, extent), extent))
    result: Tensor = grid.flatten(2, -2).to(tensor.dtype)
    return result


def _along(kind: str, grid: Tensor, place: int, size: int) -> Tensor:
    """Pool along one dimension; the mean over a box is the mean of means, since boxes cut each axis alike."""
    whole = grid.shape[place] // size * size
    parts = [grid.narrow(place, 0, whole).unflatten(place, (-1, size))]  # type: ignore[no-untyped-call]
    if whole < grid.shape[place]:
        parts.append(grid.narrow(place, whole, grid.shape[place] - whole).unsqueeze(place))
    return torch.cat([_POOLS[kind](part, place + 1) for part in parts], dim=place)


_POOLS: dict[str, Callable[[Tensor, int], Tensor]] = {
    "mean": lambda part, place: part.mean(place),
    "sum": lambda part, place: part.sum(place),
    "max": lambda part, place: part.amax(place),
}
