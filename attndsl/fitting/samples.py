"""Samples of a model's attention: queries and keys of each layer, checked against each other.

A file holds for each layer n the arrays

    layers.<n>.q        [batch, heads, sampled queries, head_dim]
    layers.<n>.k        [batch, kv_heads, tokens, head_dim]
    layers.<n>.queries  [sampled queries], their positions; left out where q holds all of them
    layers.<n>.scale    what the dot products are multiplied by; default head_dim**-0.5
    layers.<n>.causal   whether queries see no later keys; may be given to `fit` instead
    layers.<n>.mask     bool [batch or 1, heads or 1, sampled queries, tokens], keys that the model shows;
                        left out where it shows all

`queries`, `scale` and `causal` may also be given once, without `layers.<n>.`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from attndsl.diagnostics import AttnCallError, AttnFileError
from attndsl.fitting.sample_checks import check_shapes, finite, is_number, shown_keys
from attndsl.fitting.sample_file import Array, SampleFile

KEY = re.compile(r"layers\.(\d+)\.[qk]")


@dataclass(frozen=True)
class Layer:
    """The samples of one layer.

    q: float32 [batch, heads, queries, head_dim]. k: float32 [batch, kv_heads, tokens, head_dim]. queries:
    positions of the sampled queries, int64 [queries], rising. mask: bool [batch or 1, heads or 1, queries,
    tokens], or None.
    """

    number: int
    q: Array
    k: Array
    queries: NDArray[np.int64]
    scale: float
    causal: bool
    mask: NDArray[np.bool_] | None = None

    @property
    def heads(self) -> int:
        """Query heads."""
        return int(self.q.shape[1])

    @property
    def kv_heads(self) -> int:
        """Key and value heads."""
        return int(self.k.shape[1])

    @property
    def tokens(self) -> int:
        """Tokens, sampled or not."""
        return int(self.k.shape[2])


@dataclass(frozen=True)
class Samples:
    """A file of samples. causal: for layers that do not say. rows: at most so many queries of each layer."""

    file: SampleFile
    numbers: tuple[int, ...]
    causal: bool | None
    rows: int
    seed: int

    def layer(self, number: int) -> Layer:
        """Read and check one layer. Raises AttnCallError (A063x) for arrays that do not fit."""
        q, k = (self.file.read(f"layers.{number}.{name}") for name in "qk")
        check_shapes(number, q, k)
        queries = self._queries(number, q.shape[2], k.shape[2])
        chosen = self._sample(len(queries))
        mask = self._mask(number, (*q.shape[:3], k.shape[2]))
        return Layer(
            number=number,
            q=finite(f"layers.{number}.q", q[:, :, chosen]),
            k=finite(f"layers.{number}.k", k),
            queries=queries[chosen],
            scale=self._scale(number, q.shape[3]),
            causal=self._causal(number),
            mask=None if mask is None else mask[:, :, chosen],
        )

    def _sample(self, count: int) -> NDArray[np.int64]:
        """Places of the queries to look at: the same in layers of equal length."""
        if count <= self.rows:
            return np.arange(count)
        return np.sort(np.random.default_rng(self.seed).choice(count, self.rows, replace=False))

    def _queries(self, number: int, sampled: int, tokens: int) -> NDArray[np.int64]:
        found = self._optional(number, "queries")
        if found is None:
            if sampled == tokens:
                return np.arange(tokens)
            raise AttnCallError(
                "A0632",
                f"layer {number} has {sampled} queries and {tokens} keys, and does not say which queries",
                help=f"add `layers.{number}.queries`, the positions of the queries; cross-attention is no "
                "subject of fit",
            )
        fits = found.shape == (sampled,) and found.dtype.kind in "iu"
        if fits and found.min() >= 0 and found.max() < tokens and (np.diff(found.astype(np.int64)) > 0).all():
            return found.astype(np.int64)
        raise AttnCallError(
            "A0632",
            f"`queries` of layer {number} must be {sampled} rising positions from 0 to {tokens - 1}",
            help="give the position of each row of q, in rising order",
        )

    def _scale(self, number: int, head_dim: int) -> float:
        found = self._optional(number, "scale")
        if found is None:
            return float(head_dim**-0.5)
        if found.size == 1 and is_number(found):
            return float(found.astype(np.float64).reshape(()))
        raise AttnCallError(
            "A0633",
            f"`scale` of layer {number} must be one finite number",
            help="give one number for the layer, such as head_dim ** -0.5",
        )

    def _causal(self, number: int) -> bool:
        found = self._optional(number, "causal")
        if found is None and self.causal is not None:
            return self.causal
        if found is not None and found.size == 1 and found.dtype.kind in "biu":
            return bool(found.reshape(()))
        raise AttnFileError(
            "A0823",
            f"`{self.file.path}` does not say whether layer {number} is causal",
            help="pass --causal or --no-causal (from Python: causal=True or causal=False)",
        )

    def _mask(self, number: int, shape: tuple[int, ...]) -> NDArray[np.bool_] | None:
        name = f"layers.{number}.mask"
        return shown_keys(name, self.file.read(name), shape) if name in self.file.names else None

    def _optional(self, number: int, name: str) -> Array | None:
        for key in (f"layers.{number}.{name}", name):
            if key in self.file.names:
                return self.file.read(key)
        return None


def open_samples(
    path: str | Path,
    causal: bool | None = None,
    layers: Sequence[int] | None = None,
    rows: int = 256,
    seed: int = 0,
) -> Samples:
    """The samples in a file; layers: those to read, default all. Raises AttnFileError (A082x)."""
    file = SampleFile(path)
    numbers = sorted({int(found[1]) for name in file.names if (found := KEY.fullmatch(name))})
    if not numbers:
        listing = ", ".join(sorted(file.names)[:4]) or "nothing"
        raise AttnFileError(
            "A0822",
            f"`{file.path}` holds no samples: it has {listing}",
            help="name the arrays layers.0.q, layers.0.k, layers.1.q, ...",
        )
    chosen = numbers if layers is None else _chosen(file, numbers, layers)
    for number in chosen:
        for name in (f"layers.{number}.q", f"layers.{number}.k"):
            if name not in file.names:
                raise AttnFileError(
                    "A0822", f"`{file.path}` lacks `{name}`", help="give q and k of each layer"
                )
    return Samples(file, tuple(chosen), causal, rows, seed)


def _chosen(file: SampleFile, numbers: Sequence[int], layers: Sequence[int]) -> list[int]:
    missing = [number for number in layers if number not in numbers]
    if not missing and layers:
        return sorted(set(layers))
    raise AttnFileError(
        "A0824",
        f"`{file.path}` has no layer {missing[0]}" if missing else "no layer is chosen",
        help=f"it has the layers {', '.join(map(str, numbers))}",
    )
