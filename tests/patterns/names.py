"""The shipped patterns by what they say: masks alone, or also scores, weights and gates."""

from __future__ import annotations

import attndsl
from attndsl.ir.pattern import PLAIN


def says_more(name: str) -> bool:
    """Whether a pattern has scores, weights, gates, branches or derived tensors."""
    ir = attndsl.pattern(name).ir
    return ir.weighting != PLAIN or bool(ir.branches or ir.derived)


def has_groups(name: str) -> bool:
    """Whether tokens of a pattern attend among themselves in groups."""
    return attndsl.pattern(name).ir.groups is not None


def has_route(name: str) -> bool:
    """Whether a pattern, or a branch of it, selects what it attends to."""
    ir = attndsl.pattern(name).ir
    return any(each.route is not None for each in (ir, *ir.branches))


ROUTED = [name for name in attndsl.patterns() if has_route(name)]
GROUPED = [name for name in attndsl.patterns() if has_groups(name)]
CHOSEN = [*ROUTED, *GROUPED]
WEIGHTED = [name for name in attndsl.patterns() if says_more(name) and name not in CHOSEN]
MASKS = [name for name in attndsl.patterns() if name not in (*CHOSEN, *WEIGHTED)]
