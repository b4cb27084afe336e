"""Launches printed Triton kernels on tensors.

What the schedule decides is moved to a device once. A launch reads shapes and strides only, so that the host
never waits for the device, and CUDA graphs can capture it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from attndsl.codegen.triton import PrintedKernel
from attndsl.codegen.triton_arguments import STRIDES, Parameter
from attndsl.diagnostics import AttnBackendError
from attndsl.ir.bound import input_sizes
from attndsl.runtime.triton_interpreter import interprets
from attndsl.runtime.triton_module import load_function, require_triton
from attndsl.runtime.triton_refine import Refinement
from attndsl.runtime.triton_target import compile_options
from attndsl.schedule.schedule import Schedule

Call = Mapping[str, Any]
"""What one call passes: tensors, inputs and numbers by name, and `batch_heads`, `heads_together`."""


class LoadedKernel:
    """A printed kernel as a function of tensors, on any device. Safe to call from many threads."""

    def __init__(self, kernel: PrintedKernel, schedule: Schedule) -> None:
        self.kernel = kernel
        self.schedule = schedule
        self.function = load_function(kernel)
        self.options = compile_options(kernel)
        self._counts = {
            "owner_tiles": kernel.owner_tiles,
            "q_tokens": schedule.ir.query_space.size,
            "kv_tokens": schedule.ir.key_space.size,
        }
        self._getters = [self._getter(parameter) for parameter in kernel.parameters]
        self._arrays: dict[torch.device, dict[str, torch.Tensor]] = {}
        self._refinements: dict[torch.device, Refinement] = {}
        self._lock = threading.Lock()

    def spills(self, call: Call) -> bool:
        """Whether the kernel, compiled for these tensors, spills registers, or does not fit at all."""
        if interprets():
            return False
        compiled = self.function.warmup(*self._arguments(call), grid=(1,), **self.options)
        try:
            compiled._init_handles()
        except require_triton().runtime.errors.OutOfResources:
            return True
        return bool(compiled.n_spills)

    def launch(self, call: Call) -> None:
        """Run the kernel once. Raises AttnBackendError A0713 where the GPU lacks room for the tiles."""
        arguments = self._arguments(call)
        grid = (call["batch_heads"] * self.kernel.owner_tiles,)
        try:
            self.function[grid](*arguments, **self.options)
        except require_triton().runtime.errors.OutOfResources as error:
            raise AttnBackendError(
                "A0713", f"the tiles of `{self.schedule.ir.name}` do not fit this GPU: {error}",
                help="choose smaller q_tile and kv_tile, or leave them out",
            ) from error  # fmt: skip

    def _arguments(self, call: Call) -> list[Any]:
        """The values of all parameters, in order."""
        first = call[self.kernel.program.inputs[0].name]
        arrays = self._arrays.get(first.device) or self._move(first.device)
        return [get(call, arrays) for get in self._getters]

    def refined(self, inputs: Mapping[str, torch.Tensor]) -> dict[str, Any]:
        """What a call passes for inputs on its device: themselves, and lists refined by them."""
        deciding = {each.name: inputs[each.name] for each in self.schedule.ir.mask_inputs}
        if "records" not in self.kernel.arrays or not deciding:
            return dict(inputs)
        device = next(iter(inputs.values())).device
        with self._lock:
            if device not in self._refinements:
                arrays = self.kernel.arrays
                self._refinements[device] = Refinement(
                    self.schedule, self.kernel.program.owner, arrays["records"], arrays["tiles"], device
                )
        lists = self._refinements[device](deciding)
        stride = lists["records"].shape[1] // self.kernel.owner_tiles if len(lists["records"]) > 1 else 0
        return {**inputs, **lists, "map_batch_stride": stride}

    def _move(self, device: torch.device) -> dict[str, torch.Tensor]:
        with self._lock:
            if device not in self._arrays:
                self._arrays[device] = {
                    name: torch.from_numpy(np.ascontiguousarray(array)).to(device)
                    for name, array in self.kernel.arrays.items()
                }
            return self._arrays[device]

    def _getter(self, parameter: Parameter) -> Callable[[Call, dict[str, torch.Tensor]], Any]:
        """How a parameter's value is found in a call."""
        name, role = parameter.name, parameter.role
        if name in self._counts:
            count = self._counts[name]
            return lambda call, arrays: count
        if role in ("schedule", "array"):
            return lambda call, arrays: call.get(name, arrays[name])
        if role == "stride":
            return _stride_getter(name)
        if role == "input":
            return self._input_getter(name)
        if parameter.type.startswith("tensordesc"):
            return self._descriptor_getter(name)
        return lambda call, arrays: call[name]

    def _input_getter(self, parameter: str) -> Callable[[Call, dict[str, torch.Tensor]], Any]:
        if parameter.endswith("_values"):
            name = parameter.removesuffix("_values")
            return lambda call, arrays: call[name]
        name = parameter.removesuffix("_batch_stride")
        unbatched = len(input_sizes(self.schedule.ir, name))
        return lambda call, arrays: call[name].stride(0) if call[name].ndim > unbatched else 0

    def _descriptor_getter(self, name: str) -> Callable[[Call, dict[str, torch.Tensor]], Any]:
        from triton.tools.tensor_descriptor import TensorDescriptor

        described, columns = self.kernel.boxes[name]

        def get(call: Call, arrays: dict[str, torch.Tensor]) -> Any:
            value: torch.Tensor = call[name]
            sizes = [1, *described.sizes, columns]
            shape = [value.shape[0] * value.shape[1], *described.extents, value.shape[-1]]
            step = value.stride(2)
            inner = [
                step * int(np.prod(described.extents[axis + 1 :])) for axis in range(len(described.extents))
            ]
            head = value.stride(1) if value.shape[1] > 1 else value.stride(0)
            return TensorDescriptor(value, shape, [head, *inner, 1], sizes)

        return get


def describable(value: torch.Tensor) -> bool:
    """Whether a descriptor can cover a tensor `[batch, heads, tokens, channels]`.

    It needs one stride for batch and heads, rows without gaps, and steps of 16 bytes, none of them 0.
    """
    batch, heads, _, _ = value.shape
    one_stride = batch == 1 or heads == 1 or value.stride(0) == heads * value.stride(1)
    size = value.element_size()
    steps = all(stride > 0 and stride * size % 16 == 0 for stride in value.stride()[:3])
    return one_stride and steps and value.stride(3) == 1 and value.data_ptr() % 16 == 0


def _stride_getter(parameter: str) -> Callable[[Call, dict[str, torch.Tensor]], Any]:
    tensor, axis, _ = parameter.rsplit("_", 2)
    number = STRIDES.index(axis)
    return lambda call, arrays: call[tensor].stride(number)
