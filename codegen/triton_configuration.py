"""How a Triton kernel is to be built: tile sizes, warps, pipeline stages, and the form of its loops.

`configuration` is the table of defaults. Its entries were chosen by compiling for each target without a GPU:
shared memory fits, and on sm_90 no register is spilled. `candidates` are what autotuning times.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Backend = Literal["cuda", "hip"]
Direction = Literal["forward", "dq", "dkdv"]


@dataclass(frozen=True)
class Target:
    """A GPU architecture.

    name: as in `--target`. shared: bytes of shared memory that one program may use. l2: bytes of second-level cache, which keys and values of the heads that run together should fit into.
    """

    name: str
    backend: Backend
    architecture: int | str
    warp: int
    shared: int
    l2: int
    fp8: bool


TARGETS = {
    target.name: target
    for target in (
        Target("sm80", "cuda", 80, 32, 166_912, 40 << 20, fp8=False),
        Target("sm86", "cuda", 86, 32, 101_376, 6 << 20, fp8=False),
        Target("sm89", "cuda", 89, 32, 101_376, 48 << 20, fp8=True),
        Target("sm90", "cuda", 90, 32, 232_448, 50 << 20, fp8=True),
        Target("sm100", "cuda", 100, 32, 232_448, 120 << 20, fp8=True),
        Target("gfx942", "hip", "gfx942", 64, 65_536, 4 << 20, fp8=False),
    )
}
"""Shared memory: CUDA C++ Programming Guide, table of compute capabilities (limit per thread block); AMD
CDNA3 ISA guide (64 KiB of LDS per work-group). L2: the data sheets of A100, RTX 3090, L40S, H100, B200 and
MI300X (per XCD).
"""


@dataclass(frozen=True)
class Configuration:
    """How one kernel is built.

    q_tokens, kv_tokens: tokens of a tile to schedule with. loops: one loop for FULL tiles and one for PARTIAL
    tiles ('split'), or one for both ('merged'). loads: how visited tiles are read, by 'pointers', or by tensor
    'descriptors' where tiles are boxes or runs of memory. specialize: whether some warps only load while
    others compute; it wants 'merged' and 'descriptors'. precision: of float32 products.
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

_HALF: dict[str, dict[int, Row]] = {
    "sm80": {64: (128, 64, 4, 3), 128: (128, 64, 8, 2), 256: (64, 32, 4, 2)},
    "sm90": {64: (128, 128, 8, 2), 128: (128, 128, 8, 2), 256: (128, 64, 8, 2)},
    "sm100": {64: (128, 64, 4, 3), 128: (128, 64, 8, 2), 256: (128, 64, 8, 2)},
    "gfx942": {64: (128, 64, 4, 1), 128: (128, 64, 4, 1), 256: (128, 32, 4, 1)},
}
_SINGLE: dict[str, dict[int, Row]] = {
    "sm80": {64: (64, 32, 4, 2), 128: (64, 32, 4, 2), 256: (32, 16, 4, 2)},
    "sm90": {64: (64, 32, 4, 2), 128: (64, 32, 4, 2), 256: (64, 16, 4, 2)},
    "sm100": {64: (64, 32, 4, 2), 128: (64, 32, 4, 2), 256: (64, 16, 4, 2)},
    "gfx942": {64: (64, 32, 4, 1), 128: (64, 32, 4, 1), 256: (64, 16, 4, 1)},
}
