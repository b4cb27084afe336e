"""Every shipped pattern runs as a C++ kernel with the tiles chosen for it, and equals the formula."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import pytest
import torch

import attndsl
from tests.patterns.cases import CASES
from tests.patterns.formulas import FORMULAS
from tests.patterns.names import MASKS
from tests.runtime.attention_cases import assert_inside_error_rule, needs_compiler, tensors

pytestmark = needs_compiler
INPUTS = ("doc",)


def check(name: str, seed: int) -> None:
    case = CASES[name](Random(f"{name} {seed}"))
    numbers: dict[str, Any] = {key: value for key, value in case.items() if key not in INPUTS}
    inputs: dict[str, Any] = {k: torch.as_tensor(value) for k, value in case.items() if k in INPUTS}
    bound = attndsl.pattern(name).bind(**numbers)
    given = tensors(bound.ir, dim=16)
    out, lse = bound(*given, return_lse=True, **inputs)
    formula = np.asarray(FORMULAS[name](**case))
    mask = torch.from_numpy(np.broadcast_to(formula, (bound.ir.heads, *formula.shape[-2:])).copy())
    assert_inside_error_rule(out, lse, given, mask)


@pytest.mark.parametrize("name", MASKS)
def test_a_pattern_runs(name: str) -> None:
    check(name, seed=0)


@pytest.mark.slow
@pytest.mark.parametrize("name", MASKS)
@pytest.mark.parametrize("seed", range(1, 6))
def test_a_pattern_runs_with_other_numbers(name: str, seed: int) -> None:
    check(name, seed)
