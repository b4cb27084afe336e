"""The meaning of random patterns: the interpreter agrees with Python's own evaluation of the text."""

from __future__ import annotations

import itertools
import math
import re
from types import SimpleNamespace
from typing import Any

import numpy as np
from hypothesis import given, settings

import attndsl
from tests.properties.strategies_language import AXES, RandomPattern, patterns

BUILTINS = {
    "abs": abs,
    "min": min,
    "max": max,
    "clamp": lambda x, low, high: min(max(x, low), high),
    "bit_length": lambda x: abs(x).bit_length(),
    "floor": math.floor,
    "ceildiv": lambda x, y: -(-x // y),
}


def python_text(condition: str) -> str:
    """A condition as a Python expression; quantifiers become loops over axes."""
    text = re.sub(
        r"all axis a: q\.a - k\.a <= size\[a\]", "every(q.at[a] - k.at[a] <= size for a in axes)", condition
    )
    return text.replace("true", "True").replace("false", "False")


def python_mask(pattern: RandomPattern) -> np.ndarray:
    """[heads, N, N] by evaluating the text for every pair of tokens."""
    numbers: dict[str, Any] = dict(pattern.numbers)
    shape = numbers["shape"]
    lines = pattern.text.split("attend", 1)[1].strip().splitlines()
    arms = [line.split(":", 1)[1] if "text" in pattern.numbers else line for line in lines]
    codes = [compile(python_text(arm.strip()), "arm", "eval") for arm in arms]
    tokens = [
        SimpleNamespace(at=at, **dict(zip(AXES, at, strict=False)))
        for at in itertools.product(*map(range, shape))
    ]
    tokens += [SimpleNamespace(text=True) for _ in range(numbers.get("text", 0))]
    for index, token in enumerate(tokens):
        token.index = index
    mask = np.zeros((pattern.heads, len(tokens), len(tokens)), dtype=bool)
    for head, q, k in itertools.product(range(pattern.heads), tokens, tokens):
        names = {**BUILTINS, **numbers, "q": q, "k": k, "head": head, "axes": range(len(shape)), "every": all}
        names["near"] = numbers["width"] + shape[0] // 2
        names["nearby"] = lambda reach, q=q, k=k: q.index - reach <= k.index <= q.index + reach
        arm = codes[0] if len(codes) == 1 or not (hasattr(q, "text") or hasattr(k, "text")) else codes[1]
        mask[head, q.index, k.index] = eval(arm, names)
    return mask


@settings(max_examples=150, deadline=None)
@given(patterns(most_tokens=20))
def test_the_interpreter_agrees_with_python(pattern: RandomPattern) -> None:
    bound = attndsl.parse(pattern.text).bind(**pattern.numbers)
    np.testing.assert_array_equal(
        np.broadcast_to(bound.mask(), python_mask(pattern).shape), python_mask(pattern)
    )
