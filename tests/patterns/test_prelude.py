"""The prelude's functions in patterns of one's own, and what they say about numbers that cannot be right."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import attndsl


def mask_of(attend: str, shape: tuple[int, ...], **numbers: Any) -> Any:
    """The mask [Nq, Nk] of a pattern over axes y and x (or n) that consists of one expression."""
    axes = "n" if len(shape) == 1 else "y, x"
    parameters = ", ".join(f"{name}: int[axes]" for name in numbers)
    text = f"pattern own({parameters}):\n    space tokens({axes})\n    attend {attend}\n"
    pattern = attndsl.parse(text)
    assert isinstance(pattern, attndsl.Pattern)
    return pattern.bind(shape=shape, **numbers).mask()[0]


@pytest.mark.parametrize(
    ("attend", "keys_of_4"),
    [
        ("causal", [0, 1, 2, 3, 4]),
        ("sliding(2)", [2, 3, 4]),
        ("sliding(2, 1)", [2, 3, 4, 5]),
        ("sliding(left = 0, right = 2)", [4, 5, 6]),
        ("sink(2)", [0, 1]),
        ("global_tokens(5)", [0, 1, 2, 3, 4, 5, 6, 7, 8]),
        ("global_tokens(1)", [0]),
        ("causal and (sliding(1) or sink(1))", [0, 3, 4]),
        ("band(q.n, k.n, 1, 1)", [3, 4, 5]),
        ("same_block(q.n, k.n, 3)", [3, 4, 5]),
        ("same_block(q.n, k.n, 3, shift = 1)", [4, 5, 6]),
        ("same_residue(q.n, k.n, 3)", [1, 4, 7]),
        ("stripe(k.n, 4)", [0, 4, 8]),
        ("stripe(k.n, 4, offset = 3)", [3, 7]),
        ("stripe(q.n, 4)", [0, 1, 2, 3, 4, 5, 6, 7, 8]),
        ("k.n == round_up(q.n, 3)", [6]),
        ("neighborhood(3)", [3, 4, 5]),
        ("neighborhood(3, causal = true)", [2, 3, 4]),
        ("neighborhood_axis(q.n, k.n, extent(n), 3, 1, 2, false)", [2, 4, 6]),
    ],
)
def test_what_query_4_of_9_sees(attend: str, keys_of_4: list[int]) -> None:
    assert np.flatnonzero(mask_of(attend, (9,))[4]).tolist() == keys_of_4


def test_windows_of_an_image_take_a_size_and_a_shift_per_axis() -> None:
    tokens = np.arange(6 * 6).reshape(6, 6)
    seen = mask_of("same_window(size, shift)", (6, 6), size=(2, 3), shift=(1, 0))[tokens[2, 4]]
    assert np.flatnonzero(seen).tolist() == tokens[1:3, 3:6].ravel().tolist()


@pytest.mark.parametrize(
    ("attend", "message"),
    [
        ("sliding(-1)", "left must be 0 or more"),
        ("sliding(1, -1)", "right must be 0 or more"),
        ("sink(-1)", "the number of sink tokens must be 0 or more"),
        ("global_tokens(-1)", "the number of global tokens must be 0 or more"),
        ("same_block(q.n, k.n, 0)", "the block length must be at least 1"),
        ("same_residue(q.n, k.n, 0)", "dilation must be at least 1"),
        ("stripe(k.n, 0)", "the period of a stripe must be at least 1"),
        ("neighborhood(0)", "window must be at least 1"),
        ("neighborhood(3, stride = 4)", "stride must be between 1 and window"),
        ("neighborhood(3, dilation = 0)", "dilation must be at least 1"),
        ("neighborhood(4, dilation = 3)", r"window \* dilation must fit into the axis"),
    ],
)
def test_a_number_that_cannot_be_right_is_refused_with_its_remedy(attend: str, message: str) -> None:
    with pytest.raises(attndsl.AttnBindError, match=message) as caught:
        mask_of(attend, (9,))
    assert caught.value.code == "A0410"
