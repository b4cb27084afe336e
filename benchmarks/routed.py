"""Attention over plans beside dense attention, on the CPU: `python -m benchmarks.routed`.

Three kinds of plans, float32, 4 heads of 64 channels: MoBA, whose queries are routed each on its own; blocks
of queries that keep one key block in ten; and the keys that a bias chooses, one by one. Contenders take
turns, and speedups are medians of the ratios of the same round. `--memory` measures what a call needs beyond
its tensors, each length in a process of its own. `--sla` measures SLA, whose marginal blocks have linear
weights: by sums of states, and pair by pair. `--patterns` measures selection and attention of the library's
patterns. Plans are new in every call: what kernels remember of the last one does not serve them.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from statistics import median

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

import attndsl
from attndsl.ir.plan import Plan
from attndsl.runtime.routed import routed_attention
from attndsl.runtime.select import select
from benchmarks.routed_patterns import new, patterns_table
from benchmarks.timing import speedup, take_turns

HEADS, CHANNELS = 4, 64
BLOCK, TOP = 256, 4
LENGTHS = (16384, 32768, 65536)
LONGEST_DENSE = 16384
"""Tokens up to which gradients of dense attention are measured."""

DENSE, ATTENTION, SELECTION, TRAINING, DENSE_TRAINING, SUMS, TILES = (
    "dense", "attention", "selection", "training", "dense training", "sums", "tiles",
)  # fmt: skip


def moba_plan(q: Tensor, k: Tensor) -> Plan:
    """Each query's own block, and the `TOP` - 1 earlier ones with the largest product with their mean key."""
    ir = attndsl.pattern("moba").bind(shape=q.shape[2], heads=HEADS, block=BLOCK, topk=TOP).ir
    return select(ir, q, k, None, CHANNELS**-0.5, {})


def block_plan(tokens: int, block: int = 64, kept: float = 0.1) -> Plan:
    """For every block of queries as many random blocks of keys."""
    blocks = tokens // block
    chosen = torch.rand(1, HEADS, blocks, blocks).topk(max(1, round(kept * blocks))).indices
    indices = chosen.sort().values.int()
    return Plan(tokens, tokens, block, block, indices, torch.full(indices.shape[:3], indices.shape[3]))


def token_plan(tokens: int, kept: int = 512) -> Plan:
    """For every query the keys up to it with the largest bias, which is the same for all queries.

    Source: the selection of dynamic mask attention, 2025 (arXiv:2508.02124).
    """
    bias = torch.rand(1, HEADS, 1, tokens).expand(-1, -1, tokens, -1)
    causal = torch.ones(tokens, tokens, dtype=torch.bool).tril()
    values, chosen = bias.masked_fill(~causal, -1.0).topk(kept)
    listed = chosen.masked_fill(values < 0, tokens).sort().values
    indices = listed.masked_fill(listed == tokens, -1).int()
    return Plan(tokens, tokens, 1, 1, indices, (indices >= 0).sum(-1).int())


def tensors(tokens: int) -> tuple[Tensor, Tensor, Tensor]:
    """Random queries, keys and values."""
    q, k, v = torch.randn(3, 1, HEADS, tokens, CHANNELS)
    return q, k, v


def measure(
    name: str, tokens: int, causal: bool, rounds: int, make: Callable[[Tensor, Tensor], Plan]
) -> list[str]:
    """A row of the table: milliseconds and speedups of one kind of plan."""
    q, k, v = tensors(tokens)
    plan = make(q, k)
    ir = attndsl.pattern("causal" if causal else "full").bind(shape=tokens, heads=HEADS).ir
    attention = partial(routed_attention, ir)
    dense = partial(scaled_dot_product_attention, is_causal=causal)
    contenders: dict[str, Callable[[], object]] = {
        ATTENTION: lambda: attention(new(plan), q, k, v),
        DENSE: lambda: dense(q, k, v),
        SELECTION: lambda: make(q, k),
        TRAINING: lambda: gradients(lambda *given: attention(new(plan), *given)[0], q, k, v),
        DENSE_TRAINING: lambda: gradients(dense, q, k, v),
    }
    if make is not moba_plan:  # only MoBA's selection is one that systems run
        del contenders[SELECTION]
    seconds = take_turns(contenders, rounds, calls=1)
    both = [
        sum(each) for each in zip(seconds[ATTENTION], seconds.get(SELECTION, [0.0] * rounds), strict=True)
    ]
    return [
        f"{name}, {tokens:,} tokens, {plan.kept:.1%} listed",
        *(
            f"{1e3 * median(seconds[each]):.0f}" if each in seconds else ""
            for each in (SELECTION, ATTENTION, DENSE)
        ),
        f"{speedup(both, seconds[SELECTION]) ** -1:.0%}" if SELECTION in seconds else "",
        f"{speedup(seconds[DENSE], both):.1f}x",
        f"{1e3 * median(seconds[TRAINING]):.0f}",
        f"{speedup(seconds[DENSE_TRAINING], seconds[TRAINING]):.1f}x",
    ]


