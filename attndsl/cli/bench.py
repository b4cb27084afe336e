"""`attndsl bench PATTERN`: this machine's CPU kernels beside torch's dense attention and FlexAttention.

Linear weights are also timed pair by pair, and routes also with a plan that is made beforehand.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from statistics import median
from typing import TYPE_CHECKING, Annotated, Any

import typer

from attndsl.cli import options
from attndsl.cli.output import console, print_json, require_torch
from attndsl.cli.problem import Problem, bind

if TYPE_CHECKING:
    from rich.table import Table

    from attndsl.cli.bench_work import Work
    from attndsl.pipeline import Bound

OURS, DENSE, FLEX = "attndsl", "dense (torch)", "FlexAttention"
PAIRS, PLANNED = "attndsl, all pairs", "attndsl, plan given"


@dataclass(frozen=True)
class Measurement:
    """One contender. ratio: its time over ours. gflops: 10**9 FLOP/s of what its algorithm must compute."""

    name: str
    milliseconds: float
    ratio: float
    gflops: float


def bench(
    pattern: options.PatternName,
    shape: options.Shape = None,
    heads: options.Heads = None,
    kv_heads: options.KvHeads = None,
    key_shape: options.KeyShape = None,
    settings: options.Settings = None,
    head_dim: options.HeadDim = 128,
    dtype: options.DataType = "fp32",
    flex: Annotated[bool, typer.Option("--flex", help="Also measure torch.compile(flex_attention).")] = False,
    rounds: Annotated[int, typer.Option(min=1, help="Turns of each contender.")] = 5,
    json: options.Json = False,
) -> None:
    """Time a pattern on this machine's CPU: medians, and ratios to dense attention."""
    require_torch()
    problem = bind(pattern, shape, heads, kv_heads, key_shape, settings)
    out = console(error=json)
    with out.status("measuring"):
        result = measure(problem, head_dim, options.LONG_NAMES[dtype], flex, rounds)
    if json:
        print_json(result)
    else:
        out.print(_table(result))
        out.print(_footer(result, problem))


def measure(problem: Problem, head_dim: int, dtype: str, flex: bool, rounds: int) -> dict[str, Any]:
    """Compiles, checks, and times all contenders in turns; the result as `--json` prints it.

    Inputs that weigh pairs, as those of scores and gates, are drawn at random.
    """
    from attndsl.cli.bench_check import error_of
    from attndsl.cli.bench_work import mask_inputs, work_of
    from attndsl.cli.sample import TOLERANCE
    from attndsl.cli.timing import seconds_of, take_turns
    from attndsl.ir.bound import is_routed
    from attndsl.passes.branch_spaces import refuse_derived
    from attndsl.runtime import rivals
    from attndsl.runtime.plans import plans_of

    bound, ir = problem.bound, problem.bound.ir
    refuse_derived(ir)
    q, k, v = rivals.random_tensors(ir, head_dim, dtype)
    tensors: dict[str, Any] = rivals.input_tensors(mask_inputs(problem)) | rivals.random_inputs(ir, head_dim)
    plans = dict(plans_of(ir, q, k, v, None, tensors)) if is_routed(ir) else {}
    work = work_of(problem, head_dim, plans)
    made: list[Any] = []
    compile_seconds = seconds_of(
        lambda: made.extend(_compiled(bound, head_dim, dtype, lambda each: each(q, k, v, **tensors)))
    )
    kernel = made[0]
    contenders: dict[str, Callable[[], Any]] = {OURS: lambda: kernel(q, k, v, **tensors)}
    if plans:
        given = plans.get("", plans)
        contenders[PLANNED] = lambda: bound(q, k, v, plan=given, **tensors)
    if rivals.has_pairs(ir):
        by_pairs = bound.using("tiles")
        contenders[PAIRS] = lambda: by_pairs(q, k, v, **tensors)
    contenders[DENSE] = rivals.dense(q, k, v)
    if flex:
        contenders[FLEX] = rivals.flex(ir, q, k, v, tensors)
    error = error_of(bound, (q, k, v), contenders[PLANNED if plans else OURS](), tensors, plans)
    seconds = {name: median(times) for name, times in take_turns(contenders, rounds).items()}
    pairs = ir.heads * ir.query_space.size * ir.key_space.size
    return {
        "pattern": ir.name,
        "algorithm": bound.algorithm,
        "tokens": ir.query_space.size,
        "heads": ir.heads,
        "kv_heads": ir.kv_heads,
        "head_dim": head_dim,
        "dtype": dtype,
        "backend": kernel.backend,
        "threads": rivals.torch_facts()["threads"],
        "density": work.pairs / pairs,
        "compile_seconds": compile_seconds,
        "largest_error": error,
        "correct": None if error is None else error <= TOLERANCE[dtype],
        "results": [asdict(each) for each in _compare(seconds, work, 4.0 * head_dim * pairs, head_dim)],
    }


def _compiled(bound: Bound, head_dim: int, dtype: str, call: Callable[[Any], Any]) -> list[Any]:
    """The kernels; those that are made with the first call are made by one."""
    from attndsl.ir.bound import is_routed

    kernel = bound.compile(head_dim=head_dim, dtype=dtype)
    if bound.algorithm != "tiles" or is_routed(bound.ir):
        call(kernel)
    return [kernel]


def _compare(seconds: dict[str, float], work: Work, dense_flops: float, head_dim: int) -> list[Measurement]:
    flops = {DENSE: dense_flops, PAIRS: 4.0 * head_dim * work.pairs}
    return [
        Measurement(name, 1e3 * each, each / seconds[OURS], flops.get(name, work.flops) / each / 1e9)
        for name, each in seconds.items()
    ]


def _table(result: dict[str, Any]) -> Table:
    from rich.table import Table

    heads = f"{result['heads']} head{'s' * (result['heads'] != 1)} of {result['head_dim']}"
    title = f"{result['pattern']}: {result['tokens']:,} tokens, {heads}"
    table = Table(title=f"{title}, {result['dtype']}", box=None, padding=(0, 3, 0, 0), title_justify="left")
    table.add_column("")
    for heading in ("median ms", "time / ours", "GFLOP/s"):
        table.add_column(heading, justify="right")
    for each in result["results"]:
        table.add_row(
            each["name"], f"{each['milliseconds']:,.2f}", f"{each['ratio']:.2f}", f"{each['gflops']:,.0f}"
        )
    return table


def _footer(result: dict[str, Any], problem: Problem) -> str:
    from attndsl.cli.bench_check import verdict

    return (
        f"{result['algorithm']}, density {100 * result['density']:.3g} %, {result['threads']} threads, "
        f"backend {result['backend']}, "
        f"compiled in {result['compile_seconds']:.2f} s\n"
        f"{verdict(result, problem.bound.ir)}"
    )
