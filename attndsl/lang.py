"""The functions and names of the language for Python functions under `attndsl.jit`.

Here stand the built-in ones; every function of the prelude (`patterns/prelude.attn`), such as `causal`,
`sliding` or `neighborhood`, can be imported from here too and takes the same arguments as in a text.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from typing import Any

from attndsl.trace import route_words
from attndsl.trace.node import leaf
from attndsl.trace.positions import Axis
from attndsl.trace.quantify import quantified, require
from attndsl.trace.route_words import (
    Within,
    drop,
    halves,
    mean,
    nucleus,
    ranks,
    ratio,
    routing_call,
    scale,
    similarity,
    softmax,
    spread,
    stack,
    stack_reversed,
    threshold,
    top,
    v,
    within,
)
from attndsl.trace.value import Number, Traced, binary, call, condition_between

Condition = bool | Traced

sum = route_words.sum

head: Traced = Traced(leaf("head"))
"""The query head, from 0."""
heads: Traced = Traced(leaf("heads"))
"""The number of query heads."""
kv_head: Traced = Traced(leaf("kv_head"))
"""The key/value head that serves the query head."""
kv_heads: Traced = Traced(leaf("kv_heads"))
"""The number of key/value heads."""
dim: Traced = Traced(leaf("dim", has_scope=True))
"""The number of channels of queries, in a scale."""
rank: Traced = Traced(leaf("rank"))
"""The number of axes of the main segment."""


own_value: Traced = Traced(leaf("identity", has_scope=True))
"""In `combine`: the value of the query's own token, `identity` in a text."""


def joint(*outputs: Number) -> Traced:
    """In `combine`: one softmax over the pairs of these branches."""
    return call("joint", outputs, {})


def project(output: Number, weight: Traced, bias: Traced | None = None) -> Traced:
    """In `combine`: output @ weight^T + bias, over channels; weight and bias are inputs."""
    return call("project", (output, weight) if bias is None else (output, weight, bias), {})


def where(condition: Condition, value: Number, other: Number) -> Traced:
    """`value` where the condition holds, `other` elsewhere: `value if condition else other` in a text."""
    return condition_between(condition, value, other)


def all_axes(condition: Callable[[Axis], Condition]) -> Traced:
    """Whether the condition holds on every axis: `all_axes(lambda a: abs(q[a] - k[a]) <= window[a])`."""
    return quantified("all", condition)


def any_axes(condition: Callable[[Axis], Condition]) -> Traced:
    """Whether the condition holds on some axis."""
    return quantified("any", condition)


def all_of(conditions: Iterable[Condition]) -> Traced:
    """Whether all of the conditions hold, of which there may be many."""
    return _joined("and", True, conditions)


def any_of(conditions: Iterable[Condition]) -> Traced:
    """Whether one of the conditions holds: `any_of(k.n // 64 == block for block in chosen)`."""
    return _joined("or", False, conditions)


def extent(axis: Axis | str) -> Traced:
    """The number of tokens along an axis, which is given by name or by a quantifier."""
    return call("extent", (axis,), {})


def min(first: Number, *others: Number, within: Within | None = None) -> Traced:
    """The smallest of two or more numbers; in a route, of each block: `min(k, within="b")`."""
    return call("min", (first, *others), {}) if within is None else routing_call("min", (first,), within)


def max(first: Number, *others: Number, within: Within | None = None) -> Traced:
    """The largest of two or more numbers; in a route, of each block: `max(k, within="b")`."""
    return call("max", (first, *others), {}) if within is None else routing_call("max", (first,), within)


def clamp(x: Number, low: Number, high: Number) -> Traced:
    """The number next to x between `low` and `high`."""
    return call("clamp", (x, low, high), {})


def abs(x: Number) -> Traced:
    """The absolute value."""
    return call("abs", (x,), {})


def ceildiv(x: Number, y: Number) -> Traced:
    """The quotient, rounded up."""
    return call("ceildiv", (x, y), {})


