"""The work of a pattern: keys per query and FLOPs, exact and as formulas."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from attndsl.ir.bound import BoundIR
from attndsl.simulate.formula import KeysPerQuery, keys_per_query
from attndsl.simulate.speedup import HeadFigures


@dataclass(frozen=True)
class Cost:
    """The work of the heads that share one mask.

    keys_per_query: mean number of visible keys, exact. formula: the same in the pattern's names, None if
    it has none. flops: 4 * head_dim per visible pair (two products, multiply and add), for one head,
    batch 1.
    """

    heads: tuple[int, ...]
    keys_per_query: float
    flops: float
    formula: KeysPerQuery | None

    @property
    def is_exact(self) -> bool:
        """Whether the formula gives the exact mean: edges take nothing away."""
        tolerance = 1e-9 * self.keys_per_query
        return self.formula is not None and abs(self.formula.mean - self.keys_per_query) <= tolerance

    def to_dict(self) -> dict[str, Any]:
        """Numbers, texts and lists only."""
        return {
            "heads": list(self.heads),
            "keys_per_query": self.keys_per_query,
            "flops": self.flops,
            "formula": self.formula.to_dict() if self.formula else None,
            "formula_is_exact": self.is_exact,
        }


def cost(ir: BoundIR, figures: HeadFigures, head_dim: int) -> Cost:
    """The work of one class of heads."""
    keys = figures.density * ir.key_space.size
    formula = keys_per_query(ir, keys, figures.heads[0])
    return Cost(figures.heads, keys, 4.0 * head_dim * keys * ir.query_space.size, formula)
