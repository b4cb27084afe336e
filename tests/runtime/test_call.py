"""The structs that Python fills are the structs that C++ reads, and tables hold what kernels expect."""

from __future__ import annotations

import ctypes
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import attndsl
from attndsl.codegen.standalone import standalone
from attndsl.runtime.call import CBlockMap, CCall, CTiling, block_maps, tiles
from attndsl.schedule.build import schedule_with
from tests.runtime.attention_cases import needs_compiler


@needs_compiler
@pytest.mark.parametrize(("struct", "name"), [(CTiling, "Tiling"), (CBlockMap, "BlockMap"), (CCall, "Call")])
def test_structs_have_the_layout_of_the_header(struct: Any, name: str, tmp_path: Path) -> None:
    fields = [field for field, *_ in struct._fields_]
    checks = [
        f"static_assert(offsetof(attn::{name}, {field}) == {getattr(struct, field).offset}, "
        f'"{field} is elsewhere");'
        for field in fields
    ]
    size = f"static_assert(sizeof(attn::{name}) == {ctypes.sizeof(struct)});"
    text = standalone("\n".join(['#include "tile_runtime.h"', "#include <cstddef>", *checks, size]) + "\n")
    (tmp_path / "layout.cpp").write_text(text)
    subprocess.run(["c++", "-std=c++17", "-fsyntax-only", "-w", str(tmp_path / "layout.cpp")], check=True)


def test_missing_tokens_repeat_the_first_one_of_their_tile() -> None:
    ir = attndsl.pattern("causal").bind(shape=7, heads=1).ir
    made = tiles(schedule_with(ir, (4,), (4,), (1,), (1,)).q_tiling)
    table, counts, coordinates = made.arrays
    assert made.struct.capacity == 16
    assert table[1].tolist() == [4, 5, 6, *[4] * 13]
    assert counts.tolist() == [4, 3]
    np.testing.assert_array_equal(coordinates[0], table)


def test_coordinates_belong_to_the_segment_of_each_token() -> None:
    ir = (
        attndsl.parse("pattern p():\n    space video(h, w) ++ text(n)\n    attend true\n")
        .bind(shape=(2, 3), text=2)
        .ir
    )
    coordinates = tiles(schedule_with(ir, (1, 3), (1, 3), (1, 1), (1, 1)).q_tiling).arrays[2]
    assert coordinates[:, 1, :3].tolist() == [[1, 1, 1], [0, 1, 2]]
    assert coordinates[0, 2, :2].tolist() == [0, 1]


def test_maps_of_several_schedules_follow_one_another() -> None:
    ir = attndsl.pattern("document").bind(shape=32, heads=3).ir
    schedule = schedule_with(ir, (16,), (16,), (1,), (1,))
    refined = [schedule.refine({"doc": np.full(32, n)}) for n in range(2)]
    maps = block_maps(refined)
    assert maps.map_batch_stride == 3
    assert maps.map_of_head.tolist() == [0, 0, 0, 1, 1, 1]
    assert block_maps(refined[:1]).map_batch_stride == 0
