"""Printed kernels: golden sources, and the decisions inside them."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attndsl
from attndsl import __version__
from attndsl.codegen.cpp import print_kernel
from attndsl.codegen.listing import print_program
from attndsl.codegen.programs import program_of
from attndsl.codegen.standalone import standalone
from attndsl.ir.bound import BoundIR
from attndsl.schedule.build import build
from tests.runtime.attention_cases import needs_compiler


def source_of(ir: BoundIR, q_tile: Any = 16, kv_tile: Any = 16, dtype: str = "float32") -> str:
    return print_kernel(program_of(ir, "forward"), build(ir, q_tile, kv_tile), 64, 64, dtype)


def parse(attend: str, shape: Any = 4096, **numbers: Any) -> BoundIR:
    axes = "n" if isinstance(shape, int) else "y, x"
    ir: BoundIR = (
        attndsl.parse(
            f"pattern p():\n    space tokens({axes})\n    input doc: int[tokens]\n    attend {attend}\n"
            if "doc" in attend
            else f"pattern p():\n    space tokens({axes})\n    attend {attend}\n"
        )
        .bind(shape=shape, **numbers)
        .ir
    )
    return ir


def test_golden_sliding_window(golden: Callable[[str, str], None]) -> None:
    ir = attndsl.pattern("sliding_window").bind(shape=4096, heads=4, left=256).ir
    golden("codegen/sliding_window.cpp", source_of(ir, 64, 64).replace(__version__, "VERSION"))


def test_golden_neighborhood_with_text(golden: Callable[[str, str], None]) -> None:
    ir = (
        attndsl.parse(
            "pattern local(reach: int, tail: int[heads]):\n    space video(t, h, w) ++ text(n)\n    attend\n"
            "        video -> video: all axis a: abs(q.a - k.a) <= reach\n"
            "        text -> text: k.n <= q.n + tail[head]\n        else: true\n"
        )
        .bind(shape=(4, 12, 16), text=77, heads=2, reach=2, tail=[0, 1000])
        .ir
    )
    golden(
        "codegen/local_with_text.cpp",
        source_of(ir, (2, 4, 8), (2, 4, 8), dtype="bfloat16").replace(__version__, "VERSION"),
    )


def test_what_only_the_query_decides_is_computed_once_per_query() -> None:
    source = source_of(parse("k.n // 3 <= q.n * 7 % 100"))
    assert re.search(r"query_0 = \(query_n_of\[i\] \* 7\) % 100;", source)
    assert "key_0 = key_n_of[j] / 3;" in source
    assert "row[j] = -int32_t(key_0_of[j] <= query_0);" in source


def test_integers_are_32_bits_wide_where_that_is_proven() -> None:
    assert "int64_t query_" not in source_of(parse("k.n <= q.n * 500000"))
    assert "int64_t query_" in source_of(parse("k.n * 5000000 <= q.n * 5000000"))


def test_inputs_are_64_bits_wide() -> None:
    source = source_of(parse("doc[q] == doc[k]"))
    assert "const int64_t* input_doc = input_of<int64_t>(call.inputs[0], batch);" in source


def test_division_rounds_down_only_where_an_operand_may_be_negative() -> None:
    source = source_of(parse("(q.n - k.n) // 5 == k.n // 5"))
    assert "floor_divide(" in source
    assert "key_n_of[j] / 5" in source


def test_full_patterns_have_no_predicates() -> None:
    assert "visible_1" not in source_of(attndsl.pattern("full").bind(shape=64, heads=1).ir)


def test_comments_name_the_line_of_the_pattern() -> None:
    ir = (
        attndsl.parse(
            "pattern p():\n    space tokens(n)\n    let limit = q.n // 3 * 5\n    attend k.n <= limit\n",
            name="mine.attn",
        )
        .bind(shape=100)
        .ir
    )
    assert "// mine.attn:3:17: q.n // 3 * 5" in source_of(ir)


def test_the_listing_of_tile_ir_is_the_program() -> None:
    ir = attndsl.pattern("full").bind(shape=64, heads=1).ir
    assert print_program(program_of(ir, "forward")).startswith("program forward(")


@needs_compiler
def test_a_source_can_stand_alone(tmp_path: Path) -> None:
    ir = attndsl.pattern("sliding_window").bind(shape=64, heads=1, left=5).ir
    text = standalone(source_of(ir))
    assert '#include "' not in text
    (tmp_path / "kernel.cpp").write_text(text)
    command = ["c++", "-std=c++17", "-fsyntax-only", "-Wall", "-Wno-unknown-pragmas", "-Werror"]
    subprocess.run([*command, str(tmp_path / "kernel.cpp")], check=True)
