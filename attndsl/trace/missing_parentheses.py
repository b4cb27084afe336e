"""`a <= b & c <= d`: Python reads `a <= (b & c) <= d`, and what was meant is `(a <= b) & (c <= d)`."""

from __future__ import annotations

import ast

LOGIC = {ast.BitAnd: "&", ast.BitOr: "|"}


def as_meant(node: ast.Compare) -> ast.expr | None:
    """The comparisons that were meant, joined by `&` and `|`; None where no operand has such an operator."""
    tokens = _tokens(node.left)
    for operator, operand in zip(node.ops, node.comparators, strict=True):
        tokens += [operator, *_tokens(operand)]
    if not any(isinstance(token, str) for token in tokens):
        return None
    groups: list[list[ast.expr | ast.cmpop]] = [[]]
    text = ""
    for token in [*tokens, ""]:
        if isinstance(token, str):
            text += f"({_compared(groups[-1])}) {token} "
            groups.append([])
        else:
            groups[-1].append(token)
    return ast.parse(text.strip(), mode="eval").body


def _tokens(node: ast.expr) -> list[ast.expr | ast.cmpop | str]:
    """An operand as what `&` and `|` stand between, and their spelling."""
    if isinstance(node, ast.BinOp) and type(node.op) in LOGIC:
        return [*_tokens(node.left), LOGIC[type(node.op)], *_tokens(node.right)]
    return [node]


def _compared(group: list[ast.expr | ast.cmpop]) -> str:
    """A group as text: one operand, or a comparison."""
    operands = [each for each in group if isinstance(each, ast.expr)]
    operators = [each for each in group if isinstance(each, ast.cmpop)]
    return ast.unparse(ast.Compare(operands[0], operators, operands[1:]) if operators else operands[0])
