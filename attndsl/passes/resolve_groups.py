"""Resolution of `groups c of count` and of the two routes that choose the members of groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import cast

from attndsl.diagnostics import AttnNameError, AttnTypeError, AttnUnsupportedError
from attndsl.ir.blocks import Blocks
from attndsl.ir.derived import Derived
from attndsl.ir.expr import FlatIndex, Head, InputAt, InputElement, Position, Side
from attndsl.ir.groups import MEMBERS, OTHER, SIDES, Groups, Members
from attndsl.ir.pattern import Input, SegmentShape
from attndsl.ir.route import Route, Softmax
from attndsl.ir.route_groups import Mix, PoolAlike, TopAlike
from attndsl.passes import types
from attndsl.passes.resolve_expr import Resolver
from attndsl.passes.resolve_route import Rows, route_of
from attndsl.passes.route_expr import RouteResolver
from attndsl.passes.scope import Scope, Value
from attndsl.source import Span
from attndsl.syntax import ast

_TOKENS = (Position, FlatIndex, InputAt, InputElement, Head)
_OVER_KEYS = (Softmax, Mix, TopAlike, PoolAlike)
"""What runs over keys, or over pairs of queries and keys."""


def resolve_groups(
    clauses: Sequence[ast.Clause], blocks: Sequence[Blocks], derived: Sequence[Derived],
    resolver: Resolver, scope: Scope,
) -> Groups | None:  # fmt: skip
    """The meaning of groups among the clauses, if any. derived: the tensors that are made of others."""
    declared = [each for each in clauses if isinstance(each, ast.Groups)]
    routes = [each for each in clauses if isinstance(each, ast.Route) and each.members]
    if not declared:
        _refuse_routes(routes)
        return None
    clause = _only(declared, "`groups` clause")
    _check_company(clause, clauses, derived)
    by_members = {name: _of_members(clause, routes, name) for name in MEMBERS}
    count = types.scalar(resolver.expr(clause.count, scope), "the number of groups", clause.count.span)
    if count.type != "int" or any(isinstance(leaf, _TOKENS) for leaf in count.mentioned):
        raise AttnTypeError(
            "A0340", "the number of groups is an integer known at bind", span=clause.count.span,
            help="use numbers, parameters and `extent(axis)`",
        )  # fmt: skip
    queries, keys = (
        _route(route, name, clause.name, blocks, resolver, scope) for name, route in by_members.items()
    )
    return Groups(clause.name, count, queries, keys, clause.span)


def _refuse_routes(routes: Sequence[ast.Route]) -> None:
    if routes:
        raise AttnNameError(
            "A0245", f"`route {routes[0].members}` chooses members of groups, and there are none",
            span=routes[0].span, help="write `groups c of 16` above it",
        )  # fmt: skip


def _only(found: Sequence[ast.Clause], what: str) -> ast.Groups:
    if len(found) > 1:
        raise AttnNameError("A0206", f"a pattern has one {what} at most", span=found[1].span, help="keep one")
    return cast(ast.Groups, found[0])


def _of_members(clause: ast.Groups, routes: Sequence[ast.Route], members: Members) -> ast.Route:
    found = [each for each in routes if each.members == members]
    if not found:
        raise AttnNameError(
            "A0245", f"no route says which {members} are in each of the groups `{clause.name}`",
            span=clause.span,
            help=f"write `route {members} score ...` and below it `select top(...) per {clause.name}`",
        )  # fmt: skip
    if len(found) > 1:
        raise AttnNameError(
            "A0206", f"a pattern has one `route {members}` at most", span=found[1].span, help="keep one"
        )
    return found[0]


def refuse_groups(clauses: Sequence[ast.Clause]) -> None:
    """Raise AttnUnsupportedError A0911 for groups among the clauses of branches, or beside branches."""
    for clause in clauses:
        if isinstance(clause, ast.Groups):
            raise AttnUnsupportedError(
                "A0911", "groups are not compiled in branches, or beside them, yet", span=clause.span,
                help="give the groups a pattern of their own, and combine the outputs in your model",
            )  # fmt: skip


def _check_company(clause: ast.Groups, clauses: Sequence[ast.Clause], derived: Sequence[Derived]) -> None:
    """Groups do not stand beside another route or derived tensors."""
    other = next((each for each in clauses if isinstance(each, ast.Route) and not each.members), None)
    if other is not None:
        raise AttnNameError(
            "A0245", "beside groups a route says whose members it chooses", span=other.span,
            help="write `route queries score ...` and `route keys score ...`",
        )  # fmt: skip
    if derived:
        raise AttnTypeError(
            "A0368", "groups are of tokens as they come, and here some are made of others", span=clause.span,
            help="remove `query`, `key` and `value`",
        )  # fmt: skip


def _route(
    clause: ast.Route, members: Members, groups: str, blocks: Sequence[Blocks], resolver: Resolver,
    scope: Scope,
) -> Route:  # fmt: skip
    side = SIDES[members]
    shared = {each.name: getattr(resolver, each.name) for each in fields(Resolver)}
    spaces = {**shared["spaces"], OTHER[side]: (SegmentShape(groups, (groups,)),)}
    shared |= {"spaces": spaces, "measures": None}
    own = GroupResolver(**shared, blocks={each.name: each for each in blocks}, groups=groups, members=members)
    route = route_of(clause, own, replace(scope, values=dict(scope.values)), Rows(groups, members))
    _refuse_over_keys(route, own)
    return route


def _refuse_over_keys(route: Route, resolver: GroupResolver) -> None:
    for node in (node for root in route.expressions for node in root.mentioned):
        if isinstance(node, _OVER_KEYS):
            raise AttnTypeError(
                "A0378", "this runs over the keys of a query, and here are tokens and groups",
                span=resolver.spans.get(node, route.span),
                help="score a token for a group, such as `unit(q) . centroids[head, c]`",
            )  # fmt: skip


@dataclass
class GroupResolver(RouteResolver):
    """Resolves the expressions of a route of groups. groups: their name. members: whose route it is."""

    groups: str = ""
    members: Members = "queries"

    @property
    def _side(self) -> Side:
        return SIDES[self.members]

    def _name(self, node: ast.Name, scope: Scope) -> Value:
        if node.name not in scope.values and node.name not in scope.lets:
            if node.name == self.groups:
                return Position(OTHER[self._side], self.groups)
            if node.name in ("q", "k", "v"):
                self._check_side("q" if node.name == "q" else "k", node.name, node.span)
        return super()._name(node, scope)

    def _field(self, node: ast.Field, scope: Scope) -> Value:
        self._check_side(cast(Side, node.side), f"{node.side}.{node.name}", node.span)
        return super()._field(node, scope)

    def _token(self, declared: Input, place: int, index: ast.Expr) -> Side:
        side = super()._token(declared, place, index)
        self._check_side(side, f"{declared.name}[{side}]", index.span)
        return side

    def _check_side(self, side: Side, spelled: str, span: Span | None) -> None:
        if side != self._side:
            own = "`q`" if side == "k" else "`k` and `v`"
            raise AttnTypeError(
                "A0378", f"`{spelled}` does not belong into a route of {self.members}", span=span,
                help=f"speak of {own}, and of the number of the group, `{self.groups}`",
            )  # fmt: skip
