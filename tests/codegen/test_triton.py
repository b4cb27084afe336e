"""Printed Triton kernels: golden files, and the decisions inside them."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from typing import Any

import pytest

import attndsl
from attndsl import __version__
from attndsl.codegen.backward import delta, dk_dv, dq
from attndsl.codegen.forward import forward
from attndsl.codegen.tile_ir import Program
from attndsl.codegen.triton import PrintedKernel, print_kernel
from attndsl.codegen.triton_configuration import Configuration
from attndsl.codegen.triton_standalone import standalone_kernel
from attndsl.ir.bound import BoundIR
from attndsl.schedule.build import build
from tests.patterns.examples import examples

CONFIGURATION = Configuration(128, 64, warps=8, stages=2)
PROGRAMS = (forward, delta, dq, dk_dv)


def bound(name: str, **settings: Any) -> BoundIR:
    ir: BoundIR = attndsl.pattern(name).bind(**settings).ir
    return ir


def kernel(
    ir: BoundIR,
    q_tile: Any = 64,
    kv_tile: Any = 64,
    program: Program | None = None,
    dim: int = 64,
    dtype: str = "bfloat16",
    **options: Any,
) -> PrintedKernel:
    chosen = Configuration(128, 64, 8, 2, **options)
    return print_kernel(program or forward(), build(ir, q_tile, kv_tile), dim, dim, dtype, chosen)


def text(ir: BoundIR, *tiles: Any, **options: Any) -> str:
    return kernel(ir, *tiles, **options).source.replace(__version__, "VERSION")


def test_golden_neighborhood(golden: Callable[[str, str], None]) -> None:
    ir = bound("gna", shape=(64, 64), heads=4, window=(13, 13))
    golden("triton/gna_forward.py", text(ir, (8, 16), (8, 8)))


def test_golden_sliding_window_gradient_of_grouped_heads(golden: Callable[[str, str], None]) -> None:
    ir = bound("sliding_window", shape=4000, heads=8, kv_heads=2, left=256)
    golden("triton/sliding_window_dk_dv.py", text(ir, 32, 128, program=dk_dv()))


def test_golden_video_and_text(golden: Callable[[str, str], None]) -> None:
    ir = bound("radial", shape=(7, 128), text=16, block=32)
    golden("triton/radial_forward.py", text(ir, (1, 128), (1, 64), dim=80))


def test_golden_documents_that_stand_alone(golden: Callable[[str, str], None]) -> None:
    ir = bound("document", shape=300, heads=2)
    source = standalone_kernel(kernel(ir, dtype="float16"), ir, "float16")
    golden("triton/document_standalone.py", source.replace(__version__, "VERSION"))


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: str(program.__name__))
@pytest.mark.parametrize("name", attndsl.patterns())
def test_every_pattern_prints_python_that_imports_triton_only(
    name: str, program: Callable[[], Program]
) -> None:
    whole = bound(name, **next(iter(examples(name).values())))
    for ir in whole.branches or [whole] * (not whole.over_channels):
        tree = ast.parse(text(ir, None, None, program=program()))
        nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Import)]
        assert {alias.name for node in nodes for alias in node.names} == {"triton", "triton.language"}
        assert not [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]


def test_a_file_that_stands_alone_imports_torch_and_triton_only() -> None:
    ir = bound("causal", shape=100)
    tree = ast.parse(standalone_kernel(kernel(ir), ir, "bfloat16"))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert imported == {"base64", "functools", "zlib", "torch", "triton", "triton.language"}


def test_comments_name_the_lines_of_the_pattern() -> None:
    source = text(bound("gna", shape=(64, 64), window=(13, 13)), (8, 16), (8, 8))
    assert re.search(r"# prelude\.attn:\d+:\d+: clamp\(leader - window // 2, 0, last \+ 1 - window\)", source)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("causal", {}),
        ("sliding_window", {"left": 300, "right": 40}),
        ("streaming", {"sink": 4, "window": 256}),
        ("document", {}),
    ],
)
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: str(program.__name__))
def test_lengths_share_few_kernels(
    name: str, settings: dict[str, Any], program: Callable[[], Program]
) -> None:
    """Those whose last tiles are whole and those whose last tiles are cut."""
    lengths = (1024, 1025, 1100, 2048, 2111, 4000, 4096, 8192, 9999)
    sources = {text(bound(name, shape=n, **settings), 128, 64, program=program()) for n in lengths}
    assert len({source.partition('\n"""\n')[2] for source in sources}) <= 4


def test_full_tiles_have_a_loop_without_a_mask() -> None:
    source = text(bound("sliding_window", shape=4096, left=1024, right=1024))
    full, partial = source.split("# FULL tiles")[1].split("# PARTIAL tiles")
    assert "visible" not in full.splitlines()[1:][0]
    assert "visible =" not in full
    assert "visible =" in partial


