"""The GPUs of this machine, as targets of Triton kernels."""

from __future__ import annotations

from functools import cache

import torch

from attndsl.codegen.triton_targets import TARGETS, Target, target_of
from attndsl.diagnostics import AttnBackendError
from attndsl.runtime.triton_interpreter import interprets


def current_target() -> Target:
    """The current GPU; in the interpreter, one that kernels are printed for all the same.

    Raises AttnBackendError A0714 without a GPU.
    """
    if interprets():
        return TARGETS["sm90"]
    if not torch.cuda.is_available():
        raise AttnBackendError(
            "A0714", "Triton kernels need a GPU, and torch finds none",
            help="use backend='cpu', or TRITON_INTERPRET=1 to run them slowly on the CPU",
        )  # fmt: skip
    return _target_of_device(torch.cuda.current_device())


@cache
def _target_of_device(device: int) -> Target:
    if torch.version.hip:
        return target_of("hip", torch.cuda.get_device_properties(device).gcnArchName)
    major, minor = torch.cuda.get_device_capability(device)
    return target_of("cuda", f"sm_{major}{minor}")


@cache
def cache_bytes(device: torch.device) -> int:
    """The size of a GPU's second-level cache."""
    if device.type != "cuda":
        return 1 << 20
    return int(torch.cuda.get_device_properties(device).L2_cache_size)


@cache
def multiprocessors(device: torch.device) -> int:
    """How many programs a GPU runs side by side at least; in the interpreter, one."""
    return torch.cuda.get_device_properties(device).multi_processor_count if device.type == "cuda" else 1
