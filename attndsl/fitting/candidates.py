"""Candidates: patterns with values, of which a grid gives all combinations.

A pattern has one value of an ordinary parameter for a whole layer, and one value per head of a parameter
that it declares `[heads]`. So the candidates of a pattern form *families*: within a family only per-head
parameters differ, and each head may take another candidate of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from attndsl.diagnostics import AttnScheduleError
from attndsl.fitting.labels import label
from attndsl.ir.expr import Element, Head, topological
from attndsl.ir.pattern import PLAIN, PatternIR
from attndsl.named_pattern import find_pattern
from attndsl.pipeline import Bound, Extents, Pattern

Named = str | Path | Pattern
Patterns = Mapping[str, Mapping[str, Any]] | Iterable[tuple[Named, Mapping[str, Any]]]
"""Patterns, by library name or file, and their values or grids of values by name."""
MOST_CANDIDATES = 10_000


@dataclass(frozen=True)
class Candidate:
    """A pattern with values for every head alike. name: as the user spells the pattern; it is in the plan."""

    name: str
    pattern: Pattern
    values: Mapping[str, Any]
    family: int
    per_head: frozenset[str]
    """Parameters of which each head has a value of its own."""

    @property
    def label(self) -> str:
        """The pattern with its values: `moa alpha=64 beta=0.5`."""
        return label(self.name, self.values)

    def bind(self, shape: Extents, heads: int, kv_heads: int) -> Bound:
        """With the numbers of a layer. Raises AttnBindError (A04xx)."""
        return self.pattern.bind(shape=shape, heads=heads, kv_heads=kv_heads, **self.values)


def candidates(patterns: Patterns) -> list[Candidate]:
    """All combinations of values. A list is a grid of values, anything else (a tuple too) one value.

    Raises AttnScheduleError A0525 for what is no pattern with values, A0526 where there are no candidates,
    A0527 where there are too many, A0524 for a pattern that fit cannot judge; AttnError where one does not
    load.
    """
    found: list[Candidate] = []
    families: dict[object, int] = {}
    for place, (chosen, grids) in enumerate(_pairs(patterns)):
        name, pattern = _load(chosen)
        check_pattern(name, pattern.ir)
        per_head = per_head_parameters(pattern.ir)
        for values in _combinations(name, grids, len(found)):
            own = per_head.intersection(values)
            common = sorted((key, repr(value)) for key, value in values.items() if key not in own)
            family = families.setdefault((name if own else place, own, *common), len(families))
            found.append(Candidate(name, pattern, values, family, own))
    return found


def _pairs(patterns: Any) -> list[tuple[Named, Mapping[str, Any]]]:
    pairs = list(patterns.items() if isinstance(patterns, Mapping) else [patterns])
    if not isinstance(patterns, str | Mapping) and isinstance(patterns, Iterable):
        pairs = list(patterns)
    for each in pairs:
        fits = isinstance(each, tuple) and len(each) == 2 and isinstance(each[1], Mapping)
        if not fits or not isinstance(each[0], str | Path | Pattern):
            raise AttnScheduleError(
                "A0525",
                f"{each!r} is no pattern with values",
                help='pass a dictionary, such as {"streaming": {"sink": 4, "window": [64, 256]}}',
            )
    if not pairs:
        raise AttnScheduleError(
            "A0526",
            "there is no pattern to choose from",
            help='name at least one, such as {"causal": {}}',
        )
    return pairs


def _load(chosen: Named) -> tuple[str, Pattern]:
    if isinstance(chosen, Pattern):
        return chosen.name, chosen
    return str(chosen), find_pattern(str(chosen))


def _combinations(name: str, grids: Mapping[str, Any], before: int) -> list[dict[str, Any]]:
    lists = [
        [plain(each) for each in value] if isinstance(value, list) else [plain(value)]
        for value in grids.values()
    ]
    empty = [key for key, values in zip(grids, lists, strict=True) if not values]
    if empty:
        raise AttnScheduleError(
            "A0526", f"the grid of `{empty[0]}` of pattern `{name}` is empty", help="give at least one value"
        )
    count = before
    for values in lists:
        count = max(count, 1) * len(values)
    if count > MOST_CANDIDATES:
        raise AttnScheduleError(
            "A0527",
            f"the grids of pattern `{name}` give {count:,} candidates",
            help=f"at most {MOST_CANDIDATES:,} are measured: leave out some values",
        )
    return [dict(zip(grids, values, strict=True)) for values in product(*lists)]


def plain(value: Any) -> Any:
    """A value as Python's own numbers; a list, array or tensor of them as a tuple."""
    value = value.tolist() if hasattr(value, "tolist") else value
    return tuple(map(plain, value)) if isinstance(value, list) else value


def check_pattern(name: str, ir: PatternIR) -> None:
    """Raise AttnScheduleError A0524 for a pattern that samples of self-attention cannot judge."""
    problem = _problem(ir)
    if problem:
        raise AttnScheduleError(
            "A0524",
            f"pattern `{name}` {problem}",
            help="fit judges masks of positions, in self-attention with softmax: leave this pattern out",
        )


def _problem(ir: PatternIR) -> str:
    if ir.inputs:
        return f"reads the input `{ir.inputs[0].name}`, which no sample holds"
    if ir.cross:
        return "has queries and keys in spaces of their own"
    return "weighs the pairs that it shows" if ir.weighting != PLAIN else ""


def per_head_parameters(ir: PatternIR) -> frozenset[str]:
    """Parameters declared `[heads]` that each head reads at its own place, so that heads choose freely."""
    declared = {each.name for each in ir.parameters if each.shape == ("heads",)}
    masks = (*(arm.visible for arm in ir.arms), *(each.condition for each in ir.requirements))
    nodes = (node for mask in masks for node in topological(mask))
    shared = {node.name for node in nodes if isinstance(node, Element) and node.index is not Head()}
    return frozenset(declared - shared)


def merged(chosen: Sequence[Candidate]) -> dict[str, Any]:
    """The values that bind a layer of which head h takes `chosen[h]`, all of one family."""
    first = chosen[0]
    values = dict(first.values)
    for name in first.per_head:
        values[name] = [_of_head(each.values[name], head) for head, each in enumerate(chosen)]
    return values


def _of_head(value: Any, head: int) -> Any:
    """A head's element of a value; a single number stands for every head."""
    return value[head] if isinstance(value, tuple) else value
