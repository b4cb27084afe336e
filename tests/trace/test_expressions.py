"""Each operator and function of Python stands for one of the language: both spellings have equal IR."""

from __future__ import annotations

import pytest

from tests.trace.python_functions import attn, knows_places, pattern, run

SPELLINGS = {
    "q.n + k.n < 3": "q.n + k.n < 3",
    "3 + q.n - 1 < 2 * k.n": "3 + q.n - 1 < 2 * k.n",
    "7 - q.n < k.n / 2": "7 - q.n < k.n / 2",
    "q.n // 2 % 3 == 10 // (k.n + 1) % 3": "q.n // 2 % 3 == 10 // (k.n + 1) % 3",
    "2 ** q.n < k.n ** 2": "2 ** q.n < k.n ** 2",
    "-q.n < +k.n - 1": "-q.n < k.n - 1",
    "q.n == -1": "q.n == -1",
    "q.n < 0.5e-3": "q.n < 0.0005",
    "0 <= q.n": "0 <= q.n",
    "(q.n > 1) & (k.n >= 2) | ~(q.n != k.n)": "q.n > 1 and k.n >= 2 or not q.n != k.n",
    "True & (q.n > 1)": "true and q.n > 1",
    "abs(q.n - k.n) < 3": "abs(q.n - k.n) < 3",
    "round(q.n / 2) < math.floor(k.n / 3)": "round(q.n / 2) < floor(k.n / 3)",
    "math.ceil(q.n / 2) < math.trunc(k.n / 3)": "ceil(q.n / 2) < int(k.n / 3)",
    "lang.min(q.n, k.n, 3) < lang.max(q.n, 2)": "min(q.n, k.n, 3) < max(q.n, 2)",
    "lang.clamp(q.n, 1, 5) < lang.ceildiv(k.n, 2)": "clamp(q.n, 1, 5) < ceildiv(k.n, 2)",
    "lang.exp(q.n) < lang.tanh(k.n)": "exp(q.n) < tanh(k.n)",
    "lang.erf(q.n / 8) < lang.sqrt(k.n)": "erf(q.n / 8) < sqrt(k.n)",
    "lang.log2(q.n + 1) < lang.sqrt(k.n)": "log2(q.n + 1) < sqrt(k.n)",
    "lang.int(q.n / 2) < lang.real(k.n)": "int(q.n / 2) < real(k.n)",
    "lang.bit_length(q.n) < lang.abs(k.n)": "bit_length(q.n) < abs(k.n)",
    "lang.floor(q.n / 2) + lang.ceil(q.n / 2) < lang.round(q.n / 3)": "floor(q.n / 2) + ceil(q.n / 2) < "
    "round(q.n / 3)",
    "where(q.n > 3, q.n, k.n) < 2": "(q.n if q.n > 3 else k.n) < 2",
    "q['n'] < extent('n')": "q.n < extent(n)",
    "q.index < k.index": "q.index < k.index",
    "head < lang.kv_head + heads + lang.kv_heads + lang.rank": "head < kv_head + heads + kv_heads + rank",
    "sliding(3, right=2)": "sliding(3, right = 2)",
    "any_of(k.n == each for each in (1, 2, 3))": "k.n == 1 or k.n == 2 or k.n == 3",
    "lang.all_of([q.n > 1, k.n > 1])": "q.n > 1 and k.n > 1",
    "lang.any_of([])": "false or false",
    "np.int64(3) <= q.n": "3 <= q.n",
    "q.n < np.float64(0.5)": "q.n < 0.5",
    "np.True_ & (q.n > 1)": "true and q.n > 1",
    "sum([q.n, k.n]) < 3": "0 + q.n + k.n < 3",
    "True": "true",
    "np.False_": "false",
}


@pytest.mark.parametrize("python", SPELLINGS)
def test_python_and_text_have_equal_ir(python: str) -> None:
    assert pattern(python).ir == attn(SPELLINGS[python]).ir


@knows_places
@pytest.mark.parametrize("condition", ["3 == q.n", "3 != q.n"])
def test_equality_with_a_literal_keeps_its_order(condition: str) -> None:
    assert pattern(condition).ir == attn(condition).ir


WITH_AXES = {
    "all_axes(lambda a: abs(q[a] - k[a]) <= w[a])": "all axis a: abs(q.a - k.a) <= w[a]",
    "lang.any_axes(lambda a: q[a] < extent(a))": "any axis a: q.a < extent(a)",
    "all_axes(lambda a: lang.any_axes(lambda b: w[a] * q[b] < w[b]))": "all axis a: any axis b: "
    "w[a] * q.b < w[b]",
    "all_axes(lambda w_: q[w_] < 3) & all_axes(lambda z: k[z] < 2)": "(all axis a: q.a < 3) and "
    "(all axis a: k.a < 2)",
    "q.x < w['x'] + w[0]": "q.x < w[x] + w[0]",
    "q.y < (w * 2)['x']": "q.y < w[x] * 2",
    "lang.neighborhood(w, stride=2)": "neighborhood(w, stride = 2)",
    "all_axes(lambda axis: True)": "all axis a: true",
}


@pytest.mark.parametrize("python", WITH_AXES)
def test_axes_of_a_space_have_equal_ir(python: str) -> None:
    traced = pattern(python, ", w: PerAxis[int]", '@attndsl.jit(space="image(y, x)")')
    assert traced.ir == attn(WITH_AXES[python], "w: int[axes]", "image(y, x)").ir


def test_comparisons_in_place_of_a_chain_have_the_ir_of_the_chain() -> None:
    python = pattern("(q.n - left <= k.n) & (k.n < q.n + right)", ", left: int, right: int = 1")
    assert python.ir == attn("q.n - left <= k.n < q.n + right", "left: int, right: int = 1").ir


def test_assignment_in_place_and_loops_over_constants_build_one_condition() -> None:
    text = "@attndsl.jit\ndef p(q, k):\n    seen = k.n <= q.n\n    for block in (1, 2):\n"
    text += "        seen |= k.n // 4 == block\n    return seen\n"
    assert run(text)["p"].ir == attn("k.n <= q.n or k.n // 4 == 1 or k.n // 4 == 2").ir


def test_a_parameter_of_fixed_length_can_be_unpacked() -> None:
    text = "@attndsl.jit\ndef p(q, k, *, pad: tuple[int, int]):\n    left, right = pad\n"
    text += "    return (q.n - left <= k.n) & (k.n <= q.n + right)\n"
    assert run(text)["p"].ir == attn("q.n - pad[0] <= k.n <= q.n + pad[1]", "pad: int[2]").ir


def test_printing_a_traced_value_shows_its_text(capsys: pytest.CaptureFixture[str]) -> None:
    text = "@attndsl.jit\ndef p(q, k, *, w: int):\n    print(abs(q.n - k.n) <= w)\n    return k.n <= q.n\n"
    run(text)
    assert capsys.readouterr().out == "abs(q.n - k.n) <= w\n"
