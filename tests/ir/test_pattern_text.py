"""The text of pattern IR reads back as the same IR, and as the same text."""

from __future__ import annotations

import pytest

import attndsl
from attndsl.ir.pattern import PatternIR
from attndsl.ir.pattern_text import pattern_text

HEAD = "pattern p(f: relu | softmax = relu, w: int = 3):\n    space tokens(n)\n"
BODIES = {
    "chains": "attend 0 <= q.n - k.n < w and k.n != 5",
    "chains of truth values": "attend (q.n < 3) == (k.n < 3) == (w > 2)",
    "a chain beside its end": "attend q.n <= k.n and k.n < w and k.n > 1",
    "parentheses on the right": "attend q.n < 3 and (k.n < 3 and w > 2) or (q.n > 5 or (k.n > 5 or w < 2))",
    "messages": 'require w > 1, "a \\"window\\" of \\\\ and\\n more"\n    attend true',
    "inputs": "input t: real[key, extent(n), 9]\n    attend true\n    score s + t[k, k.index, q.index % 9]",
    "a feature map": "attend causal\n    feature elu1\n    weight s",
    "chosen feature maps": "attend causal\n    feature f\n    weight s",
    "no feature map": "attend causal\n    feature identity\n    weight s",
    "decays": "input g: real[tokens]\n    attend causal\n    decay (1.0 - g) * exp(g) ** 2.0 per step of n",
    "projections": """input a: real[dim, dim]
    branch near:
        attend causal and (k.n > 2 and q.n > 3)
        feature sigmoid
        weight s
    branch far:
        attend true
        feature f
        weight s
    combine project(near + far, a)""",
}


def check(ir: PatternIR) -> None:
    text = pattern_text(ir)
    again = attndsl.parse(text).ir
    assert again == ir
    assert pattern_text(again) == text


@pytest.mark.parametrize("name", attndsl.patterns())
def test_every_shipped_pattern(name: str) -> None:
    check(attndsl.pattern(name).ir)


@pytest.mark.parametrize("name", BODIES)
def test_every_form(name: str) -> None:
    check(attndsl.parse(f"{HEAD}    {BODIES[name]}\n").ir)


def test_arms_of_several_segments() -> None:
    text = "pattern p:\n    space video(t) ++ text(n)\n    attend\n"
    check(attndsl.parse(f"{text}        video -> video: q.t == k.t\n        else: true\n").ir)


def test_it_is_short() -> None:
    ir = attndsl.parse("pattern p(w: int):\n    space tokens(n)\n    attend 0 <= q.n - k.n < w\n").ir
    assert pattern_text(ir) == "pattern p(w: int):\n    space tokens(n)\n    attend 0 <= q.n - k.n < w"
