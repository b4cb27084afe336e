"""Watches calls of torch's `scaled_dot_product_attention` while a model runs.

Both ways in are watched: calls that torch's function mode sees, and calls from inside torch's own modules
(`nn.MultiheadAttention`), where that mode is off and the function is found under its name in
`torch.nn.functional`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from attndsl.runtime.record_attention import Recorder

ATTENTION = functional.scaled_dot_product_attention


class _Mode(TorchFunctionMode):
    """Tells of calls that torch's function mode sees."""

    def __init__(self, tell: Callable[..., None]) -> None:
        super().__init__()
        self.tell = tell

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        if func is ATTENTION:
            self.tell(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


@contextmanager
def recording(model: torch.nn.Module, recorder: Recorder) -> Iterator[None]:
    """Watch a model while the block runs."""
    busy = False

    def tell(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *rest: Any, **named: Any) -> None:
        if not busy:
            names = ("attn_mask", "dropout_p", "is_causal")
            recorder.record(query, key, dict(zip(names, rest, strict=False)) | named)

    def attention(*args: Any, **named: Any) -> Any:
        nonlocal busy
        tell(*args, **named)
        busy = True  # the mode sees the same call once more
        try:
            return ATTENTION(*args, **named)
        finally:
            busy = False

    hooks = [
        model.register_forward_pre_hook(recorder.begin_pass),
        model.register_forward_hook(recorder.end_pass),
    ]
    replaced = functional.scaled_dot_product_attention
    functional.scaled_dot_product_attention = attention
    try:
        with _Mode(tell):
            yield
    finally:
        functional.scaled_dot_product_attention = replaced
        for hook in hooks:
            hook.remove()


def is_module(model: object) -> bool:
    """Whether this is a torch module."""
    return isinstance(model, torch.nn.Module)
