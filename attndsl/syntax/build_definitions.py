"""Tree builder, last part: patterns, functions and the file."""

from __future__ import annotations

from dataclasses import dataclass

from lark import Token, v_args
from lark.tree import Meta

from attndsl.diagnostics import AttnSyntaxError
from attndsl.source import Span
from attndsl.syntax import ast
from attndsl.syntax.build_clauses import ClauseBuilder, start_of
from attndsl.syntax.literals import read_documentation

IN = "where blocks are pooled: after `query`, `key`, `value`, `route` and `gate`"


@dataclass(frozen=True, slots=True)
class _Result(ast.Node):
    """`return expr`, before its function takes it apart."""

    value: ast.Expr


@v_args(meta=True, inline=True)
class TreeBuilder(ClauseBuilder):
    """Builds the whole syntax tree of one source."""

    def file(
        self, meta: Meta, documentation: str | None, *definitions: ast.Function | ast.Pattern
    ) -> ast.File:
        """The root."""
        self._refuse_routing_operators()
        return ast.File(documentation or "", definitions, span=Span(self._source, 0, len(self._source.text)))

    def documentation(self, meta: Meta, token: Token) -> str:
        """A docstring."""
        return read_documentation(token)

    def pattern(
        self,
        meta: Meta,
        name: Token,
        parameters: tuple[ast.Parameter, ...] | None,
        documentation: str | None,
        clauses: tuple[ast.Clause, ...],
    ) -> ast.Pattern:
        """`pattern name(...): clauses`."""
        _refuse_untyped(parameters or ())
        span = self._until(meta, clauses[-1])
        return ast.Pattern(str(name), parameters or (), documentation or "", clauses, span=span)

    def function(
        self,
        meta: Meta,
        name: Token,
        parameters: tuple[ast.Parameter, ...] | None,
        documentation: str | None,
        clauses: tuple[ast.Let | ast.Require, ...],
        result: _Result,
    ) -> ast.Function:
        """`def name(...): ... return expr`."""
        span = self._until(meta, result)
        self._routing_only = [node for node in self._routing_only if start_of(node) < span.start]
        return ast.Function(
            str(name), parameters or (), documentation or "", clauses, result.value, span=span
        )

    def preparation(self, meta: Meta, *clauses: ast.Let | ast.Require) -> tuple[ast.Let | ast.Require, ...]:
        """The lets and requires of a function."""
        return clauses

    def result(self, meta: Meta, value: ast.Expr) -> _Result:
        """`return expr`."""
        return _Result(value, span=self._place(meta))

    def parameters(self, meta: Meta, *parameters: ast.Parameter) -> tuple[ast.Parameter, ...]:
        """The parameters in parentheses."""
        return parameters

    def parameter(
        self, meta: Meta, name: Token, type: ast.Type | None, default: ast.Expr | None
    ) -> ast.Parameter:
        """`window: int[axes] = 1`."""
        return ast.Parameter(str(name), type, default, span=self._place(meta))

    def clauses(self, meta: Meta, *clauses: ast.Clause) -> tuple[ast.Clause, ...]:
        """The body of a pattern."""
        return clauses

    branch_clauses = clauses

    def _refuse_routing_operators(self) -> None:
        """`.` and `in` are operators of routes; elsewhere a dot is the try to read a part of a value."""
        for node in self._routing_only:
            is_dot = node.operator == "."
            raise AttnSyntaxError(
                "A0137",
                f"`{node.operator}` has a meaning only {'after `q` or `k`' if is_dot else IN}",
                span=node.span,
                help="write a coordinate as `q.axis` or `k.axis`, a value per axis as `window[a]`"
                if is_dot
                else "compare with each value: `x == a or x == b`",
            )


def _refuse_untyped(parameters: tuple[ast.Parameter, ...]) -> None:
    """A pattern's parameters come from outside, so each says what it is."""
    for parameter in parameters:
        if parameter.type is None:
            raise AttnSyntaxError(
                "A0120",
                f"the parameter `{parameter.name}` has no type",
                span=parameter.span,
                help=f"write `{parameter.name}: int`, or `real`, `bool`, `int[axes]`, `real[heads]`",
            )
