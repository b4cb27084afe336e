"""Kernels on a GPU beside float64, forward and backward: FlashAttention's rule, overall and per tile."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import attndsl
from attndsl.codegen.triton_configuration import Configuration
from attndsl.ir.bound import BoundIR
from tests.gpu.device import DEVICE, on_gpu, target_name
from tests.patterns.examples import examples
from tests.patterns.names import MASKS
from tests.runtime.triton_cases import Case, assert_close, run

pytestmark = on_gpu

LARGEST = 2048
"""Tokens that float64 over all pairs is computed for."""


def check(ir: BoundIR, dtype: str = "bfloat16", dim: int = 64, **options: Any) -> None:
    """The backend's own choice of tiles, or those of `options`."""
    case = Case(
        ir, dim=dim, dtype=dtype, device=DEVICE, **{"configuration": None, "value_dim": dim, **options}
    )
    assert_close(case, run(case))


def bound(name: str, **settings: Any) -> BoundIR:
    ir: BoundIR = attndsl.pattern(name).bind(**settings).ir
    return ir


def small_examples() -> list[tuple[str, str]]:
    """All published settings of masks that are small enough."""
    return [
        (name, example)
        for name in MASKS
        for example, settings in examples(name).items()
        if bound(name, **settings).query_space.size <= LARGEST
    ]


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32"])
@pytest.mark.parametrize(("name", "example"), small_examples())
def test_patterns_of_the_library(name: str, example: str, dtype: str) -> None:
    ir = bound(name, **examples(name)[example])
    inputs = {each.name: np.arange(ir.query_space.size) // 23 for each in ir.inputs}
    check(ir, dtype, inputs=inputs)


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
@pytest.mark.parametrize("dim", [8, 40, 64, 96, 128, 160, 256])
def test_head_dimensions(dim: int, dtype: str) -> None:
    check(bound("sliding_window", shape=700, heads=2, left=200, right=50), dtype, dim)


@pytest.mark.parametrize(("dim", "value_dim"), [(128, 64), (64, 256), (192, 128), (17, 33)])
def test_values_of_another_dimension(dim: int, value_dim: int) -> None:
    check(bound("causal", shape=500), dim=dim, value_dim=value_dim)


@pytest.mark.parametrize("tokens", [1, 2, 17, 63, 64, 65, 127, 129, 1000, 1025, 2047])
def test_odd_lengths(tokens: int) -> None:
    check(bound("causal", shape=tokens, heads=2), batch=2)


@pytest.mark.parametrize("shape", [(7, 9), (31, 17), (3, 5, 7), (5, 12, 13)])
def test_odd_shapes(shape: tuple[int, ...]) -> None:
    check(bound("gna", shape=shape, heads=2, window=(3,) * len(shape), stride=(2,) * len(shape)))


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_queries_that_see_nothing_and_keys_that_no_one_sees(dtype: str) -> None:
    text = "pattern p():\n    space tokens(n)\n    attend k.n < q.n - 200 and q.n % 3 > 0 and k.n % 5 > 0\n"
    check(attndsl.parse(text).bind(shape=700, heads=2).ir, dtype)


def test_masks_without_a_visible_pair() -> None:
    check(attndsl.parse("pattern p():\n    space tokens(n)\n    attend k.n > 999\n").bind(shape=300).ir)


@pytest.mark.parametrize(("heads", "kv_heads"), [(4, 1), (6, 2), (8, 8), (7, 1)])
@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_grouped_heads(heads: int, kv_heads: int, dtype: str) -> None:
    check(bound("sliding_window", shape=500, heads=heads, kv_heads=kv_heads, left=99), dtype, batch=2)


def test_grouped_heads_whose_masks_differ() -> None:
    check(bound("s2", shape=600, heads=4, kv_heads=2, block=16, local=4, stride=3), batch=2)


@pytest.mark.parametrize("layout", ["heads last", "expanded", "gaps"])
@pytest.mark.parametrize("dim", [64, 72])
def test_layouts(layout: Any, dim: int) -> None:
    check(bound("gna", shape=(20, 30), heads=3, window=(5, 7)), dim=dim, batch=2, layout=layout)


@pytest.mark.parametrize("scale", [-0.5, 0.0, 1e-30, 3.0])
def test_scales(scale: float) -> None:
    check(bound("causal", shape=400), scale=scale)


def test_documents_that_differ_between_batch_elements() -> None:
    documents = np.stack([np.arange(900) // 170, np.arange(900) // 411])
    check(bound("document", shape=900, heads=2), batch=2, inputs={"doc": documents})


def test_dilated_windows() -> None:
    check(bound("gna", shape=(24, 40), heads=2, window=(5, 5), dilation=(2, 4)))


def test_video_and_text() -> None:
    check(bound("radial", shape=(7, 128), text=37, heads=2, block=32))


def test_queries_and_keys_in_different_spaces() -> None:
    check(bound("video_infinity", shape=240, key_shape=276, pad=18))


@pytest.mark.parametrize("dim", [64, 128])
def test_eight_bit_inputs(dim: int) -> None:
    if target_name() not in ("sm89", "sm90", "sm100", "sm120"):
        pytest.skip(f"{target_name()} has no 8-bit floats")
    ir = bound("gna", shape=(24, 32), heads=2, window=(9, 9))
    check(ir, "float8_e4m3fn", dim, gradients=False)


FORMS = {
    "one-loop": Configuration(128, 64, 8, 2, loops="merged"),
    "descriptors": Configuration(128, 64, 8, 2, loads="descriptors"),
    "one-loop-descriptors": Configuration(128, 64, 8, 3, loops="merged", loads="descriptors"),
    "specialised": Configuration(128, 64, 4, 2, loops="merged", loads="descriptors", specialize=True),
}
PROBLEMS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "causal": ({"shape": 1000, "heads": 2}, {"q_tile": 128, "kv_tile": 64}),
    "gna": ({"shape": (32, 40), "heads": 2, "window": (9, 11)}, {"q_tile": (8, 16), "kv_tile": (8, 8)}),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", PROBLEMS)
@pytest.mark.parametrize("dim", [64, 128])
def test_forms_of_kernels_that_autotuning_tries(name: str, form: str, dim: int) -> None:
    chosen = FORMS[form]
    if chosen.loads == "descriptors" and target_name() not in ("sm90", "sm100"):
        pytest.skip(f"{target_name()} has no tensor descriptors")
    settings, tiles = PROBLEMS[name]
    check(bound(name, **settings), dim=dim, configuration=chosen, gradients=False, **tiles)
    if not chosen.specialize:
        check(bound(name, **settings), dim=64, configuration=replace(chosen, q_tokens=64), **tiles)
