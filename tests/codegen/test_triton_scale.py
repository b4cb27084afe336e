"""Scaling scores late changes nothing but the order of operations."""

from __future__ import annotations

import numpy as np

import attndsl
from attndsl.codegen import tile_ir as tile
from attndsl.codegen.backward import dk_dv, dq
from attndsl.codegen.forward import forward
from attndsl.codegen.interpret import interpret
from attndsl.codegen.listing import print_program
from attndsl.codegen.triton_scale import fold_scale
from attndsl.schedule.build import build


def test_results_stay_the_same() -> None:
    schedule = build(attndsl.pattern("sliding_window").bind(shape=50, left=9).ir, 8, 8)
    generator = np.random.default_rng(0)
    tensors = {name: generator.normal(size=(1, 1, 50, 6)) for name in "qkv"}
    one, other = (
        interpret(program, schedule, tensors, {"scale": 0.3})
        for program in (forward(), fold_scale(forward()))
    )
    for name in ("out", "lse"):
        np.testing.assert_allclose(one[name], other[name], rtol=1e-12)


def test_the_maximum_is_scaled_and_not_the_scores() -> None:
    loop = next(s for s in fold_scale(forward()).body if isinstance(s, tile.ForVisited))
    text = print_program(fold_scale(forward()))
    assert "row_max(scores) * (scale * 1.44269504)" in text
    assert len(loop.body) == len(next(s for s in forward().body if isinstance(s, tile.ForVisited)).body)


def test_programs_without_a_row_maximum_are_left_alone() -> None:
    assert fold_scale(dq()) == dq()
    assert fold_scale(dk_dv()) == dk_dv()
