"""Functions that torch's graphs are cut at: they look at data, to select plans or to read them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import torch

Function = TypeVar("Function", bound=Callable[..., Any])
REASON = "plans are data, whose sizes no graph holds: leave out fullgraph=True"


def outside_of_graphs(function: Function) -> Function:
    """As `torch.compiler.disable`, but the compiler is not imported before somebody else does."""
    disabled: list[Any] = []

    @wraps(function)
    def outside(*arguments: Any, **named: Any) -> Any:
        if "torch._dynamo" not in sys.modules:
            return function(*arguments, **named)
        if not disabled:
            disable: Any = torch.compiler.disable
            disabled.append(disable(function))
        return disabled[0](*arguments, **named)

    marked: Any = outside
    marked._torchdynamo_disable, marked._torchdynamo_disable_msg = True, REASON
    return marked  # type: ignore[no-any-return]
