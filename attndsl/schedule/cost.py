"""The predicted time of a CPU kernel, in units of one unmasked pair of tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

Number = float | NDArray[Any]


@dataclass(frozen=True)
class CostModel:
    """What a visited pair of tiles costs.

    tile_overhead: a visit as such (loads, loop, rescaling). pair: a pair of tokens in a FULL tile.
    masked_pair: one in a PARTIAL tile, whose residual is evaluated. lanes: tiles are filled up to a multiple
    of so many tokens.
    """

    tile_overhead: float = 500.0
    pair: float = 1.0
    masked_pair: float = 1.15
    lanes: int = 16

    def time(self, visited: Number, visited_tokens: Number, full_tokens: Number, filling: Number) -> Number:
        """The time of visited tiles. filling: how much larger pairs of tiles become by filling up."""
        pairs = self.masked_pair * visited_tokens - (self.masked_pair - self.pair) * full_tokens
        return self.tile_overhead * visited + pairs * filling

    def filling(self, tokens: int) -> float:
        """How much larger a tile of so many tokens becomes by filling up."""
        return -(-tokens // self.lanes) * self.lanes / tokens
