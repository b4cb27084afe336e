"""Bind of scores and weights: their parts without `s` become terms, one expression in each region.

What is left speaks of `s`, terms and numbers only, and is the same in all regions; kernels compute it on
whole tiles.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from attndsl.diagnostics import AttnBindError
from attndsl.ir.expr import (
    CHANNEL,
    PRODUCT,
    Apply,
    Const,
    Expr,
    FlatIndex,
    InputAt,
    InputElement,
    LowRank,
    Term,
)
from attndsl.ir.pattern import Decay, Weighting
from attndsl.passes.bind_expr import Numbers, bind_expr
from attndsl.passes.rewrite import rebuild, rewrite
from attndsl.passes.simplify import simplify_node
from attndsl.source import Span

Pairs = tuple[tuple[str, str], ...]


def bind_weighting(
    given: Weighting, regions: Sequence[Numbers]
) -> tuple[Weighting, list[tuple[Expr, ...]], Pairs]:
    """The weighting over terms, the terms of every region, and the inputs whose dot products it adds."""
    score, low_rank = _without_low_rank(given.score, regions[0])
    terms = _Terms(regions)
    weighting = replace(
        given,
        score=terms.replaced(score),
        weight=terms.replaced(given.weight) if given.weight is not None else None,
        sink=bind_expr(given.sink, regions[0]) if given.sink is not None else None,
        gate=bind_expr(given.gate, regions[0]) if given.gate is not None else None,
        scale=bind_expr(given.scale, regions[0]) if given.scale is not None else None,
        feature=_feature(given.feature, regions[0]) if given.feature is not None else None,
        decay=_decay(given.decay, regions[0]) if given.decay is not None else None,
    )
    return weighting, [tuple(own) for own in terms.found], low_rank


def _feature(given: Expr, numbers: Numbers) -> Expr | None:
    bound = bind_expr(given, numbers)
    return None if bound is CHANNEL else bound


def _decay(given: Decay, numbers: Numbers) -> Decay:
    axis = numbers.segments["q"].axes.index(str(given.axis))
    return replace(given, log=bind_expr(given.log, numbers), axis=axis)


class _Terms:
    """The terms found so far, region by region."""

    def __init__(self, regions: Sequence[Numbers]) -> None:
        self.regions = regions
        self.found: list[list[Expr]] = [[] for _ in regions]
        self._known: dict[Expr, Expr] = {}

    def replaced(self, root: Expr) -> Expr:
        """The expression with every largest part without `s` replaced by a term or a number."""
        if PRODUCT not in root.mentioned:
            return self._term(root)
        children = tuple(map(self.replaced, root.children))
        node = rebuild(root, children)
        return node if node is PRODUCT else simplify_node(node)

    def _term(self, part: Expr) -> Expr:
        if part not in self._known:
            bound = [bind_expr(_by_index(part), numbers) for numbers in self.regions]
            same = len(set(bound)) == 1 and isinstance(bound[0], Const)
            self._known[part] = bound[0] if same else self._new(bound)
        return self._known[part]

    def _new(self, bound: Sequence[Expr]) -> Expr:
        """A term with these values; truth values become 1 and 0."""
        number, truth = len(self.found[0]), bound[0].type == "bool"
        for own, value in zip(self.found, bound, strict=True):
            own.append(_as_real(value))
        return Apply("ne", (Term(number), Const(0.0))) if truth else Term(number)


def _by_index(part: Expr) -> Expr:
    """The same with `doc[q]` read by the query's number, as inputs of several dimensions are."""

    def rule(node: Expr) -> Expr:
        if isinstance(node, InputAt):
            return InputElement(node.name, (FlatIndex(node.side),), node.kind)
        return node

    return rewrite(part, rule)


def _as_real(value: Expr) -> Expr:
    if value.type == "bool":
        return simplify_node(Apply("select", (value, Const(1.0), Const(0.0))))
    return simplify_node(Apply("real", (value,))) if value.type == "int" else value


def _without_low_rank(score: Expr, numbers: Numbers) -> tuple[Expr, Pairs]:
    """The score with `s` in place of `s + dot(bq, bk)`, and the inputs of these dot products."""
    pairs: list[tuple[str, str]] = []

    def rule(node: Expr) -> Expr:
        match node:
            case Apply("add", (left, LowRank(query, key))) if left is PRODUCT:
                pairs.append((query, key))
                return PRODUCT
            case Apply("add", (LowRank(query, key), right)) if right is PRODUCT:
                pairs.append((query, key))
                return PRODUCT
        return node

    rest = rewrite(score, rule)
    left_over = next((node for node in rest.mentioned if isinstance(node, LowRank)), None)
    if left_over is not None or len(set(pairs)) < len(pairs):
        raise AttnBindError(
            "A0417", "`dot` can only be added to `s` itself, once for each pair of inputs",
            span=_place(left_over, numbers), help="write `s + dot(bq, bk)` in place of `s`",
        )  # fmt: skip
    return rest, tuple(pairs)


def _place(node: Expr | None, numbers: Numbers) -> Span | None:
    return numbers.spans.get(node) if node is not None else None
