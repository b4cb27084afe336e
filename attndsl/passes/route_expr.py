"""Resolution of the expressions of routes, which speak of vectors, blocks and pools beside numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from attndsl.diagnostics import AttnNameError, AttnTypeError
from attndsl.ir.blocks import Blocks
from attndsl.ir.expr import TRUE, Apply, Const, Expr, HeadDim, Side
from attndsl.ir.pattern import Input
from attndsl.ir.route import (
    POOLS,
    BlockIndex,
    Dot,
    Group,
    InputVector,
    OverHeads,
    Pool,
    PoolKind,
    Reduction,
    RouteNode,
    ScaleFactor,
    Softmax,
    Vectors,
)
from attndsl.passes import types
from attndsl.passes.resolve_expr import Resolver
from attndsl.passes.route_group import group_pool, product, top_alike
from attndsl.passes.scope import BUILTIN_FUNCTIONS, Scope, Value, unknown_name
from attndsl.syntax import ast

GROUPS = ("heads", "kv_head")
SIDES: tuple[Side, Side] = ("q", "k")
SIMILARITY = "similarity"
"""`similarity(k in b)`: the mean cosine similarity of all pairs of tokens of a block."""
POOLING = (*POOLS, SIMILARITY)
SHORTEST = 1e-12
"""What `unit` divides shorter vectors by, so that vectors of zeros stay what they are."""


@dataclass
class RouteResolver(Resolver):
    """Resolves expressions of a route. blocks: those that are declared, by name."""

    blocks: Mapping[str, Blocks] = field(default_factory=dict)

    def _resolve(self, node: ast.Expr, scope: Scope) -> Value:
        if isinstance(node, ast.Binary) and node.operator == ".":
            left, right = (types.scalar(self.expr(each, scope), "`.`", each.span) for each in node.children)
            return product(left, right, self.spans.get)
        return super()._resolve(node, scope)

    def _name(self, node: ast.Name, scope: Scope) -> Value:
        if node.name not in scope.values and node.name not in scope.lets:
            if node.name in self.blocks:
                raise AttnNameError(
                    "A0202", f"`{node.name}` has a number at a query or key only", span=node.span,
                    help=f"write `q.{node.name}` or `k.{node.name}`",
                )  # fmt: skip
            match node.name:
                case "q" | "k" | "v":
                    return Vectors(node.name)
                case "scale":
                    return ScaleFactor()
                case "dim":
                    return HeadDim()
        return super()._name(node, scope)

    def _field(self, node: ast.Field, scope: Scope) -> Value:
        if node.name not in self.blocks or node.name in scope.axis_variables:
            return super()._field(node, scope)
        side = cast(Side, node.side)
        axes = self.axes(side)
        if not set(self.blocks[node.name].axes) <= set(axes):
            known = [f"{side}.{axis}" for axis in axes]
            raise unknown_name("axis", f"{side}.{node.name}", known, node.span, "A0203")
        return BlockIndex(side, node.name)

    def _call(self, node: ast.Call, scope: Scope) -> Value:
        arguments = [each.value for each in node.arguments]
        of_groups = bool(arguments) and _is_membership(arguments[0])
        if node.function in self.functions and not of_groups:  # a function of the file comes first
            return super()._call(node, scope)
        if len(arguments) == 1 and of_groups and node.function not in (*POOLING, "top"):
            raise unknown_name("way of pooling", node.function, POOLING, node.span, "A0242")
        if node.function in POOLING and len(arguments) == 1:
            return self._pooled(node.function, arguments[0], scope)
        if node.function in POOLING and node.function not in BUILTIN_FUNCTIONS:
            raise AttnTypeError(
                "A0372", f"`{node.function}` takes one value, and what it is pooled over", span=node.span,
                help=f"write `{node.function}(k in b)`",
            )  # fmt: skip
        if node.function == "dot" and not all(_is_input(each, self.inputs) for each in arguments):
            raise AttnTypeError(
                "A0327", "`dot` takes an input of the queries and one of the keys", span=node.span,
                help="write products of other vectors as `q . mean(k in b)`",
            )  # fmt: skip
        if node.function == "top" and of_groups:
            return self._top(node, arguments, scope)
        if node.function == "softmax" and len(arguments) in (1, 2):
            return self._softmax(arguments, scope)
        if node.function == "unit" and len(arguments) == 1 and node.function not in self.functions:
            return self._unit(arguments[0], scope)
        return super()._call(node, scope)

    def _softmax(self, arguments: Sequence[ast.Expr], scope: Scope) -> Value:
        operand = self._number(arguments[0], "softmax", scope)
        if len(arguments) == 1:
            return Softmax(operand, TRUE)
        condition = self.expr(arguments[1], scope)
        return Softmax(operand, types.truth(condition, "the condition of `softmax`", arguments[1].span))

    def _unit(self, argument: ast.Expr, scope: Scope) -> Expr:
        """The vector divided by its length."""
        vector = self._number(argument, "unit", scope)
        length = Apply("max", (Apply("sqrt", (Dot(vector, vector),)), Const(SHORTEST)))
        return Apply("div", (vector, length))

    def _read_input(self, declared: Input, node: ast.Subscript, scope: Scope) -> Expr:
        """An element, or where no index is given for the channels, the vector of all of them."""
        *others, last = declared.shape
        if last != "dim" or len(node.indices) != len(others):
            return super()._read_input(declared, node, scope)
        if declared.kind != "real":
            raise AttnTypeError(
                "A0362", f"input `{declared.name}` has no vectors of reals", span=node.span,
                help=f"declare it as `{declared.name}: real[..., dim]`",
            )  # fmt: skip
        indices = (self._input_index(declared, n, each, scope) for n, each in enumerate(node.indices))
        return InputVector(declared.name, tuple(indices))

    def _pooled(self, function: str, argument: ast.Expr, scope: Scope) -> Expr:
        if function != SIMILARITY:
            return self._pool(cast(PoolKind, function), argument, scope)
        found = self._pool("mean", argument, scope)
        if not isinstance(found, Pool):
            raise AttnTypeError(
                "A0372", "`similarity` compares the tokens of blocks", span=argument.span,
                help="write `similarity(k in b)`",
            )  # fmt: skip
        vector = found.operand
        mean = found.rebuilt((Apply("div", (vector, Apply("sqrt", (Dot(vector, vector),)))),))
        return Dot(mean, mean)

    def _pool(self, kind: PoolKind, argument: ast.Expr, scope: Scope) -> RouteNode:
        if not (isinstance(argument, ast.Binary) and argument.operator == "in"):
            return Pool(kind, self._number(argument, kind, scope), "", SIDES)
        operand, group = self._number(argument.left, kind, scope), argument.right
        if isinstance(group, ast.Name) and group.name in GROUPS and not kind.startswith("stack"):
            return OverHeads(cast(Reduction, kind), operand, cast(Group, group.name))
        sides: tuple[Side, ...] = (cast(Side, group.side),) if isinstance(group, ast.Field) else SIDES
        name = group.name if isinstance(group, ast.Name | ast.Field) else ""
        if name not in self.blocks and self._is_group(group, scope):
            place = self.spans.get
            return group_pool(
                kind, operand, self._scalar(group, "what is pooled over", scope), group.span, place
            )
        if name not in self.blocks:
            raise unknown_name("blocks", name, [*self.blocks, *GROUPS], group.span, "A0232")
        return Pool(kind, operand, name, sides)

    def _top(self, node: ast.Call, arguments: Sequence[ast.Expr], scope: Scope) -> Expr:
        if len(arguments) != 2 or any(each.name for each in node.arguments):
            raise AttnTypeError(
                "A0314", "`top` takes 2 positional arguments", span=node.span,
                note=f"{len(arguments)} given here", help="write `top(x in q.n - k.n, 8)`",
            )  # fmt: skip
        membership = cast(ast.Binary, arguments[0])
        operand = self._number(membership.left, "top", scope)
        number = self._scalar(membership.right, "what is counted", scope)
        count = self._scalar(arguments[1], "how many are kept", scope)
        return top_alike(operand, number, count, membership.right.span, arguments[1].span, self.spans.get)

    def _is_group(self, node: ast.Expr, scope: Scope) -> bool:
        """Whether a pool runs over what an expression puts together, and not over blocks of a wrong name."""
        known = scope.values.keys() | scope.lets.keys() | self.inputs.keys()
        return not isinstance(node, ast.Name | ast.Field) or node.name in known

    def _scalar(self, node: ast.Expr, what: str, scope: Scope) -> Expr:
        return types.scalar(self.expr(node, scope), what, node.span)

    def _number(self, node: ast.Expr, function: str, scope: Scope) -> Expr:
        """A number, or a vector of them."""
        value = types.scalar(self.expr(node, scope), f"`{function}`", node.span)
        if value.type == "bool":
            raise AttnTypeError(
                "A0301", f"`{function}` needs numbers", span=node.span, note="this is a truth value",
                help="write `1 if condition else 0` to count with a condition",
            )  # fmt: skip
        return value


def _is_input(node: ast.Expr, inputs: Mapping[str, Input]) -> bool:
    return isinstance(node, ast.Name) and node.name in inputs


def _is_membership(node: ast.Expr) -> bool:
    return isinstance(node, ast.Binary) and node.operator == "in"
