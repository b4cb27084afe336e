"""Schedules of long sequences: seconds and megabytes, since no stage does N x N work."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

import attndsl
from attndsl.schedule.build import build

MEASURE = """
import resource, time
import attndsl
from attndsl.schedule.build import build
ir = attndsl.pattern({name!r}).bind(**{numbers!r}).ir
before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
schedule = build(ir, *{tiles!r})
print(time.process_time() - start, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
print(schedule.visited_tiles)
"""


def measured(name: str, numbers: dict[str, Any], tiles: tuple[Any, ...]) -> tuple[float, float, int]:
    """Seconds and megabytes that building the schedule takes in a process of its own, and visited tiles."""
    code = MEASURE.format(name=name, numbers=numbers, tiles=tiles)
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    seconds, megabytes, visited = run.stdout.split()
    return float(seconds), float(megabytes), int(visited)


@pytest.mark.parametrize("tiles", [((4, 8, 8), (2, 8, 8)), ((4, 4, 4), (4, 4, 4)), ()])
def test_neighborhood_attention_over_a_million_tokens(tiles: tuple[Any, ...]) -> None:
    seconds, megabytes, visited = measured("gna", {"shape": (64, 128, 128), "window": (16, 32, 32)}, tiles)
    assert visited > 500_000
    assert seconds < 4  # about 0.5 on a quiet machine
    assert megabytes < 600


@pytest.mark.parametrize(
    ("name", "numbers", "visited"),
    [
        ("causal", {}, 134_225_920),
        ("sliding_window", {"left": 4096}, 1_062_880),
        ("document", {}, 134_225_920),
    ],
)
def test_sequences_of_a_million_tokens(name: str, numbers: dict[str, Any], visited: int) -> None:
    seconds, megabytes, tiles = measured(name, {"shape": 2**20, **numbers}, (64, 64))
    assert tiles == visited
    assert seconds < 3  # about 0.1 on a quiet machine
    assert megabytes < 300


@pytest.mark.slow
def test_radial_attention_over_128_frames() -> None:
    numbers = {"shape": (128, 3840), "text": 256}
    seconds, megabytes, visited = measured("radial", numbers, ((1, 64), (1, 64)))
    assert visited == 6_842_272
    assert seconds < 8  # about 1 on a quiet machine
    assert megabytes < 600


@pytest.mark.slow
def test_causal_maps_have_two_runs_per_q_tile() -> None:
    found = build(attndsl.pattern("causal").bind(shape=2**20).ir, 64, 64)
    assert found.visited_tiles == 16384 * 16385 // 2
    assert len(found.maps[0].begin) == 2 * 16384 - 1
    assert found.visible_pairs == 2**20 * (2**20 + 1) // 2


@pytest.mark.slow
def test_heads_with_patterns_of_their_own() -> None:
    plan = {"alpha": tuple(100 * h for h in range(32)), "beta": tuple(0.01 * h for h in range(32))}
    numbers = {"shape": 32768, "heads": 32, **plan}
    seconds, megabytes, _ = measured("moa", numbers, (64, 64))
    assert seconds < 4  # about 0.3 on a quiet machine
    assert megabytes < 200
