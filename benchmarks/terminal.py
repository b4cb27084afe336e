"""The benchmark's results as tables on a terminal."""

from __future__ import annotations

from rich.table import Table

from benchmarks.results import OURS, CaseResult, DensityPoint, Overheads

DENSITY_TARGET = (0.10, 7.0)
"""Tile density, and how many times faster than full attention attndsl is meant to be at it."""

COMPILE_TARGET = 2.0
"""Seconds to compile a kernel."""

LOAD_TARGET = 50.0
"""Milliseconds to load a kernel from the cache in a new process."""

CALL_TARGET = 50.0
"""Microseconds of one call besides the kernel's work."""


def environment_lines(environment: dict[str, str]) -> str:
    """One line per fact about the machine and the versions."""
    return "\n".join(f"{name:>12}  {value}" for name, value in environment.items())


def case_table(result: CaseResult) -> Table:
    """All contenders of one case, and whether attndsl reaches its target."""
    verdict = _verdict(result.ratio >= result.target)
    table = Table(
        title=f"{result.name}: {result.ratio:.2f}x {result.rival} (target {result.target:g}x) {verdict}",
        caption=f"density {result.density:.1%}; large matrix product {result.product_gflops:.0f} GFLOP/s",
        title_justify="left",
        caption_justify="left",
    )
    table.add_column("contender")
    for heading in (
        "ms",
        f"{OURS} is faster by",
        "GFLOP/s on visible pairs",
        "on computed tiles",
        "tile density",
    ):
        table.add_column(heading, justify="right")
    for name in result.milliseconds:
        table.add_row(*_case_row(result, name))
    return table


def _case_row(result: CaseResult, name: str) -> tuple[str, ...]:
    all_pairs = result.tokens**2
    computed = result.computed_pairs.get(name, all_pairs)
    visible = all_pairs if name == "sdpa" else result.visible_pairs
    return (
        name,
        f"{result.milliseconds[name]:.2f}",
        f"{result.speedups[name]:.2f}x" if name in result.speedups else "",
        f"{result.gflops(name, visible):.0f}",
        f"{result.gflops(name, computed):.0f}",
        f"{computed / all_pairs:.1%}",
    )


def density_table(points: list[DensityPoint]) -> Table:
    """Speedup over full attention against tile density."""
    density, target = DENSITY_TARGET
    title = f"{OURS} on a 1-D window against {OURS} on full attention (target {target:g}x at {density:.0%})"
    table = Table("radius", "tile density", "ms", "speedup", "bound", "", title=title, title_justify="left")
    for point in points:
        near = abs(point.tile_density - density) < 0.02
        table.add_row(
            str(point.radius),
            f"{point.tile_density:.1%}",
            f"{point.milliseconds:.2f}",
            f"{point.speedup:.2f}x",
            f"{1 / point.tile_density:.1f}x",
            _verdict(point.speedup >= target) if near else "",
        )
    return table


def overhead_table(overheads: Overheads) -> Table:
    """What a kernel costs besides its work."""
    table = Table("", "measured", "target", "", title="Overheads", title_justify="left")
    load, call = overheads.load_milliseconds, overheads.call_microseconds
    table.add_row(
        "compile a kernel",
        f"{overheads.compile_seconds:.2f} s",
        f"{COMPILE_TARGET:g} s",
        _verdict(overheads.compile_seconds <= COMPILE_TARGET),
    )
    table.add_row("read and bind a pattern, new process", f"{overheads.bind_milliseconds:.1f} ms", "", "")
    table.add_row("schedule it, new process", f"{overheads.schedule_milliseconds:.1f} ms", "", "")
    table.add_row(
        "load its kernel, new process", f"{load:.1f} ms", f"{LOAD_TARGET:g} ms", _verdict(load <= LOAD_TARGET)
    )
    table.add_row(
        "one call on 16 tokens", f"{call:.1f} µs", f"{CALL_TARGET:g} µs", _verdict(call <= CALL_TARGET)
    )
    return table


def _verdict(reached: bool) -> str:
    return "[green]reached[/green]" if reached else "[red]missed[/red]"
