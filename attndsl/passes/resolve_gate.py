"""Resolution of `gate`: what the output is multiplied by, which may compare heads with one another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

from attndsl.diagnostics import AttnTypeError
from attndsl.ir.expr import TRUE, Expr, Head, InputAt, InputElement, WholeInput
from attndsl.ir.head_choice import SoftmaxOfHeads, TopOfHeads
from attndsl.ir.pattern import Input
from attndsl.passes import types
from attndsl.passes.clause_values import number, refuse_tokens, with_whole_inputs
from attndsl.passes.resolve_expr import Resolver
from attndsl.passes.scope import Scope, Value, unknown_name
from attndsl.source import Span
from attndsl.syntax import ast

ACROSS_HEADS = ("softmax", "top")
"""Functions of gates that look at all heads of a query."""


class GateResolver(Resolver):
    """Knows the functions of gates that look across heads."""

    def _call(self, node: ast.Call, scope: Scope) -> Value:
        given = [each.value for each in node.arguments]
        if not (given and isinstance(given[0], ast.Binary) and given[0].operator == "in"):
            return super()._call(node, scope)
        if node.function not in ACROSS_HEADS:
            raise unknown_name("function of heads", node.function, ACROSS_HEADS, node.span, "A0244")
        least = 1 if node.function == "softmax" else 2
        if not least <= len(given) <= least + 1 or any(each.name for each in node.arguments):
            raise AttnTypeError(
                "A0314", f"`{node.function}` takes {least} or {least + 1} positional arguments",
                span=node.span, note=f"{len(given)} given here",
                help="write `softmax(x in heads)` or `top(x in heads, 2)`, and perhaps a condition",
            )  # fmt: skip
        operand = self._operand(given[0], scope)
        condition = self._condition(given[least:], scope)
        if node.function == "softmax":
            return SoftmaxOfHeads(operand, condition)
        return TopOfHeads(operand, self._count(given[1], scope), condition)

    def _operand(self, membership: ast.Binary, scope: Scope) -> Expr:
        group = membership.right
        if not (isinstance(group, ast.Name) and group.name == "heads"):
            raise AttnTypeError(
                "A0370", "a gate is about one query, and looks across heads only", span=group.span,
                help="write `x in heads`; what is pooled over tokens belongs into `route`",
            )  # fmt: skip
        return number(self.expr(membership.left, scope), "what is compared", membership.left.span)

    def _condition(self, given: Sequence[ast.Expr], scope: Scope) -> Expr:
        if not given:
            return TRUE
        return types.truth(self.expr(given[0], scope), "a condition on heads", given[0].span)

    def _count(self, node: ast.Expr, scope: Scope) -> Expr:
        count = types.scalar(self.expr(node, scope), "the number of heads", node.span)
        of_data = any(
            isinstance(each, WholeInput | InputAt | InputElement | Head) for each in count.mentioned
        )
        if count.type != "int" or of_data:
            raise AttnTypeError(
                "A0371", "the number of heads is an integer known at bind", span=node.span,
                help="use numbers, parameters and `heads`",
            )  # fmt: skip
        return count


def resolve_gate(clause: ast.Gate, resolver: Resolver, scope: Scope) -> Expr:
    """In a gate an input's name alone stands for its element at the query, head and channel at work."""
    own = GateResolver(**{each.name: getattr(resolver, each.name) for each in fields(resolver)})
    value = number(own.expr(clause.value, with_whole_inputs(resolver, scope)), "`gate`", clause.value.span)
    refuse_tokens(value, "a gate", resolver, clause.value.span)
    for leaf in value.leaves:
        if isinstance(leaf, WholeInput):
            check_gate_input(resolver.inputs[leaf.name], resolver.spans.get(leaf, clause.value.span))
    return value


def check_gate_input(declared: Input, span: Span | None) -> None:
    """Refuse an input that does not run over outputs with A0324."""
    if not set(declared.shape) <= {"query", "tokens", "heads", "dim"}:
        raise AttnTypeError(
            "A0324", f"a gate cannot read `{declared.name}` element by element", span=span,
            note="the gate multiplies the output, [heads, query, dim]",
            help="declare it over some of `query`, `heads` and `dim`",
        )  # fmt: skip
