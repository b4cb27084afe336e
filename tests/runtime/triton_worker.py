"""A process in which Triton interprets kernels on the CPU; tests send it functions to run.

Triton decides when it is imported whether it compiles or interprets, so that one process can do only one of
the two.
"""

from __future__ import annotations

import atexit
import functools
import importlib.util
import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

import pytest

Result = TypeVar("Result")

needs_triton = pytest.mark.skipif(
    importlib.util.find_spec("triton") is None, reason="Triton is not installed"
)


def interpreted(function: Callable[..., Result], *arguments: object) -> Result:
    """The result of a function in the process that interprets, with the same random tensors in every run."""
    return _worker().submit(_seeded, function, *arguments).result()


def _seeded(function: Callable[..., Result], *arguments: object) -> Result:
    import torch

    torch.manual_seed(0)
    return function(*arguments)


@functools.cache
def _worker() -> ProcessPoolExecutor:
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(1, mp_context=context, initializer=_interpret)
    atexit.register(pool.shutdown, wait=False, cancel_futures=True)
    return pool


def _interpret() -> None:
    import torch

    os.environ["TRITON_INTERPRET"] = "1"
    torch.set_num_threads(1)
