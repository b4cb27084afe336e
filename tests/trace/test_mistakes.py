"""Mistakes in traced functions, each with its whole rendered error as a golden file.

Those that only Python code can make (A10xx) stand among the errors of the documentation.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

import attndsl
from tests.trace.python_functions import knows_places, run

pytestmark = knows_places

CONDITIONS = {
    "and": "k.n <= q.n and q.n - k.n < 128",
    "or": "k.n < 4 or k.n <= q.n",
    "not": "not k.n <= q.n",
    "chain": "q.n - left <= k.n <= q.n",
    "missing_parentheses": "q.n - left <= k.n & k.n <= q.n",
    "more_parentheses": "q.n <= k.n & 0 <= q.n <= 9 | k.n == 3 & q.n < 4",
    "choice": "(left if k.n < 4 else 0) < q.n",
    "in": "k.n in (1, 2)",
    "not_in": "k.n not in chosen",
    "min": "min(q.n, left) < k.n",
    "any": "any(k.n == each for each in (1, 2))",
    "sorted": "sorted([q.n, k.n])",
    "bool": "bool(k.n < 4)",
    "nested": "not (k.n < 4 or 0 <= k.n <= q.n) and q.n < 9",
    "int": "int(q.n / 2) < k.n",
    "float": "math.exp(q.n) < 3",
    "range": "any_of(k.n == each for each in range(left))",
    "index": "chosen[q.n] < k.n",
    "length": "k.n < len(q.n)",
    "iteration": "sum(q.n) < k.n",
    "member": "3 in q.n",
    "key": "{q.n: 1}[k.n]",
    "matmul": "q.n @ k.n",
    "shift": "q.n << 2 < k.n",
    "xor": "(q.n < 3) ^ (k.n < 3)",
    "numpy": "np.exp(q.n) < 3",
    "array": "q.n < np.arange(3)",
    "text": "q.n < '3'",
    "infinity": "q.n < math.inf",
    "huge": "q.n < 2 ** 70",
    "none": "None",
    "tuple": "(q.n < 3, k.n < 3)",
    "arm_name": "{'tokens': k.n < 3}",
    "two_axes": "abs(q.x - k.x) + abs(q.y - k.y) < left",
    "axis_leak": "all_axes(lambda a: leaked.append(a) or True) & (q[leaked[0]] < 3)",
    "quantifier": "all_axes(True)",
    "position_read": "q[3] < k.n",
    "local_elements": "all_axes(lambda a: (q[a] * 2)[a] < 3)",
    "score": "Attention(score=3)",
    "decay": "Attention(decay=lambda s: s)",
}
FUNCTIONS = {
    "if": "def p(q, k):\n    if k.n <= q.n:\n        return True\n    return k.n < 4\n",
    "while": "def p(q, k):\n    n = q.n\n    while n > 4:\n        n = n // 2\n    return k.n == n\n",
    "assert": "def p(q, k, left: int):\n    assert left >= 0\n    return q.n - left <= k.n\n",
    "comprehension": "def p(q, k):\n    return any_of([k.n == b for b in (1, 2) if q.n > b])\n",
    "no_return": "def p(q, k, left: int):\n    k.n <= q.n\n",
    "no_positions": "def p(left: int):\n    return True\n",
    "no_type": "def p(q, k, left):\n    return q.n - left <= k.n\n",
    "wrong_type": "def p(q, k, left: str):\n    return q.n - left <= k.n\n",
    "wrong_input": "def p(q, k, doc: Input[str]):\n    return doc[q] == doc[k]\n",
    "annotation": "def p(q, k, left: 'nit'):\n    return q.n - left <= k.n\n",
    "head": "def p(q, k, head):\n    return k.n <= q.n\n",
    "star": "def p(q, k, *lefts):\n    return k.n <= q.n\n",
    "word": "def p(q, k, attend: int):\n    return k.n <= q.n + attend\n",
    "default": "def p(q, k, window: tuple[int, int] = (3, 5)):\n    return k.n <= q.n + window[0]\n",
    "axis_name": "def p(q, k, n: int):\n    return k.n <= q.n + n\n",
    "pattern_name": "def attend(q, k):\n    return k.n <= q.n\n",
    "message": "def p(q, k, left: int):\n    require(left >= 0, left)\n    return q.n - left <= k.n\n",
}
OTHERS = {
    "class": "attndsl.jit(3)\n",
    "require_outside": "require(heads > 1, 'more heads')\n",
    "space_type": "@attndsl.jit(space=3)\ndef p(q, k):\n    return k.n <= q.n\n",
}
SHARED = {
    "precedence": "q.n < 3 & k.n",
    "truth_value_in_sum": "q.n + (q.n < k.n) < 3",
    "number_as_condition": "where(q.n, 1, 2) < 3",
    "number_as_mask": "q.n - k.n",
    "position": "q < k",
    "attribute": "q.n.abs() < 3",
    "vector": "window < 3",
    "axis_as_number": "all_axes(lambda a: q[a] + a < 3)",
    "subscript_of_scalar": "q.n < left[0]",
    "unknown_argument": "sliding(left=3, lft=3)",
    "missing_argument": "sliding()",
    "require_about_tokens": "(require(q.n > 3, 'no'), True)[1]",
    "too_large": "sum((k.n - each for each in range(300)), q.n) < 3",
}
SPACES = {
    "unknown_axis": ("video(t, h)", "q.t < k.w"),
    "syntax": ("video(t, h) + text(n)", "True"),
    "axis_twice": ("video(t, t)", "True"),
    "missing_arm": ("video(t) ++ text(n)", "{'video -> video': True}"),
    "unknown_segment": ("video(t) ++ text(n)", "{'vidoe -> text': True, 'else': True}"),
    "coordinate": ("video(t) ++ text(n)", "q.t < k.t"),
}


def error_of(text: str) -> str:
    with pytest.raises(attndsl.AttnError) as caught:
        run(text)
    return caught.value.render() + "\n"


def returning(condition: str) -> str:
    return "chosen, leaked = [1, 2], []\n@attndsl.jit\n" + (
        f"def p(q, k, *, left: int = 8, window: PerAxis[int] = 3):\n    return {condition}\n"
    )


@pytest.mark.parametrize("name", CONDITIONS)
def test_python_that_cannot_be_traced(name: str, golden: Callable[[str, str], None]) -> None:
    golden(f"errors/traced_{name}.txt", error_of(returning(CONDITIONS[name])))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_function_that_cannot_be_traced(name: str, golden: Callable[[str, str], None]) -> None:
    golden(f"errors/traced_{name}.txt", error_of("@attndsl.jit\n" + FUNCTIONS[name]))


@pytest.mark.parametrize("name", OTHERS)
def test_use_of_the_decorator(name: str, golden: Callable[[str, str], None]) -> None:
    golden(f"errors/traced_{name}.txt", error_of(OTHERS[name]))


@pytest.mark.parametrize("name", SHARED)
def test_mistake_of_a_text_in_the_spelling_of_python(name: str, golden: Callable[[str, str], None]) -> None:
    golden(f"trace/{name}.txt", error_of(returning(SHARED[name])))


@pytest.mark.parametrize("name", SPACES)
def test_mistake_in_a_space_points_into_the_decorator(name: str, golden: Callable[[str, str], None]) -> None:
    space, condition = SPACES[name]
    text = f'@attndsl.jit(space="{space}")\ndef p(q, k):\n    return {condition}\n'
    golden(f"trace/{name}.txt", error_of(text))
