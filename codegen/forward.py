"""The forward pass of masked attention in tile IR: online softmax over the visited kv tiles, or plain sums.

Source: T. Dao, FlashAttention-2, 2023 (arXiv:2307.08691), algorithm 1, with powers of 2 in place of e. A
running maximum that starts at the lowest float32 instead of -inf keeps every difference defined, so that rows
which have seen no key need no test: their sum stays 0.
"""

from __future__ import annotations

import math

from attndsl.codegen.scores import PLAIN, Scores
from attndsl.codegen.tile_ir import (
    Argument,
    Assign,
    Dot,
    Elementwise,
    Expression,
    ForVisited,
    Full,
    Load,
    Number,
    Program,
    Reduce,
    Shape,
    Statement,
    Store,
    Tensor,
    Variable,
    Visible,
)

LOWEST = -3.4028234663852886e38
"""The most negative finite float32."""
LOG2_E = math.log2(math.e)

SCALE = Argument("scale")
Q, K, V = Tensor("q", "q", "head_dim"), Tensor("k", "kv", "head_dim"), Tensor("v", "kv", "value_dim")
OUT, LSE = Tensor("out", "q", "value_dim"), Tensor("lse", "q")

_queries = Variable("queries", Shape("q", "head_dim"))
_scaled = Variable("products", Shape("q", "kv"))
_scores = Variable("scores", Shape("q", "kv"))
_weights = Variable("weights", Shape("q", "kv"))
_highest, _new_highest = Variable("highest", Shape("q")), Variable("new_highest", Shape("q"))
_rescale, _total = Variable("rescale", Shape("q")), Variable("total", Shape("q"))
_normaliser = Variable("normaliser", Shape("q"))
_sum = Variable("weighted_values", Shape("q", "value_dim"))


def forward(scores: Scores = PLAIN) -> Program:
    """`out` = softmax(scores where visible) v, and `lse`, the natural log-sum-exp of the scores.

    Queries that see nothing give 0 and -inf. Where weights are no softmax, `lse` is the sum of weights.
    """
    visit, finish = (_visit(scores), _finish()) if scores.is_softmax else (_weigh(scores), _divide(scores))
    loop = ForVisited(visit, comment="every kv tile in the block map of this q tile")
    return Program(
        "forward",
        owner="q",
        inputs=(Q, K, V),
        outputs=(OUT, LSE),
        arguments=(SCALE,),
        body=(*_start(scores.is_softmax), loop, *finish),
    )


def _start(softmax: bool) -> tuple[Assign, ...]:
    highest = Assign("highest", Full(Shape("q"), LOWEST), comment="highest score seen, per query")
    return (
        Assign("queries", Load(Q)),
        *([highest] if softmax else []),
        Assign("total", Full(Shape("q"), 0.0), comment="sum of weights, per query"),
        Assign("weighted_values", Full(Shape("q", "value_dim"), 0.0)),
    )


def _visit(scores: Scores) -> tuple[Assign, ...]:
    return (
        *_products(scores),
        Assign(
            "scores", _apply("select", Visible(), _in_base_2(scores), Number(-math.inf)), comment="in base 2"
        ),
        Assign("new_highest", _apply("max", _highest, Reduce("max", _scores))),
        Assign("rescale", _apply("exp2", _apply("sub", _highest, _new_highest))),
        Assign("weights", _apply("exp2", _apply("sub", _scores, _new_highest))),
        Assign("total", _apply("add", _apply("mul", _total, _rescale), Reduce("sum", _weights))),
        Assign("highest", _new_highest),
        Assign("weighted_values", _apply("add", _apply("mul", _sum, _rescale), Dot(_weights, Load(V)))),
    )


def _products(scores: Scores) -> tuple[Assign, ...]:
    """The scaled products by name, where scores are something else."""
    if scores.is_softmax and scores.is_product:
        return ()
    return (Assign("products", _apply("mul", Dot(_queries, Load(K), transpose_right=True), SCALE)),)


def _in_base_2(scores: Scores) -> Expression:
    if scores.is_product:
        product = Dot(_queries, Load(K), transpose_right=True)
        return _apply("mul", product, _apply("mul", SCALE, Number(LOG2_E)))
    return _apply("mul", scores.score(_scaled), Number(LOG2_E))


def _weigh(scores: Scores) -> tuple[Assign, ...]:
    """Weights that need no maximum: each is computed from its product alone."""
    return (
        *_products(scores),
        Assign("weights", _apply("select", Visible(), scores.weight(_scaled), Number(0.0))),
        Assign("total", _apply("add", _total, Reduce("sum", _weights))),
        Assign("weighted_values", _apply("add", _sum, Dot(_weights, Load(V)))),
    )


def _divide(scores: Scores) -> tuple[Statement, ...]:
    if scores.weighting.normalize == "none":
        return Store(OUT, _sum), Store(LSE, _total, comment="sum of weights")
    return (
        Assign("normaliser", reciprocal(_total), comment="0 where the sum of weights is 0"),
        Store(OUT, _apply("mul", _sum, _normaliser)),
        Store(LSE, _total, comment="sum of weights"),
    )


def reciprocal(total: Expression) -> Expression:
    """1 / total, and 0 where that is 0."""
    return _apply("select", _apply("eq", total, Number(0.0)), Number(0.0), _apply("div", Number(1.0), total))


def _finish() -> tuple[Statement, ...]:
    empty = _apply("eq", _total, Number(0.0))
    log_sum = _apply("mul", _apply("add", _highest, _apply("log2", _total)), Number(math.log(2.0)))
    return (
        Assign("normaliser", reciprocal(_total), comment="0 where no key is visible"),
        Store(OUT, _apply("mul", _sum, _normaliser)),
        Store(LSE, _apply("select", empty, Number(-math.inf), log_sum), comment="natural log-sum-exp"),
    )


def _apply(op: str, *operands: Expression) -> Elementwise:
    return Elementwise(op, operands)