def sla_rows(tokens: int, heads: int, channels: int, rounds: int) -> list[list[str]]:
    """Rows of the table of SLA: a call with its selection, forward, and with the backward pass.

    Gradients of dense attention over long texts, which take minutes, are left out.
    """
    bound = attndsl.pattern("sla").bind(shape=tokens, heads=heads)
    given = tuple(torch.randn(3, 1, heads, tokens, channels))
    w, b = torch.eye(channels), torch.zeros(channels)
    functions: dict[str, Callable[..., Tensor]] = {
        SUMS: partial(bound, w=w, b=b),
        TILES: partial(bound.using("tiles"), w=w, b=b),
        DENSE: scaled_dot_product_attention,
    }
    forward: dict[str, Callable[[], object]] = {SELECTION: partial(bound.plan, *given[:2])}
    forward |= {name: partial(each, *given) for name, each in functions.items()}
    training: dict[str, Callable[[], object]] = {
        name: partial(gradients, each, *given)
        for name, each in functions.items()
        if name != DENSE or tokens <= LONGEST_DENSE
    }
    rows = []
    for name, contenders in (("forward", forward), ("forward and backward", training)):
        seconds = take_turns(contenders, rounds, calls=1)
        times = (seconds.get(each) for each in (SELECTION, SUMS, TILES, DENSE))
        ratios = (seconds.get(each) for each in (TILES, DENSE))
        rows.append([
            f"{tokens:,} tokens, {heads} of {channels}, {name}",
            *(f"{1e3 * median(each):.0f}" if each else "" for each in times),
            *(f"{speedup(each, seconds[SUMS]):.1f}x" if each else "" for each in ratios),
        ])  # fmt: skip
    return rows


def gradients(attention: Callable[..., Tensor], *given: Tensor) -> tuple[Tensor, ...]:
    """Forward and backward pass."""
    leaves = [each.detach().requires_grad_() for each in given]
    return torch.autograd.grad(attention(*leaves).sum(), leaves)


def peak(tokens: int, training: bool) -> float:
    """The most memory that selection and attention add to the process, in MB."""
    attend_to(1024, training)  # loads libraries and kernels
    q, k, v = (each.requires_grad_(training) for each in tensors(tokens))
    before = _peak()
    attend_to(tokens, training, (q, k, v))
    return _peak() - before


def attend_to(tokens: int, training: bool, given: tuple[Tensor, Tensor, Tensor] | None = None) -> None:
    """One call of MoBA, with gradients or without."""
    q, k, v = given or tensors(tokens)
    plan = moba_plan(q.detach(), k.detach())
    ir = attndsl.pattern("causal").bind(shape=tokens, heads=HEADS).ir
    q, k, v = (each.requires_grad_(training) for each in (q, k, v))
    out, _ = routed_attention(ir, plan, q, k, v)
    if training:
        out.sum().backward()  # type: ignore[no-untyped-call]


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Print what was asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--memory", action="store_true", help="peak memory in place of time")
    parser.add_argument("--sla", action="store_true", help="SLA, at two sizes")
    parser.add_argument("--patterns", nargs="*", metavar="NAME", help="patterns of the library, or these")
    parser.add_argument("--peak", type=int, metavar="TOKENS", help="the peak of one length, as a number")
    parser.add_argument("--training", action="store_true", help="with --peak: forward and backward pass")
    chosen = parser.parse_args()
    torch.manual_seed(0)
    if chosen.peak:
        print(peak(chosen.peak, chosen.training))
    elif chosen.patterns is not None:
        for line in patterns_table(chosen.rounds, chosen.patterns):
            print(line, flush=True)
    else:
        table = sla_table if chosen.sla else time_table
        Console().print(memory_table() if chosen.memory else table(chosen.rounds))


def time_table(rounds: int) -> Table:
    """Milliseconds and speedups."""
    columns = (SELECTION, ATTENTION, DENSE, "of selection", "speedup", TRAINING, "speedup")
    table = Table("milliseconds", *columns)
    table.add_row(*measure("moba", 16384, True, rounds, moba_plan))
    table.add_row(*measure("random blocks", 8192, False, rounds, lambda q, k: block_plan(q.shape[2])))
    table.add_row(*measure("chosen keys", 8192, True, rounds, lambda q, k: token_plan(q.shape[2])))
    return table


def sla_table(rounds: int) -> Table:
    """Milliseconds and speedups: 4 heads of 64, and one of the 12 heads of Wan 2.1."""
    table = Table("milliseconds", SELECTION, SUMS, TILES, DENSE, "over tiles", "over dense")
    for sizes in ((16384, 4, 64), (32760, 1, 128)):
        for row in sla_rows(*sizes, rounds):
            table.add_row(*row)
    return table


def memory_table() -> Table:
    """Megabytes beyond q, k and v, and beyond the libraries."""
    table = Table("moba, MB", *(f"{tokens:,}" for tokens in LENGTHS))
    for name, options in (("forward", []), ("forward and backward", ["--training"])):
        table.add_row(name, *(_peak_of_process(tokens, options) for tokens in LENGTHS))
    size = HEADS * CHANNELS * 4 / 2**20
    table.add_row("q, k, v or output, each", *(f"{tokens * size:.0f}" for tokens in LENGTHS))
    return table


def _peak_of_process(tokens: int, options: list[str]) -> str:
    command = [sys.executable, "-m", "benchmarks.routed", "--peak", str(tokens), *options]
    return f"{float(subprocess.run(command, capture_output=True, text=True, check=True).stdout):.0f}"


if __name__ == "__main__":
    main()
