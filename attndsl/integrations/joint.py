"""One layer of joint attention: a pattern over an image or a video, and text before or after it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from attndsl.diagnostics import AttnCallError
from attndsl.integrations.joint_inputs import Tokens
from attndsl.passes.joint import EXISTING_KEYS, reordered, with_existing_keys, with_text
from attndsl.pipeline import Bound, Pattern
from attndsl.plans import LayerPlan


class JointLayer:
    """The attention of a layer, bound once per shape. text_first: whether text comes before the image."""

    def __init__(self, plan: LayerPlan, text_first: bool) -> None:
        self.plan, self.pattern, self.text_first = plan, plan.resolve(), text_first
        if len(self.pattern.ir.query_space) > 2 or self.pattern.ir.cross:
            raise AttnCallError(
                "A0655", f"pattern `{self.pattern.name}` is not of one image or video and one text",
                help="declare `space video(t, h, w) ++ text(n)`, or the video alone",
            )  # fmt: skip
        self._known: dict[tuple[Any, ...], Bound] = {}

    def __call__(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        mask: Tensor | None,
        scale: float | None,
        shape: tuple[int, ...],
        given: Mapping[str, Any],
    ) -> Tensor:
        """Attention [batch, tokens, heads, D] over tensors of that shape.

        mask: bool [batch, 1, 1, tokens], false for keys that are padding. shape: extents of the image or
        video. given: inputs by name, among them those that the pattern declares, None for those that are
        missing; over the tokens of the pattern's own space, its text last.
        """
        exists = _existing_keys(mask, key)
        text = query.shape[1] - math.prod(shape)
        if text < 0 or key.shape[1] != query.shape[1]:
            raise AttnCallError(
                "A0656", f"{query.shape[1]} tokens are fewer than the {math.prod(shape)} of shape {shape}",
                help="pass the shape of the tokens to use_pattern, after patches are made",
            )  # fmt: skip
        bound = self.bound(shape, text, exists is not None, query.shape[2], key.shape[2])
        inputs = self._inputs(given, math.prod(shape), text)
        inputs |= {} if exists is None else {EXISTING_KEYS: exists}
        q, k, v = (each.transpose(1, 2) for each in (query, key, value))
        out: Tensor = bound(q, k, v, scale, **inputs)
        return out.transpose(1, 2)

    def _inputs(self, given: Mapping[str, Any], main: int, text: int) -> dict[str, Any]:
        """The inputs that the pattern declares, in the order of the model's tokens."""
        order = Tokens(main, text, len(self.pattern.ir.query_space) > 1, self.text_first)
        declared = (each for each in self.pattern.ir.inputs if given.get(each.name) is not None)
        return {each.name: order.arranged(self.pattern.ir, each, given[each.name]) for each in declared}

    def bound(self, shape: tuple[int, ...], text: int, padded: bool, heads: int, kv_heads: int) -> Bound:
        """The pattern for an image or video of a shape and so many text tokens."""
        key = shape, text, padded, heads, kv_heads
        if key not in self._known:
            self._known[key] = self._bind(*key)
        return self._known[key]

    def _bind(self, shape: tuple[int, ...], text: int, padded: bool, heads: int, kv_heads: int) -> Bound:
        ir = with_text(self.pattern.ir) if text else self.pattern.ir
        ir = with_existing_keys(ir) if padded else ir
        texts = {ir.query_space[1].name: text} if len(ir.query_space) > 1 else {}
        extents = shape if len(ir.query_space[0].axes) != 2 or len(shape) == 2 else _frames(shape)
        bound = Pattern(ir).bind(extents, heads, kv_heads, **{**self.plan.parameters, **texts})
        return Bound(reordered(bound.ir, (1, 0))) if self.text_first and texts else bound


def _frames(shape: tuple[int, ...]) -> tuple[int, int]:
    """A video for patterns of frames and their tokens, which do not tell rows from columns."""
    return shape[0], math.prod(shape[1:])


def _existing_keys(mask: Tensor | None, key: Tensor) -> Tensor | None:
    """Which keys exist, bool [batch, tokens]; None for all."""
    if mask is None:
        return None
    if mask.ndim != 4 or mask.shape[1] != 1 or mask.shape[2] != 1 or mask.is_floating_point():
        raise AttnCallError(
            "A0657", f"the model passes a mask of shape {tuple(mask.shape)}, which is not one per key",
            help="remove the pattern from models with masks of their own",
        )  # fmt: skip
    exists = mask[:, 0, 0].bool().expand(key.shape[0], -1)
    return None if bool(exists.all()) else exists
