"""A schedule written out as a mask, the way a kernel reads it: the test of everything before it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from attndsl.ir.bound import Space
from attndsl.ir.evaluate import coordinates, evaluate, refuse_large_mask
from attndsl.ir.expr import Expr, Head, InputAt, Position
from attndsl.schedule.block_map import FULL, BlockMap

if TYPE_CHECKING:
    from attndsl.schedule.schedule import Schedule

Array = NDArray[Any]


def expand(schedule: Schedule, inputs: Mapping[str, Array]) -> NDArray[np.bool_]:
    """The mask, bool [heads or 1, Nq, Nk]; see `Schedule.to_mask`."""
    ir, heads = schedule.ir, schedule.ir.heads if schedule.per_head else 1
    shape = heads, ir.query_space.size, ir.key_space.size
    refuse_large_mask(shape, "look at the block maps, or use a smaller shape")
    mask = np.zeros(shape, dtype=bool)
    for head in range(heads):
        _fill(mask[head], schedule, schedule.maps[schedule.map_of_head[head]], head, inputs)
    return mask


def _fill(
    mask: Array, schedule: Schedule, block_map: BlockMap, head: int, inputs: Mapping[str, Array]
) -> None:
    query_tokens, _ = schedule.q_tiling.tokens()
    key_tokens, _ = schedule.kv_tiling.tokens()
    for row, begin, end, residual in zip(
        block_map.row, block_map.begin, block_map.end, block_map.residual, strict=True
    ):
        queries = query_tokens[row][query_tokens[row] >= 0]
        if residual == FULL:
            keys = key_tokens[begin:end]
            mask[queries[:, None], keys[keys >= 0]] = True
            continue
        for column in range(begin, end):
            keys = key_tokens[column][key_tokens[column] >= 0]
            leaf = _leaves(schedule, queries[:, None], keys[None, :], head, inputs)
            mask[queries[:, None], keys] = evaluate(schedule.residuals[residual - 1], leaf)


def _leaves(
    schedule: Schedule, queries: Array, keys: Array, head: int, inputs: Mapping[str, Array]
) -> Callable[[Expr], Any]:
    tokens = {"q": queries, "k": keys}
    spaces = {"q": schedule.ir.query_space, "k": schedule.ir.key_space}
    positions = {side: _coordinates(spaces[side], tokens[side]) for side in tokens}

    def leaf(node: Expr) -> Any:
        match node:
            case Position(side, int(axis)):
                return positions[side][axis]
            case InputAt(name, side):
                return inputs[name][tokens[side]]
            case Head():
                return head
        raise TypeError(f"{type(node).__name__} does not belong into a residual")

    return leaf


def _coordinates(space: Space, tokens: Array) -> tuple[Array, ...]:
    """Coordinates of tokens that lie in one segment, as those of a tile do."""
    segment = next(s for s in space.segments if s.offset <= tokens.flat[0] < s.offset + s.size)
    return coordinates(segment, tokens)
