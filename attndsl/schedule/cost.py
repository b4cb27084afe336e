"""The predicted time of a kernel, in units of one unmasked pair of tokens.

The defaults are for CPUs. They were fitted to the forward kernel with heads of 64 channels on one core with
AVX-512 and the AMX unit, in one, two and three dimensions: in float32 a pair took 1.5 nanoseconds and a visit
93, in bfloat16 0.41 and 89. A visit is priced as in bfloat16, where it weighs most; in float32 the tiles that
this favours are within 2 % of the best. Larger tiles than 32 x 64 lose up to a quarter of the speed: scores,
queries, keys and values no longer fit into the first-level cache together.
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

    visit: a visit as such. pair: a pair of tokens in a FULL tile. masked_pair: one in a PARTIAL tile, whose
    residual is evaluated. lanes: tiles are filled up to a multiple of so many tokens. largest: the most
    tokens of a q tile and of a kv tile.
    """

    visit: float = 217.0
    pair: float = 1.0
    masked_pair: float = 1.3
    lanes: int = 16
    largest: tuple[int, int] | None = (32, 64)

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
        time: NDArray[Any] = visited * self.visit + pairs * filling
        return time


def best(time: NDArray[Any], visited: NDArray[Any]) -> int:
    """The candidate to take: of those about as fast as the fastest, the one with the fewest visits."""
    as_fast = time <= TOLERANCE * time.min()
    return int(np.argmin(np.where(as_fast, visited, np.inf)))
