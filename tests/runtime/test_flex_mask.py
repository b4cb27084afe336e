"""Masks as FlexAttention functions: the same pairs as the denotation, for every operator of the language."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import attndsl
from attndsl.ir.ops import OPS
from attndsl.pipeline import Bound

torch = pytest.importorskip("torch")

EXPRESSIONS = [
    "q.y - k.y <= 2 and k.x - q.x < 3",
    "abs(q.y - k.y) + abs(q.x - k.x) <= 3",
    "(q.y - k.y) // 2 == (q.x - k.x) % 3 - 1",
    "min(q.y, k.y) * 2 >= max(q.x, 3) or not q.x != k.x",
    "bit_length(q.y - k.y) <= bit_length(q.x * 5)",
    "(q.x if q.y > k.y else k.x) < 4",
    "sqrt(q.y * q.y + k.x) < 3.5 and exp(-k.y) > 0.01",
    "log2(1 + q.x) / 2 + tanh(k.x) < 2.0 ** k.y",
    "floor(q.x / 2) + ceil(k.x / 3) + round(k.y * 0.4) + int(q.y * 0.7) + real(k.y) <= 6",
    "min(q.y, 2) == -min(-3, -k.y) - 1 or clamp(k.x, 1, 4) == q.x",
]


def bound(text: str, **numbers: Any) -> Bound:
    pattern = attndsl.parse(text)
    assert isinstance(pattern, attndsl.Pattern)
    return pattern.bind(**numbers)


def flex(pattern: Bound, **inputs: Any) -> Any:
    """The whole mask [heads, Nq, Nk] by the FlexAttention function."""
    from attndsl.runtime.flex_mask import mask_function

    mask = mask_function(pattern.ir, {name: torch.as_tensor(value) for name, value in inputs.items()})
    shape = (pattern.ir.heads, pattern.ir.query_space.size, pattern.ir.key_space.size)
    places = np.indices(shape).reshape(3, -1)
    return mask(torch.tensor(0), *map(torch.as_tensor, places)).reshape(shape).numpy()


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_expressions(expression: str) -> None:
    pattern = bound(f"pattern p:\n    space image(y, x)\n    attend {expression}\n", shape=(6, 8))
    assert np.array_equal(flex(pattern), pattern.mask())


@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("gna", {"shape": (6, 7), "window": (3, 4), "stride": (2, 1), "dilation": (2, 1)}),
        ("radial", {"shape": (4, 32), "text": 5, "block": 16}),
        ("cswin", {"shape": (4, 4), "heads": 4, "stripe": 2}),
        (
            "moa",
            {
                "shape": 64,
                "heads": 2,
                "alpha": (0, 8),
                "beta": (0.25, 0.5),
                "block": 8,
                "sink": 8,
                "minimum": 16,
            },
        ),
        ("video_infinity", {"shape": 6, "key_shape": 12, "pad": 2}),
    ],
)
def test_shipped_patterns(name: str, numbers: dict[str, Any]) -> None:
    pattern = attndsl.pattern(name).bind(**numbers)
    assert np.array_equal(flex(pattern), np.broadcast_to(pattern.mask(), flex(pattern).shape))


def test_inputs() -> None:
    pattern = attndsl.pattern("document").bind(shape=8)
    doc = np.array([0, 0, 0, 1, 1, 2, 2, 2])
    assert np.array_equal(flex(pattern, doc=doc), pattern.mask(doc=doc))


def test_every_operator_has_a_torch_function() -> None:
    from attndsl.runtime.torch_expression import TORCH_OPS

    assert set(TORCH_OPS) == set(OPS)
