"""Linear attention with decay as a chunked recurrence in tile IR: linear time, a state of fixed size.

    S_t = diag(e^{g_t}) S_{t-1} + k_t v_t^T,    o_t = scale * q_t^T S_t

Inside a chunk, the weight of a pair is scale * sum_d q_id k_jd e^{steps between}; what came before the chunk
is in the state. Steps g <= 0 are summed where they are needed and never subtracted from each other, so that
decays of any strength are exact; a step of -inf forgets everything before its token. Where steps differ by
channel, the sum over channels must stay a matrix product: the pairs of a chunk are divided into halves of
blocks of 2, 4, 8 .. tokens, and the decay between two halves is split where they meet, into two factors that
are at most 1.

`forward` and `dq` walk forward in time, `dk_dv` backward, with the gradient of the state in the state's
place. Products of a token with itself know no decay; they stay out of the shares `q_share` = q dq and
`k_share` = k dk, whose difference summed over all later tokens is the gradient of a step. Source: S. Yang et
al., Gated Linear Attention, 2024 (arXiv:2312.06635), for chunks and the gradient of steps.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from attndsl.codegen.forward import LOG2_E, OUT, SCALE, K, Q, V
from attndsl.codegen.tile_ir import (
    Assign,
    Dot,
    Elementwise,
    Expression,
    ForChunks,
    Full,
    Load,
    Number,
    Pairs,
    Program,
    Reduce,
    Relabel,
    Scan,
    Shape,
    Statement,
    Store,
    Tensor,
    Total,
    Variable,
)

Decay = Literal["none", "token", "channel"]
"""What a step of the decay is: nothing, one number per token, or one per token and channel."""

INITIAL_STATE = Tensor("initial_state", "q", "value_dim", rows="head_dim")
FINAL_STATE = Tensor("final_state", "q", "value_dim", rows="head_dim")
INITIAL_STATE_GRADIENT = Tensor("initial_state_gradient", "q", "value_dim", rows="head_dim")
FINAL_STATE_GRADIENT = Tensor("final_state_gradient", "q", "value_dim", rows="head_dim")
OUT_GRADIENT, Q_GRADIENT = Tensor("out_gradient", "q", "value_dim"), Tensor("q_gradient", "q", "head_dim")
K_GRADIENT, V_GRADIENT = Tensor("k_gradient", "q", "head_dim"), Tensor("v_gradient", "q", "value_dim")
"""Gradients of keys and values are written for every query head."""

_queries, _keys = Variable("queries", Shape("q", "head_dim")), Variable("keys", Shape("kv", "head_dim"))
_values = Variable("values", Shape("kv", "value_dim"))
_out_gradients = Variable("out_gradients", Shape("q", "value_dim"))
_state = Variable("state", Shape("head_dim", "value_dim"))
_pairs = Shape("q", "kv")
_weights, _weight_gradients = Variable("weights", _pairs), Variable("weight_gradients", _pairs)
_faded_queries = Variable("faded_queries", Shape("q", "head_dim"))
_faded_keys = Variable("faded_keys", Shape("kv", "head_dim"))
_dq, _dk = Variable("dq", Shape("q", "head_dim")), Variable("dk", Shape("kv", "head_dim"))
_dv, _outputs = Variable("dv", Shape("kv", "value_dim")), Variable("outputs", Shape("q", "value_dim"))
_own_query = Variable("own_of_queries", Shape("q"))
_own_value = Variable("own_of_values", Shape("q"))


def decay_tensor(decay: Decay) -> Tensor:
    """The steps, natural logarithms, float32."""
    return Tensor("decay", "q", "head_dim" if decay == "channel" else None)


def share_tensor(name: str, decay: Decay) -> Tensor:
    """What queries or keys contribute to the gradients of steps, float32, shaped as the steps."""
    return Tensor(name, "q", "head_dim" if decay == "channel" else None)


def recurrence_forward(decay: Decay, chunk: int) -> Program:
    """`out` and `final_state`. chunk: tokens per chunk, a power of 2."""
    fading = _Fading(decay, chunk)
    body = (
        *_load_tokens(),
        *fading.start(),
        *fading.weights(diagonal=True),
        *fading.read_state(_outputs, _queries, _state),
        _add(_outputs, Dot(_weights, _values)),
        Store(OUT, _mul(_outputs, SCALE)),
        *fading.update_state(),
    )
    return Program(
        "recurrence_forward",
        owner="q",
        inputs=(Q, K, V, *fading.tensors, INITIAL_STATE),
        outputs=(OUT, FINAL_STATE),
        arguments=(SCALE,),
        body=(
            Assign("state", Load(INITIAL_STATE)),
            ForChunks(body, comment="what came before the chunk is in the state"),
            Store(FINAL_STATE, _state),
        ),
    )


def recurrence_dq(decay: Decay, chunk: int) -> Program:
    """`q_gradient`, and `q_share` where there is a decay; states are computed again."""
    fading = _Fading(decay, chunk)
    own = Reduce("sum", _mul(_out_gradients, Relabel(_values, "q")))
    body = (
        *_load_tokens(),
        Assign("out_gradients", Load(OUT_GRADIENT)),
        *fading.start(),
        *fading.weight_gradients(),
        *fading.dq(),
        Assign("dq", _mul(_dq, SCALE)),
        *fading.share("q_share", _mul(_queries, _dq)),
        Assign(_own_query.name, _mul(own, SCALE), comment="of each token with itself, where nothing fades"),
        Store(Q_GRADIENT, _plus(_dq, _mul(_own_query, Relabel(_keys, "q")))),
        *fading.update_state(),
    )
    return Program(
        "recurrence_dq",
        owner="q",
        inputs=(Q, K, V, *fading.tensors, INITIAL_STATE, OUT_GRADIENT),
        outputs=(Q_GRADIENT, *fading.shares("q_share")),
        arguments=(SCALE,),
        body=(Assign("state", Load(INITIAL_STATE)), ForChunks(body)),
    )


def recurrence_dk_dv(decay: Decay, chunk: int) -> Program:
    """`k_gradient`, `v_gradient`, `initial_state_gradient`, and `k_share` where there is a decay."""
    fading = _Fading(decay, chunk)
    own_gradient = Reduce("sum", _mul(_out_gradients, Relabel(_values, "q")))
    body = (
        Assign("queries", _mul(Load(Q), SCALE), comment="scaled, for every use"),
        *_load_tokens()[1:],
        Assign("out_gradients", Load(OUT_GRADIENT)),
        *fading.start(),
        *fading.weights(diagonal=False),
        *fading.weight_gradients(),
        *fading.fade_keys(),
        Assign("dv", Dot(_faded_keys if fading else _keys, _state)),
        _add(_dv, Dot(_weights, _out_gradients, transpose_left=True)),
        *fading.dk(),
        *fading.share("k_share", _mul(_keys, _dk)),
        Assign(_own_query.name, own_gradient, comment="of each token with itself, where nothing fades"),
        Assign(_own_value.name, Reduce("sum", _mul(_queries, Relabel(_keys, "q")))),
        Store(K_GRADIENT, _plus(_dk, _mul(Relabel(_own_query, "kv"), Relabel(_queries, "kv")))),
        Store(V_GRADIENT, _plus(_dv, _mul(Relabel(_own_value, "kv"), Relabel(_out_gradients, "kv")))),
        *fading.update_state_gradient(),
    )
    return Program(
        "recurrence_dk_dv",
        owner="q",
        inputs=(Q, K, V, *fading.tensors, OUT_GRADIENT, FINAL_STATE_GRADIENT),
        outputs=(K_GRADIENT, V_GRADIENT, *fading.shares("k_share"), INITIAL_STATE_GRADIENT),
        arguments=(SCALE,),
        body=(
            Assign("state", Load(FINAL_STATE_GRADIENT), comment="the gradient of the state after the chunk"),
            ForChunks(body, reverse=True),
            Store(INITIAL_STATE_GRADIENT, _state),
        ),
    )


RECURRENCES = {
    "recurrence_forward": recurrence_forward,
    "recurrence_dq": recurrence_dq,
    "recurrence_dk_dv": recurrence_dk_dv,
}
"""The programs by name."""


@dataclass(frozen=True)
class _Fading:
    """How a kind of decay enters the programs. False where there is none."""

    decay: Decay
    chunk: int

    def __bool__(self) -> bool:
        return self.decay != "none"

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        return (decay_tensor(self.decay),) if self else ()

    def shares(self, name: str) -> tuple[Tensor, ...]:
        return (share_tensor(name, self.decay),) if self else ()

    @property
    def _vector(self) -> Shape:
        """The shape of the steps of a chunk."""
        return Shape("q", "head_dim" if self.decay == "channel" else None)

    @property
    def _steps(self) -> Variable:
        return Variable("steps", self._vector)

    @property
    def _from_start(self) -> Variable:
        return Variable("from_start", self._vector)

    @property
    def _to_end(self) -> Variable:
        return Variable("to_end", self._vector)

    @property
    def _kept(self) -> Variable:
        return Variable("kept", Total(self._steps).shape)

    def start(self) -> Iterator[Statement]:
        """The factors of a chunk by name."""
        if not self:
            return
        steps = _mul(Load(decay_tensor(self.decay)), Number(LOG2_E))
        yield Assign("steps", steps, comment="logarithms in base 2")
        yield Assign("from_start", _exp2(Scan(self._steps, "through")), comment="decay of what was before")
        yield Assign("to_end", _exp2(Scan(self._steps, "after")), comment="decay up to the end of the chunk")
        yield Assign("kept", _exp2(Total(self._steps)), comment="decay over the whole chunk")

    def _between(self, relation: Literal["up_to", "before"]) -> Expression:
        """The decay between the tokens of pairs in a relation, 0 for all others, [q, kv]; of token steps."""
        steps = _select(Pairs("before"), self._steps, Number(0.0))
        return _exp2(_select(Pairs(relation), Scan(steps, "through"), Number(-math.inf)))

    @property
    def _levels(self) -> list[int]:
        """The halves of blocks that together are all pairs of the chunk."""
        return [2**level for level in range(self.chunk.bit_length() - 1)]

    def _query_fading(self, half: int) -> Expression:
        return _exp2(Scan(self._steps, "through", half))

    def _key_fading(self, half: int) -> Expression:
        return _exp2(Relabel(Scan(self._steps, "after", half), "kv"))

    def weights(self, diagonal: bool) -> Iterator[Statement]:
        """The weights of pairs, without the scale. diagonal: with those of tokens with themselves."""
        relation: Literal["up_to", "before"] = "up_to" if diagonal else "before"
        product = Dot(_queries, _keys, transpose_right=True)
        if self.decay == "none":
            yield Assign("weights", _select(Pairs(relation), product, Number(0.0)))
        elif self.decay == "token":
            yield Assign("weights", _mul(product, self._between(relation)))
        else:
            yield from self._weights_by_levels(diagonal)

    def _weights_by_levels(self, diagonal: bool) -> Iterator[Statement]:
        if diagonal:
            own = Reduce("sum", _mul(_queries, Relabel(_keys, "q")))
            yield Assign("own_weights", own, comment="of each token with itself")
            own_weights = Variable("own_weights", Shape("q"))
            yield Assign("weights", _select(Pairs("same"), own_weights, Number(0.0)))
        else:
            yield Assign("weights", Full(_pairs, 0.0))
        for half in self._levels:
            queries = Variable(f"queries_{half}", _queries.shape)
            keys = Variable(f"keys_{half}", _keys.shape)
            yield Assign(queries.name, _mul(_queries, self._query_fading(half)))
            yield Assign(keys.name, _mul(_keys, self._key_fading(half)))
            product = Dot(queries, keys, transpose_right=True)
            yield Assign("weights", _select(Pairs("halves", half), product, _weights))

    def weight_gradients(self) -> Iterator[Statement]:
        """The gradients of products of two different tokens; of channel decays before fading."""
        product = Dot(_out_gradients, _values, transpose_right=True)
        if self.decay == "none":
            yield Assign("weight_gradients", _select(Pairs("before"), product, Number(0.0)))
        elif self.decay == "token":
            yield Assign("weight_gradients", _mul(product, self._between("before")))
        else:
            yield Assign("weight_gradients", product)

    def dq(self) -> Iterator[Statement]:
        """The gradient of queries, without the scale and without their own keys."""
        yield Assign("dq", Dot(_out_gradients, _state, transpose_right=True))
        if self:
            yield Assign("dq", _mul(_dq, self._from_start))
        if self.decay != "channel":
            yield _add(_dq, Dot(_weight_gradients, _keys))
            return
        for half in self._levels:
            keys, part = Variable(f"keys_{half}", _keys.shape), Variable(f"dq_{half}", _dq.shape)
            masked = Variable(f"weight_gradients_{half}", _pairs)
            yield Assign(keys.name, _mul(_keys, self._key_fading(half)))
            yield Assign(masked.name, _select(Pairs("halves", half), _weight_gradients, Number(0.0)))
            yield Assign(part.name, Dot(masked, keys))
            yield Assign("dq", _plus(_dq, _mul(part, self._query_fading(half))))

    def dk(self) -> Iterator[Statement]:
        """The gradient of keys, without their own queries; queries are scaled."""
        yield Assign("dk", Dot(_values, _state, transpose_right=True))
        if self:
            yield Assign("dk", _mul(_dk, Relabel(self._to_end, "kv")))
        if self.decay != "channel":
            yield _add(_dk, Dot(_weight_gradients, _queries, transpose_left=True))
            return
        for half in self._levels:
            queries, part = Variable(f"queries_{half}", _queries.shape), Variable(f"dk_{half}", _dk.shape)
            masked = Variable(f"weight_gradients_{half}", _pairs)
            yield Assign(masked.name, _select(Pairs("halves", half), _weight_gradients, Number(0.0)))
            yield Assign(part.name, Dot(masked, queries, transpose_left=True))
            yield Assign("dk", _plus(_dk, _mul(part, self._key_fading(half))))

    def read_state(self, target: Variable, queries: Variable, state: Variable) -> Iterator[Statement]:
        """What queries read from the state that the chunk began with, by the name of `target`."""
        if self.decay == "channel":
            yield Assign("faded_queries", _mul(queries, self._from_start))
            yield Assign(target.name, Dot(_faded_queries, state))
            return
        yield Assign(target.name, Dot(queries, state))
        if self:
            yield Assign(target.name, _mul(target, self._from_start))

    def fade_keys(self) -> Iterator[Statement]:
        """Keys as the end of the chunk sees them."""
        if self:
            yield Assign("faded_keys", _mul(_keys, Relabel(self._to_end, "kv")))

    def update_state(self) -> Iterator[Statement]:
        """The state after the chunk."""
        yield from self.fade_keys()
        if self:
            yield Assign("state", _mul(_state, self._kept))
        yield _add(_state, Dot(_faded_keys if self else _keys, _values, transpose_left=True))

    def update_state_gradient(self) -> Iterator[Statement]:
        """The gradient of the state before the chunk."""
        if self:
            yield Assign("faded_queries", _mul(_queries, self._from_start))
            yield Assign("state", _mul(_state, self._kept))
        yield _add(_state, Dot(_faded_queries if self else _queries, _out_gradients, transpose_left=True))

    def share(self, name: str, products: Expression) -> Iterator[Statement]:
        """Stores products of each token's channels, or their sum where steps have no channels."""
        if self:
            yield Store(
                share_tensor(name, self.decay),
                products if self.decay == "channel" else Reduce("sum", products),
                comment="enters the gradients of steps",
            )


def _load_tokens() -> tuple[Assign, ...]:
    return Assign("queries", Load(Q)), Assign("keys", Load(K)), Assign("values", Load(V))


def _add(target: Variable, product: Dot) -> Assign:
    return Assign(target.name, _plus(target, product))


def _apply(op: str, *operands: Expression) -> Elementwise:
    return Elementwise(op, operands)


def _mul(left: Expression, right: Expression) -> Elementwise:
    return _apply("mul", left, right)


def _plus(left: Expression, right: Expression) -> Elementwise:
    return _apply("add", left, right)


def _exp2(exponent: Expression) -> Elementwise:
    return _apply("exp2", exponent)


def _select(condition: Expression, value: Expression, other: Expression) -> Elementwise:
    return _apply("select", condition, value, other)
