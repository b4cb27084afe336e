"""Bind: numbers take their place, defaults and broadcasting, names of bound patterns, heads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import attndsl
from attndsl.ir.text import bound_text

GNA = attndsl.pattern("gna")


@pytest.mark.parametrize("window", [3, (3, 3), [3, 3], np.int64(3), np.array([3, 3]), np.array(3)])
def test_one_number_stands_for_every_axis(window: Any) -> None:
    assert GNA.bind(shape=(8, 9), window=window).ir == GNA.bind(shape=(8, 9), window=(3, 3)).ir


@pytest.mark.parametrize("shape", [7, (7,), [7], np.array([7])])
def test_extents_of_one_axis(shape: Any) -> None:
    assert attndsl.pattern("causal").bind(shape=shape).mask().shape == (1, 7, 7)


def test_a_segment_left_out_has_no_tokens() -> None:
    radial = attndsl.pattern("radial")
    assert radial.bind(shape=(3, 128)).ir.query_space.size == 384
    assert radial.bind(shape=(3, 128), text=5).ir.query_space.size == 389


def test_defaults_may_use_earlier_parameters_and_extents() -> None:
    text = "pattern p(a: int, b: int = a + extent(n)):\n    space tokens(n)\n    attend k.n < b\n"
    assert attndsl.parse(text).bind(shape=4, a=-2).mask()[0, 0].tolist() == [True, True, False, False]


def test_the_name_carries_the_parameters() -> None:
    bound = GNA.bind(shape=(30, 48, 80), window=(18, 24, 24), stride=(16, 8, 8))
    assert bound.name == "gna_w18x24x24_s16x8x8"
    assert GNA.bind(shape=(8, 8), window=3, causal=(True, False)).name == "gna_w3x3_c1x0"
    assert attndsl.pattern("radial").bind(shape=(3, 128), decay=0.95).name == "radial_d0p95"


def test_the_name_is_an_identifier_even_for_long_parameters() -> None:
    alpha = np.linspace(0, 1, 32)
    name = attndsl.pattern("moa").bind(shape=512, heads=32, alpha=alpha, beta=alpha).name
    assert name.isidentifier()
    assert len(name) <= 60


def test_kv_head_groups_query_heads() -> None:
    text = "pattern p:\n    space tokens(n)\n    attend k.n == kv_head\n"
    mask = attndsl.parse(text).bind(shape=4, heads=4, kv_heads=2).mask()
    assert mask[:, 0].argmax(axis=-1).tolist() == [0, 0, 1, 1]


def test_a_parameter_may_be_called_group() -> None:
    text = "pattern p(group: int):\n    space tokens(n)\n    attend k.n == kv_head * group\n"
    mask = attndsl.parse(text).bind(shape=4, heads=4, kv_heads=2, group=3).mask()
    assert mask[:, 0].argmax(axis=-1).tolist() == [0, 0, 3, 3]


def test_heads_may_be_left_out_where_the_mask_is_the_same_for_all() -> None:
    assert attndsl.pattern("causal").bind(shape=4).any_heads
    assert not attndsl.pattern("causal").bind(shape=4, heads=2).any_heads


def test_segments_get_their_arms() -> None:
    text = """pattern p(window: int[2]):
    space video(t, h) ++ text(n)
    attend
        video -> video: abs(q.t - k.t) < window[0] and abs(q.h - k.h) < window[1]
        video -> text: true
        else: q.index >= k.index
"""
    mask = attndsl.parse(text).bind(shape=(2, 3), text=2, window=(1, 2)).mask()[0]
    assert mask[:6, 6:].all()
    assert mask[6:, :6].all()
    assert mask[6:, 6:].tolist() == [[True, False], [True, True]]
    assert mask[0, :6].tolist() == [True, True, False, False, False, False]


def test_quantifiers_name_axes_of_the_segment() -> None:
    text = "pattern p(window: int[axes]):\n    space video(t, h)\n    attend q.t == k.t and k.h < window[h]\n"
    assert (
        attndsl.parse(text).bind(shape=(2, 3), window=(9, 2)).mask()[0, 0].tolist()
        == [True, True] + [False] * 4
    )


def test_nested_quantifiers_do_not_capture_each_other() -> None:
    text = """
def wider(n):
    return any axis a: extent(a) > n

pattern p:
    space video(t, h)
    attend all axis a: wider(extent(a))
"""
    assert not attndsl.parse(text).bind(shape=(2, 3)).mask().any()
    assert attndsl.parse(text.replace("extent(a))", "extent(a) - 1)")).bind(shape=(2, 3)).mask().all()


def test_bound_text_shows_the_mask_with_its_numbers() -> None:
    assert bound_text(attndsl.pattern("sliding_window").bind(shape=8, left=3).ir).splitlines()[
        -1
    ].strip() == ("attend tokens -> tokens: q.n - 3 <= k.n and k.n <= q.n")
