"""How a Triton kernel is built: tile sizes, warps, pipeline stages, and the form of its loops.

`defaults` is a table, made by compiling the library's patterns for each target without a GPU: shared memory
fits, and on sm90 no kernel spills registers but those for float32 with more than 128 channels. `candidates`
are what autotuning times.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from attndsl.codegen.triton_targets import Target
from attndsl.schedule.cost import CostModel

Direction = Literal["forward", "delta", "dq", "dk_dv"]
"""The programs, by their names."""


@dataclass(frozen=True)
class Configuration:
    """How one kernel is built.

    q_tokens, kv_tokens: tokens of a tile to schedule with. loops: one loop for FULL tiles and one for PARTIAL
    tiles ('split'), or one for both ('merged'). loads: how tiles are read, by 'pointers', or by tensor
    'descriptors' where tiles are boxes or runs of memory. specialize: whether some warps only load while
    others compute; it takes one loop, descriptors, and queries that are a run of memory, and is left out
    elsewhere. precision: of float32 products.
    """

    q_tokens: int
    kv_tokens: int
    warps: int
    stages: int
    loops: Literal["split", "merged"] = "split"
    loads: Literal["pointers", "descriptors"] = "pointers"
    specialize: bool = False
    precision: Literal["ieee", "tf32x3"] = "tf32x3"


Row = tuple[int, int, int, int]
"""q tokens, kv tokens, warps, stages."""

Rows = dict[int, list[Row]]
"""By the number of channels, rounded up: rows in the order to try, see `defaults`."""

_HALF: dict[str, dict[Direction, Rows]] = {
    "sm80": {
        "forward": {64: [(128, 64, 4, 3)], 128: [(128, 64, 8, 2)], 256: [(64, 32, 8, 2)]},
        "dq": {64: [(64, 64, 4, 2)], 128: [(64, 32, 4, 2)], 256: [(64, 16, 8, 2)]},
        "dk_dv": {64: [(32, 128, 8, 2)], 128: [(32, 64, 8, 2)], 256: [(16, 32, 8, 2)]},
    },
    "sm90": {
        "forward": {64: [(128, 128, 8, 2)], 128: [(128, 64, 8, 3)], 256: [(128, 32, 8, 2)]},
        "dq": {64: [(128, 64, 8, 2)], 128: [(128, 64, 8, 2)], 256: [(64, 32, 8, 2)]},
        "dk_dv": {
            64: [(32, 128, 8, 2)],
            128: [(32, 128, 8, 2), (32, 64, 8, 2)],
            256: [(16, 64, 8, 2), (32, 32, 8, 2)],
        },
    },
    "sm100": {
        "forward": {64: [(128, 128, 8, 2), (128, 64, 8, 2)], 128: [(128, 64, 8, 3)], 256: [(128, 32, 8, 2)]},
        "dq": {64: [(128, 64, 8, 2)], 128: [(128, 64, 8, 2)], 256: [(64, 32, 8, 2)]},
        "dk_dv": {64: [(32, 128, 8, 2)], 128: [(32, 128, 8, 2), (32, 64, 8, 2)], 256: [(16, 64, 8, 2)]},
    },
    "gfx942": {
        "forward": {64: [(128, 64, 4, 1)], 128: [(128, 64, 4, 1)], 256: [(64, 32, 4, 1)]},
        "dq": {64: [(64, 64, 4, 1)], 128: [(64, 64, 4, 1)], 256: [(32, 32, 4, 1)]},
        "dk_dv": {64: [(32, 64, 4, 1)], 128: [(32, 64, 4, 1)], 256: [(16, 32, 4, 1)]},
    },
}
_SINGLE: dict[str, dict[Direction, Rows]] = {
    "sm80": {
        "forward": {64: [(32, 64, 8, 2)], 128: [(32, 32, 8, 2)], 256: [(16, 16, 8, 2)]},
        "dq": {64: [(32, 32, 8, 2)], 128: [(16, 32, 8, 2)], 256: [(16, 16, 8, 1)]},
        "dk_dv": {64: [(32, 32, 8, 2)], 128: [(16, 32, 8, 2)], 256: [(16, 16, 8, 1)]},
    },
    "sm90": {
        "forward": {64: [(64, 32, 4, 2)], 128: [(32, 32, 8, 2)], 256: [(16, 32, 8, 2)]},
        "dq": {64: [(32, 32, 8, 2)], 128: [(32, 32, 8, 2), (16, 32, 8, 2)], 256: [(16, 16, 8, 2)]},
        "dk_dv": {64: [(32, 32, 8, 2)], 128: [(16, 32, 8, 2), (16, 16, 8, 2)], 256: [(16, 16, 8, 1)]},
    },
    "gfx942": {
        "forward": {64: [(64, 32, 4, 1)], 128: [(64, 32, 8, 1)], 256: [(16, 16, 4, 1)]},
        "dq": {64: [(32, 32, 4, 1)], 128: [(32, 32, 4, 1)], 256: [(16, 16, 4, 1)]},
        "dk_dv": {64: [(32, 32, 4, 1)], 128: [(16, 32, 4, 1)], 256: [(16, 16, 4, 1)]},
    },
}
_LIKE = {"sm86": "sm80", "sm89": "sm80", "sm120": "sm80"}
"""Targets that take the rows of another one."""


def defaults(
    target: Target, direction: Direction, head_dim: int, value_dim: int, dtype: str
) -> list[Configuration]:
    """How to build a kernel: the first of these that spills no registers for the pattern, else the last.

    head_dim, value_dim: at most 256. dtype: the tensors' type, by name.
    """
    name = _LIKE.get(target.name, target.name)
    table = _SINGLE if dtype == "float32" else _HALF
    rows = table.get(name, table["sm90"])["dq" if direction == "delta" else direction]
    tried = rows[next(size for size in rows if size >= max(head_dim, value_dim))]
    return [Configuration(*row, precision="ieee" if target.backend == "hip" else "tf32x3") for row in tried]


def candidates(default: Configuration, target: Target) -> Iterator[Configuration]:
    """The default and its neighbours: other tiles and pipelines, one loop, and tensor descriptors."""
    q, kv = default.q_tokens, default.kv_tokens
    for tokens in dict.fromkeys([(q, kv), (q, kv * 2), (q, max(kv // 2, 16)), (max(q // 2, 16), kv)]):
        for stages in (2, 3) if target.backend == "cuda" else (1, 2):
            tried = replace(default, q_tokens=tokens[0], kv_tokens=tokens[1], stages=stages)
            yield tried
            yield replace(tried, loops="merged")
            if target.name in ("sm90", "sm100"):
                described = replace(tried, loads="descriptors", loops="merged")
                yield from (described, replace(described, specialize=True, warps=4))


def cost_model(chosen: Configuration) -> CostModel:
    """What visits cost a kernel: all the same, whether tiles are filled or not, and masks a fifth more."""
    pairs = float(chosen.q_tokens * chosen.kv_tokens)
    largest = chosen.q_tokens, chosen.kv_tokens
    return CostModel(visit=pairs, pair=0.0, masked_pair=0.2, lanes=1, largest=largest)
