"""C++ kernels against attention written out in torch: every type, size and layout that they promise."""

from __future__ import annotations

import platform
import threading
from typing import Any

import numpy as np
import pytest
import torch

import attndsl
from attndsl.ir.bound import BoundIR
from attndsl.runtime import compiler
from tests.runtime.attention_cases import (
    DTYPES,
    assert_inside_error_rule,
    cpu_kernel,
    mask_of,
    needs_compiler,
    plain,
    tensors,
)

pytestmark = needs_compiler


def sliding(tokens: int, left: int, heads: int = 2, kv_heads: int | None = None) -> BoundIR:
    return attndsl.pattern("sliding_window").bind(shape=tokens, heads=heads, kv_heads=kv_heads, left=left).ir


def gna(heads: int = 2, kv_heads: int | None = None) -> BoundIR:
    return attndsl.pattern("gna").bind(shape=(9, 14), heads=heads, kv_heads=kv_heads, window=(3, 5)).ir


def check(ir: BoundIR, q_tile: int | tuple[int, ...], kv_tile: int | tuple[int, ...], **sizes: Any) -> None:
    """Compile, call and compare one case. sizes: batch, dim, value_dim, dtype."""
    given = tensors(ir, **sizes)
    q, _, v = given
    kernel = cpu_kernel(ir, q_tile, kv_tile, q.shape[-1], v.shape[-1], q.dtype)
    out, lse = kernel(*given, return_lse=True)
    assert out.shape == (*q.shape[:3], v.shape[-1])
    assert out.dtype == q.dtype
    assert lse.dtype == torch.float32
    assert_inside_error_rule(out, lse, given, mask_of(ir))


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=DTYPES)
@pytest.mark.parametrize("dim", [8, 33, 64, 80, 256])
def test_types_and_head_dimensions(dtype: torch.dtype, dim: int) -> None:
    check(sliding(100, 20), 16, 32, dim=dim, dtype=dtype)


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=DTYPES)
@pytest.mark.parametrize("dims", [(1, 40), (96, 7)])
def test_values_may_have_another_dimension(dtype: torch.dtype, dims: tuple[int, int]) -> None:
    check(sliding(50, 9), 16, 16, dim=dims[0], value_dim=dims[1], dtype=dtype)


@pytest.mark.parametrize("tiles", [(1, 1), (3, 7), (15, 17), (32, 16), (64, 64), (100, 100), (40, 128)])
def test_any_tile_size(tiles: tuple[int, int]) -> None:
    check(sliding(77, 13), *tiles)


@pytest.mark.parametrize("tokens", [1, 2, 15, 16, 17, 31, 127, 129])
def test_any_length(tokens: int) -> None:
    check(sliding(tokens, 4), 16, 16)


@pytest.mark.parametrize(("heads", "kv_heads"), [(1, 1), (4, 2), (6, 2), (3, 1)])
@pytest.mark.parametrize("batch", [1, 3])
def test_grouped_heads_and_batches(heads: int, kv_heads: int, batch: int) -> None:
    check(gna(heads, kv_heads), (4, 4), (2, 8), batch=batch)


def test_tiles_may_have_a_thousand_tokens() -> None:
    check(sliding(1500, 300, heads=1), 1024, 1024, dim=32)


def test_heads_may_have_different_masks() -> None:
    ir = attndsl.parse(
        "pattern p(width: int[heads]):\n    space tokens(n)\n    attend abs(q.n - k.n) < width[head] + head\n"
    ).bind(shape=60, heads=3, width=[1, 9, 40])
    check(ir.ir, 16, 16)


def test_queries_and_keys_may_live_in_different_spaces() -> None:
    ir = attndsl.parse(
        "pattern cross():\n    query space q(a)\n    key space k(b, c)\n"
        "    attend q.a % 3 == k.c or k.b == 0\n"
    ).bind(shape=29, key_shape=(5, 11), heads=2)
    check(ir.ir, 16, (4, 4), value_dim=24)


