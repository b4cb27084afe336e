"""Errors that a user can cause: each has a stable code, a place, one cause and one fix.

`docs/errors.md` lists every code. Stages raise the class that fits them; the command line prints
`render()` and Python users see the same text as the exception's message.
"""

from __future__ import annotations

from attndsl.source import Span


class AttnError(Exception):
    """The base of all errors that attndsl raises about a pattern, its numbers or its data.

    code: stable identifier such as "A0203". span: where in the source, or None for a call from Python.
    note: what is at that place ("this is -1"). help: what to write instead.
    """

    def __init__(
        self, code: str, message: str, *, span: Span | None = None, note: str = "", help: str = ""
    ) -> None:
        self.args = (message,)  # graphs of torch cannot trace the constructor of an exception
        self.code = code
        self.message = message
        self.span = span
        self.note = note
        self.help = help

    def __str__(self) -> str:
        return self.render()

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.code, self.message, self.span, self.note, self.help)

    def render(self) -> str:
        """The whole diagnostic: code, message, place with the source line and caret, and help."""
        lines = [f"error[{self.code}]: {self.message}"]
        if self.span is not None:
            lines.extend(_excerpt(self.span, self.note))
        elif self.note:
            lines.append(f"note: {self.note}")
        if self.help:
            lines.append(f"help: {self.help}")
        return "\n".join(lines)


class AttnSyntaxError(AttnError):
    """The text is not a `.attn` file (A01xx)."""


class AttnNameError(AttnError):
    """A name is unknown, repeated or used where it has no meaning (A02xx)."""


class AttnTypeError(AttnError):
    """An expression has the wrong type or rank (A03xx)."""


class AttnBindError(AttnError):
    """The numbers given to a pattern do not fit it (A04xx)."""


class AttnScheduleError(AttnError):
    """Tiles or a simulation request do not fit the bound pattern (A05xx)."""


class AttnCallError(AttnError):
    """Tensors given to a kernel have a wrong shape, type or device (A06xx)."""


class AttnBackendError(AttnError):
    """A backend, target or tool is missing or cannot do what was asked (A07xx)."""


class AttnFileError(AttnError):
    """A file, pattern name or output path cannot be used (A08xx)."""


class AttnUnsupportedError(AttnError):
    """The language has this construct, but the compiler does not compile it yet (A09xx)."""


class AttnTraceError(AttnError):
    """A Python function under `attndsl.jit` does what cannot be traced (A10xx)."""


class AttnImportError(AttnError, ImportError):
    """A `.attn` file that is imported as a module has a mistake, with the code and the place of that mistake.

    name, path: the module and its file, as in every ImportError.
    """

    @classmethod
    def of(cls, mistake: AttnError, name: str, path: str) -> AttnImportError:
        """The error that an import raises for a mistake in its file."""
        span, note, help = mistake.span, mistake.note, mistake.help
        error = cls(mistake.code, mistake.message, span=span, note=note, help=help)
        error.name, error.path = name, path
        return error

    def __reduce__(self) -> tuple[object, ...]:
        return *super().__reduce__(), {"name": self.name, "path": self.path}


class AttnWarning(UserWarning):
    """Something works, but not as fast as it could; the text says how to get the fast way."""


def _rebuild(
    kind: type[AttnError], code: str, message: str, span: Span | None, note: str, help: str
) -> AttnError:
    return kind(code, message, span=span, note=note, help=help)


def _excerpt(span: Span, note: str) -> list[str]:
    """The `--> file:line:column` block with the source line and a caret underline."""
    text = span.source.line(span.line)
    shown, column = _clip(text, span.column)
    width = max(1, min(span.end - span.start, len(shown) - column + 1))
    number = str(span.line)
    gutter = " " * len(number)
    underline = " " * (column - 1) + "^" * width
    return [
        f"{gutter} --> {span}",
        f"{gutter} |",
        f"{number} | {shown}",
        f"{gutter} | {underline}{' ' + note if note else ''}",
    ]


def _clip(text: str, column: int) -> tuple[str, int]:
    """A printable window of at most 160 characters around `column`, and the column inside it."""
    printable = "".join(char if char.isprintable() else " " for char in text)
    if len(printable) <= 160:
        return printable, column
    start = max(0, column - 80)
    return printable[start : start + 160], column - start
