"""Random settings of every shipped pattern: what to bind, and what the formula of that name is called with.

A case is small enough for the whole mask, and covers what goes wrong: extents that are not multiples, windows
as long as the axis, single tokens, one head and many.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any, TypeAlias

import numpy as np

Case: TypeAlias = dict[str, Any]

RANKS = {1: (2, 40), 2: (2, 10), 3: (2, 6)}  # rank -> range of extents


def shape_of(random: Random, rank: int) -> tuple[int, ...]:
    return tuple(random.randint(*RANKS[rank]) for _ in range(rank))


def each_axis(shape: tuple[int, ...], number: Callable[[int], int]) -> tuple[int, ...]:
    return tuple(number(extent) for extent in shape)


def divisor(random: Random, n: int) -> int:
    return random.choice([d for d in range(1, n + 1) if n % d == 0])


def only_shape(random: Random) -> Case:
    return {"shape": shape_of(random, 1)}


def full(random: Random) -> Case:
    return {"shape": shape_of(random, random.choice([1, 2, 3]))}


def sliding_window(random: Random) -> Case:
    return only_shape(random) | {"left": random.randint(0, 40), "right": random.randint(0, 9)}


def dilated_window(random: Random) -> Case:
    return sliding_window(random) | {"dilation": random.randint(1, 6)}


def streaming(random: Random) -> Case:
    return only_shape(random) | {"sink": random.randint(0, 5), "window": random.randint(0, 20)}


def prefix_lm(random: Random) -> Case:
    return only_shape(random) | {"prefix": random.randint(0, 45)}


def document(random: Random) -> Case:
    shape = shape_of(random, 1)
    documents = np.array([random.randint(0, 4) for _ in range(shape[0])])
    return {
        "shape": shape,
        "causal": random.random() < 0.5,
        "doc": np.sort(documents) if random.random() < 0.5 else documents,
    }


def global_window(random: Random) -> Case:
    return sliding_window(random) | {"n_global": random.randint(0, 5)}


def neighborhood(random: Random) -> Case:
    shape = shape_of(random, random.choice([1, 2, 3]))
    window = each_axis(shape, lambda extent: random.randint(1, extent))
    dilation = tuple(random.randint(1, n // w) for n, w in zip(shape, window, strict=True))
    return {"shape": shape, "window": window, "dilation": dilation}


def gna(random: Random) -> Case:
    case = neighborhood(random)
    case["stride"] = each_axis(case["window"], lambda window: random.randint(1, window))
    case["causal"] = tuple(random.random() < 0.4 for _ in case["shape"])
    return case


def sta(random: Random) -> Case:
    rank = random.choice([1, 2, 3])
    tile = tuple(random.randint(1, 3) for _ in range(rank))
    tiles = tuple(random.choice([1, 3]) for _ in range(rank))
    window = tuple(t * n for t, n in zip(tile, tiles, strict=True))
    shape = tuple(w + random.randint(0, 1) * t for w, t in zip(window, tile, strict=True))
    if random.random() < 0.3:
        shape = tuple(extent + random.randint(0, 2) for extent in shape)
    return {"shape": shape, "tile": tile, "window": window}


def blocked(random: Random) -> Case:
    shape = shape_of(random, random.choice([1, 2, 3]))
    return {"shape": shape, "window": each_axis(shape, lambda extent: random.randint(1, extent))}


def halo(random: Random) -> Case:
    shape = shape_of(random, 2)
    return {"shape": shape, "block": random.randint(1, 6), "halo": random.randint(0, 4)}


def window(random: Random) -> Case:
    return {"shape": shape_of(random, 2), "window": (random.randint(1, 11), random.randint(1, 11))}


def shifted_window(random: Random) -> Case:
    size = random.randint(1, 6)
    return {
        "shape": shape_of(random, 2),
        "window": size,
        "shift": (random.randint(0, size), random.randint(0, size)),
    }


def cswin(random: Random) -> Case:
    return {"shape": shape_of(random, 2), "stripe": random.randint(1, 5), "heads": random.choice([2, 4, 6])}


def maxvit_grid(random: Random) -> Case:
    shape = shape_of(random, 2)
    return {"shape": shape, "grid": each_axis(shape, lambda extent: divisor(random, extent))}


def crossformer_lda(random: Random) -> Case:
    return {"shape": shape_of(random, 2), "group": random.randint(1, 4), "interval": random.randint(1, 4)}


def inward_window(random: Random) -> Case:
    shape = (random.randint(1, 3), random.randint(1, 9), random.randint(1, 9))
    return {
        "shape": shape,
        "dh": random.randint(0, (shape[1] - 1) // 2),
        "dw": random.randint(0, (shape[2] - 1) // 2),
    }


def radial(random: Random) -> Case:
    """Few frames of many tokens, where bands narrow, or many of few, where frame pairs are left out."""
    if random.random() < 0.5:
        block, frames = random.choice([8, 12, 16, 32, 64]), random.randint(3, 5)
        tokens = block * (random.randint(130, 250) // block)
    else:
        block, frames = random.choice([4, 6, 8]), random.randint(10, 30)
        tokens = block * random.randint(2, 4)
    decay, sink = random.choice([0.2, 0.37, 0.55, 0.8, 0.95, 1.0]), random.random() < 0.3
    return {
        "shape": (frames, tokens),
        "text": random.choice([0, 7]),
        "decay": decay,
        "block": block,
        "sink": sink,
    }


def frame_causal(random: Random) -> Case:
    window = random.choice([0, random.randint(1, 6)])
    shape = (random.randint(1, 12), random.randint(1, 5))
    return {"shape": shape, "chunk": random.randint(1, 4), "window": window, "sink": random.randint(0, 4)}


def video_infinity(random: Random) -> Case:
    frames, pad, shared = random.randint(1, 20), random.randint(0, 6), random.randint(0, 8)
    return {"shape": (frames,), "key_shape": (frames + 2 * pad + shared,), "pad": pad}


def svg(random: Random) -> Case:
    shape = (random.randint(1, 7), random.randint(1, 24))
    return {
        "shape": shape,
        "block": random.choice([1, 2, 3, 5, 8, 12]),
        "multiple": random.choice([1, 1.4, 2, 2.7]),
    }


def attention_tile(random: Random) -> Case:
    return {"shape": (random.randint(1, 10), random.randint(1, 5)), "reference": random.randint(1, 6)}


def moa(random: Random) -> Case:
    heads, block = random.choice([1, 2, 3]), random.choice([1, 4, 8])
    alpha = tuple(random.choice([0.0, -16.0, 7.5, 32.0]) for _ in range(heads))
    beta = tuple(random.choice([0.0, 0.1, 0.25, 0.5, 1.0]) for _ in range(heads))
    limits = {"block": block, "sink": random.choice([0, 4, 10, 16]), "minimum": random.choice([1, 8, 16])}
    return {"shape": (random.randint(2, 90),), "alpha": alpha, "beta": beta, "heads": heads, **limits}


def s2(random: Random) -> Case:
    heads = random.choice([1, 2, 3, 4])
    kv_heads = random.choice([heads, divisor(random, heads)])
    causal, homo_head = random.random() < 0.7, random.random() < 0.2
    dense_heads = random.randint(0, kv_heads - 1) if causal and not homo_head else 0
    local = random.randint(1, 4) if causal else random.randint(0, 2)
    blocks = {"block": random.choice([1, 3, 8]), "local": local, "stride": random.randint(1, 9)}
    flags = {
        "causal": causal,
        "homo_head": homo_head,
        "offset": random.randint(0, 2),
        "dense_heads": dense_heads,
    }
    return {"shape": (random.randint(2, 80),), "heads": heads, "kv_heads": kv_heads, **blocks, **flags}


def longlora(random: Random) -> Case:
    ratio = random.choice([0.125, 0.25, 0.5])
    n = int(random.randint(1, 5) * 2 / ratio)
    return {"shape": (n,), "heads": random.choice([2, 4]), "ratio": ratio, "wrap": random.random() < 0.5}


def sink_longlora(random: Random) -> Case:
    ratio = random.choice([0.125, 0.25, 0.5])
    return {"shape": (int(random.randint(1, 10) / ratio),), "ratio": ratio, "sink": random.randint(0, 6)}


CASES: dict[str, Callable[[Random], Case]] = {
    "attention_tile": attention_tile,
    "blocked": blocked,
    "causal": only_shape,
    "crossformer_lda": crossformer_lda,
    "cswin": cswin,
    "dilated_window": dilated_window,
    "document": document,
    "frame_causal": frame_causal,
    "full": full,
    "global_window": global_window,
    "gna": gna,
    "halo": halo,
    "inward_window": inward_window,
    "longlora": longlora,
    "maxvit_grid": maxvit_grid,
    "moa": moa,
    "neighborhood": neighborhood,
    "prefix_lm": prefix_lm,
    "radial": radial,
    "s2": s2,
    "shifted_window": shifted_window,
    "sink_longlora": sink_longlora,
    "sliding_window": sliding_window,
    "sta": sta,
    "streaming": streaming,
    "svg_spatial": svg,
    "svg_temporal": svg,
    "video_infinity": video_infinity,
    "window": window,
}
"""One function per pattern of the library, by the pattern's name: Random -> Case."""