def test_segments_have_their_own_masks() -> None:
    ir = attndsl.parse(
        "pattern p():\n    space video(h, w) ++ text(n)\n    attend\n"
        "        video -> video: all axis a: abs(q.a - k.a) <= 1\n"
        "        text -> text: k.n <= q.n\n        else: true\n"
    ).bind(shape=(6, 9), text=11, heads=2)
    check(ir.ir, (2, 8), (4, 4))


def test_queries_that_see_nothing_give_zero() -> None:
    ir = attndsl.parse("pattern p():\n    space tokens(n)\n    attend k.n < q.n - 40\n").bind(shape=100).ir
    given = tensors(ir)
    out, lse = cpu_kernel(ir, 16, 16)(*given, return_lse=True)
    assert torch.all(out[:, :, :41] == 0)
    assert torch.all(lse[:, :, :41] == -torch.inf)
    assert_inside_error_rule(out, lse, given, mask_of(ir))


def test_a_mask_may_be_empty_altogether() -> None:
    ir = attndsl.parse("pattern p():\n    space tokens(n)\n    attend k.n < -q.n\n").bind(shape=20).ir
    out = cpu_kernel(ir, 16, 16)(*tensors(ir))
    assert torch.all(out == 0)


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=DTYPES)
def test_huge_scores(dtype: torch.dtype) -> None:
    ir = sliding(64, 30)
    q, k, v = tensors(ir, dtype=dtype)
    factor = 40 if dtype == torch.float16 else 100  # scores in the thousands, as far as the type goes
    given = (q * factor, k * factor, v)
    out, lse = cpu_kernel(ir, 16, 16, dtype=dtype)(*given, return_lse=True)
    assert torch.isfinite(out).all()
    assert torch.isfinite(lse).all()
    wanted = plain([t.double() for t in given], mask_of(ir))[0]
    same = plain(given, mask_of(ir))[0]
    assert (out - wanted).abs().max() <= 2 * (same - wanted).abs().max() + 2 * torch.finfo(dtype).eps


@pytest.mark.parametrize("scale", [1.0, 0.0, -0.5, 0.01])
def test_any_scale(scale: float) -> None:
    ir = gna()
    given = tensors(ir)
    out, lse = cpu_kernel(ir, (4, 4), (4, 4))(*given, scale=scale, return_lse=True)
    assert_inside_error_rule(out, lse, given, mask_of(ir), scale)


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=DTYPES)
def test_any_strides(dtype: torch.dtype) -> None:
    ir = sliding(50, 11, heads=4, kv_heads=2)
    kernel = cpu_kernel(ir, 16, 16, dtype=dtype)
    q, k, v = tensors(ir, batch=2, dtype=dtype)
    wanted = kernel(q, k, v)
    token_major = [tensor.transpose(1, 2).contiguous().transpose(1, 2) for tensor in (q, k, v)]
    channel_major = [tensor.mT.contiguous().mT for tensor in (q, k, v)]
    every_other = [torch.stack([t, t], -1).flatten(-2)[..., ::2] for t in (q, k, v)]
    for given in (token_major, channel_major, every_other):
        assert torch.equal(kernel(*given), wanted)


def test_expanded_tensors() -> None:
    ir = sliding(50, 11, heads=2)
    kernel = cpu_kernel(ir, 16, 16)
    q, k, v = tensors(ir)
    wide = [t[:, :1].expand(3, 2, -1, -1) for t in (q, k, v)]
    assert torch.equal(kernel(*wide), kernel(*(t.contiguous() for t in wide)))


def test_a_batch_may_be_empty() -> None:
    ir = sliding(20, 4)
    out, lse = cpu_kernel(ir, 16, 16)(*tensors(ir, batch=0), return_lse=True)
    assert out.shape == (0, 2, 20, 16)
    assert lse.shape == (0, 2, 20)