def test_neighbouring_tiles_need_no_list() -> None:
    causal = kernel(bound("causal", shape=4096))
    assert "tiles" not in causal.arrays
    assert causal.arrays["records"].shape == (1, 64, 6)
    assert "tiles" in kernel(bound("streaming", shape=4096, sink=4, window=256)).arrays


def test_maps_without_partial_tiles_have_no_predicate() -> None:
    source = text(bound("blocked", shape=4096, window=128))
    assert "PARTIAL" not in source
    assert "test_" not in source


def test_maps_without_full_tiles_have_one_loop() -> None:
    source = text(bound("shifted_window", shape=(56, 56), window=7, shift=3), (8, 8), (8, 8))
    assert source.count("in tl.range(") == 1


def test_a_residual_that_does_not_ask_for_a_factor_skips_it() -> None:
    source = text(bound("sliding_window", shape=4096, left=1000, right=1000))
    assert "| (residual != 1)" in source or "| (residual == 2)" in source


def test_one_loop_when_asked_for() -> None:
    source = text(bound("sliding_window", shape=4096, left=1000, right=1000), loops="merged")
    assert "# FULL and PARTIAL tiles" in source
    assert source.count("in tl.range(") == 1


def test_nothing_is_masked_where_all_lanes_exist() -> None:
    assert "mask=" not in text(bound("causal", shape=4096))
    assert "kv_exists" in text(bound("causal", shape=4095))


def test_descriptors_load_boxes_of_the_space() -> None:
    printed = kernel(
        bound("gna", shape=(32, 64, 64), window=(9, 9, 9)), (2, 8, 8), (4, 4, 4), loads="descriptors"
    )
    types = {parameter.name: parameter.type for parameter in printed.parameters}
    assert types["k"] == "tensordesc<bf16[1, 4, 4, 4, 64]>"
    assert types["q"] == "tensordesc<bf16[1, 2, 8, 8, 64]>"
    assert "k_token_stride" not in types
    assert "k.load([" in printed.source


def test_descriptors_load_runs_where_a_tile_is_one() -> None:
    printed = kernel(bound("causal", shape=4000), loads="descriptors")
    assert {p.name: p.type for p in printed.parameters}["v"] == "tensordesc<bf16[1, 64, 64]>"


def test_pointers_where_descriptors_cannot_see_the_tiles() -> None:
    ir = bound("dilated_window", shape=4096, left=9, dilation=4)
    schedule = build(ir, 64, 64, 4)
    printed = print_kernel(
        forward(), schedule, 64, 64, "bfloat16", Configuration(64, 64, 8, 2, loads="descriptors")
    )
    assert printed.boxes == {}


def test_warps_are_specialised_only_where_triton_can() -> None:
    options = {"loads": "descriptors", "loops": "merged", "specialize": True}
    assert "warp_specialize=True" in text(bound("causal", shape=4096), 128, 64, **options)
    boxes = text(bound("gna", shape=(64, 64), window=(13, 13)), (8, 16), (8, 8), **options)
    assert "warp_specialize" not in boxes


def test_heads_of_a_group_share_one_loop_where_they_share_a_map() -> None:
    shared = text(bound("causal", shape=4096, heads=8, kv_heads=2), program=dk_dv())
    assert "member = turn //" in shared
    own = text(bound("s2", shape=4096, heads=8, kv_heads=2, block=64, local=3, stride=4), program=dk_dv())
    assert "for head in tl.range(head, head + 4):" in own


def test_gradients_of_keys_need_no_transposition_of_scores() -> None:
    source = text(bound("causal", shape=4096), program=dk_dv())
    assert "tl.dot(weights.to(tl.bfloat16), out_gradient_block, dv)" in source
    assert "tl.trans(weights" not in source


def test_offsets_are_64_bits_wide() -> None:
    source = text(bound("causal", shape=2**20, heads=24))
    for line in source.splitlines():
        if "_stride" in line and "=" in line:
            assert "tl.int64" in line or "batch *" in line or "kv_offset *" in line, line


def test_float32_products_keep_their_precision() -> None:
    assert 'input_precision="tf32x3"' in text(bound("causal", shape=64), dtype="float32")
    assert 'input_precision="ieee"' in text(bound("causal", shape=64), dtype="float32", precision="ieee")
    assert "input_precision" not in text(bound("causal", shape=64))


def test_real_products_are_not_fused_with_sums() -> None:
    real = (
        attndsl.parse("pattern p():\n    space tokens(n)\n    attend 0.3 * k.n + 0.5 <= q.n\n")
        .bind(shape=200)
        .ir
    )
    assert kernel(real).exact_reals
    assert not kernel(bound("causal", shape=200)).exact_reals
