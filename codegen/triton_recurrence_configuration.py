"""How Triton kernels of recurrences are built: tokens of a chunk, value channels of a program, warps.

The table was made by compiling for each target without a GPU: shared memory fits, and on sm90 no kernel of
tensors of 16 bits with at most 128 channels spills registers. Others do: in float32 with more than 64
channels, and on sm80 with decays per channel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from attndsl.codegen.recurrence import Decay
from attndsl.codegen.triton_configuration import Configuration
from attndsl.codegen.triton_targets import Target
from attndsl.codegen.triton_tensors import padded_channels

Precision = Literal["ieee", "tf32x3"]


@dataclass(frozen=True)
class RecurrenceConfiguration(Configuration):
    """How one kernel is built; queries and keys of a chunk are the same tokens.

    value_block: the value channels of one program, a power of 2.
    """

    value_block: int = 64

    @property
    def chunk(self) -> int:
        """Tokens of a chunk, a power of 2."""
        return self.q_tokens


def chunked(
    chunk: int, value_block: int, warps: int, stages: int, precision: Precision = "tf32x3"
) -> RecurrenceConfiguration:
    """The configuration with these numbers."""
    return RecurrenceConfiguration(chunk, chunk, warps, stages, precision=precision, value_block=value_block)


WARP_GROUPS = ("sm90", "sm100")
"""Targets with matrix instructions that read shared memory; on others, tiles go through registers."""

Row = tuple[int, int, int, int]
"""Tokens of a chunk, value channels, warps, stages."""

Rows = dict[Decay, dict[str, dict[int, Row]]]
"""By kind of decay, program, and channels of keys, rounded up."""

_HALF: Rows = {
    "none": {
        "recurrence_forward": {64: (64, 64, 4, 2), 128: (64, 64, 4, 2), 256: (64, 32, 8, 2)},
        "recurrence_dq": {64: (64, 64, 8, 2), 128: (64, 128, 8, 2), 256: (64, 32, 8, 2)},
        "recurrence_dk_dv": {64: (64, 64, 8, 2), 128: (32, 128, 8, 1), 256: (32, 32, 8, 1)},
    },
    "token": {
        "recurrence_forward": {64: (64, 32, 4, 2), 128: (64, 32, 4, 2), 256: (32, 32, 8, 1)},
        "recurrence_dq": {64: (32, 64, 4, 2), 128: (32, 128, 8, 1), 256: (32, 64, 8, 2)},
        "recurrence_dk_dv": {64: (32, 64, 8, 2), 128: (32, 128, 8, 1), 256: (16, 32, 8, 1)},
    },
    "channel": {
        "recurrence_forward": {64: (32, 64, 8, 2), 128: (16, 32, 8, 1), 256: (16, 16, 8, 1)},
        "recurrence_dq": {64: (32, 64, 8, 2), 128: (16, 128, 8, 1), 256: (16, 32, 8, 1)},
        "recurrence_dk_dv": {64: (16, 64, 8, 2), 128: (16, 32, 8, 2), 256: (16, 16, 8, 1)},
    },
}
_SINGLE: Rows = {
    "none": {
        "recurrence_forward": {64: (32, 64, 8, 2), 128: (16, 32, 8, 1), 256: (16, 32, 8, 1)},
        "recurrence_dq": {64: (32, 32, 8, 2), 128: (32, 32, 8, 1), 256: (16, 16, 8, 1)},
        "recurrence_dk_dv": {64: (16, 64, 8, 1), 128: (16, 32, 8, 1), 256: (16, 16, 8, 1)},
    },
    "token": {
        "recurrence_forward": {64: (32, 32, 8, 1), 128: (16, 32, 8, 1), 256: (16, 32, 8, 1)},
        "recurrence_dq": {64: (32, 32, 8, 2), 128: (32, 32, 8, 1), 256: (16, 16, 8, 1)},
        "recurrence_dk_dv": {64: (16, 64, 8, 1), 128: (16, 32, 8, 1), 256: (16, 16, 8, 1)},
    },
    "channel": {
        "recurrence_forward": {64: (16, 64, 8, 1), 128: (16, 32, 8, 1), 256: (16, 16, 8, 1)},
        "recurrence_dq": {64: (16, 64, 8, 1), 128: (16, 32, 8, 1), 256: (16, 16, 8, 1)},
        "recurrence_dk_dv": {64: (16, 32, 8, 1), 128: (16, 32, 8, 1), 256: (16, 16, 8, 1)},
    },
}


def recurrence_default(
    target: Target, name: str, decay: Decay, head_dim: int, value_dim: int, dtype: str
) -> RecurrenceConfiguration:
    """How the kernel of a program is built. head_dim: at most 256. Values may have any number of channels."""
    rows = (_SINGLE if dtype == "float32" else _HALF)[decay][name]
    chunk, value_block, warps, stages = rows[next(size for size in rows if size >= head_dim)]
    value_block = min(value_block, padded_channels(value_dim, dtype))
    if target.backend == "hip":  # warps of 64 threads, and a quarter of the shared memory
        return chunked(min(chunk, 32), value_block, max(warps // 2, 4), 1, "ieee")
    if target.name not in WARP_GROUPS:
        stages = stages if name == "recurrence_forward" else 1
        return chunked(min(chunk, 32), min(value_block, 32), warps, stages)
    return chunked(chunk, value_block, warps, stages)
