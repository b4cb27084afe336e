"""Decays as part of scores and weights, for kernels that work on pairs of tokens.

A decay per step gives a pair of tokens the product of the factors of the steps between them, exp(c_i - c_j)
with the sum c of their logarithms. For numbers per head that is their logarithm times the distance. What
depends on data is computed by calls and read as inputs: the logarithm of each head, or for each token the sum
of all finite logarithms up to it, and the number of steps whose factor is 0, whose logarithm is no number.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import replace
from typing import Literal

import numpy as np

from attndsl.diagnostics import AttnBindError
from attndsl.ir.evaluate import evaluate
from attndsl.ir.expr import (
    PRODUCT,
    Apply,
    Const,
    Expr,
    FlatIndex,
    Head,
    InputElement,
    Position,
    Side,
)
from attndsl.ir.pattern import Decay, Input, Weighting
from attndsl.ir.reads import inputs_read
from attndsl.passes.bind_expr import Numbers, bind_expr

DecayKind = Literal["none", "number", "head", "token", "channel"]
"""What the decay of a pair depends on: nothing, numbers, or data of heads, of tokens or of channels."""


def decay_kind(decay: Decay | None, inputs: Collection[Input]) -> DecayKind:
    """What a decay depends on, going by the inputs that it reads."""
    if decay is None:
        return "none"
    reads = inputs_read(decay.log)
    runs_over = {size for each in inputs if each.name in reads for size in each.shape}
    if "dim" in runs_over:
        return "channel"
    return "token" if runs_over & {"tokens", "query"} else "head" if reads else "number"


def check_factors(decay: Decay | None, numbers: Numbers, heads: int) -> None:
    """Raise AttnBindError A0422 where a factor that is known at bind is not above 0."""
    if decay is None:
        return
    for node in decay.log.mentioned:
        if isinstance(node, Apply) and node.op == "log2" and not inputs_read(node):
            least = float(np.min(evaluate(bind_expr(node.args[0], numbers), lambda _: np.arange(heads))))
            if not least > 0:
                raise AttnBindError(
                    "A0422",
                    f"a decay has the factor {least:.6g}, and numbers that weights decay by are above 0",
                    span=decay.span,
                    help="choose numbers above 0; what is not to be seen at all, `attend` hides",
                )  # fmt: skip


def computed_inputs(kind: DecayKind, inputs: Collection[Input]) -> tuple[Input, ...]:
    """The inputs that calls compute of a decay: [heads], or two of [heads, tokens]. See `with_decay`."""
    if kind == "head":
        return (Input(_unused("log_of_step", inputs), "real", ("heads",)),)
    if kind == "token":
        sums = Input(_unused("sum_of_steps", inputs), "real", ("heads", "tokens"))
        return sums, Input(_unused("steps_of_zero", inputs), "int", ("heads", "tokens"))
    return ()


def _unused(name: str, inputs: Collection[Input]) -> str:
    while any(each.name == name for each in inputs):
        name += "_"
    return name


def with_decay(given: Weighting, kind: DecayKind, computed: Collection[Input]) -> Weighting:
    """The weighting whose scores, or weights that are no exponentials, contain the decay."""
    if given.decay is None or kind == "channel":
        return given
    logarithm = _between(*computed) if kind == "token" else _of_distance(given.decay, *computed)
    if given.is_softmax:
        return replace(given, score=Apply("add", (given.score, logarithm)))
    weight = Apply("exp", (PRODUCT,)) if given.weight is None else given.weight
    return replace(given, weight=Apply("mul", (weight, Apply("exp", (logarithm,)))))


def _of_distance(decay: Decay, step: Input | None = None) -> Expr:
    """The logarithm of a step times the steps between query and key. step: the input that holds it."""
    steps = Apply("abs", (Apply("sub", (Position("q", decay.axis), Position("k", decay.axis))),))
    if step is None:
        return Apply("mul", (decay.log, Apply("real", (steps,))))
    logarithm = InputElement(step.name, (Head(),), "real")
    product = Apply("mul", (logarithm, Apply("real", (steps,))))  # no number where -inf meets no steps
    return Apply("select", (Apply("eq", (steps, Const(0))), Const(0.0), product))


def _between(sums: Input, zeros: Input) -> Expr:
    """The sum of the logarithms of the steps between query and key; -inf where one of them is."""
    forward = Apply("sub", (_at(sums, "q"), _at(sums, "k")))
    later = Apply("ge", (FlatIndex("q"), FlatIndex("k")))
    finite = Apply("select", (later, forward, Apply("neg", (forward,))))
    return Apply("select", (Apply("eq", (_at(zeros, "q"), _at(zeros, "k"))), finite, Const(-math.inf)))


def _at(sums: Input, side: Side) -> Expr:
    return InputElement(sums.name, (Head(), FlatIndex(side)), sums.kind)
