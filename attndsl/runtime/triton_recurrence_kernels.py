"""The Triton kernels of recurrences: printed for a kind of decay, sizes and a type, loaded once, launched."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from functools import cache
from typing import Any

import torch
from torch import Tensor

from attndsl.codegen.listing import print_program
from attndsl.codegen.recurrence import Decay
from attndsl.codegen.triton import PrintedKernel
from attndsl.codegen.triton_arguments import STRIDES
from attndsl.codegen.triton_recurrence import print_recurrence
from attndsl.codegen.triton_recurrence_configuration import recurrence_default
from attndsl.codegen.triton_targets import TARGETS
from attndsl.diagnostics import AttnBackendError
from attndsl.runtime.triton_device import current_target
from attndsl.runtime.triton_module import load_function, require_triton
from attndsl.runtime.triton_target import compile_options
from attndsl.stages import dump, report

Values = Mapping[str, Any]
"""Tensors and numbers of a call by name."""


class RecurrenceKernel:
    """A printed kernel as a function of tensors on any device."""

    def __init__(self, kernel: PrintedKernel) -> None:
        self.kernel = kernel
        self.function = load_function(kernel)
        self.options = compile_options(kernel)
        self._getters = [_getter(each.name, each.role) for each in kernel.parameters]

    @property
    def blocks(self) -> int:
        """Blocks of value channels: what they all compute parts of is `[blocks * batch, ..]`."""
        return self.kernel.owner_tiles

    def launch(self, values: Values, segments: int) -> None:
        """Run the kernel once. Raises AttnBackendError A0713 where the GPU lacks room for a chunk."""
        grid = (values["batches"] * values["heads"] * self.blocks, segments)
        first: Tensor = values["q"] if "q" in values else values["k"]
        try:
            with torch.cuda.device(first.device) if first.is_cuda else nullcontext():
                self.function[grid](*(get(values) for get in self._getters), **self.options)
        except require_triton().runtime.errors.OutOfResources as error:
            raise AttnBackendError(
                "A0713", f"the chunks of a recurrence do not fit this GPU: {error}",
                help="use fewer channels, or tensors of 16 bits",
            ) from error  # fmt: skip


def _getter(name: str, role: str) -> Callable[[Values], Any]:
    """How a parameter's value is found in a call."""
    if role != "stride":
        return lambda values: values[name]
    tensor, axis, _ = name.rsplit("_", 2)
    number = STRIDES.index(axis)
    return lambda values: values[tensor].stride(number)


def kernel_for(
    name: str, kind: Decay, head_dim: int, value_dim: int, dtype: str, states: bool = False
) -> RecurrenceKernel:
    """The kernel of a program for the current GPU. states: its pass over states alone.

    Raises AttnBackendError A0710 without Triton, A0714 without a GPU.
    """
    return _kernel(name, kind, head_dim, value_dim, dtype, states, current_target().name)


@cache
def _kernel(
    name: str, kind: Decay, head_dim: int, value_dim: int, dtype: str, states: bool, target: str
) -> RecurrenceKernel:
    chosen = recurrence_default(TARGETS[target], name, kind, head_dim, value_dim, dtype)
    printed = print_recurrence(name, kind, head_dim, value_dim, dtype, chosen, states)
    title = f"{printed.program.name}_{kind}_{dtype}_d{head_dim}x{value_dim}"
    report("kernel", title, lambda: f"{printed.source.count(chr(10)):,} lines of Triton")
    dump(f"{title}.tile-ir.txt", lambda: print_program(printed.program))
    dump(f"{title}.py", lambda: printed.source)
    return RecurrenceKernel(printed)
