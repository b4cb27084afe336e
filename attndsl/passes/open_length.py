"""Patterns of one growing axis: the length, too, is data.

A pattern may ask how long its space is (`extent(n)`), as MoA does for its spans. Its open form reads the
length from the declared input `length`, one number per query, and can be bound once for all lengths.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from attndsl.ir.expr import Apply, Const, Expr, Extent, FlatIndex, InputAt, topological
from attndsl.ir.pattern import Arm, Input, PatternIR
from attndsl.passes.branch_spaces import on_branches, refuse_route
from attndsl.passes.rewrite import rewrite

LONGEST = 2**24
"""Tokens that an open pattern may have."""

Rule = Callable[[Expr], Expr]


def grows(pattern: PatternIR) -> bool:
    """Whether the pattern has one space of one axis, so that its length is one number."""
    (first, *others) = pattern.query_space
    return not pattern.cross and not others and (first.variadic or len(first.axes) == 1)


def depends_on_length(pattern: PatternIR) -> bool:
    """Whether the mask or the score asks how long the sequence is."""
    roots = [*(arm.visible for arm in pattern.arms), *pattern.weighting.expressions]
    return any(isinstance(node, Extent) for root in roots for node in topological(root))


def requires_of_length(pattern: PatternIR) -> bool:
    """Whether the pattern requires something of the length, which its open form leaves out."""
    return any(map(_mentions_extent, (each.condition for each in pattern.requirements)))


def open_length(pattern: PatternIR, shortest: int) -> PatternIR:
    """The pattern with its length as data, from `shortest` to `LONGEST`."""
    if not depends_on_length(pattern) and not requires_of_length(pattern):
        return pattern
    length = Apply("min", (Apply("max", (InputAt("length", "q", "int"), Const(shortest))), Const(LONGEST)))
    spans = dict(pattern.spans)

    def rule(node: Expr) -> Expr:
        return length if isinstance(node, Extent) else node

    def opened(root: Expr) -> Expr:
        result = rewrite(root, rule)
        if root in spans:
            spans.setdefault(result, spans[root])
        return result

    added = (Input("length", "int", ("query",)),) if depends_on_length(pattern) else ()
    arms = tuple(replace(arm, visible=opened(arm.visible)) for arm in pattern.arms)
    weighting = replace(pattern.weighting, score=opened(pattern.weighting.score))
    kept = tuple(each for each in pattern.requirements if not _mentions_extent(each.condition))
    opened_pattern = replace(pattern, arms=arms, weighting=weighting, requirements=kept)
    return replace(opened_pattern, inputs=pattern.inputs + added, spans=spans)


def causally(pattern: PatternIR) -> PatternIR:
    """The pattern without what lies after the query: what a decoder computes under it.

    Raises AttnUnsupportedError A0910 for a route over what the pattern itself does not hide.
    """
    past = Apply("le", (FlatIndex("k"), FlatIndex("q")))

    def arm(each: Arm) -> Arm:
        if past in _conjuncts(each.visible):
            return each
        if pattern.route is not None:
            refuse_route(pattern)
        return replace(each, visible=Apply("and", (each.visible, past)))

    branches = on_branches(pattern, causally, keeps_routes=True)
    return replace(pattern, arms=tuple(map(arm, pattern.arms)), branches=branches)


def _conjuncts(root: Expr) -> list[Expr]:
    if isinstance(root, Apply) and root.op == "and":
        return [part for arg in root.args for part in _conjuncts(arg)]
    return [root]


def _mentions_extent(root: Expr) -> bool:
    return any(isinstance(node, Extent) for node in topological(root))


__all__ = ["LONGEST", "causally", "depends_on_length", "grows", "open_length", "requires_of_length"]