def test_keys_that_no_query_sees_may_hold_anything() -> None:
    ir = attndsl.parse("pattern p():\n    space tokens(n)\n    attend k.n < 16\n").bind(shape=48).ir
    q, k, v = tensors(ir)
    kernel = cpu_kernel(ir, 16, 16)
    wanted = kernel(q, k, v)
    k[:, :, 16:], v[:, :, 16:] = torch.nan, torch.inf
    assert torch.equal(kernel(q, k, v), wanted)


def test_not_a_number_stays_visible() -> None:
    ir = sliding(32, 8)
    q, k, v = tensors(ir)
    k[0, 0, 10] = torch.nan
    out = cpu_kernel(ir, 16, 16)(q, k, v)
    assert out[0, 0, 10:19].isnan().all()
    assert out[0, 0, 19:].isfinite().all()


@pytest.mark.parametrize("shape", ["tokens", "batch"])
def test_masks_may_depend_on_inputs(shape: str) -> None:
    ir = attndsl.pattern("document").bind(shape=90, heads=2).ir
    lengths = [[30, 1, 40, 19], [5, 50, 5, 30]]
    documents = torch.stack([torch.repeat_interleave(torch.arange(4), torch.tensor(x)) for x in lengths])
    given = tensors(ir, batch=2)
    doc = documents if shape == "batch" else documents[0]
    out, lse = cpu_kernel(ir, 16, 16)(*given, return_lse=True, doc=doc)
    for batch in range(2):
        mask = mask_of(ir, doc=documents[batch if shape == "batch" else 0].numpy())
        part = slice(batch, batch + 1)
        assert_inside_error_rule(out[part], lse[part], [t[part] for t in given], mask)


def test_inputs_may_be_real_or_bool() -> None:
    ir = (
        attndsl.parse(
            "pattern p():\n    space tokens(n)\n"
            "    input height: real[tokens]\n    input kept: bool[tokens]\n"
            "    attend kept[k] and height[k] * 0.5 <= height[q] + 0.1\n"
        )
        .bind(shape=70)
        .ir
    )
    generator = np.random.default_rng(0)
    inputs: dict[str, Any] = {"height": generator.normal(size=70), "kept": generator.random(70) < 0.7}
    given = tensors(ir)
    out, lse = cpu_kernel(ir, 16, 16)(
        *given,
        return_lse=True,
        height=torch.from_numpy(inputs["height"]),
        kept=torch.from_numpy(inputs["kept"]),
    )
    assert_inside_error_rule(out, lse, given, mask_of(ir, **inputs))


@pytest.mark.skipif(platform.machine() != "x86_64", reason="these are x86 targets")
@pytest.mark.parametrize("target", ["-march=x86-64", "-march=x86-64-v3", "-march=native"])
@pytest.mark.parametrize("dtype", DTYPES.values(), ids=DTYPES)
def test_every_vector_width(target: str, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    flags = (*compiler.FLAGS, target)
    monkeypatch.setattr(compiler.Compiler, "flags", property(lambda self: flags))
    check(gna(), (4, 4), (4, 8), dim=24, value_dim=20, dtype=dtype)


def test_results_do_not_depend_on_the_number_of_threads() -> None:
    ir = gna()
    given = tensors(ir)
    kernel = cpu_kernel(ir, (4, 4), (4, 4))
    before = torch.get_num_threads()
    results = []
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            results.append(kernel(*given))
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(result, results[0]) for result in results)


def test_threads_may_call_one_kernel_at_once() -> None:
    ir = sliding(200, 30)
    kernel = cpu_kernel(ir, 16, 16)
    cases = [tuple(t * (n + 1) for t in tensors(ir)) for n in range(4)]
    wanted = [kernel(*case) for case in cases]
    results: dict[int, list[Any]] = {n: [] for n in range(4)}

    def work(number: int) -> None:
        for _ in range(20):
            results[number].append(kernel(*cases[number]))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, found in results.items():
        assert all(torch.equal(each, wanted[number]) for each in found)
