"""Resolution of branches: complete patterns that share parameters, inputs and lets with one another."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from attndsl.diagnostics import AttnNameError, AttnTypeError
from attndsl.ir.combine import IDENTITY
from attndsl.ir.expr import Side
from attndsl.ir.pattern import PatternIR
from attndsl.passes.resolve_combine import WORDS, combination
from attndsl.passes.resolve_derived import Segments
from attndsl.passes.resolve_expr import Resolver
from attndsl.passes.scope import Scope, Value
from attndsl.source import Span
from attndsl.syntax import ast

SHARED = (ast.Space, ast.Let, ast.Require, ast.Input, ast.Blocks, ast.Branch, ast.Combine)
"""Clauses that stand beside branches."""

OF_THE_WHOLE = {ast.Space: "space", ast.Input: "input", ast.Branch: "branch", ast.Combine: "combine"}
"""Clauses that stand in no branch."""

Body = Callable[[ast.Pattern, PatternIR, Resolver, Scope, Mapping[str, Segments]], PatternIR]
"""The meaning of what a branch says of pairs; its resolver knows the spaces of its tensors afterwards."""


@dataclass
class Branches:
    """The branches that are resolved so far, each after those whose outputs it takes."""

    pattern: ast.Pattern
    whole: PatternIR
    resolver: Resolver
    scope: Scope
    body: Body
    found: dict[str, PatternIR] = field(default_factory=dict)
    outputs: dict[str, Segments] = field(default_factory=dict)
    pending: list[str] = field(default_factory=list)

    def resolve(self, branch: ast.Branch) -> None:
        """Resolve a branch, and before it those that it needs."""
        if branch.name in self.found:
            return
        if branch.name in self.pending:
            cycle = " -> ".join([*self.pending[self.pending.index(branch.name) :], branch.name])
            raise AttnNameError(
                "A0234", f"branch `{branch.name}` takes its own output: {cycle}", span=branch.span,
                help="break the cycle",
            )  # fmt: skip
        self.pending.append(branch.name)
        named = {each.name: each for each in branches_of(self.pattern)}
        for name in _needed(branch):
            if name in named:
                self.resolve(named[name])
        self.pending.pop()
        self._resolve(branch)

    def _resolve(self, branch: ast.Branch) -> None:
        _refuse_clauses_of_the_whole(branch)
        spaces: dict[Side, Segments] = {"q": self.whole.query_space, "k": self.whole.key_space}
        outer = self.resolver
        inner = Resolver(outer.functions, spaces, outer.inputs, outer.choices)
        alone = ast.Pattern(branch.name, self.pattern.parameters, "", branch.clauses, span=branch.span)
        found = self.body(alone, self.whole, inner, self._scope(branch), self.outputs)
        spans = {**outer.spans, **found.spans}
        self.found[branch.name] = replace(found, spans=spans)
        self.outputs[branch.name] = inner.spaces["q"]

    def _scope(self, branch: ast.Branch) -> Scope:
        """The names that a branch knows: parameters, and lets, which mean coordinates of its own."""
        shared, own = self.scope, {each.name: each for each in branch.clauses if isinstance(each, ast.Let)}
        blocks = [(each.name, each.span) for each in branch.clauses if isinstance(each, ast.Blocks)]
        taken = {*shared.names(), *self.resolver.inputs}
        taken |= {each.name for each in self.whole.blocks}
        taken |= {each.name for each in branches_of(self.pattern)}
        for name, span in [*((name, each.span) for name, each in own.items()), *blocks]:
            if name in taken:
                raise AttnNameError(
                    "A0205", f"name `{name}` is defined twice", span=span, help="rename one of them"
                )
        values: dict[str, Value] = {
            name: value for name, value in shared.values.items() if name not in shared.lets
        }
        return Scope(values, {**shared.lets, **own})


def branches_of(pattern: ast.Pattern) -> list[ast.Branch]:
    """The branches of a pattern, in order."""
    return [clause for clause in pattern.clauses if isinstance(clause, ast.Branch)]


def with_branches(
    pattern: ast.Pattern, whole: PatternIR, resolver: Resolver, scope: Scope, body: Body
) -> PatternIR:
    """The pattern with its branches and what combines them."""
    combine = _combine(pattern, [*scope.names(), *resolver.inputs])
    branches = Branches(pattern, whole, resolver, scope, body)
    for branch in branches_of(pattern):
        branches.resolve(branch)
    here = {name for name, space in branches.outputs.items() if _is_main(name, branches)}
    value = combination(combine, resolver, scope, branches.found, here)
    if IDENTITY in value.mentioned and whole.cross:
        raise AttnTypeError(
            "A0354", "`identity` is the value of the query's own token, and queries have no values here",
            span=combine.value.span, help="declare one space for queries and keys",
        )  # fmt: skip
    return replace(
        whole,
        requirements=tuple(dict.fromkeys(resolver.requirements)),
        branches=tuple(branches.found.values()),
        combine=value,
        spans=resolver.spans,
    )


def _is_main(name: str, branches: Branches) -> bool:
    """Whether a branch has one output per query of the pattern; transposed ones are transposed back."""
    derived = branches.found[name].derived
    return all(each.kind == "transposed" for each in derived if each.role == "query")


def _combine(pattern: ast.Pattern, names: Sequence[str]) -> ast.Combine:
    """What combines the branches. names: of parameters, lets and inputs."""
    branches = branches_of(pattern)
    found = [clause for clause in pattern.clauses if isinstance(clause, ast.Combine)]
    if not branches:
        raise AttnNameError(
            "A0235", "there are no branches to combine", span=found[0].span,
            help="write `branch name:` with clauses of its own, or remove `combine`",
        )  # fmt: skip
    if len(found) != 1:
        raise AttnNameError(
            "A0235", "branches need one `combine`", span=found[1].span if found else branches[-1].span,
            help=f"write `combine {' + '.join(each.name for each in branches)}`, or what else joins them",
        )  # fmt: skip
    for clause in pattern.clauses:
        if not isinstance(clause, SHARED):
            raise AttnNameError(
                "A0236", f"beside branches there is no `{word_of(clause)}`", span=clause.span,
                help="move it into the branch that it is about",
            )  # fmt: skip
    _check_names([(each.name, each.span) for each in branches])
    _check_names([(name, found[0].span) for name in names])
    return found[0]


def _check_names(named: Sequence[tuple[str, Span | None]]) -> None:
    for name, span in named:
        if name in WORDS:
            raise AttnNameError(
                "A0207", f"`{name}` has a meaning of its own in `combine`", span=span,
                help="choose another name",
            )  # fmt: skip


def _refuse_clauses_of_the_whole(branch: ast.Branch) -> None:
    for clause in branch.clauses:
        if type(clause) in OF_THE_WHOLE:
            raise AttnNameError(
                "A0237", f"a branch has no `{OF_THE_WHOLE[type(clause)]}` of its own", span=clause.span,
                help="write it beside the branches, which share it",
            )  # fmt: skip


def word_of(clause: ast.Clause) -> str:
    """The word that begins a clause."""
    return clause.role if isinstance(clause, ast.Derived) else type(clause).__name__.lower()


def _needed(branch: ast.Branch) -> list[str]:
    """The names of the branches whose outputs a branch takes."""
    derived = (clause.value for clause in branch.clauses if isinstance(clause, ast.Derived))
    return [value.name for value in derived if isinstance(value, ast.Name)]
