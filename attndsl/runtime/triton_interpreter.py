"""Running Triton kernels on CPU tensors: Triton's interpreter, which `TRITON_INTERPRET=1` turns on.

It checks generated kernels where there is no GPU. It is a thousand times slower than the C++ backend.
"""

from __future__ import annotations

import os
from functools import cache
from typing import Any


def interprets() -> bool:
    """Whether kernels run in Triton's interpreter. Triton reads the variable when it is imported."""
    return os.environ.get("TRITON_INTERPRET", "0").lower() in ("1", "true", "on", "yes", "y")


@cache
def repair_interpreter() -> None:
    """Mend what the interpreter of Triton 3.6 gets wrong.

    It stores scalars as arrays of one element, which NumPy 2.4 no longer converts to numbers
    (github.com/triton-lang/triton, issue 9171), and multiplies the bits of bfloat16 tiles.
    """
    from triton.runtime import interpreter

    _let_scalars_bound_loops(interpreter)
    _multiply_bfloat16(interpreter)


def _let_scalars_bound_loops(interpreter: Any) -> None:
    original = interpreter._patch_lang_tensor

    def patched(tensor: Any, scope: Any) -> None:
        original(tensor, scope)
        scope.set_attr(tensor, "__index__", lambda scalar: int(scalar.handle.data.item()))

    interpreter._patch_lang_tensor = patched


def _multiply_bfloat16(interpreter: Any) -> None:
    import triton.language as tl

    original = interpreter.InterpreterBuilder.create_dot

    def widened(builder: Any, factor: Any) -> Any:
        if factor.dtype.scalar != tl.bfloat16:
            return factor
        return builder.cast_impl(factor, tl.float32)

    def create_dot(builder: Any, left: Any, right: Any, *arguments: Any) -> Any:
        return original(builder, widened(builder, left), widened(builder, right), *arguments)

    interpreter.InterpreterBuilder.create_dot = create_dot
