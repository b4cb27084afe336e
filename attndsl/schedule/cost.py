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
    masked_pair: one in a PARTIAL tile, whose residual is evaluated. lanes: kv tiles are filled up to a
    multiple of so many tokens.
    """

    tile_overhead: float = 500.0
    pair: float = 1.0
    masked_pair: float = 1.15
    lanes: int = 16

    def time(self, visited: Number, visited_tokens: Number, full_tokens: Number, filling: Number) -> Number:
        """The time of visited tiles. filling: how much larger kv tiles become by filling up, 1 or more."""
        pairs = self.masked_pair * visited_tokens - (self.masked_pair - self.pair) * full_tokens
        return self.tile_overhead * visited + pairs * filling

    def filled(self, tokens: Number) -> Number:
        """The tokens of a kv tile after filling up."""
        return -(-tokens // self.lanes) * self.lanes
