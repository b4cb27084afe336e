"""What a kernel costs besides its work: to compile, to load in a new process, to call.

Run as a program it is the new process: it binds one pattern, schedules it, compiles it, and prints the
seconds of each step.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from importlib import import_module
from statistics import median

import torch

import attndsl
from attndsl.cli.timing import seconds_of
from benchmarks.cases import HEAD_DIM
from benchmarks.environment import ROOT
from benchmarks.results import Overheads

Steps = tuple[float, float, float]
"""Seconds to read and bind a pattern, to schedule it, and to have its kernel."""


def measure_overheads(processes: int = 5, calls: int = 5000) -> Overheads:
    """Compiles once into an empty cache, then loads from it in several new processes."""
    with tempfile.TemporaryDirectory() as cache:
        _, _, first = _in_new_process(cache)
        runs = [_in_new_process(cache) for _ in range(processes)]
    bind, schedule, load = (1e3 * median(step) for step in zip(*runs, strict=True))
    return Overheads(
        compile_seconds=first,
        load_milliseconds=load,
        bind_milliseconds=bind,
        schedule_milliseconds=schedule,
        call_microseconds=1e6 * _call_seconds(calls),
    )


def _call_seconds(calls: int) -> float:
    """Median seconds of one call on a problem so small that nothing but the call is measured."""
    bound = attndsl.pattern("full").bind(shape=16, heads=1)
    q, k, v = torch.randn(3, 1, 1, 16, HEAD_DIM)
    for _ in range(calls // 10):
        bound(q, k, v)
    return median(seconds_of(lambda: bound(q, k, v)) for _ in range(calls))


def _in_new_process(cache: str) -> Steps:
    result = subprocess.run(
        [sys.executable, "-m", "benchmarks.overheads"],
        cwd=ROOT,
        env={**os.environ, "ATTNDSL_CACHE_DIR": cache},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    bind, schedule, load = json.loads(result.stdout)
    return bind, schedule, load


def _time_steps() -> Steps:
    import_module("attndsl.runtime.compile")  # as torch, it is imported once, before anything is timed
    start = time.perf_counter()
    bound = attndsl.pattern("sliding_window").bind(shape=4096, heads=4, left=256, right=256)
    bind = time.perf_counter()
    bound.schedule()
    schedule = time.perf_counter()
    bound.compile(backend="cpu", head_dim=HEAD_DIM, dtype=torch.float32)
    return bind - start, schedule - bind, time.perf_counter() - schedule


if __name__ == "__main__":
    print(json.dumps(_time_steps()))
