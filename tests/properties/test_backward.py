"""The oracle chain backward: tile IR, and C++, over random schedules equal autograd of the reference."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attndsl.runtime.compile import compile_attention
from attndsl.schedule.build import build
from attndsl.schedule.schedule import Schedule
from tests.codegen.gradients import check, grouped, problem
from tests.properties.strategies_ir import RandomIR, bound_patterns
from tests.properties.test_kernels import schedules
from tests.runtime.attention_cases import needs_compiler, tensors
from tests.runtime.gradient_cases import assert_like_reference

SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large]


@settings(max_examples=40, deadline=None)
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


def check_kernel(schedule: Schedule) -> None:
    kernel = compile_attention(schedule.ir, lambda: schedule, backend="cpu", head_dim=9, value_dim=5)
    assert_like_reference(kernel, schedule.ir, tensors(schedule.ir, dim=9, value_dim=5))


@needs_compiler
@settings(max_examples=2, deadline=None, suppress_health_check=SLOW)
@given(schedules(most_tokens=150))
def test_kernels_compute_the_gradients(schedule: Schedule) -> None:
    check_kernel(schedule)


@needs_compiler
@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=SLOW)
@given(schedules(most_tokens=150))
def test_many_kernels_compute_the_gradients(schedule: Schedule) -> None:
    check_kernel(schedule)
