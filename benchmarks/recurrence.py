"""Linear attention with decay in linear time, beside the same weights pair by pair of tokens.

    python -m benchmarks.recurrence [--rounds N] [--json FILE]

All contenders run in one process, taking turns; ratios are medians over rounds. The decay is lightning's: one
number per head and step. Pairs of tokens are computed without it, which favours them. Memory is reused from
call to call: what the system takes to clear new pages would be a sixth of the time of the longest text.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import median

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

import attndsl
from attndsl.runtime.recurrence import recurrence, recurrence_step
from benchmarks.environment import environment
from benchmarks.terminal import environment_lines
from benchmarks.timing import speedup, take_turns

HEADS, HEAD_DIM, TOKENS = 4, 64, 16384
LENGTHS = (4096, 16384, 65536)
PAIRS = "pattern p:\n  space tokens(n)\n  attend causal\n  weight s\n  normalize none\n"


@dataclass(frozen=True)
class Report:
    """Medians; speedups are over pairs of tokens, at `TOKENS` tokens.

    nanoseconds_per_token: of all heads on one thread, by length. steadiness: the slowest of these over the
    fastest.
    """

    milliseconds: dict[str, float]
    speedup_forward: float
    speedup_training: float
    nanoseconds_per_token: dict[int, float]
    steadiness: float
    step_microseconds: float
    state_bytes: int


def keep_memory() -> None:
    """Makes the C library of Linux reuse large blocks of memory instead of giving them back."""
    change = getattr(ctypes.CDLL(None), "mallopt", None)
    if change:
        trim_threshold, map_threshold = -1, -3
        change(map_threshold, 2**30)
        change(trim_threshold, 2**31 - 1)


def tensors(tokens: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """q, k, v and the decay, which is one number per head."""
    q, k, v = torch.randn(3, 1, HEADS, tokens, HEAD_DIM)
    slopes = -(2.0 ** (-8 * torch.arange(1, HEADS + 1) / HEADS))
    return q, k, v, slopes[None, :, None].expand(1, HEADS, tokens)


def training(
    compute: Callable[[Tensor, Tensor, Tensor], Tensor], q: Tensor, k: Tensor, v: Tensor, towards: Tensor
) -> None:
    """A forward and a backward pass."""
    leaves = [each.detach().requires_grad_() for each in (q, k, v)]
    compute(*leaves).backward(towards)  # type: ignore[no-untyped-call]


def measure(rounds: int) -> Report:
    """Everything."""
    pairs = attndsl.parse(PAIRS).bind(shape=TOKENS, heads=HEADS).using("tiles")
    q, k, v, decay = tensors(TOKENS)
    towards = torch.randn_like(q)

    def by_pairs(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        out: Tensor = pairs(q, k, v, scale=1.0)
        return out

    def by_chunks(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return recurrence(q, k, v, decay, scale=1.0)[0]

    check(by_pairs(q, k, v), recurrence(q, k, v, scale=1.0)[0])
    seconds = take_turns(
        {
            "pairs": partial(by_pairs, q, k, v),
            "chunks": partial(by_chunks, q, k, v),
            "pairs, training": partial(training, by_pairs, q, k, v, towards),
            "chunks, training": partial(training, by_chunks, q, k, v, towards),
        },
        rounds,
        calls=1,
    )
    per_token, step = measure_lengths(rounds), measure_step(rounds)
    return Report(
        {name: 1e3 * median(values) for name, values in seconds.items()},
        speedup(seconds["pairs"], seconds["chunks"]),
        speedup(seconds["pairs, training"], seconds["chunks, training"]),
        per_token,
        max(per_token.values()) / min(per_token.values()),
        1e6 * step,
        4 * HEADS * HEAD_DIM**2,
    )


def check(wanted: Tensor, found: Tensor) -> None:
    """Stops the benchmark if the two algorithms differ."""
    error = ((wanted - found).abs().max() / wanted.abs().max()).item()
    if not error <= 1e-5:
        raise SystemExit(f"chunks differ from pairs by {error:.2g} of the largest output")


def measure_lengths(rounds: int) -> dict[int, float]:
    """Nanoseconds of one thread per token, forward; as many tokens of every length."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    total = max(LENGTHS)
    contenders = {str(tokens): partial(_forward, total // tokens, *tensors(tokens)) for tokens in LENGTHS}
    seconds = take_turns(contenders, 2 * rounds + 1, calls=1, measure=_processor_seconds)
    torch.set_num_threads(threads)
    return {tokens: 1e9 * median(seconds[str(tokens)]) / total for tokens in LENGTHS}


def _forward(times: int, q: Tensor, k: Tensor, v: Tensor, decay: Tensor) -> None:
    for _ in range(times):
        recurrence(q, k, v, decay, scale=1.0)


def _processor_seconds(function: Callable[[], object]) -> float:
    start = time.process_time()
    function()
    return time.process_time() - start


def measure_step(rounds: int) -> float:
    """Seconds of one more token, which does not depend on how many there were."""
    q, k, v, decay = tensors(1)
    state = torch.zeros(1, HEADS, HEAD_DIM, HEAD_DIM)
    steps = {"step": partial(recurrence_step, q, k, v, state, decay, 1.0)}
    return median(take_turns(steps, rounds, calls=100)["step"])


def show(report: Report, console: Console) -> None:
    """Tables for readers."""
    table = Table(
        "", "pairs of tokens", "chunks", "ratio", title=f"{TOKENS:,} tokens, {HEADS} heads, float32"
    )
    for title, suffix, ratio in (
        ("forward", "", report.speedup_forward),
        ("forward and backward", ", training", report.speedup_training),
    ):
        times = (f"{report.milliseconds[name + suffix]:.1f} ms" for name in ("pairs", "chunks"))
        table.add_row(title, *times, f"{ratio:.0f}x")
    lengths = Table("tokens", "per token", title="chunks, forward, one thread")
    for tokens, nanoseconds in report.nanoseconds_per_token.items():
        lengths.add_row(f"{tokens:,}", f"{nanoseconds:.0f} ns")
    console.print(table, lengths)
    console.print(f"slowest over fastest per token: {report.steadiness:.2f}")
    console.print(f"one step: {report.step_microseconds:.0f} us; state: {report.state_bytes:,} bytes")


def main() -> None:
    """Measures, prints tables, and writes the JSON file if asked."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.recurrence", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--rounds", type=int, default=5, help="turns of each contender (default 5)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results to FILE")
    arguments = parser.parse_args()
    keep_memory()
    console = Console()
    console.print(environment_lines(environment()))
    report = measure(arguments.rounds)
    show(report, console)
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(asdict(report), indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
