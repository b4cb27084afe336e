"""How many keys a query sees, as a formula in the pattern's own names.

The formula is derived for one query (the middle one) and compared with the exact count there; a formula
that does not give that count is dropped. Its mean over all queries is exact when edges take nothing away,
and close otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from itertools import combinations
from math import prod
from typing import Any

import numpy as np
import sympy

from attndsl.ir.bound import BoundIR
from attndsl.ir.evaluate import mask_rows
from attndsl.ir.pattern import Arm, PatternIR
from attndsl.simulate.constraints import Alternative, Bound, alternatives
from attndsl.simulate.inputs import loosest
from attndsl.simulate.names import Names
from attndsl.simulate.terms import ONE, ZERO, Formula, NoFormulaError, Term
from attndsl.simulate.translate import mean

REPRESENTATIVES = tuple(Fraction(*pair) for pair in ((1, 2), (3, 4), (1, 4), (7, 8)))
"""Places of the queries, as fractions of each axis, at which formulas are derived."""


MOST_NODES = 300
"""Nodes of the masks that are looked at."""


@dataclass(frozen=True)
class KeysPerQuery:
    """The keys that a query sees. text: for the query and all like it, with `q.axis` where it varies.

    mean_text: the mean over all queries if all were alike. mean: its value with the bound numbers.
    """

    query: tuple[int, ...]
    text: str
    mean_text: str
    mean: float

    def to_dict(self) -> dict[str, Any]:
        """The formulas as texts; `at` is the query for which `keys` is derived."""
        return {"at": list(self.query), "keys": self.text, "mean": self.mean_text, "mean_value": self.mean}


def keys_per_query(ir: BoundIR, exact: float, head: int = 0) -> KeysPerQuery | None:
    """The formula for one head of the main segment's queries; None if the mask has none of this kind.

    exact: the mean number of keys per query; of the formulas that hold at several queries, the one with
    the closest mean is chosen. Conditions on inputs are taken as met.
    """
    found = [formula for formula in map(partial(_try, ir, head), REPRESENTATIVES) if formula]
    return min(found, key=lambda formula: abs(formula.mean - exact), default=None)


def _try(ir: BoundIR, head: int, place: Fraction) -> KeysPerQuery | None:
    extents = ir.query_space.segments[0].extents
    query = tuple(int(extent * place) for extent in extents)
    if ir.pattern is None or not all(extents):
        return None
    try:
        return _derive(ir, ir.pattern, head, query)
    except NoFormulaError:
        return None


def _derive(ir: BoundIR, pattern: PatternIR, head: int, query: tuple[int, ...]) -> KeysPerQuery:
    main = ir.query_space.segments[0]
    total, average = ZERO, sympy.Integer(0)
    values: dict[Formula, float] = {}
    for region in ir.regions:
        key = ir.key_space.segments[region.key]
        if region.query == 0 and key.size:
            names = Names(ir, {"q": main, "k": key}, query, head)
            visible = _arm(pattern, main.name, key.name).visible
            if len(visible.mentioned) > MOST_NODES:
                raise NoFormulaError("the mask is too large to look at")
            keys = _union(alternatives(visible, names), names)
            total, average = total + keys, average + mean(keys.formula, names)
            values |= names.values
    value = average.subs(values)
    if total.value != _exact(ir, query, head) or not value.is_finite:
        raise NoFormulaError("the formula does not give the exact count")
    rank = len(main.axes)
    return KeysPerQuery(query, spell(total.formula, rank), spell(average, rank), float(value))


def _exact(ir: BoundIR, query: tuple[int, ...], head: int) -> int:
    """The number of keys that the query sees, by direct evaluation of its row of the mask."""
    main = ir.query_space.segments[0]
    row = main.offset + int(np.ravel_multi_index(query, main.extents))
    return int(mask_rows(loosest(ir), head, row, row + 1, {}).sum())


def _arm(pattern: PatternIR, query: str, key: str) -> Arm:
    exact = [arm for arm in pattern.arms if (arm.query, arm.key) == (query, key)]
    return (exact or [arm for arm in pattern.arms if arm.query is None])[0]


def _union(boxes: list[Alternative], names: Names) -> Term:
    """Keys in any of the boxes, by inclusion and exclusion."""
    total = ZERO
    for size in range(1, len(boxes) + 1):
        for chosen in combinations(boxes, size):
            together = _box([bound for box in chosen for bound in box], names)
            total = total + together if size % 2 else total - together
    return total


def _box(bounds: list[Bound], names: Names) -> Term:
    """Keys that meet all constraints: the product over the axes."""
    counts = [
        _axis(axis, [bound for bound in bounds if bound.core.axis == axis], names)
        for axis in range(names.axes("k"))
    ]
    if any(count.value <= 0 for count in counts):
        return ZERO
    return Term(
        prod((count.formula for count in counts), start=sympy.Integer(1)),
        prod(count.value for count in counts),
    )


def _axis(axis: int, bounds: Iterable[Bound], names: Names) -> Term:
    """Coordinates of one axis that meet all constraints."""
    bounds = list(bounds)
    residues = {bound for bound in bounds if bound.core.kind == "residue"}
    ranges = [bound for bound in bounds if bound not in residues]
    if not residues:
        return _length([_in_coordinates(bound) for bound in ranges], names.extent("k", axis))
    if len(residues) > 1 or any(bound.side != "equal" for bound in residues):
        raise NoFormulaError("a remainder must be equal to something")
    residue = residues.pop()
    period, remainder = residue.core.size, residue.limit
    points = [bound.limit for bound in ranges if bound.core.kind == "coordinate" and bound.side == "equal"]
    if points:  # one coordinate, if it has that remainder
        return ONE if all((point - remainder).value % period.value == 0 for point in points) else ZERO
    places = [_in_places(bound, period) for bound in ranges]
    extent = names.extent("k", axis)
    whole = extent if extent.value % period.value == 0 else extent - remainder - ONE + period
    return _length(places, names.quotient(whole, period))


def _length(ranges: list[tuple[Term | None, Term | None]], extent: Term) -> Term:
    """The size of an intersection of ranges, first and last included, of coordinates below `extent`."""
    lower = max([*(first for first, _ in ranges if first), ZERO], key=lambda term: term.value)
    upper = min([*(last for _, last in ranges if last), extent - ONE], key=lambda term: term.value)
    return upper - lower + ONE


def _in_coordinates(bound: Bound) -> tuple[Term | None, Term | None]:
    """First and last coordinate that the constraint allows; None where it has no say."""
    size, shift, limit = bound.core.size, bound.core.shift, bound.limit
    first = size * limit - shift if bound.core.kind == "block" else limit
    last = first + size - ONE if bound.core.kind == "block" else limit
    return (None if bound.side == "upper" else first, None if bound.side == "lower" else last)


def _in_places(bound: Bound, period: Term) -> tuple[Term | None, Term | None]:
    """The same in places of a residue class: place p is its coordinate of number p."""
    size, shift = bound.core.size, bound.core.shift
    if bound.core.kind != "block" or size.value % period.value or shift.value % period.value:
        raise NoFormulaError("a remainder together with a range of coordinates")
    first = (size * bound.limit - shift) / period
    last = first + size / period - ONE
    return (None if bound.side == "upper" else first, None if bound.side == "lower" else last)


def spell(formula: Formula, rank: int) -> str:
    """A formula as text; the product of a parameter's elements over all axes is `prod(name)`."""
    formula = sympy.expand(formula)
    families: dict[str, list[Formula]] = {}
    for symbol in sorted(formula.free_symbols, key=str):
        element = re.fullmatch(r"(\w+)[\[(]\w+[\])]", str(symbol))
        if element:
            families.setdefault(element[1], []).append(symbol)
    for name, members in families.items():
        if len(members) == rank > 1:
            whole = sympy.Symbol("tokens" if name == "extent" else f"prod({name})")
            formula = formula.subs(sympy.Mul(*members), whole)
    return str(sympy.factor_terms(formula))
