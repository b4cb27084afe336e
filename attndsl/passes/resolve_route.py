"""Resolution of `route`: what is scored, among which pairs, by which rule, and what is always kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import cast

from attndsl.diagnostics import AttnNameError, AttnTypeError
from attndsl.ir.blocks import Blocks
from attndsl.ir.derived import Derived
from attndsl.ir.expr import FALSE, TRUE, Expr, Head, Side
from attndsl.ir.route import COUNTING, RULES, BlockIndex, OverHeads, Pooling, Route, Rule
from attndsl.passes import types
from attndsl.passes.resolve_expr import Resolver
from attndsl.passes.route_expr import RouteResolver
from attndsl.passes.route_grains import TOKEN, Grain, blocks_numbered, grains
from attndsl.passes.scope import Scope, unknown_name
from attndsl.source import Span
from attndsl.syntax import ast

CONDITIONS = {"among": TRUE, "prefer": FALSE, "always": FALSE}
"""The phrases that are conditions, and what they mean where they are left out."""


@dataclass(frozen=True)
class Rows:
    """What the rows of the map of a route of groups are: groups of this name; its columns are members."""

    groups: str
    members: str


def resolve_route(
    clauses: Sequence[ast.Clause],
    blocks: Sequence[Blocks],
    derived: Sequence[Derived],
    resolver: Resolver,
    scope: Scope,
) -> Route | None:
    """The meaning of the route among the clauses, if any. derived: the tensors that are made of others."""
    routes = [each for each in clauses if isinstance(each, ast.Route) and not each.members]
    if not routes:
        return None
    if len(routes) > 1:
        raise AttnNameError(
            "A0206", "a pattern has one `route` clause at most", span=routes[1].span,
            help="keep one, or give each a branch of its own",
        )  # fmt: skip
    if derived:
        raise AttnTypeError(
            "A0368", "a route chooses among tokens as they come, and here some are made of others",
            span=routes[0].span, help="give the route a branch of its own, without derived tensors",
        )  # fmt: skip
    shared = {each.name: getattr(resolver, each.name) for each in fields(resolver)}
    own = RouteResolver(**shared, blocks={each.name: each for each in blocks})
    return route_of(routes[0], own, replace(scope, values=dict(scope.values)))


def route_of(clause: ast.Route, resolver: RouteResolver, scope: Scope, rows: Rows | None = None) -> Route:
    """The meaning of a route. rows: of groups; None for queries or blocks of them."""
    score_step, select = _only(clause, "score"), _only(clause, "select")
    if score_step is None or select is None:
        raise AttnTypeError(
            "A0365", f"this route has no `{'select' if score_step else 'score'}`", span=clause.span,
            help="write `route score mean(k in b) . q`, and below it `select top(8) per query`",
        )  # fmt: skip
    place = score_step.value.span
    score = types.scalar(resolver.expr(score_step.value, scope), "`score`", place)
    among, prefer, always = (_condition(clause, word, resolver, scope) for word in CONDITIONS)
    steps = (_only(clause, word) for word in CONDITIONS)
    places = [place, *(None if step is None else step.value.span for step in steps)]
    queries, keys = _units([score, among, prefer, always], places, select, resolver, rows)
    per, choice = _per(select, queries, resolver, rows)
    rules = _rules(select.value, resolver, scope)
    _check_heads(score, rules, select.value.span)
    _check_halves(rules, per, prefer, select.value.span)
    blocks = tuple(resolver.blocks.values())
    return Route(queries, keys, score, rules, per, choice, among, prefer, always, blocks, clause.span)


def _check_heads(score: Expr, rules: Sequence[tuple[Expr, Rule]], place: Span | None) -> None:
    """Numbers that differ between heads need a map for each."""
    nodes = {node for _, rule in rules for each in rule.arguments for node in each.mentioned}
    if Head() in nodes and any(isinstance(node, OverHeads) for node in score.mentioned):
        raise AttnTypeError(
            "A0369", "heads that share a map of scores are given numbers of their own", span=place,
            help="use one number for all heads, or leave out `in heads` and `in kv_head`",
        )  # fmt: skip


def _only(clause: ast.Route, word: str) -> ast.RouteStep | None:
    steps = [each for each in clause.steps if each.word == word]
    if len(steps) > 1:
        raise AttnNameError("A0206", f"a route has one `{word}`", span=steps[1].span, help="keep one")
    return steps[0] if steps else None


def _condition(clause: ast.Route, word: str, resolver: RouteResolver, scope: Scope) -> Expr:
    step = _only(clause, word)
    if step is None:
        return CONDITIONS[word]
    return types.truth(resolver.expr(step.value, scope), f"`{word}`", step.value.span)


# ---------------------------------------------------------------- units


def _units(
    roots: Sequence[Expr], places: Sequence[Span | None], select: ast.RouteStep, resolver: RouteResolver,
    rows: Rows | None,
) -> tuple[str, str]:  # fmt: skip
    """What the rows and columns of the map stand for."""
    place = places[0]
    found = [grains(root, resolver.spans.get)[root] for root in roots]
    if found[0].vector or roots[0].type == "bool":
        raise AttnTypeError(
            "A0362", f"a score is a number, this is a {'vector' if found[0].vector else 'truth value'}",
            span=place, help="compare vectors by their product, `mean(k in b) . q`",
        )  # fmt: skip
    query, key = (_side(side, found, roots, places) for side in ("q", "k"))
    if rows is not None and (query is None or key is None):
        same = rows.members if (query is None) == (rows.members == "queries") else "groups"
        raise AttnTypeError(
            "A0366", f"this score is the same for all {same}", span=place,
            help=f"compare tokens with groups, as in `unit(q) . centroids[head, {rows.groups}]`",
        )  # fmt: skip
    if key is None:
        raise AttnTypeError(
            "A0366", "this score is the same for all keys", span=place,
            help="score keys, such as `mean(k in b) . q` or `bias[head, k]`",
        )  # fmt: skip
    if query is None:
        query = next((name for name in select.per if name in resolver.blocks), TOKEN)
    return query, key


def _side(
    side: Side, found: Sequence[Grain], roots: Sequence[Expr], places: Sequence[Span | None]
) -> str | None:
    """What one side has one score of; None where the route does not speak of it."""
    first = None
    for name, place in zip((each.of(side) for each in found), places, strict=True):
        if None not in (first, name) and name != first:
            raise _of_two_units(side, first or "", name or "", place)
        first = name if first is None else first
    if first is not None:
        return first
    return next((name for root in roots if (name := blocks_numbered(root, side)) is not None), None)


def _of_two_units(side: Side, first: str, other: str, place: Span | None) -> AttnTypeError:
    """The error for a phrase whose rows or columns are not those of an earlier one."""
    of_first, of_other = (f"blocks `{each}`" if each else "tokens" for each in (first, other))
    return AttnTypeError(
        "A0361", f"{'queries' if side == 'q' else 'keys'} are {of_other} here, and {of_first} above",
        span=place,
        help=f"speak of blocks, as in `k.{first} <= q.{first}`, and say in `attend` what tokens may see"
        if first else f"score blocks, as in `mean(k in {other})`, or speak of tokens",
    )  # fmt: skip


# ---------------------------------------------------------------- select


def _rules(node: ast.Expr, resolver: RouteResolver, scope: Scope) -> tuple[tuple[Expr, Rule], ...]:
    """The rules that `a if condition else b` chooses from."""
    match node:
        case ast.IfElse(condition, value, other):
            holds = types.truth(resolver.expr(condition, scope), "the condition of `if`", condition.span)
            first = _rules(value, resolver, scope)
            return (*((_and(holds, each), rule) for each, rule in first), *_rules(other, resolver, scope))
        case ast.Call(name) if name in RULES:
            return ((TRUE, _rule(node, resolver, scope)),)
        case ast.Call(name) | ast.Name(name) if name not in RULES:
            raise unknown_name("rule", name, RULES, node.span, "A0240")
    raise AttnTypeError(
        "A0367", "`select` takes a rule and its numbers", span=node.span,
        help=f"write one of {', '.join(f'`{each}(...)`' for each in RULES)}",
    )  # fmt: skip


def _and(first: Expr, second: Expr) -> Expr:
    if second is TRUE:
        return first
    return cast(Expr, types.apply("and", "and", [(first, None), (second, None)], None))


def _rule(node: ast.Call, resolver: RouteResolver, scope: Scope) -> Rule:
    name, given, (least, most) = node.function, node.arguments, RULES[node.function]
    if not least <= len(given) <= most or any(each.name for each in given):
        count = str(least) if least == most else f"{least} or {most}"
        raise AttnTypeError(
            "A0314", f"`{name}` takes {count} positional arguments", span=node.span,
            note=f"{len(given)} given here", help=f"call it as `{name}({', '.join('xy'[:least])})`",
        )  # fmt: skip
    arguments = tuple(_argument(name, each.value, resolver, scope) for each in given)
    for value, argument in list(zip(arguments, given, strict=True))[0 if name in COUNTING else 1 :]:
        if value.type == "real":
            raise AttnTypeError(
                "A0367", f"`{name}` counts entries here, and this is a real number", span=argument.value.span,
                help="write an integer" + ", or `ratio(x)` for a part of all" * (name in COUNTING),
            )  # fmt: skip
    return Rule(name, arguments)


def _check_halves(
    rules: Sequence[tuple[Expr, Rule]], per: Sequence[Pooling], prefer: Expr, span: Span | None
) -> None:
    """`halves` searches a row from one end to the other, by one number for all heads."""
    of_halves = [rule for _, rule in rules if rule.name == "halves"]
    per_head = any(Head() in each.mentioned for rule in of_halves for each in rule.arguments)
    if of_halves and (set(per) != {"query"} or prefer is not FALSE or per_head):
        raise AttnTypeError(
            "A0377", "`halves` searches each row alone, by one number for all heads", span=span,
            help="let each row compete for itself, and keep entries beside its choice by `always`",
        )  # fmt: skip


def _argument(name: str, node: ast.Expr, resolver: RouteResolver, scope: Scope) -> Expr:
    value = types.scalar(resolver.expr(node, scope), f"an argument of `{name}`", node.span)
    of_data = any(each != Grain() for each in grains(value, resolver.spans.get).values()) or any(
        isinstance(each, BlockIndex) for each in value.mentioned
    )
    if value.type == "bool" or of_data:
        raise AttnTypeError(
            "A0367", f"`{name}` takes numbers known at bind", span=node.span,
            help="use numbers, parameters and `extent(b)`",
        )  # fmt: skip
    return value


def _per(
    select: ast.RouteStep, queries: str, resolver: RouteResolver, of_groups: Rows | None
) -> tuple[tuple[Pooling, ...], str]:
    """Which entries compete: one answer, or one for each name of the parameter that chooses."""
    rows, kind = (of_groups.groups, "group ") if of_groups else (queries or "query", "block " * bool(queries))
    words: dict[str, Pooling] = {rows: "query", "head": "head", "all": "all"}
    if len(select.per) == 1 and select.per[0] in resolver.choices:
        names = resolver.choices[select.per[0]]
        _check_pools(names, words | {"query": "query"}, rows, kind, select)
        return tuple((words | {"query": "query"})[name] for name in names), select.per[0]
    _check_pools(select.per, words, rows, kind, select)
    found = {words[name] for name in select.per}
    return ("query" if "query" in found else "head" if "head" in found else "all",), ""


def _check_pools(
    names: Sequence[str], words: Mapping[str, Pooling], rows: str, kind: str, select: ast.RouteStep
) -> None:
    for name in names:
        if name not in words:
            raise AttnNameError(
                "A0241", f"a selection cannot be `per {name}` here", span=select.span,
                note=f"the map of scores has one row per {f'{kind}`{rows}`' if kind else rows}",
                help=f"write `per {rows}`, `per head`, where all rows compete, or `per all`",
            )  # fmt: skip
