"""Scores and weights in tile IR: forward and backward programs, interpreted, equal the denotation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from attndsl.codegen.interpret import interpret
from attndsl.codegen.programs import program_of
from attndsl.ir.bound import BoundIR
from attndsl.runtime.reference import reference
from attndsl.schedule.build import build
from tests.codegen.weightings import CLAUSES, bound, inputs_of, two_segments

SCALE = 0.5


def differences(ir: BoundIR, tiles: tuple[tuple[int, ...], tuple[int, ...]]) -> dict[str, float]:
    """The largest difference of the output and of each gradient."""
    torch.manual_seed(0)
    heads = {"q": ir.heads, "k": ir.kv_heads, "v": ir.kv_heads}
    dims = {"q": 8, "k": 8, "v": 6}
    tokens = {"q": ir.query_space.size, "k": ir.key_space.size, "v": ir.key_space.size}
    leaves = {
        name: torch.randn(2, heads[name], tokens[name], dims[name], dtype=torch.float64, requires_grad=True)
        for name in heads
    }
    inputs: dict[str, Any] = dict(inputs_of(ir))
    out = reference(ir, *leaves.values(), scale=SCALE, **inputs)
    seed = torch.randn_like(out)
    wanted = dict(zip(leaves, torch.autograd.grad(out, list(leaves.values()), seed), strict=True))
    schedule = build(ir, *tiles)
    arrays = {name: leaf.detach().numpy() for name, leaf in leaves.items()}
    rows = {name: value.numpy() for name, value in inputs.items()}

    def run(name: str) -> None:
        arrays.update(interpret(program_of(ir, name), schedule, arrays, {"scale": SCALE}, rows))

    run("forward")
    arrays |= {"out_gradient": seed.numpy(), "lse_gradient": np.zeros_like(arrays["lse"])}
    for name in ("delta", "dq", "dk_dv"):
        run(name)
    found = {"out": np.abs(arrays["out"] - out.detach().numpy()).max()}
    for name, gradient in wanted.items():
        found[name] = np.abs(arrays[f"{name}_gradient"] - gradient.numpy()).max()
    return found


@pytest.mark.parametrize("name", CLAUSES)
def test_tile_ir_equals_the_denotation(name: str) -> None:
    for result, difference in differences(bound(name), ((8,), (16,))).items():
        assert difference < 1e-10, result


def test_scores_count_positions_across_segments() -> None:
    for result, difference in differences(two_segments(), ((4, 4), (2, 8))).items():
        assert difference < 1e-10, result
