"""The forward pass of masked softmax attention in tile IR: online softmax over the visited kv tiles.

Source: T. Dao, FlashAttention-2, 2023 (arXiv:2307.08691), algorithm 1, with powers of 2 in place of e. A
running maximum that starts at the lowest float32 instead of -inf keeps every difference defined, so that rows
which have seen no key need no test: their sum stays 0.
"""

from __future__ import annotations

import math

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
_scores = Variable("scores", Shape("q", "kv"))
_weights = Variable("weights", Shape("q", "kv"))
_highest, _new_highest = Variable("highest", Shape("q")), Variable("new_highest", Shape("q"))
_rescale, _total = Variable("rescale", Shape("q")), Variable("total", Shape("q"))
_normaliser = Variable("normaliser", Shape("q"))
_sum = Variable("weighted_values", Shape("q", "value_dim"))


def forward() -> Program:
    """`out` = softmax(scale * q k^T where visible) v, and `lse`, the natural log-sum-exp of the scores.

    Queries that see nothing give 0 and -inf.
    """
    loop = ForVisited(_visit(), comment="every kv tile in the block map of this q tile")
    return Program(
        "forward",
        owner="q",
        inputs=(Q, K, V),
        outputs=(OUT, LSE),
        arguments=(SCALE,),
        body=(*_start(), loop, *_finish()),
    )


def _start() -> tuple[Assign, ...]:
    return (
        Assign("queries", Load(Q)),
        Assign("highest", Full(Shape("q"), LOWEST), comment="highest score seen, per query"),
        Assign("total", Full(Shape("q"), 0.0), comment="sum of weights, per query"),
        Assign("weighted_values", Full(Shape("q", "value_dim"), 0.0)),
    )


def _visit() -> tuple[Assign, ...]:
    return (
        Assign(
            "scores", _apply("select", Visible(), _scaled_products(), Number(-math.inf)), comment="in base 2"
        ),
        Assign("new_highest", _apply("max", _highest, Reduce("max", _scores))),
        Assign("rescale", _apply("exp2", _apply("sub", _highest, _new_highest))),
        Assign("weights", _apply("exp2", _apply("sub", _scores, _new_highest))),
        Assign("total", _apply("add", _apply("mul", _total, _rescale), Reduce("sum", _weights))),
        Assign("highest", _new_highest),
        Assign("weighted_values", _apply("add", _apply("mul", _sum, _rescale), Dot(_weights, Load(V)))),
    )


def _scaled_products() -> Expression:
    product = Dot(_queries, Load(K), transpose_right=True)
    return _apply("mul", product, _apply("mul", SCALE, Number(LOG2_E)))


def _finish() -> tuple[Statement, ...]:
    empty = _apply("eq", _total, Number(0.0))
    log_sum = _apply("mul", _apply("add", _highest, _apply("log2", _total)), Number(math.log(2.0)))
    normaliser = _apply("select", empty, Number(0.0), _apply("div", Number(1.0), _total))
    return (
        Assign("normaliser", normaliser, comment="0 where no key is visible"),
        Store(OUT, _apply("mul", _sum, _normaliser)),
        Store(LSE, _apply("select", empty, Number(-math.inf), log_sum), comment="natural log-sum-exp"),
    )


def _apply(op: str, *operands: Expression) -> Elementwise:
    return Elementwise(op, operands)
