"""Resolution of what a pattern does with visible pairs: scores, weights, normalisers and gates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, TypeVar, cast

from attndsl.diagnostics import AttnNameError, AttnTypeError
from attndsl.ir.expr import PRODUCT, TRUE, Apply, Const, Expr, Position
from attndsl.ir.pattern import PatternIR, Weighting
from attndsl.passes import resolve_products
from attndsl.passes.clause_values import number, refuse_tokens
from attndsl.passes.resolve_expr import Resolver
from attndsl.passes.resolve_gate import resolve_gate
from attndsl.passes.scope import Scope
from attndsl.passes.simplify import simplify
from attndsl.source import Span
from attndsl.syntax import ast

ClauseType = TypeVar("ClauseType", bound=ast.Clause)


def weighting(clauses: Sequence[ast.Clause], resolver: Resolver, scope: Scope) -> Weighting:
    """The meaning of the clauses between the mask and the output; each may stand once."""
    score, weight = _only(clauses, ast.Score, "score"), _only(clauses, ast.Weight, "weight")
    normalize, gate = _only(clauses, ast.Normalize, "normalize"), _only(clauses, ast.Gate, "gate")
    scale, feature = _only(clauses, ast.Scale, "scale"), _only(clauses, ast.Feature, "feature")
    decay = _only(clauses, ast.Decay, "decay")
    kind, sink = _normalizer(normalize, resolver, scope) if normalize else ("sum", None)
    return Weighting(
        score=_of_pair(score, "score", resolver, scope) if score else PRODUCT,
        weight=_weight(weight, resolver, scope) if weight else None,
        normalize=kind,
        sink=sink,
        gate=resolve_gate(gate, resolver, scope) if gate else None,
        scale=resolve_products.scale(scale, resolver, scope) if scale else None,
        feature=resolve_products.feature(feature, resolver, scope) if feature else None,
        decay=resolve_products.decay(decay, resolver, scope) if decay else None,
    )


def check_flow(ir: PatternIR) -> None:
    """Refuse flows between tokens that do not all see one another, or with weights of another form."""
    given = ir.weighting
    if given.normalize != "flow":
        return
    hidden = next((arm for arm in ir.arms if arm.visible is not TRUE), None)
    if hidden is not None or not given.is_linear or given.decay is not None or ir.route or ir.groups:
        raise AttnTypeError(
            "A0347", "flows are between all queries and all keys, and weights are plain products",
            span=hidden.span if hidden else ir.arms[0].span,
            help="write `attend true`, `weight s` and `normalize flow`, without scores, decays and routes",
        )  # fmt: skip


def _only(clauses: Sequence[ast.Clause], kind: type[ClauseType], word: str) -> ClauseType | None:
    found = [clause for clause in clauses if isinstance(clause, kind)]
    if len(found) > 1:
        raise AttnNameError(
            "A0206", f"a pattern has one `{word}` clause at most", span=found[1].span, help="keep one"
        )
    return found[0] if found else None


def _of_pair(clause: ast.Score | ast.Weight, word: str, resolver: Resolver, scope: Scope) -> Expr:
    """A number about a pair, in which `s` has a meaning."""
    inner = replace(scope, values={**scope.values, "s": PRODUCT})
    value = number(resolver.expr(clause.value, inner), f"`{word}`", clause.value.span)
    for leaf in value.leaves:
        if isinstance(leaf, Position) and isinstance(leaf.axis, str):
            _check_axis(leaf, leaf.axis, resolver, clause.value.span)
    return value


def _check_axis(leaf: Position, axis: str, resolver: Resolver, span: Span | None) -> None:
    """Scores are about all pairs, so their coordinates must exist in every segment."""
    lacking = [segment for segment in resolver.spaces[leaf.side] if axis not in segment.axes]
    if lacking:
        raise AttnNameError(
            "A0214", f"tokens of segment `{lacking[0].name}` have no coordinate `{axis}`",
            span=resolver.spans.get(leaf, span),
            help=f"scores are about all pairs of tokens; every token has `{leaf.side}.index`",
        )  # fmt: skip


def _weight(clause: ast.Weight, resolver: Resolver, scope: Scope) -> Expr | None:
    value = _of_pair(clause, "weight", resolver, scope)
    return None if value is Apply("exp", (PRODUCT,)) else value


def _normalizer(
    clause: ast.Normalize, resolver: Resolver, scope: Scope
) -> tuple[Literal["sum", "none", "flow"], Expr | None]:
    if clause.kind not in ("sum", "none", "flow"):
        raise AttnNameError(
            "A0217", f"there is no normaliser `{clause.kind}`", span=clause.span,
            help="write `normalize sum` (the default), `normalize none` or `normalize flow`",
        )  # fmt: skip
    sink = _sink(clause.extra, resolver, scope) if clause.extra is not None else None
    if sink is not None and clause.kind != "sum":
        raise AttnTypeError(
            "A0323", "without a normaliser there is no sum to add to", span=clause.span,
            help="write `normalize sum + exp(...)`, or `normalize none` alone",
        )  # fmt: skip
    return cast(Literal["sum", "none", "flow"], clause.kind), sink


def _sink(extra: ast.Expr, resolver: Resolver, scope: Scope) -> Expr:
    value = number(resolver.expr(extra, scope), "`normalize`", extra.span)
    refuse_tokens(value, "what is added to the sum", resolver, extra.span)
    match value:
        case Apply("exp", (logit,)):
            return simplify(logit)
        case Const(float(constant)) if constant > 0:
            return Const(math.log(constant))
    raise AttnTypeError(
        "A0323", "only an exponential or a positive number can be added to the sum of weights",
        span=extra.span, help="write `normalize sum + exp(logit[head])`, or `normalize sum + 1e-6`",
    )  # fmt: skip
