"""CPU kernels beside what users have today: FlexAttention compiled for each mask, and dense attention.

    python -m benchmarks.cpu [--rounds N] [--only CASE ...] [--json FILE]

All contenders of a case run in one process, taking turns; their outputs are compared before any of
them is timed. FlexAttention gets the mask in natural token order, compiled with dynamic=False, and
counts with the faster of two block sizes.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from statistics import median

import torch
from rich.console import Console
from torch import Tensor

from benchmarks.cases import CASES, Case
from benchmarks.contenders import (
    MATRIX,
    block_masks,
    computed_pairs,
    dense_mask,
    flex_contenders,
    matrix_product,
    random_tensors,
    sdpa_contenders,
)
from benchmarks.environment import environment
from benchmarks.ours import bind_case, density_sweep, tile_density
from benchmarks.overheads import measure_overheads
from benchmarks.results import OURS, CaseResult, Report, TrainingResult, describe
from benchmarks.terminal import case_table, density_table, environment_lines, overhead_table
from benchmarks.timing import speedup, take_turns
from benchmarks.training import TARGETS, measure_training, training_table

TOLERANCE = {"float32": 1e-4, "bfloat16": 2e-2}
PRODUCT = "matrix product"


def measure(case: Case, rounds: int) -> CaseResult:
    """Checks and times all contenders of one case."""
    tensors, mask, masks = random_tensors(case), dense_mask(case), block_masks(case)
    bound = bind_case(case)
    contenders: dict[str, Callable[[], Tensor]] = {
        OURS: partial(bound, tensors.q, tensors.k, tensors.v),
        **flex_contenders(tensors, masks),
        **sdpa_contenders(tensors, mask),
    }
    check_agreement(case, contenders)
    seconds = take_turns({**contenders, PRODUCT: matrix_product(case.dtype)}, rounds)
    product = seconds.pop(PRODUCT)
    pairs = case.tokens**2
    return CaseResult(
        **describe(case),
        rival=case.rival,
        milliseconds={name: 1e3 * median(values) for name, values in seconds.items()},
        speedups={name: speedup(values, seconds[OURS]) for name, values in seconds.items() if name != OURS},
        visible_pairs=pairs if mask is None else int(mask.sum()),
        computed_pairs={
            OURS: round(tile_density(bound) * pairs),
            **{name: computed_pairs(block_mask, case.tokens) for name, block_mask in masks.items()},
        },
        product_gflops=2 * MATRIX**3 / median(product) / 1e9,
    )


def check_agreement(case: Case, contenders: dict[str, Callable[[], Tensor]]) -> None:
    """Stops the benchmark if two contenders that compute the same function differ."""
    trusted = "sdpa" if case.mask is None else "sdpa-mask"
    expected = contenders[trusted]().float()
    for name, function in contenders.items():
        if name == "sdpa" and case.mask is not None:
            continue  # it attends to all pairs, so it computes something else
        error = (function().float() - expected).abs().max().item()
        if not error <= TOLERANCE[case.dtype]:
            raise SystemExit(f"{case.name}: {name} differs from {trusted} by {error:.2g}")


def main() -> None:
    """Measures, prints tables, and writes the JSON file if asked."""
    names = [case.name for case in CASES]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cpu", description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=9, help="turns of each contender (default 9)")
    parser.add_argument(
        "--only", nargs="+", choices=names, default=names, metavar="CASE", help=", ".join(names)
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results to FILE")
    arguments = parser.parse_args()
    report = run([case for case in CASES if case.name in arguments.only], arguments.rounds)
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(asdict(report), indent=2) + "\n", encoding="utf-8")


def run(cases: list[Case], rounds: int) -> Report:
    """The whole benchmark, printing each result as soon as it is there."""
    console = Console()
    where = environment()
    console.print(environment_lines(where))
    with torch.no_grad():
        results = [_measure_and_show(case, rounds, console) for case in cases]
    training = _train([case for case in cases if case.name in TARGETS], rounds, console)
    with console.status("density and overheads"), torch.no_grad():
        report = Report(where, results, training, density_sweep(rounds), measure_overheads())
    console.print(density_table(report.densities), overhead_table(report.overheads))
    return report


def _measure_and_show(case: Case, rounds: int, console: Console) -> CaseResult:
    with console.status(f"{case.name}: compiling, checking, timing"):
        result = measure(case, rounds)
    console.print(case_table(result))
    return result


def _train(cases: list[Case], rounds: int, console: Console) -> list[TrainingResult]:
    with console.status("forward and backward passes: compiling, checking, timing"):
        results = [measure_training(case, rounds) for case in cases]
    console.print(training_table(results))
    return results


if __name__ == "__main__":
    main()
