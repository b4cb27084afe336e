"""Autocast lowers the queries, keys and values of a call, and nothing that is computed from them.

Scores of routes, sums and states are as wide under autocast as for tensors that were lowered by hand.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor

LOWERED = (torch.float32, torch.bfloat16, torch.float16)
"""Types that autocast turns into its own."""


def under_autocast(*tensors: Any) -> Any:
    """The tensors, in autocast's type where it is at work. What is no tensor is left to be refused."""
    given = [each for each in tensors if each is not None]
    if not all(isinstance(each, Tensor) for each in given) or not is_lowering(given[0]):
        return tensors
    return tuple(None if each is None else _lowered(each) for each in tensors)


def without_autocast(tensor: Any) -> AbstractContextManager[Any]:
    """Computes in the types of tensors, whatever autocast says, where this tensor lies."""
    if isinstance(tensor, Tensor) and is_lowering(tensor):
        return torch.autocast(tensor.device.type, enabled=False)
    return nullcontext()


def is_lowering(tensor: Tensor) -> bool:
    """Whether autocast is at work where the tensor lies."""
    return tensor.device.type != "meta" and torch.is_autocast_enabled(tensor.device.type)


def _lowered(tensor: Tensor) -> Tensor:
    wanted = torch.get_autocast_dtype(tensor.device.type)
    return tensor.to(wanted) if tensor.dtype in LOWERED else tensor
