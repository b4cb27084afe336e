"""Results: who the rival is, rates, the JSON round trip, and the README's table."""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import partial

import pytest

from benchmarks.results import CaseResult, DensityPoint, Overheads, Report, TrainingResult
from benchmarks.table import markdown
from benchmarks.timing import speedup, take_turns

RESULT = CaseResult(
    name="small",
    pattern="gna",
    shape=(10, 10),
    parameters={"window": (5, 5), "dilation": 2},
    dtype="float32",
    rival="flex",
    target=3.0,
    milliseconds={"attndsl": 2.0, "flex-64": 8.0, "flex-128": 6.0, "sdpa": 5.0, "sdpa-mask": 7.0},
    speedups={"flex-64": 4.0, "flex-128": 3.0, "sdpa": 2.5, "sdpa-mask": 3.5},
    visible_pairs=2500,
    computed_pairs={"attndsl": 5000, "flex-64": 6000, "flex-128": 7000},
    product_gflops=100.0,
)
TRAINING = TrainingResult(
    name="small",
    pattern="gna",
    shape=(10, 10),
    parameters={"window": (5, 5)},
    dtype="float32",
    target=6.0,
    milliseconds={"attndsl": 4.0, "dense": 22.0},
    speedup=5.5,
    visible_pairs=2500,
    computed_pairs=5000,
    product_gflops=100.0,
)
REPORT = Report(
    environment={"threads": "2", "processor": "a processor", "instructions": "AVX512", "torch": "2.13.0"},
    cases=[RESULT],
    training=[TRAINING],
    densities=[DensityPoint(radius=70, tile_density=0.05, milliseconds=1.0, speedup=15.0)],
    overheads=Overheads(1.0, 20.0, 5.0, 10.0, 30.0),
)


def test_the_faster_block_size_counts() -> None:
    assert RESULT.flex == "flex-128"
    assert RESULT.ratio == 3.0


def test_density_counts_visible_pairs() -> None:
    assert RESULT.density == 0.25


def test_rate_counts_two_products() -> None:
    pairs = 1_000_000
    operations = 2 * 2 * 64 * 4 * pairs  # products, operations, head dimension, heads
    assert RESULT.gflops("attndsl", pairs) == pytest.approx(operations / 2e-3 / 1e9)


def test_a_report_survives_json() -> None:
    read = Report.from_json(json.loads(json.dumps(asdict(REPORT))))
    assert asdict(read) == json.loads(json.dumps(asdict(REPORT))) | {
        "cases": [{**asdict(RESULT), "shape": (10, 10), "parameters": {"window": [5, 5], "dilation": 2}}],
        "training": [{**asdict(TRAINING), "shape": (10, 10), "parameters": {"window": [5, 5]}}],
    }


def test_a_backward_pass_counts_five_products() -> None:
    pairs = 1_000_000
    operations = (2 + 5) * 2 * 64 * 4 * pairs
    assert TRAINING.gflops(pairs) == pytest.approx(operations / 4e-3 / 1e9)


def test_the_tables_name_problem_rival_and_target() -> None:
    lines = markdown(REPORT).splitlines()
    assert lines[2] == (
        "| gna 10x10, window 5x5, dilation 2 | float32 | 25.0% | **2.0** | 6.0 | 5.0 | 3.00x | 2.50x "
        "| 3x FlexAttention, reached | 3 | 100 |"
    )
    assert lines[6] == (
        "| gna 10x10, window 5x5 | float32 | **4.0** | 22.0 | 5.50x | 6x dense, missed | 4 | 100 |"
    )


def test_density_and_overheads_stand_below_the_tables() -> None:
    assert "At 5.0% of the tiles of `full 4096` a kernel is 15.0x as fast" in markdown(REPORT)
    assert "Compiling a kernel takes 1.0 s (target 2)" in markdown(REPORT)


def test_contenders_take_turns() -> None:
    order: list[str] = []
    seconds = take_turns({name: partial(order.append, name) for name in "ab"}, rounds=2, calls=1)
    assert order == list("aabbaabb"), "one call to warm up, one timed, then the next contender"
    assert {name: len(values) for name, values in seconds.items()} == {"a": 2, "b": 2}


def test_speedup_compares_within_a_round() -> None:
    assert speedup(slow=[2.0, 20.0, 3.0], fast=[1.0, 10.0, 1.0]) == 2.0
