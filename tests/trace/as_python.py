"""Texts of the language as Python functions: a printer for tests, from the syntax tree."""

from __future__ import annotations

from functools import singledispatch

from attndsl.source import Source
from attndsl.syntax import ast
from attndsl.syntax.parser import parse

TYPES = {"int": "int", "real": "float", "bool": "bool"}
HELPERS = """def negated(x):
    return ~x if isinstance(x, attndsl.Traced) else not x
"""
"""Python's `~True` is a number, where a condition holds constants only."""
OPERATORS = {"and": "&", "or": "|"}


def as_python(text: str) -> str:
    """The functions and the pattern of a text, the pattern under `attndsl.jit`."""
    definitions = parse(Source("text", text)).definitions
    return "\n".join([HELPERS, *map(_definition, definitions)])


def _definition(definition: ast.Function | ast.Pattern) -> str:
    if isinstance(definition, ast.Function):
        names = ", ".join(["q", "k", *(each.name for each in definition.parameters)])
        return f"def {definition.name}({names}):\n    return {python(definition.result)}\n"
    space = next(each for each in definition.clauses if isinstance(each, ast.Space))
    segments = " ++ ".join(f"{each.name}({', '.join(each.axes)})" for each in space.segments)
    lines = [f"@attndsl.jit(space={segments!r})"]
    lines.append(f"def {definition.name}(q, k, {', '.join(map(_parameter, definition.parameters))}):")
    for clause in definition.clauses:
        if isinstance(clause, ast.Let):
            lines.append(f"    {clause.name} = {python(clause.value)}")
        if isinstance(clause, ast.Attend):
            arms = (f"{_arm_name(each)!r}: {python(each.condition)}" for each in clause.arms)
            lines.append(f"    return {{{', '.join(arms)}}}")
    return "\n".join(lines) + "\n"


def _parameter(parameter: ast.Parameter) -> str:
    assert parameter.type is not None
    kind, shape = TYPES[parameter.type.kind], parameter.type.shape
    wrapper = {"axes": "PerAxis", "heads": "PerHead"}[str(shape[0])] if shape else ""
    return f"{parameter.name}: {wrapper}[{kind}]" if wrapper else f"{parameter.name}: {kind}"


def _arm_name(arm: ast.Arm) -> str:
    return "else" if arm.query is None else f"{arm.query} -> {arm.key}"


@singledispatch
def python(node: ast.Expr) -> str:
    """The expression in Python, with more parentheses than it needs."""
    raise NotImplementedError(type(node).__name__)


@python.register
def _(node: ast.Number) -> str:
    return repr(node.value)


@python.register
def _(node: ast.Boolean) -> str:
    return repr(node.value)


@python.register
def _(node: ast.Name) -> str:
    return node.name


@python.register
def _(node: ast.Field) -> str:
    return f"{node.side}[{node.name}]" if node.name == "a" else f"{node.side}.{node.name}"


@python.register
def _(node: ast.Subscript) -> str:
    return f"{node.name}[{', '.join(map(python, node.indices))}]"


@python.register
def _(node: ast.Call) -> str:
    arguments = ", ".join(python(each.value) for each in node.arguments)
    if node.function == "nearby":
        return f"nearby(q, k, {arguments})"
    if node.function == "extent":
        return f"extent({arguments!r})"
    return f"lang.{node.function}({arguments})"


@python.register
def _(node: ast.Unary) -> str:
    return f"negated({python(node.operand)})" if node.operator == "not" else f"(-{python(node.operand)})"


@python.register
def _(node: ast.Binary) -> str:
    operator = OPERATORS.get(node.operator, node.operator)
    return f"({python(node.left)} {operator} {python(node.right)})"


@python.register
def _(node: ast.Compare) -> str:
    operands = list(map(python, node.operands))
    links = zip(operands, node.operators, operands[1:], strict=False)
    return f"({' & '.join(f'({left} {operator} {right})' for left, operator, right in links)})"


@python.register
def _(node: ast.IfElse) -> str:
    return f"where({python(node.condition)}, {python(node.value)}, {python(node.other)})"


@python.register
def _(node: ast.Quantified) -> str:
    return f"lang.{node.kind}_axes(lambda {node.variable}: {python(node.body)})"
