"""Forward and backward pass together, beside dense attention: a section of the benchmark `cpu.py`.

FlexAttention has no backward pass on CPUs, so dense attention is the only rival. Gradients are compared
before anything is timed. A backward pass counts 2.5 times the operations of a forward pass, as is usual: 5
products of matrices in place of 2.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from statistics import median

import torch
from rich.table import Table
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from benchmarks.cases import Case
from benchmarks.contenders import MATRIX, dense_mask, matrix_product, random_tensors
from benchmarks.ours import bind_case, tile_density
from benchmarks.results import DENSE, OURS, TrainingResult, describe
from benchmarks.timing import speedup, take_turns

TARGETS = {"window-1d": 6.0, "neighborhood-3d": 10.0}
"""How many times faster than dense attention a forward and backward pass is meant to be, by case."""

TOLERANCE = 1e-4
FORWARD, PRODUCT = f"{OURS}, forward alone", "matrix product"


def measure_training(case: Case, rounds: int) -> TrainingResult:
    """Checks and times forward and backward pass of one case."""
    tensors, bound, mask = random_tensors(case), bind_case(case), dense_mask(case)
    leaves = [each.requires_grad_() for each in (tensors.q, tensors.k, tensors.v)]
    seed = torch.randn_like(tensors.q)

    def gradients(attention: Callable[..., Tensor]) -> tuple[Tensor, ...]:
        return torch.autograd.grad(attention(*leaves), leaves, seed)

    _check(gradients(bound), gradients(partial(scaled_dot_product_attention, attn_mask=mask)))
    contenders: dict[str, Callable[[], object]] = {
        OURS: partial(gradients, bound),
        FORWARD: torch.no_grad()(partial(bound, tensors.q, tensors.k, tensors.v)),
        DENSE: partial(gradients, scaled_dot_product_attention),
        PRODUCT: matrix_product(case.dtype),
    }
    seconds = take_turns(contenders, rounds)
    return TrainingResult(
        **{**describe(case), "target": TARGETS[case.name]},
        milliseconds={name: 1e3 * median(values) for name, values in seconds.items()},
        speedup=speedup(seconds[DENSE], seconds[OURS]),
        visible_pairs=case.tokens**2 if mask is None else int(mask.sum()),
        computed_pairs=round(tile_density(bound) * case.tokens**2),
        product_gflops=2 * MATRIX**3 / median(seconds[PRODUCT]) / 1e9,
    )


def _check(found: tuple[Tensor, ...], wanted: tuple[Tensor, ...]) -> None:
    error = max(float((mine - theirs).abs().max()) for mine, theirs in zip(found, wanted, strict=True))
    if not error <= TOLERANCE:
        raise SystemExit(f"gradients differ from those of dense attention with the mask by {error:.2g}")


def training_table(results: list[TrainingResult]) -> Table:
    """One column per case, and whether it reaches its target."""
    title = "Forward and backward pass, float32, beside dense attention"
    table = Table("", *(result.name for result in results), title=title, title_justify="left")
    for heading, text in ROWS.items():
        table.add_row(heading, *map(text, results))
    return table


ROWS: dict[str, Callable[[TrainingResult], str]] = {
    f"{OURS}, ms": lambda result: f"{result.milliseconds[OURS]:.1f}",
    f"{FORWARD}, ms": lambda result: f"{result.milliseconds[FORWARD]:.1f}",
    f"{DENSE}, ms": lambda result: f"{result.milliseconds[DENSE]:.1f}",
    "speedup over dense": lambda result: f"{result.speedup:.2f}x",
    "target": lambda result: (
        f"{result.target:g}x {'reached' if result.speedup >= result.target else 'missed'}"
    ),
    "GFLOP/s on visible pairs": lambda result: f"{result.gflops(result.visible_pairs):.0f}",
    "GFLOP/s on computed tiles": lambda result: f"{result.gflops(result.computed_pairs):.0f}",
    "GFLOP/s of a matrix product": lambda result: f"{result.product_gflops:.0f}",
}
"""What the table says about a case."""
