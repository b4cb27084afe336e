"""The tensors of a recurrence as kernels take them: whole vectors of channels, and work for every thread.

A kernel runs every head on one thread. Where there are fewer heads than threads, the channels of the values
are divided into parts, which run like batch elements: the columns of a state do not know of each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn.functional import pad

from attndsl.codegen.recurrence import Decay
from attndsl.codegen.recurrence_cpp import WHOLE, whole
from attndsl.runtime.threads import threads_for

LEAST_VALUES = 2 * WHOLE
"""Value channels that a part should have at least: scores are computed again for every part."""


@dataclass(frozen=True)
class Problem:
    """The arguments of a recurrence. decay: float32 or None. initial_state: float32.

    wants_steps: whether the gradients of steps are wanted, in a backward pass.
    """

    q: Tensor
    k: Tensor
    v: Tensor
    decay: Tensor | None
    initial_state: Tensor
    scale: float
    wants_steps: bool = False

    @property
    def kind(self) -> Decay:
        """The kind of decay."""
        return "none" if self.decay is None else "channel" if self.decay.ndim == 4 else "token"

    @property
    def tensors(self) -> dict[str, Tensor]:
        """The inputs of programs by name."""
        named = {"q": self.q, "k": self.k, "v": self.v, "initial_state": self.initial_state}
        return named if self.decay is None else named | {"decay": self.decay}

    @cached_property
    def parts(self) -> int:
        """How many parts of values to compute side by side: a power of 2."""
        heads, channels = self.q.shape[0] * self.q.shape[1], whole(self.v.shape[3])
        wanted = threads_for(heads * channels // LEAST_VALUES)
        parts = 1
        while 2 * parts * heads <= wanted and channels % (2 * parts * WHOLE) == 0:
            parts *= 2
        return parts

    def prepared(self) -> Problem:
        """The same as one kernel call computes it: [parts * batch, heads, tokens, whole channels]."""
        decay = self.decay
        if decay is not None:
            decay = self.repeated(filled_up(decay) if decay.ndim == 4 else decay)
        q, k, v = filled_up(self.q), filled_up(self.k), filled_up(self.v)
        state = filled_up_state(self.initial_state)
        return Problem(
            self.repeated(q), self.repeated(k), self.divided(v), decay, self.divided(state), self.scale
        )

    def repeated(self, tensor: Tensor) -> Tensor:
        """[batch, ..] for every part, without a copy where there is one batch element."""
        return tensor.expand(self.parts, *tensor.shape).flatten(0, 1) if self.parts > 1 else tensor

    def divided(self, tensor: Tensor) -> Tensor:
        """[batch, .., channels] as [parts * batch, .., channels of a part]."""
        if self.parts == 1:
            return tensor
        by_part = torch.stack(tensor.chunk(self.parts, -1))
        return by_part.flatten(0, 1)

    def joined(self, tensor: Tensor, channels: int) -> Tensor:
        """The inverse of `divided`, up to the first `channels`."""
        if self.parts > 1:
            tensor = self._by_part(tensor).movedim(0, -2).flatten(-2)
        return tensor[..., :channels]

    def summed(self, tensor: Tensor) -> Tensor:
        """[parts * batch, ..], the sum of all parts."""
        return self._by_part(tensor).sum(0) if self.parts > 1 else tensor

    def _by_part(self, tensor: Tensor) -> Tensor:
        return tensor.view(self.parts, -1, *tensor.shape[1:])


def filled_up(tensor: Tensor) -> Tensor:
    """With channels that are 0 and change nothing, up to whole vectors."""
    missing = -tensor.shape[-1] % WHOLE
    return pad(tensor, (0, missing)) if missing else tensor


def filled_up_state(state: Tensor) -> Tensor:
    """The same of a state, [batch, heads, channels of k, channels of v]."""
    missing = -state.shape[3] % WHOLE, -state.shape[2] % WHOLE
    return pad(state, (0, missing[0], 0, missing[1])) if any(missing) else state
