"""Samples of a model's attention, as they come in: which rows of q and k are kept, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from attndsl.diagnostics import AttnCallError
from attndsl.runtime.visible_keys import visible_keys


@dataclass
class Recorded:
    """One layer: the sampled rows of q, all of k, one entry per forward pass; and what is common to them."""

    queries: torch.Tensor
    scale: float
    causal: bool
    q: list[torch.Tensor] = field(default_factory=list)
    k: list[torch.Tensor] = field(default_factory=list)
    masks: list[torch.Tensor | None] = field(default_factory=list)

    @property
    def shape(self) -> tuple[int, ...]:
        """Heads, key/value heads, tokens and head size, which all passes share."""
        q, k = self.q[0], self.k[0]
        return int(q.shape[1]), int(k.shape[1]), int(k.shape[2]), int(k.shape[3])


@dataclass(frozen=True)
class Limits:
    """How much is kept: sequences of the batch, sampled queries of each, bytes in all."""

    sequences: int
    queries: int
    max_bytes: int
    seed: int


class Recorder:
    """Watches a model's forward passes and keeps samples of its self-attention, layer by layer."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.layers: list[Recorded] = []
        self.bytes = 0
        self.sequences = 0
        self.other_calls: list[tuple[int, int]] = []
        """Queries and keys of calls of other lengths: cross-attention, or decoding with a cache."""
        self._layer: int | None = None

    def begin_pass(self, *_: Any) -> None:
        """The model's forward pass begins: the next call is that of layer 0."""
        self._layer = None if self.sequences >= self.limits.sequences else 0

    def end_pass(self, *_: Any) -> None:
        """The model's forward pass is over."""
        if self._layer:
            self.sequences = sum(len(each) for each in self.layers[0].q)
        self._layer = None

    @torch.compiler.disable  # type: ignore[untyped-decorator, unused-ignore]
    def record(self, q: torch.Tensor, k: torch.Tensor, call: dict[str, Any]) -> None:
        """A call of attention; call: its other arguments by name."""
        if self._layer is None:
            return
        if q.dim() != 4 or k.dim() != 4:
            raise AttnCallError(
                "A0636",
                f"a call of attention has q of the shape {list(q.shape)}",
                help="only [batch, heads, tokens, head_dim] can be captured; capture a part of the model",
            )
        if q.shape[2] != k.shape[2]:
            self.other_calls.append((int(q.shape[2]), int(k.shape[2])))
            return
        self._keep(q.detach(), k.detach(), call)
        self._layer += 1

    def _keep(self, q: torch.Tensor, k: torch.Tensor, call: dict[str, Any]) -> None:
        assert self._layer is not None
        count = self.limits.sequences - self.sequences
        q, k = q[:count], k[:count]
        queries = sampled_queries(q.shape[2], self.limits)
        mask, causal = visible_keys(call.get("attn_mask"), bool(call.get("is_causal")), queries, q)
        scale = call.get("scale")
        if self._layer == len(self.layers) and not self.sequences:
            own = float(q.shape[3] ** -0.5 if scale is None else scale)
            self.layers.append(Recorded(queries, own, causal))
        layer = self.layers[self._layer] if self._layer < len(self.layers) else None
        shape = (q.shape[1], k.shape[1], k.shape[2], k.shape[3])
        if layer is None or layer.causal != causal or (layer.q and layer.shape != shape):
            raise _other_pass(self._layer, shape, layer)
        rows = q[:, :, queries.to(q.device)].cpu()
        whole = k.to("cpu", copy=True).contiguous()
        self._count(self._layer, rows, whole, mask)
        layer.q.append(rows)
        layer.k.append(whole)
        layer.masks.append(None if mask is None else mask.expand(len(q), -1, -1, -1).cpu())

    def _count(self, number: int, *tensors: torch.Tensor | None) -> None:
        self.bytes += sum(each.numel() * each.element_size() for each in tensors if each is not None)
        if self.bytes > self.limits.max_bytes:
            raise AttnCallError(
                "A0638",
                f"the samples up to layer {number} take {self.bytes:,} bytes, "
                f"at most {self.limits.max_bytes:,} are kept",
                help="capture shorter or fewer sequences, or raise max_bytes",
            )


def sampled_queries(tokens: int, limits: Limits) -> torch.Tensor:
    """Positions of the queries that are kept, rising; the same for all calls of one length."""
    if tokens <= limits.queries:
        return torch.arange(tokens)
    chosen = np.random.default_rng(limits.seed).choice(tokens, limits.queries, replace=False)
    return torch.from_numpy(np.sort(chosen))


def _other_pass(number: int, shape: tuple[int, ...], layer: Recorded | None) -> AttnCallError:
    """A later forward pass that does not fit the first one."""
    heads, _, tokens, _ = shape
    before = "is not there" if layer is None else f"has {layer.shape[0]} heads and {layer.shape[2]} tokens"
    if layer is not None and layer.q and layer.shape == shape:
        before = "has another mask"
    return AttnCallError(
        "A0639",
        f"layer {number} has {heads} heads and {tokens} tokens, but {before} in an earlier forward pass",
        help="capture sequences of one length, or one file for each length",
    )
