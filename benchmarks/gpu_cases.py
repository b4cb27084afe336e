"""The problems that the GPU benchmark measures, each with FlexAttention's mask and the targets on an H200."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

import attndsl
from attndsl.pipeline import Bound
from benchmarks.flex_block_masks import moa, radial, s2
from benchmarks.flex_masks import MaskMod, causal, documents, neighborhood, sliding_window

Kind = Literal["dense", "line", "space", "linear", "routed"]
"""What a mask is like: all pairs or all up to the query, sparse on one axis, or sparse on several; or linear
attention in linear time, beside softmax over all pairs up to the query; or keys that a route chooses."""

Dtype = Literal["bfloat16", "float32"]

CAUSAL = ("causal", "lightning", "moba", "nsa")
"""Patterns whose dense rival attends to all keys up to the query."""

FLEX_FORWARD: dict[Kind, float] = {"line": 1.3, "space": 2.0}
FLEX_TRAINING: dict[Kind, float] = {"line": 1.2, "space": 1.2}
SDPA_SHARE: dict[Kind, float] = {"dense": 0.7}
TILE_SHARE: dict[Kind, float] = {"line": 0.85, "space": 0.85}
"""Targets: how many times faster than FlexAttention, which share of torch's best dense attention, and which
share of the tile speedup the time must show, beside attndsl's own dense attention."""


@dataclass(frozen=True)
class GpuCase:
    """One problem. numbers: what the pattern is bound to, heads included.

    mask: makes what FlexAttention users would write, for tables on a device; None for all pairs, and for what
    they cannot write. inputs: values of the pattern's declared inputs.
    """

    name: str
    kind: Kind
    pattern: str
    numbers: dict[str, Any]
    mask: Callable[[str], MaskMod] | None
    batch: int = 1
    head_dim: int = 128
    dtype: Dtype = "bfloat16"
    inputs: dict[str, NDArray[Any]] = field(default_factory=dict)

    @cached_property
    def bound(self) -> Bound:
        """The pattern with its numbers."""
        return attndsl.pattern(self.pattern).bind(**self.numbers)

    @property
    def tokens(self) -> int:
        """Queries, and keys, per head."""
        return self.bound.ir.query_space.size

    @property
    def heads(self) -> int:
        """Query heads, and key and value heads."""
        return self.bound.ir.heads


def _dense(tokens: int) -> list[GpuCase]:
    """All pairs, and all up to the query; the fewer tokens, the larger the batch."""
    numbers, batch = {"shape": tokens, "heads": 16}, max(1, 2**15 // tokens)
    name = f"{tokens // 1024}k"
    return [
        GpuCase(f"full-{name}", "dense", "full", numbers, None, batch),
        GpuCase(f"causal-{name}", "dense", "causal", numbers, lambda device: causal, batch),
    ]


def neighborhood_case(
    name: str, shape: tuple[int, ...], window: tuple[int, ...], stride: tuple[int, ...], heads: int = 24
) -> GpuCase:
    """Generalized neighborhood attention on several axes."""
    mask = neighborhood(shape, window, stride=stride)
    numbers = {"shape": shape, "heads": heads, "window": window, "stride": stride}
    return GpuCase(name, "space", "gna", numbers, lambda device: mask)


_LONG = 2**15
_IMAGE, _VIDEO = (256, 256), (30, 48, 80)
_ALPHA, _BETA = [0.0] * 16, [0.0625, 0.125, 0.25, 0.5] * 4
_LENGTHS = [9000, 700, 4096, 311, 8200, 1500, 2048, 77, 5000, 1836]
_DOCUMENTS = np.repeat(np.arange(len(_LENGTHS)), _LENGTHS)

_SPARSE = [
    GpuCase(
        "window-32k",
        "line",
        "sliding_window",
        {"shape": _LONG, "heads": 16, "left": 1024, "right": 1024},
        lambda device: sliding_window(1024, 1024),
    ),
    neighborhood_case("gna-2d-stride-16", _IMAGE, (80, 80), (16, 16)),
    neighborhood_case("gna-3d-stride-16-8-8", _VIDEO, (18, 24, 24), (16, 8, 8)),
    neighborhood_case("gna-2d", _IMAGE, (80, 80), (1, 1)),
    neighborhood_case("gna-3d", _VIDEO, (18, 24, 24), (1, 1, 1)),
    GpuCase(
        "s2-32k",
        "line",
        "s2",
        {"shape": _LONG, "heads": 16, "block": 64, "local": 16, "stride": 8},
        lambda device: s2(16, block=64, local=16, stride=8),
    ),
    GpuCase(
        "moa-32k",
        "line",
        "moa",
        {"shape": _LONG, "heads": 16, "alpha": _ALPHA, "beta": _BETA},
        lambda device: moa(_LONG, _ALPHA, _BETA, device),
    ),
    GpuCase(
        "documents-32k",
        "line",
        "document",
        {"shape": _LONG, "heads": 16},
        lambda device: documents(_DOCUMENTS.tolist(), device),
        inputs={"doc": _DOCUMENTS},
    ),
    GpuCase(
        "radial-hunyuan",
        "line",
        "radial",
        {"shape": (30, 3840), "text": 256, "heads": 24, "decay": 0.95},
        lambda device: radial(30, 3840, 0.95, device),
    ),
]


def lightning_case(name: str, tokens: int, batch: int, heads: int) -> GpuCase:
    """Lightning attention.

    For 32768 tokens, batch 4 and 32 heads of 128 channels its repository (OpenNLPLab/lightning-attention)
    publishes 17.7 ms, and 162.9 ms for FlashAttention-2.
    """
    numbers = {"shape": tokens, "heads": heads}
    return GpuCase(name, "linear", "lightning", numbers, lambda device: causal, batch)


_BY_LENGTH = {tokens: _dense(tokens) for tokens in (4096, 8192, 16384, 32768)}

STATIC = [
    *_BY_LENGTH[32768],
    *_SPARSE,
    lightning_case("lightning-32k", _LONG, batch=4, heads=32),
    *(case for tokens in (4096, 8192, 16384) for case in _BY_LENGTH[tokens]),
]
"""What says most comes first, since a run may be cut off. `gpu_routed.py` adds the patterns with routes."""
