"""The recurrence token by token in NumPy's float64, with its gradients: the oracle of all chunked forms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Gradients:
    """What `recurrence_gradients` returns, per query head. shares: see `codegen/recurrence.py`."""

    q: Array
    k: Array
    v: Array
    initial_state: Array


def random_tensors(
    kind: str,
    tokens: int,
    decay: float = -0.1,
    heads: int = 2,
    kv_heads: int = 1,
    dims: tuple[int, int] = (16, 16),
) -> dict[str, Array]:
    """Inputs of forward and backward programs. decay: the mean step."""
    random = np.random.default_rng(tokens)
    head_dim, value_dim = dims
    shapes: dict[str, tuple[int, ...]] = {
        "q": (2, heads, tokens, head_dim),
        "k": (2, kv_heads, tokens, head_dim),
        "v": (2, kv_heads, tokens, value_dim),
        "initial_state": (2, heads, head_dim, value_dim),
        "out_gradient": (2, heads, tokens, value_dim),
        "final_state_gradient": (2, heads, head_dim, value_dim),
    }
    tensors = {name: random.standard_normal(shape) for name, shape in shapes.items()}
    if kind != "none":
        shape = (2, heads, tokens, head_dim) if kind == "channel" else (2, heads, tokens)
        tensors["decay"] = 2 * decay * random.random(shape)
    return tensors


def steps_of(tensors: dict[str, Array]) -> Array:
    """The steps [batch, heads, tokens, channels or 1]."""
    batches, heads, tokens = tensors["q"].shape[:3]
    steps = tensors.get("decay", np.zeros((batches, heads, tokens)))
    return steps if steps.ndim == 4 else steps[..., None]


def per_query_head(tensors: dict[str, Array], name: str) -> Array:
    """A tensor with one head for every query head."""
    return np.repeat(tensors[name], tensors["q"].shape[1] // tensors[name].shape[1], axis=1)


def recurrence_outputs(tensors: dict[str, Array], scale: float) -> tuple[Array, Array]:
    """The output and the final state."""
    k, v = per_query_head(tensors, "k"), per_query_head(tensors, "v")
    state, factors = tensors["initial_state"], np.exp(steps_of(tensors))
    outputs = []
    for token in range(k.shape[2]):
        state = factors[:, :, token, :, None] * state + k[:, :, token, :, None] * v[:, :, token, None, :]
        outputs.append(scale * np.einsum("bhd,bhdv->bhv", tensors["q"][:, :, token], state))
    return np.stack(outputs, axis=2), state


def recurrence_gradients(tensors: dict[str, Array], scale: float) -> Gradients:
    """Gradients of sum(out * out_gradient) + sum(final_state * final_state_gradient)."""
    q, k, v = tensors["q"], per_query_head(tensors, "k"), per_query_head(tensors, "v")
    factors, out = np.exp(steps_of(tensors)), tensors["out_gradient"]
    state, dq = tensors["initial_state"], np.zeros_like(q)
    for token in range(q.shape[2]):
        state = factors[:, :, token, :, None] * state + k[:, :, token, :, None] * v[:, :, token, None, :]
        dq[:, :, token] = scale * np.einsum("bhv,bhdv->bhd", out[:, :, token], state)
    gradient, dk, dv = tensors["final_state_gradient"], np.zeros_like(k), np.zeros_like(v)
    for token in reversed(range(q.shape[2])):
        gradient = gradient + scale * q[:, :, token, :, None] * out[:, :, token, None, :]
        dk[:, :, token] = np.einsum("bhv,bhdv->bhd", v[:, :, token], gradient)
        dv[:, :, token] = np.einsum("bhd,bhdv->bhv", k[:, :, token], gradient)
        gradient = factors[:, :, token, :, None] * gradient
    return Gradients(dq, dk, dv, gradient)


def shares(tensors: dict[str, Array], gradients: Gradients, scale: float) -> tuple[Any, Any]:
    """`q_share` and `k_share`: products with gradients, without those of a token with itself."""
    q, k, v = tensors["q"], per_query_head(tensors, "k"), per_query_head(tensors, "v")
    own = scale * q * k * (tensors["out_gradient"] * v).sum(-1, keepdims=True)
    both = q * gradients.q - own, k * gradients.k - own
    return both if steps_of(tensors).shape[-1] > 1 else tuple(each.sum(-1) for each in both)
