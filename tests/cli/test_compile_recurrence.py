"""`attndsl compile` of patterns in linear time: what calls run, and no kernels of tiles."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.runtime.attention_cases import needs_compiler
from tests.runtime.triton_worker import needs_triton

ON_CPU = ("compile", "lightning", "--shape", "100", "--heads", "2", "--head-dim", "64")
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


@pytest.mark.parametrize("kernel", ["forward", "dq", "dk_dv"])
def test_cpp_is_that_of_the_recurrence(run: Callable[..., Any], kernel: str) -> None:
    out = run(*ON_CPU, "--dtype", "bf16", "--kernel", kernel).out
    assert out.startswith(f"// recurrence_{kernel} in bfloat16")
    assert '#include "' not in out
    assert "constexpr int D = 64, Dv = 64;" in out


def test_sums_of_weights_fill_whole_vectors_of_cpp(run: Callable[..., Any]) -> None:
    out = run("compile", "linear", *ON_CPU[2:], "--dtype", "bf16", "--set", "causal=true").out
    assert out.startswith("// recurrence_forward in float32")
    assert "constexpr int D = 64, Dv = 80;" in out


@needs_compiler
def test_cpp_stands_alone(run: Callable[..., Any]) -> None:
    assert "attndsl_recurrence_forward" in run(*ON_CPU, "--head-dim", "16", "--emit", "asm").out


@pytest.mark.parametrize("target", ["cpp", "sm90"])
def test_a_schedule_is_chunks_and_a_state(run: Callable[..., Any], target: str) -> None:
    lines = run(
        "compile", "lightning", *ON_CPU[2:], "--target", target, "--emit", "schedule"
    ).out.splitlines()
    assert lines[0] == "schedule of lightning: a recurrence"
    assert "4 chunks of 32 tokens, the last of 4" in lines[1]
    assert "a state of 64 x 64 numbers" in lines[2]


def test_documents_reset_the_state(run: Callable[..., Any], tmp_path: Path) -> None:
    file = tmp_path / "by_document.attn"
    file.write_text(
        "pattern by_document:\n    space tokens(n)\n    input doc: int[tokens]\n"
        "    attend causal and doc[q] == doc[k]\n    weight s\n    normalize none\n"
    )
    out = run("compile", file, *ON_CPU[2:], "--emit", "schedule").out
    assert "a change of `doc` from one token to the next resets it" in out


@pytest.mark.parametrize("emit", ["schedule", "tile-ir", "source", "asm"])
@pytest.mark.parametrize("target", ["cpp", "sm90"])
def test_sums_over_all_keys_have_no_kernel(refuse: Callable[..., str], emit: str, target: str) -> None:
    said = refuse("compile", "linear", *ON_CPU[2:], "--emit", emit, "--target", target)
    assert said.startswith("error[A0707]: the sums over all keys of `linear`")


def test_what_calls_refuse_has_no_kernel_either(refuse: Callable[..., str], tmp_path: Path) -> None:
    file = tmp_path / "near.attn"
    file.write_text(
        "pattern near:\n    space tokens(n)\n    input g: real[heads, tokens, dim]\n"
        "    attend sliding(8)\n    weight s\n    decay exp(g) per step of n\n    normalize none\n"
    )
    assert refuse("compile", file, *ON_CPU[2:]).startswith("error[A0673]")


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
        (["--standalone"], "A0727"),
        (["--kernel", "delta"], "A0726"),
        (["--dtype", "fp64"], "A0711"),
        (["--dtype", "fp8"], "A0711"),
        (["--head-dim", "257"], "A0711"),
        (["--target", "cpp", "--kernel", "delta"], "A0726"),
        (["--target", "cpp", "--dtype", "fp64"], "A0704"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else value,
)
def test_what_there_is_no_text_for(refuse: Callable[..., str], words: list[str], code: str) -> None:
    assert refuse(*LIGHTNING, *words).startswith(f"error[{code}]: ")
