"""The problems that the CPU benchmark measures, each with the rival it is compared to and the target."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod
from typing import Any, Literal

from benchmarks.flex_masks import MaskMod, neighborhood, sliding_window

HEADS = 4
HEAD_DIM = 64


@dataclass(frozen=True)
class Case:
    """One attention problem, batch 1, `HEADS` heads of `HEAD_DIM`.

    mask: what FlexAttention users would write, None for full attention. target: how many times
    faster than `rival` attndsl is meant to be.
    """

    name: str
    pattern: str
    shape: tuple[int, ...]
    mask: MaskMod | None
    target: float
    rival: Literal["flex", "sdpa"] = "flex"
    dtype: Literal["float32", "bfloat16"] = "float32"
    parameters: dict[str, Any] = field(default_factory=dict)

    @property
    def tokens(self) -> int:
        """Queries, and keys, per head."""
        return prod(self.shape)


_WINDOW = {"left": 256, "right": 256}
_SQUARE = (64, 64)
_VIDEO = (8, 24, 32)

CASES = [
    Case("window-1d", "sliding_window", (4096,), sliding_window(256, 256), 2.0, parameters={**_WINDOW}),
    Case(
        "window-1d-bf16",
        "sliding_window",
        (4096,),
        sliding_window(256, 256),
        3.0,
        dtype="bfloat16",
        parameters={**_WINDOW},
    ),
    Case(
        "neighborhood-2d",
        "gna",
        _SQUARE,
        neighborhood(_SQUARE, (13, 13)),
        3.5,
        parameters={"window": (13, 13)},
    ),
    Case(
        "neighborhood-2d-dilated",
        "gna",
        _SQUARE,
        neighborhood(_SQUARE, (13, 13), dilation=4),
        8.0,
        parameters={"window": (13, 13), "dilation": 4},
    ),
    Case(
        "neighborhood-3d",
        "gna",
        _VIDEO,
        neighborhood(_VIDEO, (4, 8, 8)),
        4.5,
        parameters={"window": (4, 8, 8)},
    ),
    Case("full", "full", (4096,), None, 0.9, rival="sdpa"),
]
