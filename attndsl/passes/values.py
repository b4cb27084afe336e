"""Conversion of the numbers that bind is given: checked against the declared types, as IR constants."""

from __future__ import annotations

import numbers
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, cast

import numpy as np

from attndsl.diagnostics import AttnBindError
from attndsl.ir.bound import Segment, Space
from attndsl.ir.expr import Const
from attndsl.ir.ops import Scalar
from attndsl.ir.pattern import Parameter, PatternIR, SegmentShape

LARGEST_INT = 2**62
LARGEST_REAL = 1e300
MOST_TOKENS = 2**31 - 1
KINDS = {"int": "an integer", "real": "a number", "bool": "True or False"}


def convert(parameter: Parameter, value: object, *, rank: int, heads: int) -> tuple[Const, ...]:
    """The elements of a parameter's value; a single value stands for every axis, head or element."""
    if not parameter.shape:
        return (_element(parameter, value),)
    length = {"axes": rank, "heads": heads}.get(str(parameter.shape[0]), parameter.shape[0])
    assert isinstance(length, int)
    if isinstance(value, str) or not (isinstance(value, Sequence) or _is_array(value)):
        return (_element(parameter, value),) * length
    elements = as_list(value)
    if len(elements) != length:
        per = {"axes": "one per axis", "heads": "one per head"}.get(
            str(parameter.shape[0]), "its declared length"
        )
        raise AttnBindError(
            "A0404",
            f"`{parameter.name}` needs {length} values ({per}), {len(elements)} given",
            span=parameter.span,
            help=f"pass {length} values, or one for all",
        )
    return tuple(_element(parameter, element) for element in elements)


def _is_array(value: object) -> bool:
    """Whether this is a NumPy array or a tensor with at least one dimension."""
    return hasattr(value, "tolist") and getattr(value, "ndim", None) != 0


