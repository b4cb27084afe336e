"""`attndsl.nn.Attention`: attention by a pattern as a module of torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from attndsl.diagnostics import AttnCallError
from attndsl.pipeline import Bound, Pattern
from attndsl.plans import LayerPlan, as_pattern
from attndsl.runtime.any_length import AnyLength


class Attention(nn.Module):
    """Attention in which each query sees the keys that a pattern lets it see.

    With embed_dim and num_heads it has the projections of queries, keys, values and output, and takes hidden
    states; without them it takes queries, keys and values.

    pattern: a library name, the path of a `.attn` file, a Pattern, or a layer of a plan. kv_heads: key/value
    heads, fewer than num_heads for grouped-query attention. head_dim: channels per head, embed_dim //
    num_heads unless given. shape: extents of the pattern's space; without it the pattern follows the number
    of tokens. parameters: of the pattern. Raises AttnError for numbers that do not fit.
    """

    def __init__(
        self,
        pattern: str | Path | Pattern | LayerPlan,
        embed_dim: int | None = None,
        num_heads: int | None = None,
        *,
        kv_heads: int | None = None,
        head_dim: int | None = None,
        bias: bool = False,
        shape: int | Sequence[int] | None = None,
        scale: float | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        **parameters: Any,
    ) -> None:
        super().__init__()
        if isinstance(pattern, LayerPlan):
            parameters = {**pattern.parameters, **parameters}
            pattern = pattern.pattern
        found = as_pattern(pattern)
        self.num_heads, self.kv_heads, self.scale = num_heads, kv_heads or num_heads, scale
        self.attention: Bound | AnyLength = (
            found.at_any_length(num_heads, self.kv_heads, **parameters)
            if shape is None
            else found.bind(shape, num_heads, self.kv_heads, **parameters)
        )
        self.has_projections = embed_dim is not None
        if embed_dim is not None:
            self._add_projections(embed_dim, head_dim, bias, {"device": device, "dtype": dtype})

    def _add_projections(
        self, embed_dim: int, head_dim: int | None, bias: bool, kind: dict[str, Any]
    ) -> None:
        if not self.num_heads or not self.kv_heads or (head_dim is None and embed_dim % self.num_heads):
            raise AttnCallError(
                "A0622", f"embed_dim {embed_dim} cannot be divided among {self.num_heads} heads",
                help="pass num_heads that divides embed_dim, or head_dim",
            )  # fmt: skip
        self.head_dim = head_dim or embed_dim // self.num_heads
        self.q_proj = nn.Linear(embed_dim, self.num_heads * self.head_dim, bias, **kind)
        self.k_proj = nn.Linear(embed_dim, self.kv_heads * self.head_dim, bias, **kind)
        self.v_proj = nn.Linear(embed_dim, self.kv_heads * self.head_dim, bias, **kind)
        self.out_proj = nn.Linear(self.num_heads * self.head_dim, embed_dim, bias, **kind)

    def forward(
        self,
        query: Tensor,
        key: Tensor | None = None,
        value: Tensor | None = None,
        *,
        initial_state: Tensor | None = None,
        return_state: bool = False,
        plan: Any = None,
        **inputs: Any,
    ) -> Any:
        """Attention of all queries.

        With projections: query [batch, queries, embed_dim], and key and value [batch, keys, embed_dim], which
        default to the query and to the key; returns [batch, queries, embed_dim]. Without: query [batch,
        heads, queries, D], key [batch, kv_heads, keys, D], value [batch, kv_heads, keys, Dv]; returns [batch,
        heads, queries, Dv]. initial_state: of a recurrence; with return_state the state after the last token
        is returned too. plan: of a route. inputs: what the pattern declares. Raises AttnCallError (A06xx).
        """
        asked: dict[str, Any] = {"initial_state": initial_state, "return_state": return_state, "plan": plan}
        q, k, v = self._of_heads(query, key, value)
        found = self.attention(q, k, v, self.scale, **asked, **inputs)
        return (self._projected(found[0]), found[1]) if return_state else self._projected(found)

    def step(
        self,
        query: Tensor,
        key: Tensor | None = None,
        value: Tensor | None = None,
        *,
        state: Tensor | None = None,
        **inputs: Any,
    ) -> tuple[Tensor, Tensor]:
        """One more token of a recurrence: its output and the new state, in constant time and memory.

        Tensors are those of `forward` for a single token. state: as an earlier step or `forward` with
        return_state returned it; None at the first token. Raises AttnCallError (A06xx).
        """
        q, k, v = self._of_heads(query, key, value)
        out, after = self.attention.step(q, k, v, state, self.scale, **inputs)
        return self._projected(out), after

    def _of_heads(
        self, query: Tensor, key: Tensor | None, value: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values, projected where the module does that."""
        if not self.has_projections:
            if key is None or value is None:
                raise AttnCallError(
                    "A0623", "this module has no projections, and got no key or no value",
                    help="call it with q, k and v, or make it with embed_dim and num_heads",
                )  # fmt: skip
            return query, key, value
        key = query if key is None else key
        q, k, v = self.q_proj(query), self.k_proj(key), self.v_proj(key if value is None else value)
        q, k, v = (each.view(*each.shape[:2], -1, self.head_dim).transpose(1, 2) for each in (q, k, v))
        return q, k, v

    def _projected(self, out: Tensor) -> Tensor:
        """The output, projected where the module does that."""
        if not self.has_projections:
            return out
        projected: Tensor = self.out_proj(out.transpose(1, 2).flatten(2))
        return projected

    def extra_repr(self) -> str:
        """What `print` shows of it."""
        return f"{self.attention.name}, num_heads={self.num_heads}, kv_heads={self.kv_heads}"
