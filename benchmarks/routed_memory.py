"""The memory of routed patterns by length, on the CPU: `python -m benchmarks.routed_memory`.

Selection and attention, forward and with gradients, 2 heads of 32 channels; what a call adds to the process
beyond its tensors, each length in a process of its own. Rules keep a number of keys, so that memory should
grow as the length does; rules that keep a share of pooled maps may add the square of the number of blocks.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

import attndsl

HEADS, CHANNELS = 2, 32
LENGTHS = (8192, 16384, 32768)
FIRST = 2048
"""A length that loads libraries and kernels."""

Shape = int | tuple[int, ...]
Inputs = Mapping[str, Tensor]


@dataclass(frozen=True)
class Case:
    """A pattern and its parameters. shape, inputs: for a number of tokens."""

    parameters: Mapping[str, Any]
    shape: Callable[[int], Shape] = lambda tokens: tokens
    inputs: Callable[[int], Inputs] = lambda tokens: {}


def _gates(tokens: int) -> Inputs:
    return {name: torch.randn(tokens, HEADS) for name in ("g_cmp", "g_slc", "g_swa")}


def _projection(tokens: int) -> Inputs:
    return {"w": torch.randn(CHANNELS, CHANNELS), "b": torch.randn(CHANNELS)}


def _video(tokens: int) -> Shape:
    return tokens // 2048, 32, 64


CASES: dict[str, Case] = {
    "moba": Case({"block": 256, "topk": 4}),
    "nsa": Case({"block": 64, "n_sel": 8, "window": 256}, inputs=_gates),
    "vmoba": Case({"chunk": (4, 16, 16), "topk": 4, "pool": "query"}, _video),
    "dma": Case({"window": 128}, inputs=lambda tokens: {"bias": torch.rand(HEADS, tokens)}),
    "delta": Case({"pages": 16}),
    "dhsa": Case({"budget": 512}, inputs=lambda tokens: {"chunk": torch.arange(tokens).int() // 32}),
    "hip": Case({"mask_k": 256, "block_k": 16}),
    "minference": Case({"vertical": 60, "slash": 120}),
    "xattention": Case({"tau": 0.2}),
    "sparge": Case({"topk": 0.05}),
    "sla": Case({}, inputs=_projection),
    "draft": Case({"pool": (8, 16), "sparsity": 0.95}, _video),
    "biformer": Case({"n_win": 16, "topk": 8}, lambda tokens: (tokens // 128, 128)),
}


def peak(name: str, tokens: int, training: bool) -> float:
    """The most memory that a call adds to the process, in MB."""
    call(name, FIRST, training, tensors(FIRST))
    given = tensors(tokens)
    before = _peak()
    call(name, tokens, training, given)
    return _peak() - before


def tensors(tokens: int) -> list[Tensor]:
    """Random queries, keys and values."""
    return list(torch.randn(3, 1, HEADS, tokens, CHANNELS))


def call(name: str, tokens: int, training: bool, given: list[Tensor]) -> None:
    """Selects and attends, with gradients or without."""
    case = CASES[name]
    bound = attndsl.pattern(name).bind(case.shape(tokens), heads=HEADS, **case.parameters)
    inputs: dict[str, Any] = dict(case.inputs(tokens))
    q, k, v = (each.requires_grad_(training) for each in given)
    out = bound(q, k, v, **inputs)
    if training:
        out.sum().backward()


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def table(names: list[str], lengths: list[int]) -> Table:
    """Megabytes of each pattern and length."""
    result = Table("MB", "", *(f"{tokens:,}" for tokens in lengths))
    for name in names:
        for word, options in (("forward", []), ("forward and backward", ["--training"])):
            result.add_row(name, word, *(_of_process(name, tokens, options) for tokens in lengths))
    size = HEADS * CHANNELS * 4 / 2**20
    result.add_row("q, k, v or output, each", "", *(f"{tokens * size:.0f}" for tokens in lengths))
    return result


def _of_process(name: str, tokens: int, options: list[str]) -> str:
    command = [sys.executable, "-m", "benchmarks.routed_memory", name, "--peak", str(tokens), *options]
    return f"{float(subprocess.run(command, capture_output=True, text=True, check=True).stdout):.0f}"


def main() -> None:
    """Print what was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("patterns", nargs="*", choices=["all", *CASES], default="all")
    parser.add_argument("--lengths", type=int, nargs="+", default=list(LENGTHS), metavar="TOKENS")
    parser.add_argument("--peak", type=int, metavar="TOKENS", help="the peak of one length, as a number")
    parser.add_argument("--training", action="store_true", help="with --peak: forward and backward pass")
    chosen = parser.parse_args()
    torch.manual_seed(0)
    names: list[str] = list(CASES) if "all" in chosen.patterns else chosen.patterns
    if chosen.peak:
        print(peak(names[0], chosen.peak, chosen.training))
    else:
        Console().print(table(names, chosen.lengths))


if __name__ == "__main__":
    main()