def as_list(value: object) -> list[object]:
    """A sequence, array or tensor as a list; a single value as a list of one."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, Sequence) and not isinstance(value, str):
        return list(value)
    return [value]


def _choice(parameter: Parameter, value: object) -> Const:
    """The place of a name that the parameter chooses from."""
    if value in parameter.choices:
        return Const(parameter.choices.index(str(value)))
    names = ", ".join(f"{each!r}" for each in parameter.choices)
    raise AttnBindError(
        "A0420", f"`{parameter.name}` must be one of {names}", span=parameter.span,
        note=f"{_shorten(value)} given", help=f"pass {parameter.name}={parameter.choices[0]!r}",
    )  # fmt: skip


def _element(parameter: Parameter, value: object) -> Const:
    if parameter.choices:
        return _choice(parameter, value)
    if isinstance(value, np.generic | np.ndarray):
        value = value.item() if value.size == 1 else value
    if _fits(parameter.kind, value):
        number: Any = value
        return Const({"int": int, "real": float, "bool": bool}[parameter.kind](number))
    raise AttnBindError(
        "A0403",
        f"`{parameter.name}` must be {_wanted(parameter.kind, value)}",
        span=parameter.span,
        note=f"{_shorten(value)} given",
        help=f"pass {parameter.name}={example(parameter)}",
    )


def _fits(kind: Scalar, value: object) -> bool:
    if kind == "bool":
        return isinstance(value, bool)
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return False
    if kind == "int":
        return isinstance(value, numbers.Integral) and abs(int(value)) <= LARGEST_INT
    return -LARGEST_REAL < cast(float, value) < LARGEST_REAL


def _wanted(kind: Scalar, value: object) -> str:
    """What a value that does not fit should be: its type, or its size where the type is right."""
    if kind != "bool" and not isinstance(value, bool):
        if kind == "int" and isinstance(value, numbers.Integral):
            return "an integer between -2**62 and 2**62"
        if kind == "real" and isinstance(value, numbers.Real):
            return f"a finite number between -{LARGEST_REAL:g} and {LARGEST_REAL:g}"
    return KINDS[kind]


def _shorten(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def example(parameter: Parameter) -> str:
    """A value that the parameter would take, for help texts."""
    if parameter.choices:
        return repr(parameter.choices[0])
    one = {"int": "8", "real": "0.5", "bool": "True"}[parameter.kind]
    return f"({one}, ...)" if parameter.shape else one


def refuse_unknown(pattern: PatternIR, given: Mapping[str, object]) -> None:
    """Every name given to bind must be a parameter or a segment of the pattern."""
    known = [each.name for each in pattern.parameters]
    known += [segment.name for segment in (*pattern.query_space[1:], *pattern.key_space[1:])]
    for name in given:
        if name not in known:
            close = get_close_matches(name, known, n=1)
            listing = f"it takes: {', '.join(dict.fromkeys(known)) or 'no parameters'}"
            raise AttnBindError(
                "A0402",
                f"pattern `{pattern.name}` has no parameter `{name}`",
                help=f"did you mean `{close[0]}`?" if close else listing,
            )


def space(
    segments: tuple[SegmentShape, ...], shape: object, given: Mapping[str, object], argument: str
) -> Space:
    """The segments with their extents: `shape` for the first one, by name (default 0) for the others."""
    bound: list[Segment] = []
    for number, segment in enumerate(segments):
        value = shape if number == 0 else given.get(segment.name, (0,) * len(segment.axes))
        extents = _extents(
            segment, value, argument if number == 0 else segment.name, least=1 if number == 0 else 0
        )
        axes = tuple(f"axis{i}" for i in range(len(extents))) if segment.variadic else segment.axes
        bound.append(Segment(segment.name, axes, extents, sum(each.size for each in bound)))
    result = Space(tuple(bound))
    if result.size > MOST_TOKENS:
        raise AttnBindError(
            "A0406",
            f"{argument} gives {result.size:,} tokens",
            help=f"at most {MOST_TOKENS:,} tokens are supported",
        )
    return result


def _extents(segment: SegmentShape, value: object, argument: str, least: int) -> tuple[int, ...]:
    extents = as_list(value)
    if not all(isinstance(each, numbers.Integral) and not isinstance(each, bool) for each in extents):
        raise AttnBindError(
            "A0405", f"{argument} must be integers, {_shorten(value)} given", help="pass one extent per axis"
        )
    numbers_given = tuple(int(each) for each in extents if isinstance(each, numbers.Integral))
    wanted = "any number of axes, at most 8" if segment.variadic else f"({', '.join(segment.axes)})"
    if len(numbers_given) != len(segment.axes) and not (segment.variadic and 1 <= len(numbers_given) <= 8):
        raise AttnBindError(
            "A0405",
            f"{argument} has {len(numbers_given)} extents, segment `{segment.name}` has {wanted}",
            help=f"pass {argument}={spelled(segment.axes)}",
        )
    for extent in numbers_given:
        if not least <= extent <= MOST_TOKENS:
            bound = f"at least {least}" if extent < least else f"at most {MOST_TOKENS:,}"
            raise AttnBindError("A0406", f"{argument} has the extent {extent}", help=f"extents are {bound}")
    return numbers_given


def spelled(axes: Sequence[str]) -> str:
    """A tuple of extents as one would write it: `(t, h)`, `(n,)`."""
    return f"({', '.join(axes)}{',' if len(axes) == 1 else ''})"


def check_heads(heads: object, kv_heads: object) -> tuple[int, int]:
    """Both head counts; grouped-query attention needs one to divide the other."""
    for name, value in (("heads", heads), ("kv_heads", kv_heads)):
        if isinstance(value, bool) or not isinstance(value, numbers.Integral) or not 1 <= int(value) <= 65536:
            raise AttnBindError(
                "A0407",
                f"{name} must be an integer from 1 to 65536, {_shorten(value)} given",
                help="pass the number of heads that the tensors have",
            )
    assert isinstance(heads, numbers.Integral)
    assert isinstance(kv_heads, numbers.Integral)
    if int(heads) % int(kv_heads):
        raise AttnBindError(
            "A0407",
            f"kv_heads = {kv_heads} does not divide heads = {heads}",
            help="each key/value head serves the same number of query heads",
        )
    return int(heads), int(kv_heads)
