"""Tree builder, second part: types and clauses.

A node with a block ends where its last part ends: the line breaks that close the block are not its text.
"""

from __future__ import annotations

from lark import Token, v_args
from lark.tree import Meta

from attndsl.diagnostics import AttnSyntaxError
from attndsl.source import Span
from attndsl.syntax import ast
from attndsl.syntax.build_expressions import ExpressionBuilder
from attndsl.syntax.literals import read_message


@v_args(meta=True, inline=True)
class ClauseBuilder(ExpressionBuilder):
    """Builds the types and clauses of one source."""

    def type(self, meta: Meta, kind: Token, *shape: ast.Expr) -> ast.Type:
        """`int[axes]`."""
        return ast.Type(str(kind), tuple(map(self._dimension, shape)), span=self._place(meta))

    def choice(self, meta: Meta, *names: Token) -> ast.Type:
        """`elu1 | relu`."""
        return ast.Type("choice", choices=tuple(map(str, names)), span=self._place(meta))

    def space(self, meta: Meta, role: Token | None, *segments: ast.SpaceSegment) -> ast.Space:
        """`space video(t, h, w) ++ text(n)`."""
        return ast.Space(str(role) if role else "both", segments, span=self._place(meta))

    def segment(self, meta: Meta, name: Token, *axes: Token) -> ast.SpaceSegment:
        """`video(t, h, w)`."""
        return ast.SpaceSegment(str(name), tuple(map(str, axes)), span=self._place(meta))

    def variadic_segment(self, meta: Meta, name: Token, axes: Token) -> ast.SpaceSegment:
        """`tokens(axes...)`."""
        return ast.SpaceSegment(str(name), (str(axes),), variadic=True, span=self._place(meta))

    def derived(self, meta: Meta, role: Token, value: ast.Expr) -> ast.Derived:
        """`key mean(k in b)`."""
        span = self._place(meta)
        self._allow_in(span)
        return ast.Derived(str(role), value, span=span)

    def _allow_in(self, span: Span) -> None:
        """`in` has a meaning in the clause that begins here."""
        kept = (node for node in self._routing_only if node.operator == "." or start_of(node) < span.start)
        self._routing_only = list(kept)

    def let(self, meta: Meta, name: Token, value: ast.Expr) -> ast.Let:
        """`let end = expr`."""
        return ast.Let(str(name), value, span=self._place(meta))

    def require(self, meta: Meta, condition: ast.Expr, message: Token) -> ast.Require:
        """`require condition, "message"`."""
        text = read_message(message, self._token_place(message))
        return ast.Require(condition, text, span=self._place(meta))

    def input(self, meta: Meta, name: Token, type: ast.Type) -> ast.Input:
        """`input doc: int[tokens]`."""
        return ast.Input(str(name), type, span=self._place(meta))

    def attend(self, meta: Meta, arm: ast.Arm) -> ast.Attend:
        """`attend expr`."""
        return ast.Attend((arm,), span=self._place(meta))

    def attend_block(self, meta: Meta, *arms: ast.Arm) -> ast.Attend:
        """`attend` with one arm per line, or with its expression on the next line."""
        _check_else(arms)
        return ast.Attend(arms, span=self._until(meta, arms[-1]))

    def only_arm(self, meta: Meta, condition: ast.Expr) -> ast.Arm:
        """The condition for all pairs of segments."""
        return ast.Arm(None, None, condition, span=self._place(meta))

    else_arm = only_arm

    def arm(self, meta: Meta, query: Token, key: Token, condition: ast.Expr) -> ast.Arm:
        """`video -> text: expr`."""
        return ast.Arm(str(query), str(key), condition, span=self._place(meta))

    def score(self, meta: Meta, value: ast.Expr) -> ast.Score:
        """`score expr`."""
        return ast.Score(value, span=self._place(meta))

    def scale(self, meta: Meta, value: ast.Expr) -> ast.Scale:
        """`scale expr`."""
        return ast.Scale(value, span=self._place(meta))

    def feature(self, meta: Meta, name: Token) -> ast.Feature:
        """`feature name`."""
        return ast.Feature(str(name), span=self._place(meta))

    def weight(self, meta: Meta, value: ast.Expr) -> ast.Weight:
        """`weight expr`."""
        return ast.Weight(value, span=self._place(meta))

    def gate(self, meta: Meta, value: ast.Expr) -> ast.Gate:
        """`gate expr`."""
        span = self._place(meta)
        self._allow_in(span)
        return ast.Gate(value, span=span)

    def decay(self, meta: Meta, value: ast.Expr, axis: Token) -> ast.Decay:
        """`decay expr per step of axis`."""
        return ast.Decay(value, str(axis), span=self._place(meta))

    def normalize(self, meta: Meta, kind: Token, plus: Token | None, extra: ast.Expr | None) -> ast.Normalize:
        """`normalize none`, `normalize sum + exp(logit)`."""
        return ast.Normalize(str(kind), extra, span=self._place(meta))

    def blocks(
        self, meta: Meta, name: Token, axes: tuple[str, ...], sizes: tuple[ast.Expr, ...]
    ) -> ast.Blocks:
        """`blocks b of n by size`."""
        return ast.Blocks(str(name), axes, sizes, span=self._place(meta))

    def block_axes(self, meta: Meta, *axes: Token) -> tuple[str, ...]:
        """`n`, or `(t, y, x)`."""
        return tuple(map(str, axes))

    def block_sizes(self, meta: Meta, *sizes: ast.Expr) -> tuple[ast.Expr, ...]:
        """One size per axis."""
        return sizes

    def groups(self, meta: Meta, name: Token, count: ast.Expr) -> ast.Groups:
        """`groups c of count`."""
        return ast.Groups(str(name), count, span=self._place(meta))

    def route(self, meta: Meta, members: Token | None, *steps: ast.RouteStep) -> ast.Route:
        """`route score ...`, `route queries score ...`, and the phrases below it."""
        span = self._until(meta, steps[-1])
        self._routing_only = [node for node in self._routing_only if start_of(node) < span.start]
        return ast.Route(steps, str(members or ""), span=span)

    def route_step(self, meta: Meta, word: Token, value: ast.Expr) -> ast.RouteStep:
        """`among expr`."""
        return ast.RouteStep(str(word), value, span=self._place(meta))

    def select_step(self, meta: Meta, word: Token, value: ast.Expr, *per: Token) -> ast.RouteStep:
        """`select expr per query, head`."""
        return ast.RouteStep(str(word), value, tuple(map(str, per)), span=self._place(meta))

    def branch(self, meta: Meta, name: Token, clauses: tuple[ast.Clause, ...]) -> ast.Branch:
        """`branch name:` and its clauses."""
        return ast.Branch(str(name), clauses, span=self._until(meta, clauses[-1]))

    def combine(self, meta: Meta, value: ast.Expr) -> ast.Combine:
        """`combine expr`."""
        return ast.Combine(value, span=self._place(meta))

    def _until(self, meta: Meta, last: ast.Node) -> Span:
        assert last.span is not None
        return Span(self._source, meta.start_pos, last.span.end)

    def _dimension(self, size: ast.Expr) -> str | int | ast.Expr:
        if isinstance(size, ast.Name):
            return size.name
        if not isinstance(size, ast.Number):
            return size
        if isinstance(size.value, int) and size.value > 0:
            return size.value
        raise AttnSyntaxError(
            "A0143",
            "a shape holds names and positive integers",
            span=size.span,
            help="write `int[axes]`, `real[heads]` or a count such as `int[3]`",
        )


def start_of(node: ast.Node) -> int:
    """Where a node begins in its source."""
    assert node.span is not None
    return node.span.start


def _check_else(arms: tuple[ast.Arm, ...]) -> None:
    """`else` stands for the rest, so it comes once and last."""
    for arm in arms[:-1]:
        if arm.query is None:
            raise AttnSyntaxError(
                "A0125",
                "`else` must be the last arm",
                span=arm.span,
                note="this covers all other pairs of segments",
                help="keep one `else` and move it to the end of the block",
            )
