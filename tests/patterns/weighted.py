"""The shipped patterns with scores, weights and gates by their formulas, in float64 torch, from the papers.

A formula takes q, k and v with equal heads, the scale, the setting and the inputs, and gives the output.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from tests.patterns import chosen_heads, combined, decayed

Inputs = dict[str, Tensor]
Setting = dict[str, Any]


def causal(n: int) -> Tensor:
    return torch.ones(n, n, dtype=torch.bool).tril()


def softmax(scores: Tensor, mask: Tensor, v: Tensor) -> Tensor:
    return torch.softmax(scores.masked_fill(~mask, -math.inf), -1) @ v


def products(q: Tensor, k: Tensor, scale: float) -> Tensor:
    return q @ k.mT * scale


def slopes(heads: int) -> list[float]:
    """The list of the paper's repository: a power of two, and in between every other of twice that."""
    if math.log2(heads).is_integer():
        first = 2.0 ** (-(2.0 ** -(math.log2(heads) - 3)))
        return [first * first**number for number in range(heads)]
    below = 2 ** math.floor(math.log2(heads))
    return slopes(below) + slopes(2 * below)[0::2][: heads - below]


def alibi(q: Tensor, k: Tensor, v: Tensor, scale: float, setting: Setting, inputs: Inputs) -> Tensor:
    n = q.shape[2]
    distance = torch.arange(n)[:, None] - torch.arange(n)
    bias = torch.tensor(slopes(q.shape[1]), dtype=torch.float64).view(-1, 1, 1) * distance
    return softmax(products(q, k, scale) - bias, causal(n), v)


def softcap(q: Tensor, k: Tensor, v: Tensor, scale: float, setting: Setting, inputs: Inputs) -> Tensor:
    cap = setting["cap"]
    return softmax(cap * torch.tanh(products(q, k, scale) / cap), causal(q.shape[2]), v)


def relative_bias(q: Tensor, k: Tensor, v: Tensor, scale: float, setting: Setting, inputs: Inputs) -> Tensor:
    """Window by window, with the index that Swin's repository builds for one window."""
    (height, width), w = setting["shape"], setting["window"]
    place = torch.stack(torch.meshgrid(torch.arange(w), torch.arange(w), indexing="ij")).flatten(1)
    relative = place[:, :, None] - place[:, None, :] + w - 1
    out = torch.zeros_like(q)
    for top in range(0, height, w):
        for left in range(0, width, w):
            rows, columns = range(top, min(top + w, height)), range(left, min(left + w, width))
            tokens = torch.tensor([y * width + x for y in rows for x in columns])
            local = torch.tensor([(y - top) * w + (x - left) for y in rows for x in columns])
            index = relative[:, local][:, :, local]
            bias = inputs["table"][..., index[0], index[1]]
            scores = products(q[:, :, tokens], k[:, :, tokens], scale) + bias
            out[:, :, tokens] = torch.softmax(scores, -1) @ v[:, :, tokens]
    return out


def low_rank_bias(q: Tensor, k: Tensor, v: Tensor, scale: float, setting: Setting, inputs: Inputs) -> Tensor:
    bk = inputs["bk"].repeat_interleave(q.shape[1] // inputs["bk"].shape[-3], -3)
    return torch.softmax(products(q, k, scale) + inputs["bq"] @ bk.mT, -1) @ v


def sink_logits(q: Tensor, k: Tensor, v: Tensor, scale: float, setting: Setting, inputs: Inputs) -> Tensor:
    scores = products(q, k, scale).masked_fill(~causal(q.shape[2]), -math.inf)
    sink = inputs["sink"].reshape(-1, q.shape[1], 1, 1).expand(*scores.shape[:3], 1)
    return torch.softmax(torch.cat([scores, sink], -1), -1)[..., :-1] @ v


def unnormalised(weights: Tensor, setting: Setting, v: Tensor) -> Tensor:
    mask = causal(v.shape[2]) if setting.get("causal", True) else torch.ones(1, 1, dtype=torch.bool)
    return weights.masked_fill(~mask, 0.0) @ v


def sigmoid_attention(
    q: Tensor, k: Tensor, v: Tensor, scale: float, setting: Setting, inputs: Inputs
) -> Tensor:
    return unnormalised(torch.sigmoid(products(q, k, scale) + setting.get("bias", 0.0)), setting, v)


def relu_attention(q: Tensor, k: Tensor, v: Tensor, scale: float, setting: Setting, inputs: Inputs) -> Tensor:
    return unnormalised(torch.relu(products(q, k, scale)) / q.shape[2], setting, v)


def softplus_attention(
    q: Tensor, k: Tensor, v: Tensor, scale: float, setting: Setting, inputs: Inputs
) -> Tensor:
    mask = causal(q.shape[2]) if setting.get("causal", True) else torch.ones(1, 1, dtype=torch.bool)
    weights = torch.nn.functional.softplus(products(q, k, scale), threshold=100).masked_fill(~mask, 0.0)
    return torch.nn.functional.normalize(weights, p=1, dim=-1) @ v


def window(q: Tensor, k: Tensor, v: Tensor, scale: float, left: int) -> Tensor:
    n = q.shape[2]
    return softmax(products(q, k, scale), causal(n) & ~causal(n).tril(-left - 1), v)


def gated(q: Tensor, k: Tensor, v: Tensor, scale: float, setting: Setting, inputs: Inputs) -> Tensor:
    return window(q, k, v, scale, setting["left"]) * torch.sigmoid(inputs["g"]).transpose(-3, -2)


def gated_headwise(q: Tensor, k: Tensor, v: Tensor, scale: float, setting: Setting, inputs: Inputs) -> Tensor:
    return window(q, k, v, scale, setting["left"]) * torch.sigmoid(inputs["g"]).mT.unsqueeze(-1)


FORMULAS: dict[str, Callable[[Tensor, Tensor, Tensor, float, Setting, Inputs], Tensor]] = (
    {
        formula.__name__: formula
        for formula in (
            alibi,
            gated,
            gated_headwise,
            low_rank_bias,
            relative_bias,
            relu_attention,
            sigmoid_attention,
            sink_logits,
            softcap,
            softplus_attention,
        )
    }
    | decayed.FORMULAS
    | combined.FORMULAS
    | {"moh": chosen_heads.moh}
)
"""The formula of each pattern, by the pattern's name."""
