"""The derivatives of backward passes, which no kernel computes."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.library import register_autograd

from attndsl.diagnostics import AttnCallError


def refuse_second_derivatives(operator: str) -> None:
    """Let derivatives of a backward pass's operator raise AttnCallError A0617."""
    register_autograd(operator, _refuse, setup_context=_save_nothing)


def _refuse(ctx: Any, *gradients: Tensor) -> Any:
    raise AttnCallError(
        "A0617", "second derivatives of attention kernels are not computed",
        help="use the bound pattern's reference(), which can be differentiated any number of times",
    )  # fmt: skip


def _save_nothing(ctx: Any, inputs: Any, output: Any) -> None:
    """Nothing is computed, so nothing is needed."""
