"""What the demo shows and says: pattern, HunyuanVideo's numbers, published table, what to try next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

PATTERN = '''\
pattern hunyuan(window: int[3], stride: int[3]):
    """A group of `stride` queries shares the nearest `window` of keys."""
    space video(t, h, w) ++ text(n)
    attend
        video -> video: neighborhood(window, stride)
        else:           true
'''

SETTING: dict[str, Any] = {"shape": (30, 48, 80), "window": (18, 24, 24), "stride": (16, 8, 8)}
"""HunyuanVideo at 720p: 30 x 48 x 80 video tokens (the paper counts no text), without partial tiles."""

SHARE = 0.607
"""Share of HunyuanVideo's time that dense attention takes on a B200, as the paper measured it."""

MISTAKE = ("neighbourhood(window, stride)", "neighborhood(window, stride)")


@dataclass(frozen=True)
class Published:
    """A row of the paper's table for HunyuanVideo on a B200."""

    stride: tuple[int, int, int]
    tile_speedup: float
    end_to_end: float
    measured: float


ROWS = (
    Published((1, 1, 1), 3.27, 1.73, 1.73),
    Published((2, 1, 1), 3.60, 1.78, 1.77),
    Published((1, 1, 8), 5.45, 1.99, 1.95),
    Published((2, 8, 8), 10.0, 2.20, 2.11),
    Published((16, 8, 8), 11.11, 2.23, 2.23),
)

NEXT = """\
Next:
    attndsl list                                          the library of published patterns
    attndsl show gna --shape 24,24 --set window=9,9       a picture you can check by eye
    attndsl explain gna --shape 24,24 --set window=9,9    what it costs, and what would make it cheaper
    attndsl compile gna --shape 24,24 --set window=9,9    the C++ kernel
    attndsl bench gna --shape 64,64 --heads 4 --set window=13,13 --head-dim 64
    attndsl check my.attn                                 your own pattern"""
