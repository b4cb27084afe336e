"""Tree builder, first part: from Lark's parse tree to expression nodes.

Each method is named after a rule (or alias) of grammar/attention.lark and receives the place of the rule and
its children, already built. Nothing here recurses, so any input ends in a tree or in an error.
"""

from __future__ import annotations

from itertools import islice
from typing import TypeVar

from lark import Token, v_args
from lark.tree import Meta
from lark.visitors import Transformer_NonRecursive

from attndsl.diagnostics import AttnSyntaxError
from attndsl.source import Source, Span
from attndsl.syntax import ast
from attndsl.syntax.literals import read_number

DEEPEST_EXPRESSION = 200
"""Later stages recurse over expressions; deeper ones are refused here."""

WIDEST_EXPRESSION = 200
"""The most operands of a chain of comparisons, arguments of a call or subscripts: stages may fold them."""

Expression = TypeVar("Expression", bound=ast.Expr)


@v_args(meta=True, inline=True)
class ExpressionBuilder(Transformer_NonRecursive[Token, ast.File]):
    """Builds the expressions of one source and bounds their depth."""

    def __init__(self, source: Source) -> None:
        super().__init__()
        self._source = source
        self._depths: dict[int, int] = {}
        self._routing_only: list[ast.Binary] = []

    def number(self, meta: Meta, token: Token) -> ast.Number:
        """`12`, `0.5`."""
        span = self._place(meta)
        return self._bounded(ast.Number(read_number(token, span), span=span))

    def boolean(self, meta: Meta, token: Token) -> ast.Boolean:
        """`true`, `false`."""
        return self._bounded(ast.Boolean(token.type == "TRUE", span=self._place(meta)))

    def field(self, meta: Meta, token: Token) -> ast.Field:
        """`q.frame`."""
        return self._bounded(ast.Field(token[0], token[2:], span=self._place(meta)))

    def name(self, meta: Meta, token: Token) -> ast.Name:
        """`window`."""
        return self._bounded(ast.Name(str(token), span=self._place(meta)))

    def subscript(self, meta: Meta, name: Token, *indices: ast.Expr) -> ast.Subscript:
        """`window[a]`."""
        return self._bounded(ast.Subscript(str(name), indices, span=self._place(meta)))

    def call(self, meta: Meta, function: Token, *arguments: ast.Argument) -> ast.Call:
        """`sliding(left = 2)`."""
        _refuse_positional_after_named(arguments)
        return self._bounded(ast.Call(str(function), arguments, span=self._place(meta)))

    def argument(self, meta: Meta, value: ast.Expr) -> ast.Argument:
        """A positional argument."""
        return ast.Argument(None, value, span=self._place(meta))

    def named_argument(self, meta: Meta, name: Token, value: ast.Expr) -> ast.Argument:
        """`left = 2`."""
        return ast.Argument(str(name), value, span=self._place(meta))

    def membership(self, meta: Meta, member: ast.Expr, operator: Token, group: ast.Expr) -> ast.Binary:
        """`k in b`, `x in k.b`, `k in chunk[k]`, an argument."""
        return self._binary(meta, member, str(operator), group)

    def unary(self, meta: Meta, operator: Token, operand: ast.Expr) -> ast.Unary:
        """`-x`, `not x`."""
        return self._bounded(ast.Unary(str(operator), operand, span=self._place(meta)))

    def binary(self, meta: Meta, left: ast.Expr, operator: Token, right: ast.Expr) -> ast.Binary:
        """`x + y` and all others with two operands but comparisons."""
        return self._binary(meta, left, str(operator), right)

    def compare(self, meta: Meta, *chain: ast.Expr | Token) -> ast.Compare:
        """`0 <= x < n`."""
        operands = tuple(link for link in islice(chain, 0, None, 2) if isinstance(link, ast.Expr))
        operators = tuple(str(link) for link in islice(chain, 1, None, 2))
        return self._bounded(ast.Compare(operators, operands, span=self._place(meta)))

    def conditional(self, meta: Meta, value: ast.Expr, condition: ast.Expr, other: ast.Expr) -> ast.IfElse:
        """`x if condition else y`."""
        return self._bounded(ast.IfElse(condition, value, other, span=self._place(meta)))

    def quantified(self, meta: Meta, kind: Token, variable: Token, body: ast.Expr) -> ast.Quantified:
        """`all axis a: body`."""
        return self._bounded(ast.Quantified(str(kind), str(variable), body, span=self._place(meta)))

    def _place(self, meta: Meta) -> Span:
        return Span(self._source, meta.start_pos, meta.end_pos)

    def _token_place(self, token: Token) -> Span:
        start = token.start_pos or 0
        return Span(self._source, start, start + len(token))

    def _binary(self, meta: Meta, left: ast.Expr, operator: str, right: ast.Expr) -> ast.Binary:
        node = self._bounded(ast.Binary(operator, left, right, span=self._place(meta)))
        if operator in (".", "in"):
            self._routing_only.append(node)
        return node

    def _bounded(self, node: Expression) -> Expression:
        """The same node, once it is known not to be nested too deeply."""
        if len(node.children) > WIDEST_EXPRESSION:
            raise AttnSyntaxError(
                "A0130",
                "expression has too many parts",
                span=node.span,
                note=f"more than {WIDEST_EXPRESSION} parts",
                help="name groups of them with `let`",
            )
        depth = 1 + max((self._depths[id(child)] for child in node.children), default=0)
        if depth > DEEPEST_EXPRESSION:
            raise AttnSyntaxError(
                "A0129",
                "expression is nested too deeply",
                span=node.span,
                note=f"more than {DEEPEST_EXPRESSION} levels",
                help="name parts of it with `let`",
            )
        self._depths[id(node)] = depth
        return node


def _refuse_positional_after_named(arguments: tuple[ast.Argument, ...]) -> None:
    named: ast.Argument | None = None
    for argument in arguments:
        if argument.name is not None:
            named = argument
        elif named is not None:
            raise AttnSyntaxError(
                "A0121",
                "a positional argument follows a named one",
                span=argument.span,
                help=f"move it before `{named.name} = ...`, or name it too",
            )
