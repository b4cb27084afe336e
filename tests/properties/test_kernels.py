"""The oracle chain below the schedule, on random patterns: tile IR == denotation, and C++ == denotation."""

from __future__ import annotations

import ctypes
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import attndsl
from attndsl.codegen.cpp import padded
from attndsl.codegen.cpp_visible import print_visible
from attndsl.codegen.forward import forward
from attndsl.codegen.interpret import interpret
from attndsl.codegen.standalone import standalone
from attndsl.ir.bound import BoundIR
from attndsl.ir.evaluate import mask_rows
from attndsl.runtime.call import CCall, tiles
from attndsl.runtime.compile import compile_attention
from attndsl.runtime.reference import reference
from attndsl.schedule.build import schedule_with
from attndsl.schedule.schedule import Schedule
from tests.properties.strategies_language import RandomPattern, patterns
from tests.runtime.attention_cases import needs_compiler, tensors

SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large]


def bound(pattern: RandomPattern) -> BoundIR:
    ir: BoundIR = attndsl.parse(pattern.text).bind(**pattern.numbers).ir
    return ir


@st.composite
def schedules(draw: st.DrawFn, most_tokens: int = 60) -> Schedule:
    """The schedule of a random pattern with random tiles, residues included."""
    ir = bound(draw(patterns(most_tokens)))
    rank = len(ir.query_space.segments[0].axes)
    boxes = st.tuples(*[st.integers(1, 9)] * rank)
    steps = st.tuples(*[st.integers(1, 3)] * rank)
    return schedule_with(ir, draw(boxes), draw(boxes), draw(steps), draw(steps))


def numbers(value: torch.Tensor | Any) -> Any:
    return value.double().numpy()


@settings(max_examples=120, deadline=None, suppress_health_check=SLOW)
@given(schedules())
def test_tile_ir_computes_the_denotation(schedule: Schedule) -> None:
    q, k, v = tensors(schedule.ir, dim=3, value_dim=2, dtype=torch.float64)
    found = interpret(
        forward(), schedule, {"q": numbers(q), "k": numbers(k), "v": numbers(v)}, {"scale": 0.7}
    )
    out, lse = reference(schedule.ir, q, k, v, scale=0.7, return_lse=True)
    np.testing.assert_allclose(found["out"], numbers(out), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found["lse"], numbers(lse), rtol=1e-9, atol=1e-12)


def check_kernel(schedule: Schedule) -> None:
    q, k, v = tensors(schedule.ir, dim=9, value_dim=5)
    kernel = compile_attention(schedule.ir, lambda: schedule, backend="cpu", head_dim=9, value_dim=5)
    out, lse = kernel(q, k, v, return_lse=True)
    wanted, wanted_lse = reference(schedule.ir, q, k, v, return_lse=True)
    torch.testing.assert_close(out, wanted, rtol=1e-5, atol=2e-6)
    torch.testing.assert_close(lse, wanted_lse, rtol=1e-5, atol=2e-6)


@needs_compiler
@settings(max_examples=5, deadline=None, suppress_health_check=SLOW)
@given(schedules(most_tokens=200))
def test_kernels_compute_the_denotation(schedule: Schedule) -> None:
    check_kernel(schedule)


@needs_compiler
@pytest.mark.slow
@settings(max_examples=150, deadline=None, suppress_health_check=SLOW)
@given(schedules(most_tokens=200))
def test_many_kernels_compute_the_denotation(schedule: Schedule) -> None:
    check_kernel(schedule)


def tile_size(ir: BoundIR) -> int:
    """Tokens of a tile that holds the whole first segment."""
    return padded(ir.query_space.segments[0].size)


def predicates(irs: list[BoundIR]) -> str:
    """One C++ file that evaluates the mask of each pattern's first region on its only pair of tiles."""
    lines = ['#include "tile_runtime.h"', "using namespace attn;"]
    for number, ir in enumerate(irs):
        region, size = ir.regions[0], tile_size(ir)
        lines += [
            f"namespace pattern_{number} {{ constexpr int Tq = {size}, Tk = {size};",
            "using Mask = Visibility<Tq, Tk>;",
            print_visible(ir, 1, region.visible, (region.query, region.key)),
            f'}} extern "C" void mask_{number}(int32_t* out, const Call* call, long head) '
            f"{{ pattern_{number}::visible_1(*(pattern_{number}::Mask*)out, *call, 0, head, 0, 0); }}",
        ]
    return standalone("\n".join(lines) + "\n")


def compiled(source: str) -> ctypes.CDLL:
    with tempfile.TemporaryDirectory() as folder:
        text, library = Path(folder, "masks.cpp"), Path(folder, "masks.so")
        text.write_text(source, encoding="utf-8")
        command = [
            "c++",
            "-std=c++17",
            "-O3",
            "-march=native",
            "-fopenmp",
            "-fPIC",
            "-shared",
            "-fwrapv",
            "-w",
        ]
        subprocess.run([*command, str(text), "-o", str(library)], check=True)
        return ctypes.CDLL(str(library))


@needs_compiler
@settings(max_examples=2, deadline=None, suppress_health_check=SLOW, phases=[Phase.generate])
@given(st.lists(patterns(64), min_size=60, max_size=60))
def test_printed_predicates_are_the_mask(random_patterns: list[RandomPattern]) -> None:
    irs = [bound(pattern) for pattern in random_patterns]
    library = compiled(predicates(irs))
    for number, ir in enumerate(irs):
        video, size = ir.query_space.segments[0], tile_size(ir)
        ones = (1,) * len(video.extents)
        queries = tiles(schedule_with(ir, video.extents, video.extents, ones, ones).q_tiling)
        call = CCall(queries=queries.struct, keys=queries.struct)
        for head in range(ir.heads):
            found = np.full((size, size), 7, np.int32)
            getattr(library, f"mask_{number}")(
                found.ctypes.data_as(ctypes.c_void_p), ctypes.byref(call), ctypes.c_long(head)
            )
            wanted = mask_rows(ir, head, 0, ir.query_space.size, {})[: video.size, : video.size]
            np.testing.assert_array_equal(found[: video.size, : video.size], -wanted.astype(np.int32))
