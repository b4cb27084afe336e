"""Resolution of `combine`: an expression over the outputs of branches."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from attndsl.diagnostics import AttnNameError, AttnTypeError
from attndsl.ir.combine import IDENTITY, BranchOutput, Joint, Projected
from attndsl.ir.expr import Expr, WholeInput
from attndsl.ir.pattern import PatternIR
from attndsl.passes.clause_values import number, refuse_tokens, with_whole_inputs
from attndsl.passes.resolve_expr import Resolver
from attndsl.passes.resolve_gate import check_gate_input
from attndsl.passes.scope import Scope, Value, unknown_name
from attndsl.source import Span
from attndsl.syntax import ast

WORDS = ("joint", "project", "identity")
"""Names with a meaning of their own in `combine`."""


@dataclass
class CombineResolver(Resolver):
    """A resolver that knows `joint` and `project`. branches: by name."""

    branches: dict[str, PatternIR] = field(default_factory=dict)

    def _call(self, node: ast.Call, scope: Scope) -> Value:
        if node.function in self.functions:  # a function of the file comes first
            return super()._call(node, scope)
        if node.function == "joint":
            return self._joint(node)
        if node.function == "project":
            return self._project(node, scope)
        return super()._call(node, scope)

    def _joint(self, node: ast.Call) -> Expr:
        names = [each.value.name for each in node.arguments if isinstance(each.value, ast.Name)]
        if len(names) < max(2, len(node.arguments)) or len(set(names)) < len(names):
            raise AttnTypeError(
                "A0350", "`joint` takes the names of two or more branches, each once", span=node.span,
                help="write `joint(a, b)`",
            )  # fmt: skip
        for name in names:
            if name not in self.branches:
                raise unknown_name("branch", name, self.branches, node.span, "A0231")
            if not self.branches[name].weighting.is_softmax:
                raise AttnTypeError(
                    "A0351", f"the weights of branch `{name}` are no softmax, which `joint` could join",
                    span=node.span, help=f"add its output: `... + {name}`",
                )  # fmt: skip
        return Joint(tuple(names))

    def _project(self, node: ast.Call, scope: Scope) -> Expr:
        if not 2 <= len(node.arguments) <= 3 or any(each.name for each in node.arguments):
            raise AttnTypeError(
                "A0352", "`project` takes a value, a matrix and perhaps a bias", span=node.span,
                help="write `project(a, w)` or `project(a, w, b)`",
            )  # fmt: skip
        value, *others = (each.value for each in node.arguments)
        names = [self._matrix(each, shape) for each, shape in zip(others, SHAPES, strict=False)]
        inner = number(self.expr(value, scope), "`project`", value.span)
        return Projected(inner, *names, *[""] * (2 - len(names)))

    def _matrix(self, node: ast.Expr, shape: tuple[str, ...]) -> str:
        declared = self.inputs.get(node.name) if isinstance(node, ast.Name) else None
        if declared is None or declared.shape not in (shape, ("heads", *shape)):
            wanted = ", ".join(shape)
            raise AttnTypeError(
                "A0352", "this is no input that `project` can multiply by" if len(shape) > 1 else
                "this is no input that `project` can add", span=node.span,
                help=f"declare `input w: real[{wanted}]`, or `real[heads, {wanted}]` for one per head",
            )  # fmt: skip
        return declared.name


SHAPES = (("dim", "dim"), ("dim",))
"""The dimensions of the inputs that `project` takes, without heads."""


def combination(
    clause: ast.Combine, resolver: Resolver, scope: Scope, branches: dict[str, PatternIR], here: set[str]
) -> Expr:
    """The meaning of `combine`. here: the branches that have one output per query."""
    combining = CombineResolver(
        resolver.functions,
        resolver.spaces,
        resolver.inputs,
        resolver.choices,
        resolver.spans,
        branches=branches,
    )
    outputs: dict[str, Value] = {name: BranchOutput(name) for name in branches}
    whole = with_whole_inputs(resolver, scope)
    inner = replace(whole, values={**whole.values, **outputs, "identity": IDENTITY})
    span = clause.value.span
    value = number(combining.expr(clause.value, inner), "`combine`", span)
    refuse_tokens(value, "a combination", combining, span)
    _check(value, combining, span, here)
    return value


def _check(value: Expr, resolver: CombineResolver, span: Span | None, here: set[str]) -> None:
    read: set[str] = set()
    for node in value.mentioned:
        match node:
            case WholeInput(name):
                check_gate_input(resolver.inputs[name], resolver.spans.get(node, span))
            case BranchOutput(name):
                read.add(name)
            case Joint(names):
                read.update(names)
    for name in sorted(read - here):
        raise AttnTypeError(
            "A0353", f"branch `{name}` has one output per block, not one per query", span=span,
            help=f"let another branch attend to it: `value {name}`",
        )  # fmt: skip
    if not read and IDENTITY not in value.mentioned:
        raise AttnTypeError(
            "A0353", "this combines no outputs", span=span,
            help=f"write an expression over {', '.join(f'`{name}`' for name in resolver.branches)}",
        )  # fmt: skip
    _check_used(read, resolver.branches)


def _check_used(read: set[str], branches: dict[str, PatternIR]) -> None:
    """A branch that nothing reads is a mistake."""
    used = read | {
        each.of for branch in branches.values() for each in branch.derived if each.kind == "branch"
    }
    for name, branch in branches.items():
        if name not in used:
            raise AttnNameError(
                "A0233", f"nothing takes the output of branch `{name}`",
                span=branch.arms[0].span, help="mention it in `combine`, or remove it",
            )  # fmt: skip
