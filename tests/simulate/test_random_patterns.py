"""Predictions of random patterns: figures as the mask has them, formulas that hold, no traceback."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings

import attndsl
from attndsl.pipeline import Bound
from attndsl.simulate.counting import OtherMaskError, pairs_of_queries
from attndsl.simulate.explain import explain
from attndsl.simulate.formula import keys_per_query
from attndsl.simulate.optimize import optimize
from attndsl.simulate.rebind import integer_parameters
from tests.properties.strategies_language import RandomPattern, patterns


def bound(pattern: RandomPattern) -> Bound:
    result: Bound = attndsl.parse(pattern.text).bind(**pattern.numbers)
    return result


@settings(max_examples=40, deadline=None)
@given(patterns())
def test_figures_are_those_of_the_mask(pattern: RandomPattern) -> None:
    mask = bound(pattern).mask()
    report = bound(pattern).simulate(attention_share=0.5)
    assert report.density == pytest.approx(mask.mean(), rel=1e-12)
    assert report.partial_tiles == 0 or report.partial_because
    assert all(0 < each.tiles <= report.partial_tiles for each in report.partial_because)
    assert json.dumps(report.to_dict(), allow_nan=False)
    assert str(report)


@settings(max_examples=40, deadline=None)
@given(patterns())
def test_formulas_hold_for_the_query_that_they_name(pattern: RandomPattern) -> None:
    one = bound(pattern)
    mask = one.mask()
    formula = keys_per_query(one.ir, float(mask[0].sum(axis=1).mean()))
    if formula is not None and formula.text == formula.mean_text:
        query = np.ravel_multi_index(formula.query, one.ir.query_space.segments[0].extents)
        assert formula.mean == pytest.approx(mask[0][query].sum())


@settings(max_examples=100, deadline=None)
@given(patterns())
def test_counts_by_thresholds_are_exact_or_refused(pattern: RandomPattern) -> None:
    one = bound(pattern)
    try:
        counted = pairs_of_queries(one.ir, np.arange(one.ir.query_space.size))
    except OtherMaskError:
        return
    assert counted == one.mask()[0].sum()


@settings(max_examples=15, deadline=None)
@given(patterns())
def test_explanations_and_searches_have_no_tracebacks(pattern: RandomPattern) -> None:
    ir = bound(pattern).ir
    assert str(explain(ir))
    found = optimize(ir, parameters=[each.name for each in integer_parameters(ir)])
    assert json.dumps(found.to_dict(), allow_nan=False)
    assert found.choices[0].lost == 0.0
