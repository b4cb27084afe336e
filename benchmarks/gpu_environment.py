"""Where a GPU was measured: the device, versions and commit."""

from __future__ import annotations

import torch

from attndsl.runtime.triton_device import current_target
from attndsl.runtime.triton_module import require_triton
from benchmarks.environment import environment

SHARED = ("date", "commit", "attndsl", "torch", "python")
"""What a GPU's results have in common with a processor's."""


def gpu_environment() -> dict[str, str]:
    """Everything a reader needs to judge the numbers, as text."""
    facts = environment()
    return {
        "device": device_name(),
        "target": current_target().name,
        **{name: facts[name] for name in SHARED},
        "triton": require_triton().__version__,
        "cuda": str(torch.version.cuda or torch.version.hip),
        "cudnn": str(torch.backends.cudnn.version()),  # type: ignore[no-untyped-call]
    }


def device_name() -> str:
    """The GPU's name, as 'NVIDIA H200'."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else "interpreter"
