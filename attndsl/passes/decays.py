"""Decays as part of scores and weights, for kernels that work on pairs of tokens.

A decay per step gives a pair of tokens the product of the factors of the steps between them, exp(c_i - c_j)
with the sum c of their logarithms: for numbers per head that is their logarithm times the distance, and for
data a declared input is added, which calls compute from what they are given.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Literal

from attndsl.ir.expr import PRODUCT, Apply, Expr, FlatIndex, Head, InputElement, Position, WholeInput
from attndsl.ir.pattern import Decay, Input, Weighting
from attndsl.passes.rewrite import rewrite

DecayKind = Literal["none", "head", "token", "channel"]
"""What the decay of a pair depends on: nothing, head and distance, the tokens between, or the channel too."""


def decay_kind(decay: Decay | None, inputs: Collection[Input]) -> DecayKind:
    """What a decay depends on, going by the inputs that it reads."""
    if decay is None:
        return "none"
    reads = {leaf.name for leaf in decay.log.leaves if isinstance(leaf, WholeInput)}
    runs_over = {size for each in inputs if each.name in reads for size in each.shape}
    if "dim" in runs_over:
        return "channel"
    return "token" if runs_over & {"tokens", "query"} else "head"


def sum_of_steps(inputs: Collection[Input]) -> Input:
    """The input [heads, tokens] that holds the sums of the logarithms of a decay of tokens."""
    name = "sum_of_steps"
    while any(each.name == name for each in inputs):
        name += "_"
    return Input(name, "real", ("heads", "tokens"))


def with_decay(given: Weighting, kind: DecayKind, sums: Input) -> Weighting:
    """The weighting whose scores, or weights that are no exponentials, contain the decay."""
    if given.decay is None or kind == "channel":
        return given
    logarithm = _of_distance(given.decay) if kind == "head" else _between(sums)
    if given.is_softmax:
        return replace(given, score=Apply("add", (given.score, logarithm)))
    weight = Apply("exp", (PRODUCT,)) if given.weight is None else given.weight
    return replace(given, weight=Apply("mul", (weight, Apply("exp", (logarithm,)))))


def _of_distance(decay: Decay) -> Expr:
    """Its logarithm times the steps between query and key."""
    steps = Apply("sub", (Position("q", decay.axis), Position("k", decay.axis)))
    distance = Apply("real", (Apply("abs", (steps,)),))
    return Apply("mul", (rewrite(decay.log, _of_head), distance))


def _of_head(node: Expr) -> Expr:
    return InputElement(node.name, (Head(),), node.kind) if isinstance(node, WholeInput) else node


def _between(sums: Input) -> Expr:
    """The sum of the logarithms of the steps between query and key."""
    query, key = (InputElement(sums.name, (Head(), FlatIndex(side)), "real") for side in _SIDES)
    forward = Apply("sub", (query, key))
    return Apply(
        "select",
        (Apply("ge", (FlatIndex("q"), FlatIndex("k"))), forward, Apply("neg", (forward,))),
    )


_SIDES: tuple[Literal["q", "k"], ...] = ("q", "k")
