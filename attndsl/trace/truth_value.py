"""The error for Python code that needs one truth value: it names the construct and writes the fix out."""

from __future__ import annotations

import ast

from attndsl.diagnostics import AttnTraceError
from attndsl.trace.missing_parentheses import as_meant
from attndsl.trace.place import Place

CHOOSE = (
    "combine conditions with `&`, `|` and `~`, choose between values with `attndsl.where(condition, x, y)`"
)
CALLS = {
    "min": "attndsl.lang.min",
    "max": "attndsl.lang.max",
    "any": "attndsl.lang.any_of",
    "all": "attndsl.lang.all_of",
}
"""Functions of Python that decide, and what to call instead."""


def truth_value_error(place: Place) -> AttnTraceError:
    """The error for a traced value whose truth Python wants to know at this place."""
    construct, node, help = _explain(place)
    span = (place.python.span(node) if node is not None else None) or place.span
    return AttnTraceError(
        "A1005",
        f"{construct} needs one truth value, but this has one for every query and key",
        span=span,
        help=help,
    )


def _explain(place: Place) -> tuple[str, ast.AST | None, str]:
    """What asks for a truth value, the node to point at, and what to write."""
    node = place.node or _only_construct(place)
    while node is not None:
        found = _construct(node)
        if found:
            return found[0], found[1], found[2] or CHOOSE
        if isinstance(node, ast.stmt):
            break
        node = place.python.parents.get(node)
    return "Python", None, CHOOSE


def _only_construct(place: Place) -> ast.AST | None:
    """Where a place is a whole line, the construct in this line, if there is but one."""
    nodes = place.python.nodes.values()
    in_line = [node for node in nodes if getattr(node, "lineno", 0) == place.span.line and _construct(node)]
    return in_line[0] if len(in_line) == 1 else None


def _construct(node: ast.AST) -> tuple[str, ast.AST, str] | None:
    """The construct that a node is, if it needs truth values."""
    match node:
        case ast.If(test) | ast.While(test):
            return f"`{type(node).__name__.lower()}`", test, ""
        case ast.Assert(test):
            help = 'state what must hold of the numbers with `attndsl.lang.require(condition, "message")`'
            return "`assert`", test, help
        case ast.comprehension(ifs=[test, *_]):
            return "`if`", test, ""
        case ast.IfExp(test):
            return "`if`", test, _instead(node)
        case ast.BoolOp(operator):
            return f"`{type(operator).__name__.lower()}`", node, _instead(node)
        case ast.UnaryOp(ast.Not()):
            return "`not`", node, _instead(node)
        case ast.Compare(ops=[ast.In() | ast.NotIn()]):
            return "`in`", node, _instead(node)
        case ast.Compare(ops=[_, _, *_]):
            return "a chain of comparisons", node, _instead(node)
        case ast.Call(ast.Name(name)):
            help = f"write `{CALLS[name]}(...)`" if name in CALLS else ""
            return f"`{name}`", node, help
    return None


def _instead(node: ast.expr) -> str:
    """The same expression with operators that traced values have."""
    meant = as_meant(node) if isinstance(node, ast.Compare) else None
    text = ast.unparse(ast.fix_missing_locations(_Rewriter().visit(meant or _copy(node))))
    return f"write `{text}`" if len(text) <= 200 else ""


def _copy(node: ast.expr) -> ast.expr:
    return ast.parse(ast.unparse(node), mode="eval").body


class _Rewriter(ast.NodeTransformer):
    """From `and`, `or`, `not`, `in`, chains and `x if c else y` to `&`, `|`, `~` and `where`."""

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.expr:
        operator = ast.BitAnd() if isinstance(node.op, ast.And) else ast.BitOr()
        return _joined(operator, [self.visit(value) for value in node.values])

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.expr:
        operand = self.visit(node.operand)
        return ast.UnaryOp(ast.Invert() if isinstance(node.op, ast.Not) else node.op, operand)

    def visit_IfExp(self, node: ast.IfExp) -> ast.expr:
        where = ast.Attribute(ast.Name("attndsl"), "where")
        return ast.Call(where, [self.visit(each) for each in (node.test, node.body, node.orelse)], [])

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        operands = [self.visit(each) for each in (node.left, *node.comparators)]
        links = [_link(operands[i], operator, operands[i + 1]) for i, operator in enumerate(node.ops)]
        return _joined(ast.BitAnd(), links)


def _link(left: ast.expr, operator: ast.cmpop, right: ast.expr) -> ast.expr:
    """One comparison; membership in a written list becomes comparisons with its members."""
    if not isinstance(operator, ast.In | ast.NotIn):
        return ast.Compare(left, [operator], [right])
    if isinstance(right, ast.Tuple | ast.List | ast.Set) and right.elts:
        member = _joined(ast.BitOr(), [ast.Compare(left, [ast.Eq()], [each]) for each in right.elts])
    else:
        each = ast.Name("each")
        generator = ast.comprehension(ast.Name("each"), right, [], 0)
        some = ast.Attribute(ast.Attribute(ast.Name("attndsl"), "lang"), "any_of")
        member = ast.Call(some, [ast.GeneratorExp(ast.Compare(left, [ast.Eq()], [each]), [generator])], [])
    return ast.UnaryOp(ast.Invert(), member) if isinstance(operator, ast.NotIn) else member


def _joined(operator: ast.operator, parts: list[ast.expr]) -> ast.expr:
    result = parts[0]
    for part in parts[1:]:
        result = ast.BinOp(result, operator, part)
    return result
