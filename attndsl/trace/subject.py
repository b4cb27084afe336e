"""The function that is traced: its code, its place in its file, and its parameters there."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from types import FunctionType
from typing import Any

from attndsl.diagnostics import AttnTraceError
from attndsl.source import Span
from attndsl.trace.python_source import PythonSource, source_of


@dataclass(frozen=True)
class Subject:
    """A function of Python. definition: its `def` or `lambda`, if its text is known."""

    function: FunctionType
    python: PythonSource
    definition: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | None

    @property
    def name(self) -> str:
        """The function's name."""
        return self.function.__name__

    @property
    def span(self) -> Span:
        """The head of the function: its line, where nothing better is known."""
        if self.definition is None or isinstance(self.definition, ast.Lambda):
            return self.python.whole_line(self.function.__code__.co_firstlineno)
        return self.python.whole_line(self.definition.lineno)

    def parameter_span(self, name: str) -> Span:
        """The place of a parameter with its annotation."""
        for argument in self._arguments():
            if argument.arg == name:
                return self.python.span(argument) or self.span
        return self.span

    def default_span(self, name: str) -> Span:
        """The place of a parameter's default."""
        if self.definition is not None:
            given = self.definition.args
            positional = [*given.posonlyargs, *given.args]
            pairs = list(zip(reversed(positional), reversed(given.defaults), strict=False))
            defaults = [*pairs, *zip(given.kwonlyargs, given.kw_defaults, strict=True)]
            for argument, default in defaults:
                if argument.arg == name and default is not None:
                    return self.python.span(default) or self.span
        return self.parameter_span(name)

    def decorator_literal(self, keyword: str) -> tuple[ast.Constant, Span] | None:
        """A text that is written as this argument of a decorator."""
        decorators = getattr(self.definition, "decorator_list", [])
        for call in decorators:
            for given in call.keywords if isinstance(call, ast.Call) else ():
                if given.arg == keyword and isinstance(given.value, ast.Constant):
                    span = self.python.span(given.value)
                    return (given.value, span) if span else None
        return None

    def _arguments(self) -> list[ast.arg]:
        if self.definition is None:
            return []
        given = self.definition.args
        rest = [each for each in (given.vararg, given.kwarg) if each]
        return [*given.posonlyargs, *given.args, *given.kwonlyargs, *rest]


def subject(function: Callable[..., Any]) -> Subject:
    """The function behind a callable. Raises AttnTraceError A1001 for what is no Python function."""
    plain = inspect.unwrap(function) if callable(function) else function
    if not isinstance(plain, FunctionType):
        raise AttnTraceError(
            "A1001",
            "`attndsl.jit` takes a Python function",
            note=f"{type(function).__name__} given",
            help="write `@attndsl.jit` above `def pattern(q, k): ...`",
        )
    python = source_of(plain.__code__, plain.__globals__)
    return Subject(plain, python, _definition(plain, python))


def _definition(
    function: FunctionType, python: PythonSource
) -> ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | None:
    """The function's definition in its file; None where it is not certain which one it is."""
    code = function.__code__
    names = list(code.co_varnames[: code.co_argcount + code.co_kwonlyargcount])
    found = []
    for node in python.nodes.values():
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
                fits = node.name == code.co_name and first == code.co_firstlineno
            case ast.Lambda():
                arguments = [
                    each.arg for each in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)
                ]
                fits = code.co_name == "<lambda>" and (node.lineno, arguments) == (code.co_firstlineno, names)
            case _:
                continue
        if fits:
            found.append(node)
    return found[0] if len(found) == 1 else None
