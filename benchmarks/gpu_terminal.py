"""One case of the GPU benchmark as a table on a terminal."""

from __future__ import annotations

from rich.table import Table

from benchmarks.gpu_cases import CAUSAL
from benchmarks.gpu_results import OURS, OWN_DENSE, SDPA, GpuResult, Pass

PASSES: tuple[Pass, ...] = ("forward", "training")


def result_table(result: GpuResult) -> Table:
    """All contenders, the targets, and why contenders have no time."""
    title = f"{result.name}: density {result.density:.2%}, tile speedup {result.tile_speedup:.2f}x"
    table = Table(title=title, caption=_caption(result), title_justify="left", caption_justify="left")
    table.add_column("contender", no_wrap=True)
    for heading in ("forward ms", "TFLOP/s", "times ours", "with backward ms", "TFLOP/s", "times ours"):
        table.add_column(heading, justify="right")
    for name in dict.fromkeys(name for each in result.passes.values() for name in each.milliseconds):
        table.add_row(name, *(cell for kind in PASSES for cell in _cells(result, kind, name)))
    return table


def _cells(result: GpuResult, kind: Pass, name: str) -> tuple[str, str, str]:
    found = result.passes[kind]
    if name not in found.milliseconds:
        return "", "", ""
    rate = result.teraflops(kind, name, density=_density(result, name))
    ratio = f"{found.speedups[name]:.2f}" if name in found.speedups else ""
    return f"{found.milliseconds[name]:.3f}", f"{rate:.0f}", ratio


def _density(result: GpuResult, name: str) -> float | None:
    """The pairs that a contender computes, as a share of all; None for those of the pattern."""
    if name == OWN_DENSE:
        return 1.0
    if name.startswith(SDPA) and result.kind not in ("dense", "linear"):
        return 0.5 if result.pattern in CAUSAL else 1.0
    return None


def _caption(result: GpuResult) -> str:
    error = "unknown" if result.largest_error is None else f"{result.largest_error:.1e}"
    lines = [f"largest error of {OURS} on sampled rows: {error}", *map(str, result.targets())]
    reasons = {
        f"{name}, {kind}: {reason}"
        for kind, each in result.passes.items()
        for name, reason in each.failures.items()
    }
    return "\n".join([*lines, *sorted(reasons)])
