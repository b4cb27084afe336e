"""`@attndsl.jit`: patterns written as Python functions of two positions."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, overload

from attndsl.pipeline import Pattern

if TYPE_CHECKING:
    from attndsl.syntax import ast as syntax


@dataclass(frozen=True, repr=False)
class TracedPattern(Pattern):
    """A pattern that a Python function describes; everything else is as for a pattern from a text."""

    tree: syntax.Pattern = field(repr=False, compare=False)

    def to_attn(self) -> str:
        """The pattern as text of the language; parsing it gives the same pattern IR."""
        from attndsl.syntax.printer import to_text

        return to_text(self.tree) + "\n"


@overload
def jit(
    function: Callable[..., Any],
    /,
    *,
    space: str | None = None,
    query_space: str | None = None,
    key_space: str | None = None,
    name: str | None = None,
) -> TracedPattern: ...


@overload
def jit(
    *,
    space: str | None = None,
    query_space: str | None = None,
    key_space: str | None = None,
    name: str | None = None,
) -> Callable[[Callable[..., Any]], TracedPattern]: ...


def jit(
    function: Callable[..., Any] | None = None,
    /,
    *,
    space: str | None = None,
    query_space: str | None = None,
    key_space: str | None = None,
    name: str | None = None,
) -> TracedPattern | Callable[[Callable[..., Any]], TracedPattern]:
    """A pattern from a Python function `def pattern(q, k, ...)`, which is called once with traced values.

    The function returns which keys a query sees, as an expression over coordinates such as `q.n` and
    `k.n`. Its further parameters are the pattern's parameters, with their defaults; their types are
    annotations: `int`, `float`, `bool`, `tuple[int, int]`, `PerAxis[int]`, `PerHead[float]`, and
    `Input[int]` for data given at the call. All other numbers that it reads are constants.

    space: where the tokens live, as in a text: "video(t, h, w) ++ text(n)"; a function that reads one
    axis need not say. query_space, key_space: instead of it, where queries and keys live in different
    spaces. name: the pattern's name, if not the function's. Raises AttnTraceError (A10xx) for Python code
    that cannot be traced, and the errors of a text (A01xx to A03xx) for what the language does not allow.
    """
    names = dict(sys._getframe(1).f_locals)
    spaces = {"space": space, "query_space": query_space, "key_space": key_space}
    given = {argument: text for argument, text in spaces.items() if text is not None}

    def traced(function: Callable[..., Any]) -> TracedPattern:
        return _traced(function, given, name, names)

    return traced if function is None else traced(function)


def _traced(
    function: Callable[..., Any], spaces: dict[str, str], name: str | None, names: dict[str, Any]
) -> TracedPattern:
    from attndsl.trace.trace import trace

    found = trace(function, spaces, name, names)
    pattern = TracedPattern(found.ir, found.tree)
    for attribute in ("__doc__", "__module__", "__qualname__"):
        object.__setattr__(pattern, attribute, getattr(function, attribute, None))
    return pattern
