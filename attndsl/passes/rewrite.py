"""Rebuilding expressions bottom-up: the one traversal that substitution and simplification share."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from attndsl.ir.combine import Projected
from attndsl.ir.expr import Apply, Element, Expr, InputElement, Quantified, Table, topological
from attndsl.ir.route import RouteNode


def rebuild(node: Expr, children: tuple[Expr, ...]) -> Expr:
    """The same kind of node over other operands."""
    if children == node.children:
        return node
    match node:
        case Apply():
            return Apply(node.op, children)
        case Table():
            return Table(node.name, node.values, children[0])
        case Element():
            return Element(node.name, children[0], node.kind)
        case InputElement():
            return InputElement(node.name, children, node.kind)
        case Quantified():
            return Quantified(node.kind, node.variable, children[0])
        case Projected():
            return Projected(children[0], node.weight, node.bias)
        case RouteNode():
            return node.rebuilt(children)
    raise TypeError(f"{type(node).__name__} has no operands")


def rewrite(root: Expr, rule: Callable[[Expr], Expr]) -> Expr:
    """Apply `rule` to every node, operands first; shared nodes are rewritten once."""
    done: dict[Expr, Expr] = {}
    for node in topological(root):
        done[node] = rule(rebuild(node, tuple(done[child] for child in node.children)))
    return done[root]


def substitute(root: Expr, values: Mapping[Expr, Expr]) -> Expr:
    """Replace the given nodes wherever they stand."""
    return rewrite(root, lambda node: values.get(node, node))
