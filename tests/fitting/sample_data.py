"""Samples for tests: random queries and keys whose heads look back over different distances."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def local_attention(
    heads: int = 4, kv_heads: int = 2, tokens: int = 64, batch: int = 1, seed: int = 0, sharpness: float = 4.0
) -> tuple[Array, Array]:
    """Arrays q and k [batch, heads, tokens, 16]: nearby keys weigh most, the more so the later the head."""
    chance = np.random.default_rng(seed)
    angles = np.arange(tokens)[:, None] * np.exp(-np.arange(6) / 1.5)
    place = np.concatenate([np.cos(angles), np.sin(angles)], axis=1)
    strength = sharpness * (1 + np.arange(heads)) / heads
    q = chance.standard_normal((batch, heads, tokens, 16))
    k = chance.standard_normal((batch, kv_heads, tokens, 16)) * 0.5
    q[..., :12] = place * strength[:, None, None] + 0.1 * q[..., :12]
    k[..., :12] = place + 0.1 * k[..., :12]
    return q.astype(np.float32), k.astype(np.float32)


def arrays(layers: int = 2, causal: bool | None = True, **changes: Any) -> dict[str, Array]:
    """The arrays of a file of samples by name."""
    named: dict[str, Array] = {}
    for number in range(layers):
        q, k = local_attention(seed=number, sharpness=3.0 * (number + 1), **changes)
        named |= {f"layers.{number}.q": q, f"layers.{number}.k": k}
    return named if causal is None else named | {"causal": np.array(causal)}


def write(folder: Path, named: dict[str, Array], name: str = "samples.npz") -> Path:
    """An npz file in a folder."""
    np.savez(folder / name, **named)  # type: ignore[arg-type]
    return folder / name


def dense_mass(q: Array, k: Array, visible: Array, own: Array, scale: float) -> Array:
    """The mass kept of every head and query by the definition, float64 [batch, heads, queries].

    visible: the pattern's mask [heads or 1, queries, keys]; own: the keys that the model itself shows.
    """
    keys = np.repeat(k.astype(np.float64), q.shape[1] // k.shape[1], axis=1)
    scores = np.einsum("bhqd,bhkd->bhqk", q.astype(np.float64), keys) * scale
    weights = np.where(own, np.exp(scores - scores.max(axis=-1, keepdims=True)), 0.0)
    mass: Array = (weights * visible).sum(axis=-1) / weights.sum(axis=-1)
    return mass
