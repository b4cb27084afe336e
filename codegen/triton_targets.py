"""The GPUs that Triton kernels are compiled for: facts that decide tile sizes and types."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Backend = Literal["cuda", "hip"]


@dataclass(frozen=True)
class Target:
    """A GPU architecture.

    name: as in `--target`. architecture: as Triton calls it. warp: threads of a warp. shared: bytes of shared
    memory that one program may use. fp8: whether Triton has 8-bit floats (e4m3) there.
    """

    name: str
    backend: Backend
    architecture: int | str
    warp: int
    shared: int
    fp8: bool


TARGETS = {
    target.name: target
    for target in (
        Target("sm80", "cuda", 80, 32, 166_912, fp8=False),
        Target("sm86", "cuda", 86, 32, 101_376, fp8=False),
        Target("sm89", "cuda", 89, 32, 101_376, fp8=True),
        Target("sm90", "cuda", 90, 32, 232_448, fp8=True),
        Target("sm100", "cuda", 100, 32, 232_448, fp8=True),
        Target("sm120", "cuda", 120, 32, 101_376, fp8=True),
        Target("gfx942", "hip", "gfx942", 64, 65_536, fp8=False),
    )
}
"""Shared memory: CUDA C++ Programming Guide, table of compute capabilities (limit per thread block); AMD
CDNA3 ISA guide (64 KiB of LDS per work-group).
"""


def target_of(backend: Backend, architecture: str) -> Target:
    """The target of a device: 'sm_90' or 'gfx942' and the like; the nearest known one of the same kind."""
    if backend == "hip":
        return TARGETS["gfx942"]
    number = int(architecture.removeprefix("sm_"))
    known = [target for target in TARGETS.values() if target.backend == "cuda"]
    older = [target for target in known if int(target.architecture) <= number]
    return max(older, key=lambda target: int(target.architecture)) if older else known[0]
