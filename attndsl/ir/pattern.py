"""The pattern IR: one pattern with names resolved, functions inlined and types checked, but no numbers yet.

Text, the import hook and the Python decorator all produce this; equal patterns compare equal whatever they
were written in, because documentation and spans do not take part.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from attndsl.ir.expr import Expr
from attndsl.ir.ops import Scalar
from attndsl.source import Span


@dataclass(frozen=True)
class Parameter:
    """A number (or array) that bind takes. shape: () or one of ('axes',), ('heads',), (n,)."""

    name: str
    kind: Scalar
    shape: tuple[str | int, ...] = ()
    default: Expr | None = None
    span: Span | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class SegmentShape:
    """A segment before bind: its axes by name; `variadic` takes any number of axes."""

    name: str
    axes: tuple[str, ...]
    variadic: bool = False


@dataclass(frozen=True)
class Requirement:
    """A condition on the numbers, checked at bind; `span` is what the message blames, `text` its spelling."""

    condition: Expr
    message: str
    span: Span | None = field(default=None, compare=False, repr=False)
    text: str = field(default="", compare=False, repr=False)


@dataclass(frozen=True)
class Arm:
    """The mask between two segments; None stands for any segment."""

    query: str | None
    key: str | None
    visible: Expr
    span: Span | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class Input:
    """A declared tensor: what its dimensions run over ('tokens', 'query', 'key')."""

    name: str
    kind: Scalar
    shape: tuple[str, ...]


@dataclass(frozen=True)
class PatternIR:
    """A whole pattern. `key_space` equals `query_space` unless the text declares two spaces."""

    name: str
    parameters: tuple[Parameter, ...]
    query_space: tuple[SegmentShape, ...]
    key_space: tuple[SegmentShape, ...]
    inputs: tuple[Input, ...]
    requirements: tuple[Requirement, ...]
    arms: tuple[Arm, ...]
    cross: bool = False
    """Whether queries and keys live in different spaces."""
    documentation: str = field(default="", compare=False, repr=False)
    spans: Mapping[Expr, Span] = field(default_factory=dict, compare=False, repr=False)
