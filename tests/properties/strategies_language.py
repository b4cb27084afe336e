"""Random patterns as text of the language, with numbers to bind them: whole patterns, not only parameters.

Divisors, exponents and shapes are chosen so that every pattern binds; all operators, spaces of one to three
axes, segments, lets, functions, per-axis and per-head parameters occur.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

AXES = ("t", "h", "w")


@dataclass(frozen=True)
class RandomPattern:
    """A pattern's text and the numbers that bind it."""

    text: str
    numbers: dict[str, Any]
    heads: int

    def __repr__(self) -> str:
        return f"{self.text}\nbind({self.numbers})"


def integers(axes: tuple[str, ...], per_head: bool) -> st.SearchStrategy[str]:
    """Integer expressions over the coordinates of these axes."""
    coordinates = [f"{side}.{axis}" for side in "qk" for axis in axes]
    leaves = [st.sampled_from([*coordinates, "q.index", "k.index", "near", "width"])]
    leaves.append(st.integers(0, 9).map(str))
    if per_head:
        leaves += [st.just("alpha[head]"), st.just("head")]
    return st.recursive(
        st.one_of(leaves),
        lambda inner: st.one_of(
            st.tuples(inner, st.sampled_from(["+", "-", "*"]), inner).map(
                lambda t: f"({t[0]} {t[1]} {t[2]})"
            ),
            st.tuples(inner, st.sampled_from(["//", "%"]), st.integers(1, 5)).map(
                lambda t: f"({t[0]} {t[1]} {t[2]})"
            ),
            st.tuples(st.sampled_from(["min", "max"]), inner, inner).map(lambda t: f"{t[0]}({t[1]}, {t[2]})"),
            inner.map(lambda x: f"clamp({x}, 0, 6)"),
            inner.map(lambda x: f"abs({x})"),
            inner.map(lambda x: f"(-{x})"),
            inner.map(lambda x: f"bit_length({x})"),
            inner.map(lambda x: f"floor({x} / 2)"),
            inner.map(lambda x: f"ceildiv({x}, 3)"),
            inner.map(lambda x: f"2 ** clamp({x}, 0, 5)"),
        ),
        max_leaves=4,
    )


def conditions(axes: tuple[str, ...], per_head: bool) -> st.SearchStrategy[str]:
    """Conditions: comparisons of positions as patterns have them, joined by logic."""
    number = integers(axes, per_head)
    compare = st.sampled_from(["<", "<=", ">", ">=", "==", "!="])
    atoms = st.one_of(
        st.tuples(number, compare, number).map(" ".join),
        st.tuples(number, number, number).map(lambda t: f"{t[0]} <= {t[1]} < {t[2]}"),
        st.sampled_from(axes).map(lambda a: f"abs(q.{a} - k.{a}) <= width"),
        st.sampled_from(axes).map(lambda a: f"q.{a} // width == k.{a} // width"),
        st.sampled_from(axes).map(lambda a: f"q.{a} % width == k.{a} % width"),
        st.sampled_from(["k.index <= q.index", "all axis a: q.a - k.a <= size[a]", "nearby(width)"]),
    ).map(lambda text: f"({text})")
    return st.recursive(
        atoms,
        lambda inner: st.one_of(
            st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
            inner.map(lambda x: f"(not {x})"),
            st.tuples(inner, inner, inner).map(lambda t: f"({t[0]} if {t[1]} else {t[2]})"),
        ),
        max_leaves=4,
    )


@st.composite
def patterns(draw: st.DrawFn, most_tokens: int = 60) -> RandomPattern:
    """A random pattern of one main segment, sometimes with a text segment or per-head parameters."""
    rank = draw(st.integers(1, 3))
    axes = AXES[:rank]
    per_head = draw(st.booleans())
    side = round(most_tokens ** (1 / rank))
    shape = tuple(draw(st.integers(1, side)) for _ in axes)
    condition = draw(conditions(axes, per_head))
    segmented = draw(st.booleans())
    attend = f"    attend {condition}\n"
    space = f"    space video({', '.join(axes)})"
    numbers: dict[str, Any] = {
        "shape": shape,
        "width": draw(st.integers(1, 6)),
        "size": draw(st.integers(0, 5)),
    }
    if segmented:
        space += " ++ text(n)"
        attend = (
            f"    attend\n        video -> video: {condition}\n        else: {draw(conditions_of_text())}\n"
        )
        numbers["text"] = draw(st.integers(0, 7))
    heads = draw(st.integers(1, 4)) if per_head else 1
    parameters = "width: int, size: int[axes]"
    if per_head:
        parameters += ", alpha: int[heads]"
        numbers |= {
            "heads": heads,
            "alpha": draw(st.lists(st.integers(0, 9), min_size=heads, max_size=heads)),
        }
    text = (
        "def nearby(reach):\n    return q.index - reach <= k.index <= q.index + reach\n\n"
        f"pattern random({parameters}):\n{space}\n    let near = width + extent(t) // 2\n{attend}"
    )
    return RandomPattern(text, numbers, heads)


def conditions_of_text() -> st.SearchStrategy[str]:
    """Conditions that mean something in every segment."""
    return st.sampled_from(["true", "false", "k.index <= q.index", "(q.index + k.index) % width == 0"])
