"""What decides the value of an expression: printers compute it once per head, query or key where they can."""

from __future__ import annotations

from typing import Literal

from attndsl.ir.expr import Expr, InputAt, Position

Level = Literal["head", "query", "key", "pair"]


def level_of(node: Expr) -> Level:
    """The head alone, one side's token, or both."""
    sides = {leaf.side for leaf in node.leaves if isinstance(leaf, Position | InputAt)}
    if len(sides) == 2:
        return "pair"
    return "query" if "q" in sides else "key" if "k" in sides else "head"
