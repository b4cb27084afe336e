"""`attndsl compile PATTERN`: every stage as text."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from attndsl.diagnostics import AttnBackendError
from attndsl.runtime.compiler import find_compiler

STREAMING = ("compile", "streaming", "--shape", "256", "--set", "sink=4", "--set", "window=50")


def has_compiler() -> bool:
    try:
        find_compiler()
    except AttnBackendError:
        return False
    return True


needs_compiler = pytest.mark.skipif(not has_compiler(), reason="needs a C++ compiler")


def test_the_syntax_tree_needs_no_numbers(run: Callable[..., Any]) -> None:
    lines = run("compile", "streaming", "--emit", "ast").out.splitlines()
    assert lines[0].startswith("File ")
    assert any(line.strip().startswith("Pattern name='streaming'") for line in lines)
    assert all(line.rpartition("@")[2].replace(":", "").isdigit() for line in lines)


def test_the_syntax_tree_of_a_pattern_that_is_not_there(refuse: Callable[..., str], tmp_path: Path) -> None:
    file = tmp_path / "my.attn"
    file.write_text("pattern p:\n    space tokens(n)\n    attend true\n")
    assert "has no pattern `z`" in refuse("compile", f"{file}:z", "--emit", "ast")


def test_the_pattern_ir_needs_no_numbers(run: Callable[..., Any]) -> None:
    assert run("compile", "streaming", "--emit", "ir").out.startswith(
        "pattern streaming(sink: int, window: int):"
    )


def test_with_numbers_the_ir_is_bound(run: Callable[..., Any]) -> None:
    out = run(*STREAMING, "--emit", "ir").out
    assert out.startswith("bound streaming_s4_w50: heads 1, kv_heads 1")
    assert "tokens(n = 256)" in out


def test_the_schedule_lists_every_q_tile(run: Callable[..., Any]) -> None:
    import attndsl

    out = run(*STREAMING, "--emit", "schedule").out
    schedule = attndsl.pattern("streaming").bind(shape=256, sink=4, window=50).schedule()
    rows = [line for line in out.splitlines() if line.startswith("  q ") and "tiles)" in line]
    assert len(rows) == schedule.q_tiling.tiles
    visits = [int(line.partition("(")[2].split()[0]) for line in rows]
    assert visits == schedule.maps[0].visited.tolist()
    assert f"{schedule.full_tiles:,} full, {schedule.partial_tiles:,} partial" in out
    assert "partial class 1: " in out
    runs = [run for line in rows for run in line.partition(")")[2].split()]
    assert sum(map(count, (run for run in runs if "~" in run))) == schedule.partial_tiles
    assert sum(map(count, (run for run in runs if "~" not in run))) == schedule.full_tiles


def count(run: str) -> int:
    """The tiles of a run such as `12-15~2`."""
    first, _, last = run.partition("~")[0].partition("-")
    return int(last or first) - int(first) + 1


def test_tile_ir_is_the_algorithm(run: Callable[..., Any]) -> None:
    assert "for each visited tile:" in run(*STREAMING, "--emit", "tile-ir").out


@needs_compiler
def test_the_source_stands_alone(run: Callable[..., Any], tmp_path: Path) -> None:
    source = tmp_path / "kernel.cpp"
    outcome = run(*STREAMING, "--head-dim", "64", "--dtype", "bf16", "-o", source)
    assert (outcome.code, outcome.out) == (0, f"wrote {source}\n")
    assert '#include "' not in source.read_text()
    command = find_compiler().command
    subprocess.run([*command, "-std=c++17", "-fopenmp", "-fsyntax-only", "-march=native", source], check=True)


@needs_compiler
def test_assembly_names_the_kernel(run: Callable[..., Any]) -> None:
    out = run(*STREAMING, "--emit", "asm", "--head-dim", "16").out
    assert "attndsl_forward" in out
    assert ".text" in out
