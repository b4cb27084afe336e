"""Resolution of `route`: what is scored, among which pairs, by which rule, and what is always kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import cast

from attndsl.diagnostics import AttnNameError, AttnTypeError
from attndsl.ir.blocks import Blocks
from attndsl.ir.expr import FALSE, TRUE, Expr, Extent, HeadDim, Side
from attndsl.ir.route import (
    POOLS,
    RULES,
    BlockIndex,
    Dot,
    OverHeads,
    Pool,
    PoolKind,
    Route,
    Rule,
    ScaleFactor,
    Softmax,
    Vectors,
)
from attndsl.passes import types
from attndsl.passes.resolve_expr import Resolver
from attndsl.passes.route_grains import TOKEN, Grain, finest_block, grains
from attndsl.passes.scope import Scope, Value, unknown_name
from attndsl.source import Span
from attndsl.syntax import ast

Step = ast.RouteStep
GROUPS = ("heads", "kv_head")
SIDES: tuple[Side, Side] = ("q", "k")


def resolve_route(
    clauses: Sequence[ast.Clause], blocks: Sequence[Blocks], resolver: Resolver, scope: Scope
) -> Route | None:
    """The meaning of the route among the clauses, if there is one."""
    routes = [each for each in clauses if isinstance(each, ast.Route)]
    if not routes:
        return None
    if len(routes) > 1:
        raise AttnNameError(
            "A0206", "a pattern has one `route` clause at most", span=routes[1].span,
            help="keep one, or give each a branch of its own",
        )  # fmt: skip
    shared = {each.name: getattr(resolver, each.name) for each in fields(resolver)}
    own = RouteResolver(**shared, blocks={each.name: each for each in blocks})
    return own.route(routes[0], replace(scope, values=dict(scope.values)))


@dataclass
class RouteResolver(Resolver):
    """Resolves expressions that may speak of vectors, blocks and pools."""

    blocks: Mapping[str, Blocks] = field(default_factory=dict)

    def route(self, clause: ast.Route, scope: Scope) -> Route:
        """The whole clause."""
        score_step, select = self._only(clause, "score"), self._only(clause, "select")
        if score_step is None or select is None:
            word = "select" if score_step else "score"
            raise AttnTypeError(
                "A0345", f"this route has no `{word}`", span=clause.span,
                help="write `route score mean(k in b) . q`, and below it `select top(8) per query, head`",
            )  # fmt: skip
        score = types.scalar(self.expr(score_step.value, scope), "`score`", score_step.value.span)
        conditions = [self._condition(clause, word, scope) for word in ("among", "prefer", "always")]
        among, prefer, always = (each or default for each, default in zip(conditions, _DEFAULTS, strict=True))
        queries, keys = self._units(score, [score, among, prefer, always], select, score_step.value.span)
        return Route(
            queries, keys, score, self._rules(select.value, scope), self._per(select, queries),
            among, prefer, always, tuple(self.blocks.values()), clause.span,
        )  # fmt: skip

    def _only(self, clause: ast.Route, word: str) -> Step | None:
        steps = [each for each in clause.steps if each.word == word]
        if len(steps) > 1:
            raise AttnNameError("A0206", f"a route has one `{word}`", span=steps[1].span, help="keep one")
        return steps[0] if steps else None

    def _condition(self, clause: ast.Route, word: str, scope: Scope) -> Expr | None:
        step = self._only(clause, word)
        if step is None:
            return None
        return types.truth(self.expr(step.value, scope), f"`{word}`", step.value.span)

    # ------------------------------------------------------------ units

    def _units(self, score: Expr, roots: Sequence[Expr], select: Step, span: Span | None) -> tuple[str, str]:
        """What the rows and columns of the map stand for."""
        found = [grains(root, self.spans.get)[root] for root in roots]
        if found[0].vector:
            raise AttnTypeError(
                "A0342", "a score is a number, and a vector has many", span=span,
                help="compare vectors by their product, `mean(k in b) . q`",
            )  # fmt: skip
        key = self._side("k", found, roots, span)
        query = self._side("q", found, roots, span)
        if key is None:
            raise AttnTypeError(
                "A0346", "this score is the same for all keys", span=span,
                help="score keys, such as `mean(k in b) . q` or `bias[head, k]`",
            )  # fmt: skip
        if query is None:
            query = next((name for name in select.per if name in self.blocks), TOKEN)
        return query, key

    def _side(
        self, side: Side, found: Sequence[Grain], roots: Sequence[Expr], span: Span | None
    ) -> str | None:
        names = sorted({name for each in found if (name := each.of(side)) is not None})
        if len(names) > 1:
            raise AttnTypeError(
                "A0341", f"{'queries' if side == 'q' else 'keys'} are {_grain_word(names[0])} in one phrase and"
                f" {_grain_word(names[1])} in another", span=span,
                help="pool all of them by the same blocks, and speak of blocks as `k.b`",
            )  # fmt: skip
        if names:
            return names[0]
        return next((name for root in roots if (name := finest_block(root, side)) is not None), None)

    # ------------------------------------------------------------ select

    def _rules(self, node: ast.Expr, scope: Scope) -> tuple[tuple[Expr, Rule], ...]:
        match node:
            case ast.IfElse(condition, value, other):
                holds = types.truth(self.expr(condition, scope), "the condition of `if`", condition.span)
                first = self._rules(value, scope)
                return (*((_and(holds, each), rule) for each, rule in first), *self._rules(other, scope))
            case ast.Call(name, arguments) if name in RULES:
                return ((TRUE, self._rule(node, name, arguments, scope)),)
            case ast.Call(name) | ast.Name(name):
                raise unknown_name("rule", name, RULES, node.span, "A0231")
        raise AttnTypeError(
            "A0347", "`select` takes a rule", span=node.span,
            help=f"write one of {', '.join(f'`{each}(...)`' for each in RULES)}",
        )  # fmt: skip

    def _rule(self, node: ast.Expr, name: str, given: Sequence[ast.Argument], scope: Scope) -> Rule:
        least, most = RULES[name]
        if not least <= len(given) <= most or any(each.name for each in given):
            raise AttnTypeError(
                "A0314", f"`{name}` takes {least if least == most else f'{least} or {most}'} positional arguments",
                span=node.span, note=f"{len(given)} given here", help=f"call it as `{name}({'xy'[:least]})`",
            )  # fmt: skip
        arguments = []
        for each in given:
            value = types.scalar(self.expr(each.value, scope), f"an argument of `{name}`", each.value.span)
            if value.type == "bool" or any(g != Grain() for g in grains(value, self.spans.get).values()):
                raise AttnTypeError(
                    "A0347", f"`{name}` takes numbers known at bind", span=each.value.span,
                    help="use numbers, parameters and `extent(b)`",
                )  # fmt: skip
            arguments.append(value)
        return Rule(name, tuple(arguments))

    def _per(self, select: Step, queries: str) -> tuple[str, ...]:
        rows = queries or "query"
        for name in select.per:
            if name not in (rows, "head"):
                note = (
                    f"this map has one row per block `{queries}`" if queries else "it has one row per query"
                )
                raise AttnNameError(
                    "A0232", f"a selection cannot be `per {name}` here", span=select.span, note=note,
                    help=f"write some of `{rows}` and `head`; without `per` all entries compete",
                )  # fmt: skip
        return tuple(each for each, name in (("query", rows), ("head", "head")) if name in select.per)

    # ------------------------------------------------------------ expressions

    def _resolve(self, node: ast.Expr, scope: Scope) -> Value:
        if isinstance(node, ast.Binary) and node.operator == ".":
            operands = [types.scalar(self.expr(each, scope), "`.`", each.span) for each in node.children]
            return Dot(*operands)
        return super()._resolve(node, scope)

    def _name(self, node: ast.Name, scope: Scope) -> Value:
        if node.name not in scope.values and node.name not in scope.lets:
            match node.name:
                case "q" | "k" | "v":
                    return Vectors(node.name)
                case "scale":
                    return ScaleFactor()
                case "dim":
                    return HeadDim()
        return super()._name(node, scope)

    def _field(self, node: ast.Field, scope: Scope) -> Value:
        if node.name in self.blocks and node.name not in scope.axis_variables:
            side = cast(Side, node.side)
            if not set(self.blocks[node.name].axes) <= set(self.axes(side)):
                raise unknown_name("axis", f"{side}.{node.name}", [f"{side}.{each}" for each in self.axes(side)],
                                   node.span, "A0203")  # fmt: skip
            return BlockIndex(side, node.name)
        return super()._field(node, scope)

    def _extent(self, node: ast.Expr, scope: Scope) -> Expr:
        if isinstance(node, ast.Name) and node.name in self.blocks:
            return Extent(node.name)
        return super()._extent(node, scope)

    def _call(self, node: ast.Call, scope: Scope) -> Value:
        arguments = [each.value for each in node.arguments]
        member = (
            len(arguments) == 1 and isinstance(arguments[0], ast.Binary) and arguments[0].operator == "in"
        )
        if node.function in POOLS and len(arguments) == 1:
            return self._pool(node, arguments[0], member, scope)
        if node.function == "softmax" and len(arguments) in (1, 2) and not member:
            operand = types.scalar(self.expr(arguments[0], scope), "`softmax`", arguments[0].span)
            return Softmax(operand, self._second(arguments, scope))
        if member:
            raise unknown_name("way of pooling", node.function, POOLS, node.span, "A0233")
        return super()._call(node, scope)

    def _second(self, arguments: Sequence[ast.Expr], scope: Scope) -> Expr:
        if len(arguments) == 1:
            return TRUE
        return types.truth(self.expr(arguments[1], scope), "the condition of `softmax`", arguments[1].span)

    def _pool(self, node: ast.Call, argument: ast.Expr, member: bool, scope: Scope) -> Value:
        kind = cast(PoolKind, node.function)
        if not member:
            return Pool(kind, self._operand(argument, kind, scope), "", SIDES)
        assert isinstance(argument, ast.Binary)
        operand, group = self._operand(argument.left, kind, scope), argument.right
        if isinstance(group, ast.Name) and group.name in GROUPS and not kind.startswith("stack"):
            return OverHeads(kind, operand, group.name)
        sides: tuple[Side, ...] = (cast(Side, group.side),) if isinstance(group, ast.Field) else SIDES
        name = group.name if isinstance(group, ast.Name | ast.Field) else ""
        if name not in self.blocks:
            raise unknown_name("blocks", name, [*self.blocks, *GROUPS], group.span, "A0234")
        return Pool(kind, operand, name, sides)

    def _operand(self, node: ast.Expr, kind: str, scope: Scope) -> Expr:
        value = types.scalar(self.expr(node, scope), f"`{kind}`", node.span)
        if value.type == "bool":
            raise AttnTypeError(
                "A0301", f"`{kind}` needs numbers", span=node.span, note="this is a truth value",
                help="write `1 if condition else 0` to count with a condition",
            )  # fmt: skip
        return value


_DEFAULTS = (TRUE, FALSE, FALSE)


def _grain_word(name: str) -> str:
    return f"blocks `{name}`" if name else "tokens"


def _and(first: Expr, second: Expr) -> Expr:
    if second is TRUE:
        return first
    return cast(Expr, types.apply("and", "and", [(first, None), (second, None)], None))


__all__ = ["RouteResolver", "resolve_route"]
