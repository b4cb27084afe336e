"""The oracle chain backward: tile IR interpreted over a random schedule equals autograd of the reference."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from attndsl.schedule.build import build
from tests.codegen.gradients import check, grouped, problem
from tests.properties.strategies_ir import RandomIR, bound_patterns


@settings(max_examples=60, deadline=None)
@given(bound_patterns(), st.booleans(), st.integers(1, 5), st.integers(1, 5))
def test_gradients_of_random_patterns(random: RandomIR, group: bool, dim: int, value_dim: int) -> None:
    ir = grouped(random.ir) if group else random.ir
    schedule = build(ir, random.q_tile, random.kv_tile, random.step)
    check(schedule, problem(ir, dim=dim, value_dim=value_dim))


@settings(max_examples=40, deadline=None)
@given(bound_patterns(inputs=True))
def test_gradients_under_maps_that_inputs_refine(random: RandomIR) -> None:
    schedule = build(random.ir, random.q_tile, random.kv_tile, random.step)
    check(schedule, problem(random.ir, inputs=random.inputs))