def bit_length(x: Number) -> Traced:
    """The number of bits of an integer's magnitude."""
    return call("bit_length", (x,), {})


def exp(x: Number) -> Traced:
    """The exponential."""
    return call("exp", (x,), {})


def log2(x: Number) -> Traced:
    """The logarithm to base 2."""
    return call("log2", (x,), {})


def sqrt(x: Number) -> Traced:
    """The square root."""
    return call("sqrt", (x,), {})


def tanh(x: Number) -> Traced:
    """The hyperbolic tangent."""
    return call("tanh", (x,), {})


def erf(x: Number) -> Traced:
    """The error function. GELU is x * (0.5 + 0.5 * lang.erf(x / lang.sqrt(2.0)))."""
    return call("erf", (x,), {})


def floor(x: Number) -> Traced:
    """The largest integer that is not above x."""
    return call("floor", (x,), {})


def ceil(x: Number) -> Traced:
    """The smallest integer that is not below x."""
    return call("ceil", (x,), {})


def round(x: Number) -> Traced:
    """The nearest integer, the even one of two."""
    return call("round", (x,), {})


def int(x: Number) -> Traced:
    """The number without its fraction."""
    return call("int", (x,), {})


def real(x: Number) -> Traced:
    """An integer as a real number."""
    return call("real", (x,), {})


def _joined(operator: str, neutral: bool, conditions: Iterable[Condition]) -> Traced:
    """The conditions joined in pairs, so that many of them are not nested deeply."""
    parts: list[Any] = list(conditions) or [neutral]
    if len(parts) == 1:
        return binary(operator, neutral, parts[0])
    while len(parts) > 1:
        pairs = [parts[i : i + 2] for i in range(0, len(parts), 2)]
        parts = [binary(operator, *pair) if len(pair) == 2 else pair[0] for pair in pairs]
    result: Traced = parts[0]
    return result


def __getattr__(name: str) -> Callable[..., Traced]:
    """A function of the prelude, or a built-in one that has no signature above."""
    found = None if name.startswith("_") else _documentation(name)
    if found is None:
        close = get_close_matches(name, __dir__(), n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise AttributeError(f"module 'attndsl.lang' has no attribute {name!r}{hint}")

    def function(*arguments: Any, **named: Any) -> Traced:
        return call(name, arguments, named)

    function.__name__ = function.__qualname__ = name
    function.__doc__, signature = found
    if signature is not None:
        function.__signature__ = signature  # type: ignore[attr-defined]
    globals()[name] = function
    return function


def __dir__() -> list[str]:
    from attndsl.library import prelude
    from attndsl.passes.scope import BUILTIN_FUNCTIONS

    return sorted({*globals(), *prelude(), *BUILTIN_FUNCTIONS})


class _Spelled(str):
    """A default as a text spells it."""

    __slots__ = ()
    __repr__ = str.__str__


def _documentation(name: str) -> tuple[str, inspect.Signature | None] | None:
    """What a function of the language does, and what it takes; None if there is none of this name."""
    from attndsl.library import prelude
    from attndsl.passes.scope import BUILTIN_FUNCTIONS
    from attndsl.syntax.printer import to_text

    if name in BUILTIN_FUNCTIONS:
        return f"The built-in function `{name}` of the language.", None
    if name not in prelude():
        return None
    function = prelude()[name].function
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    parameters = [
        inspect.Parameter(each.name, kind)
        if each.default is None
        else inspect.Parameter(each.name, kind, default=_Spelled(to_text(each.default)))
        for each in function.parameters
    ]
    return function.documentation, inspect.Signature(parameters)


__all__ = [
    "all_axes", "all_of", "any_axes", "any_of", "dim", "drop", "extent", "halves", "head", "heads", "joint",
    "kv_head", "kv_heads", "mean", "nucleus", "own_value", "project", "rank", "ranks", "ratio", "require",
    "scale", "similarity", "softmax", "spread", "stack", "stack_reversed", "threshold", "top", "v", "where",
    "within",
]  # fmt: skip
