"""Where the tests of this folder run, and what they skip without."""

from __future__ import annotations

import pytest
import torch

DEVICE = "cuda"

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA or HIP device")

on_gpu = [pytest.mark.gpu, needs_gpu]
"""The marks of every test here, as `pytestmark`."""


def target_name() -> str:
    """The target that kernels are compiled for, as 'sm90'."""
    from attndsl.runtime.triton_device import current_target

    return current_target().name
