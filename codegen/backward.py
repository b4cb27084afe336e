"""The backward pass of masked softmax attention in tile IR: programs over one schedule.

    p  = exp(s - lse)                          with the scores s = scale * q k^T; 0 where not visible
    dv = p^T dout,    ds = p * (dout v^T - delta),    delta = rowsum(dout * out) - dlse
    dq = scale * ds k,    dk = scale * ds^T q

`dq` owns q tiles and loops over the block map, `dk_dv` owns kv tiles and loops over its transpose; each
writes only what it owns. `dq_dk_dv` computes all three with 5 products of tiles instead of 7, where one
processor runs all tiles of a head. Results are the same in every run. Source: T. Dao, FlashAttention-2, 2023
(arXiv:2307.08691), algorithm 2. The gradient of lse with respect to s is p, so dlse enters through delta.
"""

from __future__ import annotations

import math

from attndsl.codegen.forward import LOG2_E, LSE, OUT, SCALE, K, Q, V, reciprocal
from attndsl.codegen.scores import PLAIN, Scores
from attndsl.codegen.tile_ir import (
    Add,
    Assign,
    Dot,
    Elementwise,
    Expression,
    ForHeads,
    ForVisited,
    Full,
    Load,
    Number,
    Program,
    Reduce,
    Shape,
    Store,
    Tensor,
    Variable,
    Visible,
)

OUT_GRADIENT, LSE_GRADIENT = Tensor("out_gradient", "q", "value_dim"), Tensor("lse_gradient", "q")
DELTA = Tensor("delta", "q")
Q_GRADIENT = Tensor("q_gradient", "q", "head_dim")
K_GRADIENT, V_GRADIENT = Tensor("k_gradient", "kv", "head_dim"), Tensor("v_gradient", "kv", "value_dim")

_products = Variable("products", Shape("q", "kv"))
_weights = Variable("weights", Shape("q", "kv"))
_weight_gradients = Variable("weight_gradients", Shape("q", "kv"))
_score_gradients = Variable("score_gradients", Shape("q", "kv"))
_queries, _keys = Variable("queries", Shape("q", "head_dim")), Variable("keys", Shape("kv", "head_dim"))
_values = Variable("values", Shape("kv", "value_dim"))
_out_gradients = Variable("out_gradients", Shape("q", "value_dim"))
_lse, _delta = Variable("lse_in_base_2", Shape("q")), Variable("deltas", Shape("q"))
_dq, _dk = Variable("dq", Shape("q", "head_dim")), Variable("dk", Shape("kv", "head_dim"))
_dv = Variable("dv", Shape("kv", "value_dim"))


def delta(scores: Scores = PLAIN) -> Program:
    """`delta` [batch, heads, Nq] = rowsum(out_gradient * out) - lse_gradient; 0 for queries that see nothing.

    It is what `dq` and `dk_dv` have in common. Weights that are not divided by their sum need none.
    """
    nothing = _apply("eq", Load(LSE), Number(-math.inf if scores.is_softmax else 0.0))
    products = Reduce("sum", _apply("mul", Load(OUT_GRADIENT), Load(OUT)))
    return Program(
        "delta",
        owner="q",
        inputs=(OUT, LSE, OUT_GRADIENT, LSE_GRADIENT),
        outputs=(DELTA,),
        arguments=(),
        body=(
            Assign("deltas", _apply("sub", products, Load(LSE_GRADIENT))),
            Store(DELTA, _apply("select", nothing, Number(0.0), _delta), comment="0 where no key is visible"),
        ),
    )


def dq(scores: Scores = PLAIN) -> Program:
    """`q_gradient` from the forward pass's inputs and LSE, the output's gradient and `delta`."""
    visit = (
        *_recompute(scores, _queries, Load(K), _out_gradients, Load(V), _lse, _delta),
        Assign("dq", _apply("add", _dq, Dot(_score_gradients, Load(K)))),
    )
    return Program(
        "dq",
        owner="q",
        inputs=(Q, K, V, LSE, OUT_GRADIENT, DELTA),
        outputs=(Q_GRADIENT,),
        arguments=(SCALE,),
        body=(
            Assign("queries", Load(Q)),
            Assign("out_gradients", Load(OUT_GRADIENT)),
            Assign(_lse.name, _normaliser(scores, Load(LSE))),
            Assign("deltas", Load(DELTA)),
            Assign("dq", Full(Shape("q", "head_dim"), 0.0)),
            ForVisited(visit, comment="every kv tile in the block map of this q tile"),
            Store(Q_GRADIENT, _apply("mul", _dq, SCALE)),
        ),
    )


def dk_dv(scores: Scores = PLAIN) -> Program:
    """`k_gradient` and `v_gradient`, summed over the query heads that share a kv head; inputs as for `dq`."""
    return _owned_by_keys(scores, "dk_dv", (K_GRADIENT, V_GRADIENT), ())


