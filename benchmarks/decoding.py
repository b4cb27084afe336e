"""One token of generation from a cache of keys: patterns beside dense attention, at growing lengths.

    python -m benchmarks.decoding [--rounds N]

All contenders run in one process, taking turns, each at a length that grows by one with every call; ratios
are medians over rounds. Keys are read where they lie in one large cache. Times are those of one processor,
which a busy machine changes less than those of the clock.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from itertools import count
from statistics import median
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch.nn.functional import scaled_dot_product_attention

import attndsl
from benchmarks.environment import environment
from benchmarks.terminal import environment_lines
from benchmarks.timing import speedup, take_turns

HEADS, HEAD_DIM = 4, 64
LENGTHS = (4096, 16384, 65536)
STEPS = 1000
"""Room for tokens that are generated."""

PATTERNS: dict[str, tuple[str, dict[str, Any]]] = {
    "causal": ("causal", {}),
    "streaming, 1024 keys": ("streaming", {"sink": 4, "window": 1020}),
    "moba, 4 blocks of 256": ("moba", {"block": 256, "topk": 4}),
    "sigmoid_attention": ("sigmoid_attention", {}),
}


def contenders(tokens: int) -> dict[str, Callable[[], object]]:
    """One step of each, after so many tokens."""
    q = torch.randn(1, HEADS, 1, HEAD_DIM)
    k, v = (torch.randn(1, HEADS, tokens + STEPS, HEAD_DIM) for _ in range(2))

    def step(attention: Callable[..., object]) -> Callable[[], object]:
        lengths = count(tokens)

        def next_token() -> object:
            length = next(lengths)
            return attention(q, k[:, :, :length], v[:, :, :length])

        return next_token

    found = {"dense": step(scaled_dot_product_attention)}
    for title, (name, numbers) in PATTERNS.items():
        found[title] = step(attndsl.pattern(name).at_any_length(**numbers).rows)
    return found


def _processor_seconds(function: Callable[[], object]) -> float:
    start = time.process_time()
    function()
    return time.process_time() - start


def main() -> None:
    """Measures and prints a table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.decoding", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--rounds", type=int, default=15, help="turns of each contender (default 15)")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    console = Console()
    console.print(environment_lines(environment()))
    table = Table("", *(f"{tokens:,} keys" for tokens in LENGTHS), title=f"one token, {HEADS} heads, float32")
    rows: dict[str, list[str]] = {}
    with torch.no_grad():
        for tokens in LENGTHS:
            seconds = take_turns(contenders(tokens), arguments.rounds, measure=_processor_seconds)
            for name, each in seconds.items():
                ratio = speedup(seconds["dense"], each)
                rows.setdefault(name, []).append(f"{median(each) * 1e3:.2f} ms, {ratio:.2f}x")
    for name, cells in rows.items():
        table.add_row(name, *cells)
    console.print(table)


if __name__ == "__main__":
    main()
