"""Half precision: every bit pattern is read as what it means, every number is rounded to nearest even."""

from __future__ import annotations

import numpy as np
import pytest

from tests.codegen.tile_runtime.arrays import Array, Call, decode, random, to_bfloat16

EVERY_PATTERN = np.arange(2**16, dtype=np.uint16)


def hard_to_round() -> Array:
    """Float32 numbers of all sizes, ties between neighbours in either half precision, limits, infinities."""
    anything = np.random.default_rng(1).integers(0, 2**32, 2**16, dtype=np.uint32).view(np.float32)
    ties = (np.arange(2**16, dtype=np.uint32) << 16 | 0x8000).view(np.float32)
    half = np.arange(0x7C00, dtype=np.uint16).view(np.float16).astype(np.float32)
    between = (half[:-1] + half[1:]) / 2
    limits = [65504, 65519.99, 65520, 65536, 3.4e38, np.inf, 2**-24, 2**-25, 2**-26, 0]
    values = np.concatenate([anything, ties, between, random(1000), np.array(limits, dtype=np.float32)])
    values = values[~np.isnan(values)]
    values = np.concatenate([values, -values])
    return np.concatenate([values, np.zeros(-len(values) % 16, dtype=np.float32)])


def test_every_bfloat16_becomes_its_float32(runtime: Call) -> None:
    values = np.empty(2**16, dtype=np.float32)
    runtime("to_float_bfloat16", values, EVERY_PATTERN, 2**16)
    assert np.array_equal(values.view(np.uint32), EVERY_PATTERN.astype(np.uint32) << 16)


def test_every_float16_becomes_its_float32(runtime: Call) -> None:
    values = np.empty(2**16, dtype=np.float32)
    runtime("to_float_float16", values, EVERY_PATTERN, 2**16)
    assert np.array_equal(values, EVERY_PATTERN.view(np.float16).astype(np.float32), equal_nan=True)
    assert np.array_equal(np.signbit(values), EVERY_PATTERN >= 2**15)


def test_float16_is_rounded_to_nearest_even(runtime: Call) -> None:
    values = hard_to_round()
    stored = np.empty(len(values), dtype=np.uint16)
    runtime("from_float_float16", stored, values, len(values))
    with np.errstate(over="ignore"):
        assert np.array_equal(stored, values.astype(np.float16).view(np.uint16))


def test_bfloat16_is_rounded_to_nearest_even(runtime: Call) -> None:
    values = hard_to_round()
    stored = np.empty(len(values), dtype=np.uint16)
    runtime("from_float_bfloat16", stored, values, len(values))
    assert np.array_equal(stored, to_bfloat16(values))


@pytest.mark.parametrize("element", ["bfloat16", "float16"])
def test_nan_stays_nan(runtime: Call, element: str) -> None:
    values = np.array([0x7F800001, 0x7FFFFFFF, 0xFF800001, 0x7FC00000] * 4, dtype=np.uint32).view(np.float32)
    stored = np.empty(16, dtype=np.float16 if element == "float16" else np.uint16)
    runtime(f"from_float_{element}", stored, values, 16)
    assert np.isnan(decode(stored, element)).all()
