"""Residuals: the part of the mask that is still undecided inside a PARTIAL tile.

A window, for example, is `start <= k and k < end`; a tile on its left border needs only the first comparison.
At most `LIMIT` different residuals are kept, since kernels carry code for each; rarer tiles test more than
they must.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attndsl.ir.expr import FALSE, TRUE, Apply, Const, Expr, Position
from attndsl.ir.intervals import Truth
from attndsl.passes.rewrite import rebuild
from attndsl.passes.simplify import simplify
from attndsl.schedule.decide import conjunction, conjuncts

Array = NDArray[Any]
RegionKey = tuple[int, int]

LIMIT = 8
CONNECTIVES = ("and", "or", "not")
ENCODED_ATOMS = 39
"""The status of so many atoms fits into 64 bits; further ones are kept in every residual."""


@dataclass(frozen=True)
class Residual:
    """A predicate over the tokens of one region: (query segment, key segment), None where any will do."""

    predicate: Expr
    region: RegionKey | None


@dataclass(frozen=True)
class Choices:
    """Three predicates that all decide a PARTIAL tile, from the most special to the most shared."""

    fine: Residual
    coarse: Residual
    whole: Residual


def atoms(root: Expr) -> list[Expr]:
    """The comparisons and truth values that a mask is made of, in order, each once."""
    found: dict[Expr, None] = {}
    _collect(root, found)
    return list(found)


def _collect(node: Expr, found: dict[Expr, None]) -> None:
    if _is_connective(node):
        for child in node.children:
            _collect(child, found)
    elif not isinstance(node, Const):
        found.setdefault(node)


def _is_connective(node: Expr) -> bool:
    if not isinstance(node, Apply):
        return False
    return node.op in CONNECTIVES or (node.op in ("select", "eq", "ne") and node.args[-1].type == "bool")


def encode(truths: list[Truth], size: int) -> Array:
    """The status of all atoms in each tile as one number, int64 [size]: base 3, 1 always, 2 never holds."""
    code = np.zeros(size, dtype=np.int64)
    for truth in truths[:ENCODED_ATOMS]:
        code = code * 3 + np.where(truth.may_fail, np.where(truth.may_hold, 0, 2), 1)
    return code


def decode(code: int, names: list[Expr]) -> dict[Expr, Expr]:
    """The atoms that are decided under a code."""
    decided: dict[Expr, Expr] = {}
    for name in reversed(names[:ENCODED_ATOMS]):
        code, status = divmod(code, 3)
        if status:
            decided[name] = TRUE if status == 1 else FALSE
    return decided


def choices(mask: Expr, decided: Mapping[Expr, Expr], region: RegionKey) -> Choices:
    """What can stand for a mask in tiles where some of its atoms are decided."""
    factors = conjuncts(mask)
    left = [simplify(_replaced(factor, decided)) for factor in factors]
    open_axes = {_axes(factor) for factor, rest in zip(factors, left, strict=True) if rest is not TRUE}
    coarse = conjunction([factor for factor in factors if _axes(factor) in open_axes])
    fine = simplify(conjunction(left))
    return Choices(*(Residual(expr, _place(expr, region)) for expr in (fine, coarse, mask)))


def _replaced(node: Expr, values: Mapping[Expr, Expr]) -> Expr:
    if node in values:
        return values[node]
    return (
        rebuild(node, tuple(_replaced(child, values) for child in node.children)) if node.children else node
    )


def _axes(expr: Expr) -> frozenset[Expr]:
    return frozenset(leaf for leaf in expr.leaves if isinstance(leaf, Position))


def _place(expr: Expr, region: RegionKey) -> RegionKey | None:
    return region if _axes(expr) else None


@dataclass
class ResidualTable:
    """Collects the choices of all PARTIAL tiles of a schedule, then settles which predicates to keep."""

    _number: dict[Choices, int] = field(default_factory=dict)
    _tiles: list[int] = field(default_factory=list)

    def add(self, found: Choices, tiles: int) -> int:
        """The provisional number, from 1, of these choices for some tiles; 0 if FULL and -1 if EMPTY."""
        if found.fine.predicate is TRUE:
            return 0
        if found.fine.predicate is FALSE:
            return -1
        number = self._number.setdefault(found, len(self._number) + 1)
        if number > len(self._tiles):
            self._tiles.append(0)
        self._tiles[number - 1] += tiles
        return number

    def settle(self) -> tuple[tuple[Residual, ...], Array]:
        """The residuals, most frequent first, and the final number of each provisional number (0 stays 0)."""
        chosen = self._chosen()
        weights = self._weights(chosen)
        kept = sorted(weights, key=lambda residual: -weights[residual])
        final = {residual: number for number, residual in enumerate(kept, 1)}
        return tuple(kept), np.array([0, *(final[residual] for residual in chosen), -1], dtype=np.int16)

    def _chosen(self) -> list[Residual]:
        """Of all ways to keep few enough predicates, the one that evaluates the fewest comparisons."""
        fine, coarse, whole = (
            [getattr(c, name) for c in self._number] for name in ("fine", "coarse", "whole")
        )
        ways = [way for a, b in ((fine, coarse), (fine, whole), (coarse, whole)) for way in self._mixed(a, b)]
        few = [way for way in ways if len(set(way)) <= LIMIT]
        return min(few, key=self._work) if few else whole

    def _mixed(self, special: list[Residual], shared: list[Residual]) -> Iterator[list[Residual]]:
        """The most frequent of the special predicates, and for the other tiles the shared ones."""
        weights = self._weights(special)
        ranked = sorted(weights, key=lambda residual: -weights[residual])
        for count in range(min(len(ranked), LIMIT) + 1):
            kept = set(ranked[:count])
            yield [one if one in kept else other for one, other in zip(special, shared, strict=True)]

    def _work(self, chosen: list[Residual]) -> int:
        """Comparisons per token pair, added up over all PARTIAL tiles."""
        return sum(
            tiles * len(atoms(residual.predicate)) for residual, tiles in self._weights(chosen).items()
        )

    def _weights(self, chosen: list[Residual]) -> dict[Residual, int]:
        """The number of tiles of each predicate."""
        weights: dict[Residual, int] = {}
        for residual, tiles in zip(chosen, self._tiles, strict=True):
            weights[residual] = weights.get(residual, 0) + tiles
        return weights
