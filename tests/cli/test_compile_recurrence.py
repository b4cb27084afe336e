"""`attndsl compile --target sm90` of patterns in linear time: what calls run, and no kernels of tiles."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.runtime.triton_worker import needs_triton

LIGHTNING = ("compile", "lightning", "--shape", "100", "--heads", "2", "--head-dim", "64", "--target", "sm90")


@pytest.mark.parametrize("kernel", ["forward", "dq", "dk_dv"])
def test_sources_are_those_of_the_recurrence(run: Callable[..., Any], kernel: str) -> None:
    out = run(*LIGHTNING, "--dtype", "bf16", "--kernel", kernel).out
    assert f"def recurrence_{kernel}(" in out
    assert "decay: token" in out.splitlines()[0]


@pytest.mark.parametrize(
    ("pattern", "words", "decay"),
    [
        ("retention", [], "token"),
        ("gla", [], "channel"),
        ("linear", ["--set", "causal=true"], "none"),
    ],
)
def test_the_kind_of_decay(run: Callable[..., Any], pattern: str, words: list[str], decay: str) -> None:
    out = run("compile", pattern, *LIGHTNING[2:], *words).out
    assert f"decay: {decay}." in out


def test_sums_of_weights_are_one_more_channel_in_float32(run: Callable[..., Any]) -> None:
    out = run("compile", "linear", *LIGHTNING[2:], "--dtype", "bf16", "--set", "causal=true").out
    assert "in float32 with head_dim 64 and value_dim 65" in out.splitlines()[0]


def test_the_algorithm(run: Callable[..., Any]) -> None:
    out = run(*LIGHTNING, "--emit", "tile-ir").out
    assert out.startswith("program recurrence_forward")
    assert "for each chunk" in out


def test_kernels_and_schedules_of_tiles_stay_where_they_were(run: Callable[..., Any]) -> None:
    assert "def forward(" in run("compile", "linear", *LIGHTNING[2:]).out
    assert run(*LIGHTNING, "--emit", "schedule").code == 0


@needs_triton
def test_resources_are_a_table_of_all_kernels(run: Callable[..., Any]) -> None:
    lines = run(*LIGHTNING, "--dtype", "bf16", "--emit", "resources").out.splitlines()
    assert [line.split(" | ")[0] for line in lines[2:]] == ["| forward", "| dq", "| dk_dv"]
    assert all(line.endswith("| 0 | wgmma |") for line in lines[2:])


@needs_triton
def test_assembly(run: Callable[..., Any]) -> None:
    assert "wgmma.mma_async" in run(*LIGHTNING, "--dtype", "bf16", "--emit", "asm").out


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--standalone"], "A0726"),
        (["--kernel", "delta"], "A0726"),
        (["--dtype", "fp64"], "A0711"),
        (["--dtype", "fp8"], "A0711"),
        (["--head-dim", "257"], "A0711"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else value,
)
def test_what_there_is_no_text_for(refuse: Callable[..., str], words: list[str], code: str) -> None:
    assert refuse(*LIGHTNING, *words).startswith(f"error[{code}]: ")
