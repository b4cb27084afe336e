"""The GPU benchmark's cases in small: they show that the program works, on any device."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from benchmarks.flex_block_masks import moa, radial, s2
from benchmarks.flex_masks import causal, documents, sliding_window
from benchmarks.gpu_cases import GpuCase, lightning_case, neighborhood_case
from benchmarks.gpu_routed import routed_case

_TWO_HEADS = {"shape": 64, "heads": 2}
_ALPHA, _BETA = [0.0, 32.0], [0.5, 0.25]
_DOCUMENTS = np.repeat([0, 1, 2], [30, 9, 25])

_CASES = [
    GpuCase("full", "dense", "full", _TWO_HEADS, None, batch=2),
    GpuCase("causal", "dense", "causal", _TWO_HEADS, lambda device: causal),
    GpuCase(
        "window",
        "line",
        "sliding_window",
        {**_TWO_HEADS, "left": 9, "right": 5},
        lambda device: sliding_window(9, 5),
    ),
    neighborhood_case("gna-2d", (8, 10), (3, 5), (2, 4), heads=2),
    neighborhood_case("gna-3d", (3, 6, 8), (3, 3, 5), (2, 1, 4), heads=2),
    GpuCase(
        "s2",
        "line",
        "s2",
        {**_TWO_HEADS, "block": 8, "local": 2, "stride": 4},
        lambda device: s2(2, block=8, local=2, stride=4),
    ),
    GpuCase(
        "moa",
        "line",
        "moa",
        {**_TWO_HEADS, "alpha": _ALPHA, "beta": _BETA, "block": 8, "sink": 8, "minimum": 16},
        lambda device: moa(64, _ALPHA, _BETA, device, block=8, sink=8, minimum=16),
    ),
    GpuCase(
        "documents",
        "line",
        "document",
        _TWO_HEADS,
        lambda device: documents(_DOCUMENTS.tolist(), device),
        inputs={"doc": _DOCUMENTS},
    ),
    GpuCase(
        "radial",
        "line",
        "radial",
        {"shape": (7, 32), "text": 16, "heads": 2, "decay": 0.5, "block": 8},
        lambda device: radial(7, 32, 0.5, device, block=8),
    ),
    lightning_case("lightning", 64, batch=1, heads=2),
    routed_case("moba", "moba", {**_TWO_HEADS, "block": 16, "topk": 2}, 16, "float32"),
    routed_case(
        "nsa", "nsa", {**_TWO_HEADS, "kv_heads": 1, "block": 16, "n_sel": 2, "window": 9}, 16, "float32"
    ),
    routed_case("sla", "sla", {**_TWO_HEADS, "bq": 16, "bk": 16, "keep": 0.25, "drop": 0.25}, 16, "float32"),
]

SMOKE = [replace(case, head_dim=16, dtype="float32") for case in _CASES]
"""One case of each kind, in single precision, which every device computes."""
