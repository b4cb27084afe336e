"""The end of the oracle chain without a GPU: Triton kernels, interpreted, equal the denotation."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

from attndsl.codegen.triton_configuration import Configuration
from attndsl.schedule.build import build
from tests.codegen.gradients import grouped
from tests.properties.strategies_ir import RandomIR, bound_patterns
from tests.runtime.triton_cases import Case, assert_close, run
from tests.runtime.triton_worker import interpreted, needs_triton

pytestmark = needs_triton

MOST_VISITS = 60
"""Pairs of tiles of all heads; the interpreter takes milliseconds for each."""

CONFIGURATIONS = [
    Configuration(64, 64, 4, 2),
    Configuration(64, 64, 4, 2, loops="merged"),
    Configuration(64, 64, 4, 2, loads="descriptors"),
]
FEW = settings(
    max_examples=6,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate, Phase.reuse],
)
MANY = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


@st.composite
def cases(draw: st.DrawFn, inputs: bool = False) -> Case:
    random: RandomIR = draw(bound_patterns(inputs=inputs))
    ir = grouped(random.ir) if draw(st.booleans()) else random.ir
    schedule = build(ir, random.q_tile, random.kv_tile, random.step)
    assume(sum(each.visited_tiles for each in schedule.maps) * ir.heads <= MOST_VISITS)
    assume(schedule.q_tiling.tiles * ir.heads <= MOST_VISITS)
    return Case(
        ir,
        random.q_tile,
        random.kv_tile,
        random.step,
        dim=draw(st.integers(1, 20)),
        value_dim=draw(st.integers(1, 20)),
        configuration=draw(st.sampled_from(CONFIGURATIONS)),
        inputs=random.inputs,
    )


def check(case: Case) -> None:
    assert_close(case, interpreted(run, case))


@FEW
@given(cases())
def test_kernels_compute_the_denotation(case: Case) -> None:
    check(case)


@FEW
@given(cases(inputs=True))
def test_kernels_read_inputs(case: Case) -> None:
    check(case)


@pytest.mark.slow
@MANY
@given(cases())
def test_many_kernels_compute_the_denotation(case: Case) -> None:
    check(case)


@pytest.mark.slow
@MANY
@given(cases(inputs=True))
def test_many_kernels_read_inputs(case: Case) -> None:
    check(case)
