"""Running Triton kernels on CPU tensors: Triton's interpreter, which `TRITON_INTERPRET=1` turns on.

It checks generated kernels where there is no GPU. It is a thousand times slower than the C++ backend.
"""

from __future__ import annotations

import os
from functools import cache
from typing import Any


def interprets() -> bool:
    """Whether kernels run in Triton's interpreter. Triton reads the variable when a kernel is loaded."""
    return os.environ.get("TRITON_INTERPRET", "0").lower() in ("1", "true", "on", "yes", "y")


@cache
def repair_interpreter() -> None:
    """Let scalars bound loops.

    The interpreter of Triton 3.6 stores them as arrays of one element, which NumPy 2.4 no longer converts to
    numbers (github.com/triton-lang/triton, issue 9171).
    """
    from triton.runtime import interpreter

    original = interpreter._patch_lang_tensor

    def patched(tensor: Any, scope: Any) -> None:
        original(tensor, scope)
        scope.set_attr(tensor, "__index__", lambda scalar: int(scalar.handle.data.item()))

    interpreter._patch_lang_tensor = patched