def dq_dk_dv(scores: Scores = PLAIN) -> Program:
    """All gradients at once. Sums are formed in the same order as by `dq` and `dk_dv`, with equal results."""
    add = Add(Q_GRADIENT, Dot(_score_gradients, _keys), SCALE)
    return _owned_by_keys(scores, "dq_dk_dv", (Q_GRADIENT, K_GRADIENT, V_GRADIENT), (add,))


def _owned_by_keys(
    scores: Scores, name: str, outputs: tuple[Tensor, ...], additions: tuple[Add, ...]
) -> Program:
    lse = _normaliser(scores, Load(LSE))
    visit: tuple[Assign | Add, ...] = (
        *_recompute(scores, Load(Q), _keys, Load(OUT_GRADIENT), _values, lse, Load(DELTA)),
        Assign("dv", _apply("add", _dv, Dot(_weights, Load(OUT_GRADIENT), transpose_left=True))),
        Assign("dk", _apply("add", _dk, Dot(_score_gradients, Load(Q), transpose_left=True))),
        *additions,
    )
    loop = ForVisited(visit, comment="every q tile whose block map has this kv tile")
    return Program(
        name,
        owner="kv",
        inputs=(Q, K, V, LSE, OUT_GRADIENT, DELTA),
        outputs=outputs,
        arguments=(SCALE,),
        body=(
            Assign("keys", Load(K)),
            Assign("values", Load(V)),
            Assign("dk", Full(Shape("kv", "head_dim"), 0.0)),
            Assign("dv", Full(Shape("kv", "value_dim"), 0.0)),
            ForHeads((loop,), comment="every query head that shares this kv head"),
            Store(K_GRADIENT, _apply("mul", _dk, SCALE)),
            Store(V_GRADIENT, _dv),
        ),
    )


def _recompute(
    scores: Scores,
    queries: Expression,
    keys: Expression,
    out_gradients: Expression,
    values: Expression,
    normaliser: Expression,
    deltas: Expression,
) -> tuple[Assign, ...]:
    """Weights and the gradients of products of one pair of tiles; none where queries see nothing."""
    product = Dot(queries, keys, transpose_right=True)
    scaled = product if scores.is_softmax and scores.is_product else _apply("mul", product, SCALE)
    return (
        Assign("products", scaled),
        Assign("weight_gradients", Dot(out_gradients, values, transpose_right=True)),
        *(
            _of_softmax(scores, normaliser, deltas)
            if scores.is_softmax
            else _of_sum(scores, normaliser, deltas)
        ),
    )


def _of_softmax(scores: Scores, lse: Expression, deltas: Expression) -> tuple[Assign, ...]:
    factor = _apply("mul", SCALE, Number(LOG2_E)) if scores.is_product else Number(LOG2_E)
    in_base_2 = _apply("mul", scores.score(_products), factor)
    weights = _apply("select", Visible(), _apply("exp2", _apply("sub", in_base_2, lse)), Number(0.0))
    gradients = _apply("mul", _weights, _apply("sub", _weight_gradients, deltas))
    if not scores.is_product:
        chain = _apply("select", Visible(), scores.score_derivative(_products), Number(0.0))
        gradients = _apply("mul", gradients, chain)
    return (
        Assign("weights", weights, comment="as in the forward pass"),
        Assign("score_gradients", gradients),
    )


def _of_sum(scores: Scores, normaliser: Expression, deltas: Expression) -> tuple[Assign, ...]:
    """The same where weights are functions of one product each, with or without a normaliser."""
    weights = _apply("select", Visible(), scores.weight(_products), Number(0.0))
    chain = _apply("select", Visible(), scores.weight_derivative(_products), Number(0.0))
    gradients: Expression = _weight_gradients
    if scores.weighting.normalize == "sum":
        weights = _apply("mul", weights, normaliser)
        gradients = _apply("mul", _apply("sub", gradients, deltas), normaliser)
    return (
        Assign("weights", weights, comment="as in the forward pass"),
        Assign("score_gradients", _apply("mul", gradients, chain)),
    )


def _normaliser(scores: Scores, lse: Expression) -> Expression:
    """What weights need of the forward pass: the log-sum-exp in base 2, or one over the sum of weights.

    Scores that are not products may be -inf, and so hide all keys that the mask shows. The weights of such a
    query are 0, as if its log-sum-exp were infinite.
    """
    if not scores.is_softmax:
        return reciprocal(lse)
    in_base_2 = _apply("mul", lse, Number(LOG2_E))
    if scores.is_product:
        return in_base_2
    return _apply("select", _apply("eq", lse, Number(-math.inf)), Number(math.inf), in_base_2)


def _apply(op: str, *operands: Expression) -> Elementwise:
    return Elementwise(op, operands)
