"""Cross compilation of recurrences without a GPU: all targets take the kernels; Hopper spills nothing."""

from __future__ import annotations

import pytest

from attndsl.codegen.recurrence import RECURRENCES, Decay
from attndsl.codegen.triton_recurrence import print_recurrence
from attndsl.codegen.triton_recurrence_configuration import recurrence_default
from attndsl.codegen.triton_targets import TARGETS
from attndsl.runtime.triton_resources import matrix_instruction
from attndsl.runtime.triton_target import cross_compile, resources_of
from tests.runtime.triton_worker import needs_triton

pytestmark = needs_triton

CHECKED = ("sm80", "sm90", "sm100", "gfx942")
MATRIX = {"sm80": {"mma"}, "sm90": {"wgmma"}, "sm100": {"tcgen05", "mma"}, "gfx942": {"mfma"}}
"""Chunks of few tokens are too small for the instruction of whole warp groups on Blackwell."""


def check(target: str, name: str, decay: Decay, dim: int, dtype: str, states: bool = False) -> None:
    chosen = recurrence_default(TARGETS[target], name, decay, dim, dim, dtype)
    printed = print_recurrence(name, decay, dim, dim, dtype, chosen, states)
    compiled = cross_compile(printed, TARGETS[target])
    used = resources_of(compiled, TARGETS[target])
    assert used.shared <= TARGETS[target].shared
    assert matrix_instruction(compiled) in MATRIX[target]
    if target == "sm90" and dtype != "float32" and dim <= 128:
        assert used.spills == 0, used


@pytest.mark.parametrize("target", CHECKED)
def test_a_forward_kernel(target: str) -> None:
    check(target, "recurrence_forward", "token", 128, "bfloat16")


@pytest.mark.parametrize("name", RECURRENCES)
def test_kernels_of_long_texts_on_hopper(name: str) -> None:
    check("sm90", name, "none", 64, "bfloat16")


@pytest.mark.slow
@pytest.mark.parametrize("dim", [64, 128])
@pytest.mark.parametrize("decay", ["none", "token", "channel"])
@pytest.mark.parametrize("name", RECURRENCES)
@pytest.mark.parametrize("target", CHECKED)
def test_all_kernels(target: str, name: str, decay: Decay, dim: int) -> None:
    check(target, name, decay, dim, "bfloat16")
    if name != "recurrence_dq":
        check(target, name, decay, dim, "bfloat16", states=True)


@pytest.mark.slow
@pytest.mark.parametrize(("dim", "dtype"), [(64, "float32"), (128, "float32"), (256, "float16")])
@pytest.mark.parametrize("decay", ["none", "token", "channel"])
@pytest.mark.parametrize("name", RECURRENCES)
@pytest.mark.parametrize("target", ["sm86", "sm90", "gfx942"])
def test_defaults_fit_the_shared_memory_in_other_sizes_and_types(
    target: str, name: str, decay: Decay, dim: int, dtype: str
) -> None:
    check(target, name, decay, dim, dtype)
