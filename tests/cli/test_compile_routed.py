"""`attndsl compile` of patterns with a route: kernels that are given a plan with each call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.runtime.attention_cases import needs_compiler
from tests.runtime.triton_worker import needs_triton

MOBA = ("compile", "moba", "--shape", "128", "--heads", "2", "--head-dim", "32", "--set", "block=32")
SPARGE = ("compile", "sparge", "--shape", "128", "--heads", "2", "--head-dim", "32")


def test_queries_with_units_of_their_own_are_gathered_into_slots(run: Callable[..., Any]) -> None:
    out = run(*MOBA, "--set", "topk=2").out
    assert "slots" in out
    assert "constexpr int Tq = 32, Tk = 32;" in out


def test_blocks_of_queries_have_tiles_that_cut_them(run: Callable[..., Any]) -> None:
    out = run(*SPARGE, "--set", "bq=32", "--set", "bk=16").out
    assert "constexpr int Tq = 32, Tk = 16;" in out


@needs_compiler
def test_cpp_stands_alone(run: Callable[..., Any]) -> None:
    assert "attndsl_forward" in run(*MOBA, "--set", "topk=2", "--emit", "asm").out


@pytest.mark.parametrize("kernel", ["forward", "dq", "dk_dv"])
def test_triton_is_told_where_tokens_stand(run: Callable[..., Any], kernel: str) -> None:
    out = run(*MOBA, "--set", "topk=2", "--target", "sm90", "--kernel", kernel).out
    assert f"def {kernel}(" in out
    assert "query_position" in out


@needs_triton
def test_resources_are_a_table_of_all_kernels(run: Callable[..., Any]) -> None:
    words = (*MOBA, "--set", "topk=2", "--target", "sm90", "--dtype", "bf16", "--emit", "resources")
    assert [line.split(" | ")[0] for line in run(*words).out.splitlines()[2:]] == [
        "| forward", "| dq", "| dk_dv",
    ]  # fmt: skip


def test_the_schedule_is_of_what_plans_may_choose_from(run: Callable[..., Any]) -> None:
    out = run(*MOBA, "--set", "topk=2", "--emit", "schedule").out
    assert out.startswith("what plans may choose from: the mask of `attend`\nschedule of moba_")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ([*MOBA, "--set", "topk=2", "--kernel", "delta"], "A0728"),
        ([*MOBA, "--set", "topk=2", "--target", "sm90", "--standalone"], "A0728"),
        ([*MOBA, "--set", "topk=2", "--target", "sm90", "--dtype", "fp64"], "A0711"),
        ([*MOBA, "--set", "topk=2", "--dtype", "fp64"], "A0704"),
        (["compile", "dma", "--shape", "64", "--heads", "1", "--set", "window=8"], "A0707"),
    ],
    ids=["delta", "standalone", "double on a GPU", "double", "single keys"],
)
def test_what_there_is_no_text_for(refuse: Callable[..., str], words: list[str], code: str) -> None:
    assert refuse(*words).startswith(f"error[{code}]: ")
