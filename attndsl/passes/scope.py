"""Names in scope while a pattern is resolved: what each means, and suggestions for unknown ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches

from attndsl.diagnostics import AttnNameError
from attndsl.ir.expr import AxisVariable, Expr
from attndsl.ir.ops import Scalar
from attndsl.source import Span
from attndsl.syntax import ast


@dataclass(frozen=True, eq=False)
class Vector:
    """A value with one element per axis, per head, or of a fixed length; `element(index)` reads one."""

    shape: str | int
    kind: Scalar
    element: Callable[[Expr], Expr]


Value = Expr | Vector

BUILTIN_SYMBOLS = ("head", "heads", "kv_head", "kv_heads", "rank")
BUILTIN_FUNCTIONS: Mapping[str, tuple[int, int]] = {
    "min": (2, 64),
    "max": (2, 64),
    "clamp": (3, 3),
    "abs": (1, 1),
    "ceildiv": (2, 2),
    "bit_length": (1, 1),
    "exp": (1, 1),
    "log": (1, 1),
    "log2": (1, 1),
    "sqrt": (1, 1),
    "tanh": (1, 1),
    "erf": (1, 1),
    "floor": (1, 1),
    "ceil": (1, 1),
    "round": (1, 1),
    "int": (1, 1),
    "real": (1, 1),
    "extent": (1, 1),
    "dot": (2, 2),
}
"""Smallest and largest number of arguments."""


@dataclass
class Scope:
    """One function body or pattern body: local values, lets not yet looked at, and axis variables."""

    values: dict[str, Value]
    lets: Mapping[str, ast.Let] = field(default_factory=dict)
    axis_variables: dict[str, AxisVariable] = field(default_factory=dict)
    argument_spans: Mapping[str, Span | None] = field(default_factory=dict)
    enclosing: int = 0
    """Number of axis variables of the callers; their numbers are taken."""
    call_span: Span | None = None
    """The call in the pattern's own text that led here; None in the pattern itself."""
    pending: list[str] = field(default_factory=list)

    def names(self) -> list[str]:
        """Every local name."""
        return [*self.values, *self.lets]


def unknown_name(
    kind: str, name: str, known: Iterable[str], span: Span | None, code: str = "A0201"
) -> AttnNameError:
    """The error for a name that means nothing, with the closest known names as help."""
    choices = sorted(set(known))
    close = get_close_matches(name, choices, n=1, cutoff=0.6)
    listing = ", ".join(choices[:12])
    suggestion = f"did you mean `{close[0]}`?" if close else f"known here: {listing or 'nothing'}"
    return AttnNameError(code, f"unknown {kind} `{name}`", span=span, note="not defined", help=suggestion)
