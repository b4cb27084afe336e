"""The shipped patterns with linear weights by their recurrences, token by token, in float64 torch.

A formula takes q, k and v with equal heads, the scale, the setting and the inputs, and gives the output.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

Inputs = dict[str, Tensor]
Setting = dict[str, Any]


def recurrence(q: Tensor, k: Tensor, v: Tensor, keep: Tensor, scale: float) -> Tensor:
    """o_t = scale q_t^T S_t, S_t = diag(keep_t) S_{t-1} + k_t v_t^T; keep: [batch, heads, tokens, D or 1]."""
    keep = keep.expand(*q.shape[:3], keep.shape[-1])
    state = torch.zeros(*q.shape[:2], q.shape[3], v.shape[3], dtype=q.dtype)
    outputs = []
    for t in range(q.shape[2]):
        state = keep[:, :, t, :, None] * state + k[:, :, t, :, None] * v[:, :, t, None, :]
        outputs.append(scale * (q[:, :, t, None] @ state))
    return torch.cat(outputs, 2)


def of_heads(rates: list[float]) -> Tensor:
    """What each head keeps per step, [1, heads, 1, 1]."""
    return torch.tensor(rates, dtype=torch.float64).view(1, -1, 1, 1)


def lightning(q: Tensor, k: Tensor, v: Tensor, scale: float, setting: Setting, inputs: Inputs) -> Tensor:
    heads, layers = q.shape[1], setting.get("layers", 1)
    slopes = [2.0 ** (-8 * (h + 1) / heads) for h in range(heads)]
    factor = 1 - setting["layer"] / (layers - 1) + 1e-5 if layers > 1 else 1.0
    return recurrence(q, k, v, of_heads([math.exp(-slope * factor) for slope in slopes]), 1.0)


def lightning_fla(q: Tensor, k: Tensor, v: Tensor, scale: float, setting: Setting, inputs: Inputs) -> Tensor:
    heads = q.shape[1]
    depth = 1 - setting.get("layer", 0) / setting.get("layers", 1)
    return recurrence(q, k, v, of_heads([math.exp(-8 / heads * depth * h) for h in range(heads)]), scale)


def retention(q: Tensor, k: Tensor, v: Tensor, scale: float, setting: Setting, inputs: Inputs) -> Tensor:
    return recurrence(q, k, v, of_heads([1 - 2.0 ** (-5 - h) for h in range(q.shape[1])]), scale)


def simple_gla(q: Tensor, k: Tensor, v: Tensor, scale: float, setting: Setting, inputs: Inputs) -> Tensor:
    return recurrence(q, k, v, inputs["g"].exp()[..., None], scale)


def gla(q: Tensor, k: Tensor, v: Tensor, scale: float, setting: Setting, inputs: Inputs) -> Tensor:
    return recurrence(q, k, v, inputs["g"].exp(), scale)


FEATURES: dict[str, Callable[[Tensor], Tensor]] = {
    "elu1": lambda x: functional.elu(x) + 1,
    "relu": torch.relu,
    "softmax": lambda x: torch.softmax(x, -1),
    "identity": lambda x: x,
}


def divided(weights: Tensor, v: Tensor, more: float = 0.0) -> Tensor:
    total = weights.sum(-1, keepdim=True) + more
    return torch.where(total == 0, 0.0, weights @ v / torch.where(total == 0, 1.0, total))


def linear(q: Tensor, k: Tensor, v: Tensor, scale: float, setting: Setting, inputs: Inputs) -> Tensor:
    feature = FEATURES[setting.get("feature", "elu1")]
    weights = feature(q) @ feature(k).mT
    return divided(weights.tril() if setting.get("causal") else weights, v)


def scatter_window(q: Tensor, k: Tensor, v: Tensor, scale: float, setting: Setting, inputs: Inputs) -> Tensor:
    """Window by window."""
    (height, width), (tall, wide) = setting["shape"], setting["window"]
    feature, out = FEATURES[setting.get("feature", "relu")], torch.zeros_like(v)
    for top in range(0, height, tall):
        for left in range(0, width, wide):
            rows, columns = range(top, min(top + tall, height)), range(left, min(left + wide, width))
            own = torch.tensor([y * width + x for y in rows for x in columns])
            out[:, :, own] = divided(feature(q[:, :, own]) @ feature(k[:, :, own]).mT, v[:, :, own], 1e-6)
    return out


Formula = Callable[[Tensor, Tensor, Tensor, float, Setting, Inputs], Tensor]
FORMULAS: dict[str, Formula] = {
    formula.__name__: formula
    for formula in (gla, lightning, lightning_fla, linear, retention, scatter_window, simple_gla)
}
"""The formula of each pattern, by the pattern's name."""
