"""Random plans: what a route may select before there is data, drawn from a stated distribution.

A key unit's score is a sum of three parts. Its popularity, normal with the deviation `skew`, is the same for
all queries of a head; `locality` times the distance of query and key, as parts of the extents, is taken off;
and noise of Gumbel's distribution is each query's own, so that a unit is chosen with a chance proportional to
exp(popularity - locality * distance). With both at 0 the units of a list are drawn evenly. How many are kept,
among which, and who competes is what the route says, where it says so without data.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attndsl.diagnostics import AttnScheduleError
from attndsl.ir.bound import BoundIR
from attndsl.ir.expr import Const
from attndsl.ir.route import Rule
from attndsl.ir.route_numbers import (
    Units,
    condition,
    list_heads,
    number,
    ranks_by_query,
    units_of,
)
from attndsl.simulate.plan_lists import Lists

Array = NDArray[Any]

MOST_PAIRS = 2**20
"""Pairs of units that each plan draws: as many heads as fit, and a sample of the rows of one too large."""

COUNTED = ("top", "halves", "ranks", "ratio", "drop")
"""Rules that keep as many entries whatever the data are."""


@dataclass(frozen=True)
class Distribution:
    """How plans are drawn.

    draws: plans. seed: of the random numbers. skew: deviation of the logarithm of a key unit's popularity.
    locality: by how much the logarithm of its chance falls from one end of the space to the other. kept: the
    part of the candidates that rules keep whose number of kept units depends on the data.
    """

    draws: int = 20
    seed: int = 0
    skew: float = 1.0
    locality: float = 4.0
    kept: float = 0.25

    def __post_init__(self) -> None:
        """Raise AttnScheduleError A0554 for numbers that make no distribution."""
        for name in ("draws", "seed"):
            value = getattr(self, name)
            least = int(name == "draws")
            if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
                raise _refused(name, value, f"a whole number from {least} on, such as {name}={20 * least}")
        for name in ("skew", "locality", "kept"):
            value = getattr(self, name)
            fits = isinstance(value, Real) and not isinstance(value, bool) and 0 <= float(value) < np.inf
            if not fits or (name == "kept" and not 0 < float(value) <= 1):
                wanted = "a part above 0, at most 1" if name == "kept" else "a number from 0 on"
                raise _refused(name, value, f"{wanted}, such as {name}={getattr(Distribution, name)}")


DEFAULT = Distribution()


def _refused(name: str, value: object, wanted: str) -> AttnScheduleError:
    return AttnScheduleError("A0554", f"{name} is {value!r}", help=f"pass {wanted}")


@dataclass(frozen=True, eq=False)
class Draws:
    """Random lists of a bound pattern's route. run: query units in a row that are looked at together."""

    ir: BoundIR
    distribution: Distribution
    run: int

    def __iter__(self) -> Iterator[list[Lists]]:
        """Every drawn plan: the lists of some of its heads."""
        chance = np.random.default_rng(self.distribution.seed)
        for _ in range(self.distribution.draws):
            yield [self._lists(chance) for _ in range(self.heads)]

    @cached_property
    def heads(self) -> int:
        """Heads that are drawn in each plan; the others are like them."""
        pairs = self.queries.count * self.keys.count
        return min(list_heads(self.ir), max(1, self._most_pairs // max(pairs, 1)))

    @cached_property
    def _most_pairs(self) -> int:
        """Where all queries rank keys alike there is little to draw."""
        return MOST_PAIRS if ranks_by_query(self.ir) else 8 * MOST_PAIRS

    @cached_property
    def queries(self) -> Units:
        """The query units."""
        return units_of(self.ir, "q")

    @cached_property
    def keys(self) -> Units:
        """The key units."""
        return units_of(self.ir, "k")

    @cached_property
    def assumptions(self) -> tuple[str, ...]:
        """What of the route is left out or assumed, as sentences without a full stop."""
        assert self.ir.route is not None
        route, found = self.ir.route, []
        row = np.zeros(1, dtype=np.int64)
        for name in ("among", "prefer", "always"):
            if self.queries.count and condition(getattr(route, name), self.queries, self.keys, row) is None:
                found.append(f"`{name}` depends on the data and is left out")
        if self._depends_on_data:
            part = f"{self.distribution.kept:.3g} of the candidates are taken for it"
            found.append(f"how much `{route.rule.name}` keeps depends on the data: {part}")
        if route.per[0] == "all":
            found.append("heads are taken to keep equally many units")
        if len(self._runs()) * self.run < self.queries.count:
            found.append("a sample of the queries stands for all of them")
        return tuple(found)

    @property
    def _depends_on_data(self) -> bool:
        assert self.ir.route is not None
        rule = self.ir.route.rule
        return rule.name not in COUNTED or not all(isinstance(each, Const) for each in rule.arguments)

    def _runs(self, chance: np.random.Generator | None = None) -> Array:
        """The first query unit of each run that is looked at: all, or some, one from each of equal parts."""
        total = -(-self.queries.count // self.run)
        most = max(1, self._most_pairs // max(self.run * self.keys.count, 1))
        if total <= most:
            return np.arange(total) * self.run
        inside = 0.5 if chance is None else chance.random(most)
        return ((np.arange(most) + inside) * (total / most)).astype(np.int64) * self.run

    def _lists(self, chance: np.random.Generator) -> Lists:
        starts = self._runs(chance)
        rows = (starts[:, None] + np.arange(self.run)).reshape(-1)
        rows = rows[rows < self.queries.count]
        row, key = np.nonzero(self._chosen(rows, chance))
        weight = self.queries.count / max(len(rows), 1)
        return Lists(rows, np.full(len(rows), weight), row, key)

    def _chosen(self, rows: Array, chance: np.random.Generator) -> Array:
        """Which key units each of some query units lists, bool [rows, key units]."""
        route = self.ir.route
        assert route is not None
        shape = len(rows), self.keys.count
        among, prefer, always = (
            condition(root, self.queries, self.keys, rows)
            for root in (route.among, route.prefer, route.always)
        )
        taking_part = np.broadcast_to(True if among is None else among, shape)
        if always is not None:
            taking_part = taking_part & ~always
        score = np.where(taking_part, self._scores(rows, chance), -np.inf)
        if prefer is not None:
            score = np.where(prefer & taking_part, np.inf, score)
        chosen = kept(route.rule, score, route.per[0] == "query", self.distribution.kept) & taking_part
        return np.asarray(chosen if always is None else chosen | always)

    def _scores(self, rows: Array, chance: np.random.Generator) -> Array:
        """Scores [rows, key units], or one row for all where the route ranks keys alike for all queries."""
        keys, given = self.keys.count, self.distribution
        popularity = given.skew * chance.standard_normal(keys)
        own = ranks_by_query(self.ir)
        waits = chance.standard_exponential((len(rows) if own else 1, keys), dtype=np.float32)
        score: Array = popularity.astype(np.float32) - np.log(np.maximum(waits, np.float32(1e-37)))
        if own and given.locality:
            score -= np.float32(given.locality) * self._distances(rows)
        return score

    def _distances(self, rows: Array) -> Array:
        """How far apart units are as a part of the space, 0 to 1: float32 [rows, key units]."""
        queries, keys = (each.places.astype(np.float32) for each in (self.queries, self.keys))
        if queries.shape[1] != keys.shape[1]:  # spaces of other axes have no distances
            return np.zeros((len(rows), len(keys)), dtype=np.float32)
        axes = zip(queries[rows].T, keys.T, strict=True)
        squares = sum((at_query[:, None] - at_key) ** 2 for at_query, at_key in axes)
        distances: Array = np.sqrt(squares / np.float32(keys.shape[1]))
        return distances


def kept(rule: Rule, score: Array, by_row: bool, assumed: float) -> Array:
    """What a rule keeps of scores [rows, keys], where -inf takes no part and inf comes first.

    by_row: whether each row competes on its own. assumed: the part that is kept where the data decide.
    """
    numbers = [number(each) for each in rule.arguments]
    known = rule.name in COUNTED and None not in numbers
    pool = score if by_row and known else score.reshape(1, -1)
    entries = (pool > -np.inf).sum(axis=1, keepdims=True)
    first = np.zeros_like(entries)
    if not known:
        last = np.ceil(assumed * entries).astype(np.int64)
    elif rule.name == "ranks":
        first, last = (np.full_like(entries, int(each or 0)) for each in numbers)
    elif rule.name in ("top", "halves"):
        last = np.full_like(entries, int(numbers[0] or 0) * (1 if by_row else len(score)))
    else:
        part = numbers[0] or 0.0
        last = entries - (part * entries).astype(np.int64) if rule.name == "drop" else _part(numbers, entries)
    chosen = _between(pool, first, last).reshape(score.shape)
    return np.asarray(chosen if known else chosen | _best(score))


def _part(numbers: list[float | None], entries: Array) -> Array:
    """Of `ratio(part, least)`."""
    part, least = numbers[0] or 0.0, int((numbers[1] if len(numbers) > 1 else 0) or 0)
    return np.maximum((part * entries).astype(np.int64), least)


def _best(score: Array) -> Array:
    """The preferred entries and the best one of each row: rules of the data keep something of every row."""
    best: Array = (score == np.inf) | (np.arange(score.shape[1]) == score.argmax(axis=1)[:, None])
    return np.asarray(best & (score > -np.inf))


def _between(pool: Array, first: Array, last: Array) -> Array:
    """Bool like pool: the entries whose rank in their row is from `first` on and below `last`, [rows, 1]."""
    entries = pool.shape[1]
    most = int(np.clip(last.max(initial=0), 0, entries))
    if not most:
        return np.zeros(pool.shape, dtype=bool)
    if (last == last.flat[0]).all() and not first.any():  # a partition is cheaper than a sort
        places = np.argpartition(-pool, most - 1, axis=1)[:, :most] if most < entries else None
        if places is None:
            return np.ones(pool.shape, dtype=bool)
        chosen = np.zeros(pool.shape, dtype=bool)
        np.put_along_axis(chosen, places, True, axis=1)
        return chosen
    order = np.argsort(-pool, axis=1, kind="stable")
    rank = np.arange(entries)
    chosen = np.zeros(pool.shape, dtype=bool)
    np.put_along_axis(chosen, order, (rank >= first) & (rank < last), axis=1)
    return chosen
