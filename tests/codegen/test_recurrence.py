"""Tile IR of the recurrence, interpreted chunk by chunk, equals the recurrence token by token."""

from __future__ import annotations

import numpy as np
import pytest

from attndsl.codegen.listing import print_program
from attndsl.codegen.recurrence import (
    Decay,
    recurrence_dk_dv,
    recurrence_dq,
    recurrence_forward,
)
from attndsl.codegen.recurrence_interpret import interpret_recurrence
from tests.codegen.recurrence_cases import (
    random_tensors,
    recurrence_gradients,
    recurrence_outputs,
    shares,
)

SCALE = {"scale": 0.25}
CHUNK = 8
DECAYS: tuple[Decay, ...] = ("none", "token", "channel")


@pytest.mark.parametrize("tokens", [1, 5, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 7])
@pytest.mark.parametrize("kind", DECAYS)
def test_forward_equals_the_loop_over_tokens(kind: Decay, tokens: int) -> None:
    tensors = random_tensors(kind, tokens)
    found = interpret_recurrence(recurrence_forward(kind, CHUNK), CHUNK, tensors, SCALE)
    out, state = recurrence_outputs(tensors, 0.25)
    np.testing.assert_allclose(found["out"], out, atol=1e-12)
    np.testing.assert_allclose(found["final_state"], state, atol=1e-12)


@pytest.mark.parametrize("tokens", [1, CHUNK, 2 * CHUNK + 3])
@pytest.mark.parametrize("kind", DECAYS)
def test_gradients_equal_those_of_the_loop_over_tokens(kind: Decay, tokens: int) -> None:
    tensors = random_tensors(kind, tokens)
    dq = interpret_recurrence(recurrence_dq(kind, CHUNK), CHUNK, tensors, SCALE)
    dk_dv = interpret_recurrence(recurrence_dk_dv(kind, CHUNK), CHUNK, tensors, SCALE)
    wanted = recurrence_gradients(tensors, 0.25)
    np.testing.assert_allclose(dq["q_gradient"], wanted.q, atol=1e-11)
    np.testing.assert_allclose(dk_dv["k_gradient"], wanted.k, atol=1e-11)
    np.testing.assert_allclose(dk_dv["v_gradient"], wanted.v, atol=1e-11)
    np.testing.assert_allclose(dk_dv["initial_state_gradient"], wanted.initial_state, atol=1e-11)
    if kind != "none":
        q_share, k_share = shares(tensors, wanted, 0.25)
        np.testing.assert_allclose(dq["q_share"], q_share, atol=1e-11)
        np.testing.assert_allclose(dk_dv["k_share"], k_share, atol=1e-11)


@pytest.mark.parametrize("kind", ["token", "channel"])
def test_steps_of_very_different_size_are_exact_in_float32(kind: Decay) -> None:
    """e^-8 per step, tokens that forget nearly everything or all of it, between steps of hardly any decay."""
    tensors = random_tensors(kind, 37, decay=-8.0)
    tensors["decay"][:, :, 5:20] *= 1e-3
    tensors["decay"][:, :, 7] = -3e4
    tensors["decay"][:, :, 12] = -np.inf
    found = interpret_recurrence(recurrence_forward(kind, CHUNK), CHUNK, tensors, SCALE, np.float32)
    out, state = recurrence_outputs(tensors, 0.25)
    np.testing.assert_allclose(found["out"], out, atol=3e-6)
    np.testing.assert_allclose(found["final_state"], state, atol=3e-6)


def test_the_programs_read() -> None:
    text = print_program(recurrence_forward("token", 64))
    assert "for each query head:" in text
    assert "for each chunk:  # what came before the chunk is in the state" in text
    assert "faded_keys = keys * to_end" in text
    assert "for each chunk, the last one first:" in print_program(recurrence_dk_dv("none", 64))
    assert "halves(4)" in print_program(recurrence_dq("channel", 8))
