"""Rules of selection beside their definitions, entry by entry."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch

from attndsl.ir.route import RULES
from attndsl.runtime.select_rules import kept
from tests.patterns.routed_halves import searched

Entries = Sequence[int]
"""Numbers of entries from the largest to the smallest, the preferred ones first."""


def first(order: Entries, count: int) -> set[int]:
    return set(order[: max(count, 0)])


def while_(order: Entries, scores: list[float], goes_on: Callable[[float, float], bool]) -> int:
    """How many entries are taken while the condition on the sums before and with the next one holds."""
    taken, total = 0, 0.0
    for entry in order:
        if not goes_on(total, total + scores[entry]):
            break
        taken, total = taken + 1, total + scores[entry]
    return taken


def by_definition(name: str, scores: list[float], preferred: set[int], arguments: list[float]) -> set[int]:
    """What a rule keeps of the scores; -inf takes no part."""
    part = [entry for entry, score in enumerate(scores) if score > -math.inf]
    order = sorted(part, key=lambda entry: (entry not in preferred, -scores[entry]))
    beyond = len(preferred & set(part)) + (int(arguments[1]) if len(arguments) > 1 else 0)
    x, total = arguments[0], sum(scores[entry] for entry in part)
    match name:
        case "top":
            return first(order, int(x))
        case "ranks":
            return set(order[int(x) : int(arguments[1])])
        case "ratio":
            return first(order, max(int(x * len(part)), beyond))
        case "drop":
            ascending = sorted(scores[entry] for entry in part)
            dropped = int(x * len(part))
            return {entry for entry in part if not dropped or scores[entry] >= ascending[dropped - 1]}
        case "halves":
            return {part[place] for place in searched([scores[entry] for entry in part], int(x))}
        case "threshold":
            return {entry for entry in part if scores[entry] >= x} | first(order, beyond)
        case "nucleus":
            return first(order, max(while_(order, scores, lambda before, _: before < x * total), beyond))
        case "within":
            return first(order, max(while_(order, scores, lambda _, after: after <= x * total), beyond))
    assert name == "spread"
    lowest = min((scores[entry] for entry in part), default=0.0)
    width = max((scores[entry] for entry in part), default=0.0) - lowest or 1.0
    moved = [(score - lowest) / width for score in scores]
    return by_definition(
        "nucleus", [m if e in part else -math.inf for e, m in enumerate(moved)], preferred, arguments
    )


CASES: list[tuple[str, list[Any]]] = [
    ("top", [0]), ("top", [3]), ("top", [20]), ("ranks", [0, 2]), ("ranks", [2, 5]), ("ranks", [4, 4]),
    ("ratio", [0.0]), ("ratio", [0.4]), ("ratio", [1.0]), ("ratio", [0.1, 2]),
    ("drop", [0.0]), ("drop", [0.3]), ("drop", [1.0]),
    ("threshold", [0.5]), ("threshold", [2.0]), ("threshold", [2.0, 2]),
    ("nucleus", [0.0]), ("nucleus", [0.6]), ("nucleus", [1.0]), ("nucleus", [0.0, 1]),
    ("within", [0.0]), ("within", [0.6]), ("within", [0.0, 1]),
    ("halves", [1]), ("halves", [3]), ("halves", [20]),
    ("spread", [0.3]), ("spread", [0.01, 1]), ("spread", [0.9]),
]  # fmt: skip


def test_every_rule_has_a_case() -> None:
    assert {name for name, _ in CASES} == set(RULES)


@pytest.mark.parametrize(("name", "arguments"), CASES)
@pytest.mark.parametrize("prefers", [False, True])
def test_a_rule_keeps_what_its_definition_says(name: str, arguments: list[Any], prefers: bool) -> None:
    torch.manual_seed(0)
    scores = torch.rand(40, 9, dtype=torch.float64)
    scores[torch.rand(scores.shape) < 0.3] = -torch.inf
    scores[0] = -torch.inf
    preferred = torch.rand(scores.shape) < 0.2 if prefers else None
    found = kept(name, scores, preferred, arguments)
    for row in range(len(scores)):
        own = set() if preferred is None else set(preferred[row].nonzero().flatten().tolist())
        expected = by_definition(name, scores[row].tolist(), own, arguments)
        assert set(found[row].nonzero().flatten().tolist()) == expected, row


def test_equal_scores_are_not_dropped_by_halves() -> None:
    scores = torch.tensor([[0.1, 0.2, 0.2, 0.3]])
    assert kept("drop", scores, None, [0.5]).tolist() == [[False, True, True, True]]


def test_a_number_may_differ_from_row_to_row() -> None:
    scores = torch.arange(8.0).expand(2, 8)
    counts = torch.tensor([[2], [5]])
    assert kept("top", scores, None, [counts]).sum(-1).tolist() == [2, 5]
