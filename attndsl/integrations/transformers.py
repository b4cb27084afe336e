"""Patterns in the models of Hugging Face transformers.

Importing this module makes `attn_implementation="attndsl:sliding_window?left=128"` work, for every pattern of
the library, for `.attn` files and for plans. The pattern and the model's own causality are both kept: a
decoder under `attndsl:full` computes what it computes without attndsl.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.masking_utils import bidirectional_mask_function, causal_mask_function

from attndsl.diagnostics import AttnCallError
from attndsl.integrations.layers import TextLayers
from attndsl.integrations.spelling import PREFIX, parse_name
from attndsl.pipeline import Pattern
from attndsl.plans import LayerPlan, Plan

CHANGES_SCORES = ("softcap", "s_aux", "position_bias", "head_mask", "sliding_window")
"""Arguments by which models change attention; a pattern that ignored them would be wrong."""


def register(
    name: str,
    pattern: str | Path | Pattern | LayerPlan | Plan,
    *,
    pattern_alone: bool = False,
    **parameters: Any,
) -> str:
    """Give a pattern or a plan a name for `attn_implementation`, and return it: `attndsl:` and the name.

    pattern_alone: do not hide later tokens from a causal model's queries where the pattern shows them, as a
    prefix language model needs. parameters: of the pattern.
    """
    plan = pattern if isinstance(pattern, (Plan, LayerPlan)) else LayerPlan(pattern, parameters)
    full = PREFIX + name.removeprefix(PREFIX)
    AttentionInterface.register(full, _Attention(TextLayers(plan, pattern_alone)))
    AttentionMaskInterface.register(full, existing_tokens)
    return full


class _Attention:
    """What transformers calls in place of its own attention functions."""

    def __init__(self, layers: TextLayers) -> None:
        self.layers = layers

    def __call__(
        self,
        module: torch.nn.Module,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attention_mask: Tensor | None,
        dropout: float = 0.0,
        scaling: float | None = None,
        is_causal: bool | None = None,
        **given: Any,
    ) -> tuple[Tensor, None]:
        _refuse_changes(dropout, attention_mask, given)
        causal, exists = _read_mask(module, attention_mask, is_causal)
        _refuse_cross_attention(module, causal, query, key)
        if exists is not None:  # a static cache is longer than what it holds
            key, value = key[:, :, : exists.shape[1]], value[:, :, : exists.shape[1]]
        layer: int | None = getattr(module, "layer_idx", None)
        attend, declared = self.layers.attention(layer, causal, query, key)
        inputs = {name: given[name] for name in declared & given.keys()}
        if exists is None and query.shape[2] == key.shape[2]:
            out = attend(query, key, value, scaling, **inputs)
        else:
            out = attend.rows(query, key, value, scaling, exists=exists, **inputs)
        return out.transpose(1, 2).contiguous(), None


def existing_tokens(
    batch_size: int,
    q_length: int,
    kv_length: int,
    q_offset: int | Tensor = 0,
    kv_offset: int = 0,
    mask_function: Any = causal_mask_function,
    attention_mask: Tensor | None = None,
    device: torch.device | str = "cpu",
    **_: Any,
) -> Tensor | None:
    """What transformers passes to the attention as its mask: which tokens exist.

    bool [batch, keys] for causal attention and [batch, 1, keys] for attention in both directions; None for
    causal attention to all keys. Raises AttnCallError A0662 where the model asks for another mask.
    """
    if kv_offset or mask_function not in (causal_mask_function, bidirectional_mask_function):
        raise AttnCallError(
            "A0662",
            "the model asks for a mask of its own: a sliding window, packed texts or blocks of images",
            help="switch it off in the model's config, or pass attention_mask= for texts that are not packed",
        )
    causal = mask_function is causal_mask_function
    length = int(q_offset) + q_length
    exists = torch.ones((batch_size, length), dtype=torch.bool, device=device)
    if attention_mask is not None:
        exists = attention_mask[:, :length].to(device=device, dtype=torch.bool)
    if not causal:
        return exists.unsqueeze(1)
    if not torch.compiler.is_compiling() and length == kv_length and bool(exists.all()):
        return None
    return exists


def _read_mask(
    module: torch.nn.Module, mask: Tensor | None, is_causal: bool | None
) -> tuple[bool, Tensor | None]:
    """Whether attention is causal, and which tokens exist, None for all."""
    if mask is None:
        return bool(getattr(module, "is_causal", True) if is_causal is None else is_causal), None
    return mask.ndim == 2, mask if mask.ndim == 2 else mask[:, 0]


def _refuse_changes(dropout: float, mask: Tensor | None, given: dict[str, Any]) -> None:
    """Raise AttnCallError A0663 for what would change the attention and is not computed."""
    changes = [name for name in CHANGES_SCORES if given.get(name) is not None]
    changes += ["dropout"] if dropout else []
    changes += ["output_attentions"] if given.get("output_attentions") else []
    changes += ["a mask of four dimensions"] if mask is not None and mask.ndim == 4 else []
    if changes:
        raise AttnCallError(
            "A0663", f"the model passes {', '.join(changes)}, which attention by a pattern does not compute",
            help="switch it off in the model's config, or use another attn_implementation",
        )  # fmt: skip


def _refuse_cross_attention(module: Any, causal: bool, query: Tensor, key: Tensor) -> None:
    """Raise AttnCallError A0664 where the keys are, or may be, those of another text."""
    joint = getattr(getattr(module, "config", None), "is_encoder_decoder", False)
    crosses = "Cross" in type(module).__name__ or query.shape[2] != key.shape[2] or joint
    if crosses and not causal:
        raise AttnCallError(
            "A0664", "the model attends to another text, whose keys a pattern of one text does not place",
            help="leave models with cross attention to another attn_implementation",
        )  # fmt: skip


def _register_on_demand() -> None:
    """Let models ask for names that nobody has registered: those that spell a pattern or a plan."""
    original = PreTrainedModel.get_correct_attn_implementation

    @functools.wraps(original)
    def get_correct(self: Any, requested_attention: str | None, *more: Any, **options: Any) -> Any:
        name = requested_attention or ""
        if name.startswith(PREFIX) and name not in AttentionInterface._global_mapping:
            register(name, parse_name(name))
        return original(self, requested_attention, *more, **options)

    PreTrainedModel.get_correct_attn_implementation = get_correct


_register_on_demand()
