"""The inputs of patterns in joint attention, as the model arranges its tokens: image or video, and text."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from attndsl.diagnostics import AttnCallError
from attndsl.ir.pattern import Input, PatternIR
from attndsl.ir.reads import inputs_read
from attndsl.runtime.checks import input_tensor

PER_TOKEN = ("tokens", "query", "key")


@dataclass(frozen=True)
class Tokens:
    """How many tokens there are. own_text: whether the pattern has a segment for the text."""

    main: int
    text: int
    own_text: bool
    text_first: bool

    def arranged(self, pattern: PatternIR, declared: Input, value: Any) -> Tensor:
        """An input over the tokens of the pattern's own space, for those of the model in their order.

        Text that the pattern has no segment for gets zeros, which no mask reads. Raises AttnCallError A0626,
        A0658 and A0659.
        """
        tensor = input_tensor(declared.name, value)
        first = tensor.ndim - len(declared.shape)
        for place, size in enumerate(declared.shape, first):
            if size in PER_TOKEN and 0 <= place < tensor.ndim:
                tensor = self._arranged(pattern, declared.name, tensor, place)
        return tensor

    def _arranged(self, pattern: PatternIR, name: str, tensor: Tensor, place: int) -> Tensor:
        wanted = self.main + self.text * self.own_text
        if tensor.shape[place] != wanted:
            what = "the image or video and its text have" if self.own_text else "the image or video has"
            raise AttnCallError(
                "A0658", f"input `{name}` is for {tensor.shape[place]} tokens, {what} {wanted}",
                help="pass one value per token, after patches are made; that of text comes last, if any",
            )  # fmt: skip
        if self.text and not self.own_text:
            if name in _read_beside_masks(pattern):
                raise AttnCallError(
                    "A0659", f"what input `{name}` is for the text that the model joins is not known",
                    help="declare the space as `video(t, h, w) ++ text(n)`, and pass values for text too",
                )  # fmt: skip
            tensor = pad(tensor, (0, 0) * (tensor.ndim - 1 - place) + (0, self.text))
        if not (self.text and self.text_first):
            return tensor
        main, text = tensor.split([self.main, self.text], place)  # type: ignore[no-untyped-call]
        return torch.cat([text, main], place)


def _read_beside_masks(pattern: PatternIR) -> frozenset[str]:
    """The inputs that scores, weights, gates or combinations read."""
    branches = tuple(replace(each, arms=()) for each in pattern.branches)
    return frozenset(inputs_read(replace(pattern, arms=(), branches=branches)))
