"""Printer: from a syntax tree back to text, such that `parse(to_text(tree)) == tree`.

The text is canonical: four blanks a level, one blank line between definitions, no parentheses that the
grammar does not need. Comments are not part of the tree and are lost.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import singledispatch

from attndsl.syntax import ast
from attndsl.syntax.print_expressions import argument_text, expression_text

_STEP = "    "
_SPACE = re.compile(r"space\b")


@singledispatch
def to_text(node: ast.Node) -> str:
    """The text of any node of the syntax tree, without a line break at its end."""
    raise NotImplementedError(f"no text for {type(node).__name__}")


@to_text.register
def _(node: ast.Expr) -> str:
    return expression_text(node)


@to_text.register
def _(node: ast.Argument) -> str:
    return argument_text(node)


@to_text.register
def _(node: ast.File) -> str:
    documentation = [_documentation(node.documentation)] if node.documentation else []
    return "\n\n".join(documentation + [to_text(definition) for definition in node.definitions])


@to_text.register
def _(node: ast.Pattern) -> str:
    parameters = f"({_list(node.parameters)})" if node.parameters else ""
    return _block(f"pattern {node.name}{parameters}:", node.documentation, map(to_text, node.clauses))


@to_text.register
def _(node: ast.Function) -> str:
    head = f"def {node.name}({_list(node.parameters)}):"
    lines = [*map(to_text, node.clauses), f"return {to_text(node.result)}"]
    return _block(head, node.documentation, lines)


@to_text.register
def _(node: ast.Parameter) -> str:
    type_ = f": {to_text(node.type)}" if node.type else ""
    default = f" = {to_text(node.default)}" if node.default else ""
    return node.name + type_ + default


@to_text.register
def _(node: ast.Type) -> str:
    if node.choices:
        return " | ".join(node.choices)
    sizes = (to_text(size) if isinstance(size, ast.Expr) else str(size) for size in node.shape)
    return node.kind + (f"[{', '.join(sizes)}]" if node.shape else "")


@to_text.register
def _(node: ast.Space) -> str:
    role = "" if node.role == "both" else node.role + " "
    return f"{role}space {' ++ '.join(map(to_text, node.segments))}"


@to_text.register
def _(node: ast.SpaceSegment) -> str:
    return f"{node.name}({', '.join(node.axes)}{'...' if node.variadic else ''})"


@to_text.register
def _(node: ast.Derived) -> str:
    value = to_text(node.value)
    # The word `space` after `query` or `key` would begin another clause.
    return f"{node.role} ({value})" if _SPACE.match(value) else f"{node.role} {value}"


@to_text.register
def _(node: ast.Let) -> str:
    return f"let {node.name} = {to_text(node.value)}"


@to_text.register
def _(node: ast.Require) -> str:
    message = node.message.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'require {to_text(node.condition)}, "{message}"'


@to_text.register
def _(node: ast.Input) -> str:
    return f"input {node.name}: {to_text(node.type)}"


@to_text.register
def _(node: ast.Attend) -> str:
    only = node.arms[0]
    if only.query is None:
        return f"attend {to_text(only.condition)}"
    return _block("attend", "", map(to_text, node.arms))


@to_text.register
def _(node: ast.Arm) -> str:
    head = "else" if node.query is None else f"{node.query} -> {node.key}"
    return f"{head}: {to_text(node.condition)}"


@to_text.register(ast.Score)
@to_text.register(ast.Scale)
@to_text.register(ast.Weight)
@to_text.register(ast.Gate)
@to_text.register(ast.Combine)
def _(node: ast.Score | ast.Scale | ast.Weight | ast.Gate | ast.Combine) -> str:
    return f"{type(node).__name__.lower()} {to_text(node.value)}"


@to_text.register
def _(node: ast.Feature) -> str:
    return f"feature {node.name}"


@to_text.register
def _(node: ast.Decay) -> str:
    return f"decay {to_text(node.value)} per step of {node.axis}"


@to_text.register
def _(node: ast.Normalize) -> str:
    return f"normalize {node.kind}" + (f" + {to_text(node.extra)}" if node.extra else "")


@to_text.register
def _(node: ast.Blocks) -> str:
    return f"blocks {node.name} of {_tuple(node.axes)} by {_tuple([*map(to_text, node.sizes)])}"


@to_text.register
def _(node: ast.Groups) -> str:
    return f"groups {node.name} of {to_text(node.count)}"


@to_text.register
def _(node: ast.Route) -> str:
    head = f"route {node.members} " if node.members else "route "
    return head + ("\n" + " " * len(head)).join(map(to_text, node.steps))


@to_text.register
def _(node: ast.RouteStep) -> str:
    per = f" per {', '.join(node.per)}" if node.per else ""
    return f"{node.word} {to_text(node.value)}{per}"


@to_text.register
def _(node: ast.Branch) -> str:
    return _block(f"branch {node.name}:", "", map(to_text, node.clauses))


def _tuple(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"({', '.join(parts)})"


def _list(nodes: Iterable[ast.Node]) -> str:
    return ", ".join(map(to_text, nodes))


def _block(head: str, documentation: str, parts: Iterable[str]) -> str:
    """The head and below it, indented, the docstring and the parts."""
    body = [_documentation(documentation)] if documentation else []
    return "\n".join([head, *(_indented(part) for part in [*body, *parts])])


def _indented(text: str) -> str:
    return "\n".join(_STEP + line if line else line for line in text.split("\n"))


def _documentation(text: str) -> str:
    """A docstring: on one line if it has one, else with the closing quotes on a line of their own."""
    text = text.replace('"""', "'''")
    if "\n" not in text and not text.endswith('"'):
        return f'"""{text}"""'
    first, _, rest = text.partition("\n")
    # The line of the opening quotes does not count when the reader removes the indentation of the others.
    keeps_indentation = any(line and not line[0].isspace() for line in rest.split("\n"))
    is_plain = first and not first[0].isspace() and keeps_indentation
    return f'"""{text}\n"""' if is_plain else f'"""\n{text}\n"""'
