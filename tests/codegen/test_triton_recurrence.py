"""Triton kernels of recurrences: golden files, and rewritten programs beside the originals."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from attndsl import __version__
from attndsl.codegen.listing import print_program
from attndsl.codegen.recurrence import RECURRENCES, Decay
from attndsl.codegen.recurrence_interpret import interpret_recurrence
from attndsl.codegen.triton import PrintedKernel
from attndsl.codegen.triton_recurrence import print_recurrence
from attndsl.codegen.triton_recurrence_configuration import chunked, recurrence_default
from attndsl.codegen.triton_recurrence_fold import folded
from attndsl.codegen.triton_recurrence_states import states_only
from attndsl.codegen.triton_targets import TARGETS
from tests.codegen.recurrence_cases import random_tensors

DECAYS: tuple[Decay, ...] = ("none", "token", "channel")
PROGRAMS = tuple(RECURRENCES)
CHUNK = 8
SCALE = {"scale": 0.25}


def kernel(
    name: str = "recurrence_forward",
    decay: Decay = "token",
    dims: tuple[int, int] = (64, 64),
    dtype: str = "bfloat16",
    states: bool = False,
    value_block: int = 64,
) -> PrintedKernel:
    return print_recurrence(name, decay, *dims, dtype, chunked(16, value_block, 4, 2), states)


def text(*arguments: Any, **options: Any) -> str:
    return kernel(*arguments, **options).source.replace(__version__, "VERSION")


def test_golden_forward(golden: Callable[[str, str], None]) -> None:
    golden("triton/recurrence_forward.py", text(dims=(64, 100)))


def test_golden_gradient_of_keys_with_decays_per_channel(golden: Callable[[str, str], None]) -> None:
    golden("triton/recurrence_dk_dv_channel.py", text("recurrence_dk_dv", "channel", dims=(80, 64)))


def test_golden_states_of_segments(golden: Callable[[str, str], None]) -> None:
    golden("triton/recurrence_dk_dv_states.py", text("recurrence_dk_dv", "none", states=True))


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("decay", DECAYS)
def test_rewritten_programs_compute_the_same(name: str, decay: Decay) -> None:
    program, tensors = RECURRENCES[name](decay, CHUNK), random_tensors(decay, 2 * CHUNK + 3)
    wanted = interpret_recurrence(program, CHUNK, tensors, SCALE)
    found = interpret_recurrence(folded(program), CHUNK, tensors, SCALE)
    for each in program.outputs:
        np.testing.assert_allclose(found[each.name], wanted[each.name], atol=1e-12)


@pytest.mark.parametrize("name", ["recurrence_forward", "recurrence_dk_dv"])
@pytest.mark.parametrize("decay", DECAYS)
def test_passes_over_states_compute_the_same_states(name: str, decay: Decay) -> None:
    program, tensors = folded(RECURRENCES[name](decay, CHUNK)), random_tensors(decay, 2 * CHUNK + 3)
    wanted = interpret_recurrence(program, CHUNK, tensors, SCALE)
    short = states_only(program)
    given = {
        key: each for key, each in tensors.items() if key == "q" or key in {t.name for t in short.inputs}
    }
    (state,) = short.outputs
    found = interpret_recurrence(short, CHUNK, given | {"k": tensors["k"]}, SCALE)
    np.testing.assert_array_equal(found[state.name], wanted[state.name])
    assert ("q" in {each.name for each in short.inputs}) == (name == "recurrence_dk_dv")


def test_rewritten_programs_multiply_no_tile_of_keys_or_queries_by_factors_of_tokens() -> None:
    listing = print_program(folded(RECURRENCES["recurrence_dk_dv"]("token", CHUNK)))
    assert "faded_" in print_program(RECURRENCES["recurrence_dk_dv"]("token", CHUNK))
    assert "faded_" not in listing
    assert "queries = load q\n" in listing
    assert listing.count("decays = ") == 1


@pytest.mark.parametrize("states", [False, True])
@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("decay", DECAYS)
def test_every_kernel_is_python_that_imports_triton_only(name: str, decay: Decay, states: bool) -> None:
    if states and name == "recurrence_dq":
        return  # no state comes out of it
    tree = ast.parse(text(name, decay, states=states))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert imported == {"triton", "triton.language"}


def test_no_line_is_wider_than_others_of_the_project() -> None:
    for name in PROGRAMS:
        for decay in DECAYS:
            assert max(map(len, text(name, decay).splitlines())) <= 110


def test_parts_are_written_for_every_block_of_value_channels() -> None:
    whole, divided = text("recurrence_dk_dv", dims=(64, 64)), text("recurrence_dk_dv", dims=(64, 65))
    assert "part" not in whole
    assert "k_gradient += part * k_gradient_batch_stride" in divided
    assert "k_share += part * k_share_batch_stride" in divided
    assert "v_gradient += batch * v_gradient_batch_stride" in divided
    assert kernel(dims=(64, 65)).owner_tiles == 2


def test_channels_that_fill_a_tile_are_not_masked() -> None:
    assert "value_channel[None, :] <" not in text(dims=(64, 128))
    assert "(value_channel[None, :] < 65)" in text(dims=(64, 65))
    assert "(channel[None, :] < 63)" in text(dims=(63, 64))


def test_states_gradients_and_shares_are_float32() -> None:
    types = {each.name: each.type for each in kernel("recurrence_dk_dv").parameters}
    assert types["out_gradient"] == types["q"] == "*bf16"
    for name in ("final_state_gradient", "decay", "k_gradient", "v_gradient", "k_share"):
        assert types[name] == "*fp32"


def test_the_state_is_rounded_as_a_factor_only() -> None:
    source = text()
    assert "outputs = tl.dot(queries, state.to(tl.bfloat16))" in source
    assert not re.search(r"state = .*state\.to", source)
    assert 'input_precision="tf32x3"' in text(dtype="float32")


def test_steps_are_summed_and_a_difference_is_exact() -> None:
    """Steps of channels are never subtracted; those of tokens only as multiples of 1/16 and small rests."""
    for name in PROGRAMS:
        assert " - " not in text(name, "channel").split("\ndef recurrence_")[1].split("state = ")[1].replace(
            "tl.cdiv(end - begin, 16) - 1 - turn", ""
        ).replace("end - begin", "")
    assert "steps_between(steps)" in text()
    assert "steps_between" not in text(decay="channel")


def test_lengths_share_a_kernel() -> None:
    assert "tokens" in {each.name for each in kernel().parameters if each.role == "count"}


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("dim", [8, 64, 65, 256])
def test_every_size_has_a_default(target: str, dtype: str, dim: int) -> None:
    for name in PROGRAMS:
        for decay in DECAYS:
            chosen = recurrence_default(TARGETS[target], name, decay, dim, 8, dtype)
            assert chosen.chunk in (16, 32, 64)
