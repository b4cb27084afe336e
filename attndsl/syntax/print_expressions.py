"""Expression printer: from expression nodes to text with no more parentheses than the grammar needs.

Every node has a level, the place of its operator in the grammar from loose to tight; a node stands without
parentheses where the grammar asks for its level or a looser one. The body of a quantifier takes all that
follows, so a quantifier stands bare only at an `open_end`: where `)`, `,`, `]`, `else` or the end of the line
comes next.
"""

from __future__ import annotations

from functools import singledispatch

from attndsl.syntax import ast

EXPRESSION, OR, AND, NOT, COMPARE, SUM, PRODUCT, NEGATION, POWER, ATOM = range(10)

_LEVELS = {
    "or": OR,
    "and": AND,
    "+": SUM,
    "-": SUM,
    "*": PRODUCT,
    "/": PRODUCT,
    "//": PRODUCT,
    "%": PRODUCT,
    ".": PRODUCT,
    "**": POWER,
    "in": EXPRESSION,
}


def expression_text(node: ast.Expr, level: int = EXPRESSION, open_end: bool = True) -> str:
    """The text of `node` where an expression of at least `level` is wanted."""
    stands_bare = open_end if isinstance(node, ast.Quantified) else True
    if _level(node) >= level and stands_bare:
        return _text(node, open_end)
    return f"({_text(node, True)})"


def _level(node: ast.Expr) -> int:
    match node:
        case ast.IfElse():
            return EXPRESSION
        case ast.Binary():
            return _LEVELS[node.operator]
        case ast.Unary(operator="not") | ast.Quantified():
            return NOT
        case ast.Compare():
            return COMPARE
        case ast.Unary():
            return NEGATION
        case ast.Number() if node.value < 0:
            return NEGATION
        case _:
            return ATOM


@singledispatch
def _text(node: ast.Expr, open_end: bool) -> str:
    raise NotImplementedError(f"no text for {type(node).__name__}")


@_text.register
def _(node: ast.Number, open_end: bool) -> str:
    return repr(node.value)


@_text.register
def _(node: ast.Boolean, open_end: bool) -> str:
    return "true" if node.value else "false"


@_text.register
def _(node: ast.Name, open_end: bool) -> str:
    return node.name


@_text.register
def _(node: ast.Field, open_end: bool) -> str:
    return f"{node.side}.{node.name}"


@_text.register
def _(node: ast.Subscript, open_end: bool) -> str:
    return f"{node.name}[{', '.join(map(expression_text, node.indices))}]"


@_text.register
def _(node: ast.Call, open_end: bool) -> str:
    return f"{node.function}({', '.join(map(argument_text, node.arguments))})"


@_text.register
def _(node: ast.Unary, open_end: bool) -> str:
    if node.operator == "not":
        return f"not {expression_text(node.operand, NOT, open_end)}"
    return f"{node.operator}{expression_text(node.operand, NEGATION)}"


@_text.register
def _(node: ast.Binary, open_end: bool) -> str:
    level = _LEVELS[node.operator]
    if node.operator == "**":  # Groups to the right, and binds tighter than a sign on its left only.
        left, right = expression_text(node.left, ATOM), expression_text(node.right, NEGATION)
    else:
        left = expression_text(node.left, level, open_end=False)
        right = expression_text(node.right, level + 1, open_end)
    return f"{left} {node.operator} {right}"


@_text.register
def _(node: ast.Compare, open_end: bool) -> str:
    first, *others = (expression_text(operand, SUM) for operand in node.operands)
    links = (f" {operator} {operand}" for operator, operand in zip(node.operators, others, strict=True))
    return first + "".join(links)


@_text.register
def _(node: ast.IfElse, open_end: bool) -> str:
    value = expression_text(node.value, OR, open_end=False)
    condition = expression_text(node.condition, OR)
    return f"{value} if {condition} else {expression_text(node.other, EXPRESSION, open_end)}"


@_text.register
def _(node: ast.Quantified, open_end: bool) -> str:
    return f"{node.kind} axis {node.variable}: {expression_text(node.body)}"


def argument_text(node: ast.Argument) -> str:
    """`value` or `name = value`."""
    value = expression_text(node.value)
    return value if node.name is None else f"{node.name} = {value}"
