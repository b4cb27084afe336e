"""The forward algorithm in tile IR: its listing, and its meaning by the interpreter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import attndsl
from attndsl.codegen.forward import forward
from attndsl.codegen.interpret import interpret
from attndsl.codegen.listing import print_program
from attndsl.ir.bound import BoundIR
from attndsl.ir.evaluate import mask_rows
from attndsl.schedule.build import build

Tile = int | tuple[int, ...]


def test_the_listing(golden: Callable[[str, str], None]) -> None:
    golden("codegen/forward.tile", print_program(forward()))


def softmax_attention(ir: BoundIR, given: dict[str, Any], scale: float, **inputs: Any) -> dict[str, Any]:
    """Output and log-sum-exp of one batch element, row by row, written out in NumPy."""
    out = np.zeros((1, ir.heads, ir.query_space.size, given["v"].shape[-1]))
    lse = np.full(out.shape[:3], -np.inf)
    for head in range(ir.heads):
        kv_head = head * ir.kv_heads // ir.heads
        mask = mask_rows(ir, head, 0, ir.query_space.size, inputs)
        for i in np.flatnonzero(mask.any(1)):
            scores = scale * given["k"][0, kv_head][mask[i]] @ given["q"][0, head, i]
            lse[0, head, i] = np.log(np.exp(scores - scores.max()).sum()) + scores.max()
            out[0, head, i] = np.exp(scores - lse[0, head, i]) @ given["v"][0, kv_head][mask[i]]
    return {"out": out, "lse": lse}


def check(ir: BoundIR, q_tile: Tile, kv_tile: Tile, scale: float = 0.3, **inputs: Any) -> None:
    random = np.random.default_rng(0)
    shapes = {"q": (ir.heads, ir.query_space.size, 6), "k": (ir.kv_heads, ir.key_space.size, 6)}
    shapes["v"] = (ir.kv_heads, ir.key_space.size, 5)
    given = {name: random.normal(size=(1, *shape)) for name, shape in shapes.items()}
    found = interpret(forward(), build(ir, q_tile, kv_tile), given, {"scale": scale}, inputs)
    wanted = softmax_attention(ir, given, scale, **inputs)
    for name in ("out", "lse"):
        np.testing.assert_allclose(found[name], wanted[name], rtol=1e-9, atol=1e-12)


def test_one_axis() -> None:
    check(attndsl.pattern("sliding_window").bind(shape=23, heads=2, left=5).ir, 4, 3)


def test_grouped_heads_and_boxes_with_residues() -> None:
    bound = attndsl.pattern("gna").bind(shape=(7, 9), heads=4, kv_heads=2, window=(3, 3), dilation=(2, 1))
    check(bound.ir, (2, 3), (4, 2))


def test_queries_that_see_nothing() -> None:
    check(
        attndsl.parse("pattern p():\n    space tokens(n)\n    attend k.n < q.n - 5\n").bind(shape=13).ir, 4, 4
    )


def test_no_tiles_at_all() -> None:
    check(attndsl.parse("pattern p():\n    space tokens(n)\n    attend k.n < -1\n").bind(shape=5).ir, 4, 4)


def test_masks_that_depend_on_inputs() -> None:
    ir = attndsl.pattern("document").bind(shape=19, heads=1).ir
    check(ir, 4, 4, doc=np.repeat([3, 1, 4], [5, 3, 11]))


def test_scores_far_apart() -> None:
    check(attndsl.pattern("causal").bind(shape=20, heads=1).ir, 4, 4, scale=1e4)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_interpreter_computes_in_the_type_it_is_told(dtype: Any) -> None:
    ir = attndsl.pattern("full").bind(shape=4, heads=1).ir
    given = {name: np.ones((1, 1, 4, 2)) for name in "qkv"}
    found = interpret(forward(), build(ir, 2, 2), given, {"scale": 1.0}, dtype=dtype)
    assert found["out"].dtype == dtype
