"""The predicted time of a kernel, in units of one unmasked pair of tokens.

The defaults are for CPUs; they were fitted to the forward kernel with heads of 64 channels in single
precision, tiles of 16 to 128 tokens on one core: a pair took 1.6 nanoseconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Number = float | NDArray[Any]

TOLERANCE = 1.03
"""Predicted times closer than this count as equal."""


@dataclass(frozen=True)
class CostModel:
    """What a visited pair of tiles costs.

    visit: a visit as such. query, key: each token of the q tile (rescaling) and of the kv tile (loading).
    pair: a pair of tokens in a FULL tile. masked_pair: one in a PARTIAL tile, whose residual is evaluated.
    lanes: tiles are filled up to a multiple of so many tokens. largest: the most tokens of a q tile and of a
    kv tile, for kernels of fixed sizes.
    """

    visit: float = 100.0
    query: float = 3.0
    key: float = 5.0
    pair: float = 1.0
    masked_pair: float = 1.25
    lanes: int = 16
    largest: tuple[int, int] | None = None

    def time(
        self,
        visited: Number,
        visited_tokens: Number,
        full_tokens: Number,
        q_tokens: NDArray[Any],
        kv_tokens: NDArray[Any],
    ) -> NDArray[Any]:
        """The time of all visits.

        visited: pairs of tiles. visited_tokens, full_tokens: pairs of tokens in visited and in FULL tiles.
        q_tokens, kv_tokens: the tokens of a whole q tile and kv tile.
        """
        q_filled, kv_filled = (-(-tokens // self.lanes) * self.lanes for tokens in (q_tokens, kv_tokens))
        filling = q_filled / q_tokens * (kv_filled / kv_tokens)
        pairs = self.masked_pair * visited_tokens - (self.masked_pair - self.pair) * full_tokens
        visits = visited * (self.visit + self.query * q_filled + self.key * kv_filled)
        time: NDArray[Any] = visits + pairs * filling
        return time


def best(time: NDArray[Any], visited: NDArray[Any]) -> int:
    """The candidate to take: of those about as fast as the fastest, the one with the fewest visits."""
    as_fast = time <= TOLERANCE * time.min()
    return int(np.argmin(np.where(as_fast, visited, np.inf)))
