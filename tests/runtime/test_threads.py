"""The first call may come from many threads at once, and from processes that were forked."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch

import attndsl
from tests.runtime.attention_cases import needs_compiler, tensors
from tests.runtime.gradient_cases import gradients

pytestmark = needs_compiler


def test_threads_may_make_the_first_call_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATTNDSL_CACHE_DIR", str(tmp_path))
    bound = attndsl.pattern("sliding_window").bind(shape=40, heads=2, left=4)
    given = tensors(bound.ir)
    results: list[tuple[torch.Tensor, ...]] = []
    start = threading.Barrier(4)

    def work() -> None:
        start.wait()
        results.append((bound(*given), *gradients(bound, given)))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4
    assert all(all(map(torch.equal, result, results[0])) for result in results)
    assert len(list(tmp_path.rglob("kernel.so"))) == 3  # forward, delta, all gradients


FORK = """
import os, signal, sys, torch, attndsl

torch.set_num_threads(2)
bound = attndsl.pattern("full").bind(shape=256, heads=4)
q = torch.randn(1, 4, 256, 16, requires_grad=True)

def call():
    out = bound(q, q, q)
    return out, torch.autograd.grad(out.sum(), q)[0]

if sys.argv[1] == "after":
    wanted = call()
if os.fork() == 0:
    signal.alarm(60)
    found = call()
    os._exit(0 if sys.argv[1] == "before" or all(map(torch.equal, found, wanted)) else 1)
sys.exit(os.waitstatus_to_exitcode(os.wait()[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.parametrize("when", ["before", "after"])
def test_forked_processes_may_call(when: str) -> None:
    """Whether the process was forked before or after its first call."""
    command = [sys.executable, "-W", "ignore", "-c", FORK, when]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert result.returncode == 0, result.stderr
