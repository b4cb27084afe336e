"""Formulas of the cost, in the patterns' own names: the texts, and their values against the masks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import attndsl
from attndsl.pipeline import Bound
from attndsl.simulate.formula import keys_per_query
from attndsl.simulate.inputs import loosest

EXACT: list[tuple[str, dict[str, Any], str]] = [
    ("full", {"shape": (4, 6)}, "tokens"),
    ("causal", {"shape": 20}, "(extent(n) + 1)/2"),
    ("gna", {"shape": (12, 20), "window": (5, 6), "stride": (2, 3)}, "prod(window)"),
    ("gna", {"shape": 40, "window": 7, "dilation": 3}, "window[0]"),
    ("neighborhood", {"shape": (9, 9, 9), "window": 3}, "prod(window)"),
    ("sta", {"shape": (12, 12), "tile": 2, "window": 6}, "prod(window)"),
    ("blocked", {"shape": (12, 12), "window": 4}, "prod(window)"),
    ("window", {"shape": (12, 12), "window": 4}, "prod(window)"),
    ("maxvit_grid", {"shape": (12, 12), "grid": 4}, "prod(grid)"),
    ("crossformer_lda", {"shape": (12, 12), "group": 3, "interval": 2}, "group**2"),
    ("inward_window", {"shape": (3, 10, 12), "dh": 2, "dw": 3}, "extent(t)*(4*dh*dw + 2*dh + 2*dw + 1)"),
    ("frame_causal", {"shape": (12, 5), "chunk": 3}, "(chunk*extent(token) + tokens)/2"),
    ("document", {"shape": 20}, "(extent(n) + 1)/2"),
    ("cswin", {"shape": (12, 12), "heads": 2, "stripe": 3}, "extent(x)*stripe"),
]


@pytest.mark.parametrize(
    ("name", "numbers", "text"), EXACT, ids=[f"{n}-{i}" for i, (n, *_) in enumerate(EXACT)]
)
def test_the_mean_is_exact_where_edges_take_nothing_away(
    name: str, numbers: dict[str, Any], text: str
) -> None:
    bound = attndsl.pattern(name).bind(**numbers)
    ir = loosest(bound.ir)
    keys = Bound(ir).mask()[0].sum(axis=1).mean()
    formula = keys_per_query(bound.ir, keys)
    assert formula is not None
    assert formula.mean_text == text
    assert formula.mean == pytest.approx(keys, rel=1e-12)


AWAY_FROM_EDGES: list[tuple[str, dict[str, Any], str]] = [
    ("sliding_window", {"shape": 100, "left": 7, "right": 2}, "left + right + 1"),
    ("dilated_window", {"shape": 100, "left": 3, "right": 2, "dilation": 4}, "left + right + 1"),
    ("streaming", {"shape": 100, "sink": 4, "window": 9}, "sink + window"),
    ("global_window", {"shape": 100, "left": 7, "right": 2, "n_global": 3}, "left + n_global + right + 1"),
    ("shifted_window", {"shape": (24, 24), "window": 4, "shift": 2}, "prod(window)"),
    ("attention_tile", {"shape": (16, 5), "reference": 4}, "extent(token) + tokens/reference"),
]


@pytest.mark.parametrize(
    ("name", "numbers", "text"), AWAY_FROM_EDGES, ids=[name for name, *_ in AWAY_FROM_EDGES]
)
def test_the_formula_holds_for_the_query_that_it_names(name: str, numbers: dict[str, Any], text: str) -> None:
    bound = attndsl.pattern(name).bind(**numbers)
    keys = bound.mask()[0].sum(axis=1)
    formula = keys_per_query(bound.ir, keys.mean())
    assert formula is not None
    assert formula.text == text
    query = np.ravel_multi_index(formula.query, bound.ir.query_space.segments[0].extents)
    assert formula.mean == keys[query]


def test_per_head_parameters_are_named_by_head() -> None:
    bound = attndsl.pattern("moa").bind(
        shape=512, heads=2, alpha=(64, 128), beta=(0.0, 0.0), block=16, sink=0, minimum=16
    )
    formula = keys_per_query(bound.ir, 100.0, head=1)
    assert formula is not None
    assert "alpha[head]" in formula.text


def test_a_mask_with_text_adds_up_over_the_segments() -> None:
    pattern = attndsl.parse(
        "pattern local(left: int):\n    space video(t) ++ text(n)\n    attend\n"
        "        video -> video: band(q.t, k.t, left, 0)\n        else: true\n"
    )
    formula = keys_per_query(pattern.bind(shape=40, text=5, left=3).ir, 9.0)
    assert formula is not None
    assert formula.text == "extent(n) + left + 1"


@pytest.mark.parametrize("name", ["radial", "svg_spatial"])
def test_masks_without_a_formula_say_so(name: str) -> None:
    ir = attndsl.pattern(name).bind(shape=(6, 128)).ir
    assert keys_per_query(ir, 1.0) is None
