"""Triton kernels in the interpreter: every pattern, option, size, type and layout against float64."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import attndsl
from attndsl.codegen.triton_configuration import Configuration
from attndsl.ir.bound import BoundIR
from tests.patterns.examples import examples
from tests.patterns.names import MASKS
from tests.runtime.triton_cases import DEFAULT, Case, assert_close, run
from tests.runtime.triton_worker import interpreted, needs_triton

pytestmark = needs_triton

FAST = ("gna", "sliding_window", "document", "moa", "cswin", "halo")
"""Patterns of the fast subset: several axes, ranges, inputs, heads that differ, lists, many residuals."""

MERGED = replace(DEFAULT, loops="merged")
DESCRIBED = replace(DEFAULT, loads="descriptors")


def check(case: Case) -> None:
    assert_close(case, interpreted(run, case))


def bound(name: str, **settings: Any) -> BoundIR:
    ir: BoundIR = attndsl.pattern(name).bind(**settings).ir
    return ir


def small(name: str) -> tuple[BoundIR, dict[str, Any]]:
    """The smallest example of a pattern, and values for its inputs."""
    ir = bound(name, **next(iter(examples(name).values())))
    inputs = {each.name: np.arange(ir.query_space.size) // 23 for each in ir.inputs}
    return ir, inputs


def cases_of(name: str) -> Case:
    ir, inputs = small(name)
    return Case(ir, configuration=Configuration(64, 32, 4, 2), inputs=inputs, **_tiles(ir))


def _tiles(ir: BoundIR) -> dict[str, Any]:
    """Large tiles, so that the interpreter has few to visit."""
    return {
        "q_tile": _box(ir.query_space.segments[0].extents),
        "kv_tile": _box(ir.key_space.segments[0].extents),
    }


def _box(extents: tuple[int, ...]) -> tuple[int, ...]:
    box, tokens = [], 64
    for extent in reversed(extents):
        box.append(max(1, min(extent, tokens if len(extents) == 1 else 8)))
        tokens //= box[-1]
    return tuple(reversed(box))


@pytest.mark.parametrize("name", FAST)
def test_patterns(name: str) -> None:
    check(cases_of(name))


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in MASKS if name not in FAST])
def test_all_patterns(name: str) -> None:
    check(cases_of(name))


@pytest.mark.parametrize("configuration", [MERGED, DESCRIBED], ids=["one-loop", "descriptors"])
@pytest.mark.parametrize(
    ("name", "settings", "tiles"),
    [
        ("gna", {"shape": (8, 8), "window": (3, 5)}, ((4, 4), (2, 8))),
        ("sliding_window", {"shape": 100, "left": 30, "right": 9}, (16, 32)),
    ],
)
def test_forms_of_loops_and_loads(
    name: str, settings: dict[str, Any], tiles: tuple[Any, Any], configuration: Configuration
) -> None:
    check(Case(bound(name, **settings), *tiles, configuration=configuration))


def test_tiles_of_a_residue_class() -> None:
    ir = bound("dilated_window", shape=90, left=5, right=5, dilation=7)
    check(Case(ir, 16, 16, step=7))


def test_two_segments_with_tiles_of_different_shapes() -> None:
    text = (
        "pattern p(reach: int):\n    space video(y, x) ++ text(n)\n    attend\n"
        "        video -> video: all axis a: abs(q.a - k.a) <= reach\n        else: true\n"
    )
    ir = attndsl.parse(text).bind(shape=(6, 10), text=21, reach=2).ir
    check(Case(ir, (3, 8), (2, 8)))


def test_queries_and_keys_in_different_spaces() -> None:
    check(Case(bound("video_infinity", shape=40, key_shape=76, pad=18), 16, 32))


@pytest.mark.parametrize(("name", "maps"), [("sliding_window", 1), ("s2", 2)])
def test_grouped_heads(name: str, maps: int) -> None:
    settings = {"left": 20} if name == "sliding_window" else {"block": 8, "local": 2, "stride": 3}
    ir = bound(name, shape=50, heads=4, kv_heads=2, **settings)
    check(Case(ir, 32, 16, batch=2))


@pytest.mark.parametrize("dim", [8, 24, 80])
def test_any_head_size_and_another_for_values(dim: int) -> None:
    check(Case(bound("causal", shape=40), 32, 16, dim=dim, value_dim=dim // 2 + 3))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_stays_inside_the_error_rule(dtype: str) -> None:
    check(
        Case(bound("sliding_window", shape=70, left=20, right=20), 32, 16, dim=64, value_dim=64, dtype=dtype)
    )


@pytest.mark.parametrize("layout", ["heads last", "expanded", "gaps"])
def test_any_strides(layout: Any) -> None:
    ir = bound("causal", shape=40, heads=2)
    check(Case(ir, 32, 16, batch=2, layout=layout))
    if layout != "gaps":
        check(Case(ir, 32, 16, batch=2, layout=layout, configuration=DESCRIBED, gradients=False))


@pytest.mark.parametrize("scale", [-0.5, 0.0, 1e-30, 3.0])
def test_any_scale(scale: float) -> None:
    check(Case(bound("causal", shape=30), 16, 16, scale=scale))


def test_queries_that_see_nothing() -> None:
    ir = (
        attndsl.parse("pattern p():\n    space tokens(n)\n    attend k.n < q.n - 9 and q.n % 3 > 0\n")
        .bind(shape=40)
        .ir
    )
    check(Case(ir, 16, 16))


def test_one_token() -> None:
    check(Case(bound("causal", shape=1), 16, 16))


def test_inputs_that_differ_between_batch_elements() -> None:
    documents = np.stack([np.arange(60) // 17, np.arange(60) // 41])
    check(Case(bound("document", shape=60), 16, 32, batch=2, inputs={"doc": documents}))


def test_tiles_at_the_edge_that_inputs_make_full() -> None:
    text = (
        "pattern p():\n    input doc: int[tokens]\n    space video(t) ++ text(n)\n    attend\n"
        "        video -> video: false\n        text -> text: doc[q] <= doc[k]\n"
        "        else: doc[q] < doc[k]\n"
    )
    ir = attndsl.parse(text).bind(shape=2, text=2).ir
    check(Case(ir, 2, 2, inputs={"doc": np.array([2, 0, 1, 1])}))


def test_real_arithmetic_and_floor_division_of_negative_numbers() -> None:
    text = (
        "pattern p():\n    space tokens(n)\n"
        "    attend (k.n - q.n) // 3 % 5 != 1 and 0.37 * k.n + 1.5 < 2.0 ** (q.n % 7) + sqrt(q.n) * 3.0\n"
    )
    check(Case(attndsl.parse(text).bind(shape=60).ir, 16, 32))
