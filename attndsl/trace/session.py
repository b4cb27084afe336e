"""The trace that is under way: what it has required so far, and which axis variables are open."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from attndsl.diagnostics import AttnTraceError
from attndsl.source import Span
from attndsl.trace.node import Operand
from attndsl.trace.place import here
from attndsl.trace.positions import Axis


@dataclass(frozen=True)
class Requirement:
    """A condition on the numbers. span: the call of `require`."""

    condition: Operand
    message: str
    span: Span


@dataclass
class Session:
    """One call of a function that is traced."""

    requirements: list[Requirement] = field(default_factory=list)
    open_axes: list[Axis] = field(default_factory=list)


_current: ContextVar[Session | None] = ContextVar("attndsl_trace", default=None)


@contextmanager
def tracing() -> Iterator[Session]:
    """Inside this context functions of the language belong to a new session."""
    session = Session()
    token = _current.set(session)
    try:
        yield session
    finally:
        _current.reset(token)


def current(function: str) -> Session:
    """The session under way. Raises AttnTraceError A1008 where there is none."""
    session = _current.get()
    if session is None:
        raise AttnTraceError(
            "A1008",
            f"`{function}` is called while nothing is traced",
            span=here().span,
            help="call it inside a function under `@attndsl.jit`",
        )
    return session
