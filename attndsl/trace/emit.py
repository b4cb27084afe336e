"""From the graph of a trace to syntax: expressions, and lets for values that have a name or several uses."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from functools import cache

from attndsl.syntax import ast as syntax
from attndsl.syntax.parser import lark_parser
from attndsl.syntax.printer import to_text
from attndsl.trace.node import Node, Operand

AXIS_NAMES = "abcdefghij"
LONGEST_TEXT = 200
"""Steps of a value that is printed whole."""


class Emitter:
    """Writes the values of one trace as expressions.

    roots: what is going to be written. local: axes that exist in some branches only, so that no let can read
    them.
    """

    def __init__(
        self, roots: Iterable[Node], taken: Iterable[str], *, lets: bool = True, local: Collection[str] = ()
    ) -> None:
        self.lets: list[syntax.Let] = []
        self._names: dict[Node, str] = {}
        self._taken = set(taken)
        order = in_order(roots)
        self._name_axes(order)
        inside = _reading(order, local)
        for node in _worth_a_name(order) if lets else ():
            if node in inside:
                continue
            value = self.expr(Operand(node))
            name = self._free(node.name or "value")
            self.lets.append(syntax.Let(name, value, span=node.span))
            self._names[node] = name

    def expr(self, use: Operand) -> syntax.Expr:
        """The expression of an operand, where it is used."""
        node = use.node
        span = use.span or node.span
        if node in self._names:
            return syntax.Name(self._names[node], span=span)
        return node.build(node.span or span, *map(self.expr, node.operands))

    def _name_axes(self, order: list[Node]) -> None:
        """Letters for the axis variables: the same one for quantifiers of the same nesting."""
        letters = [letter for letter in AXIS_NAMES if letter not in self._taken]
        for node in order:
            if node.binds is not None:
                number = node.quantifiers - 1
                self._names[node.binds] = letters[number] if number < len(letters) else f"axis{number}"

    def _free(self, name: str) -> str:
        """The name, or the name with the first number that makes it free."""
        name = name if is_name(name) else "value"
        candidates = [name, *(f"{name}{number}" for number in range(2, len(self._taken) + 3))]
        free = next(each for each in candidates if each not in self._taken)
        self._taken.add(free)
        return free


def text_of(node: Node) -> str:
    """A traced value as text of the language, for `print`."""
    if node.size > LONGEST_TEXT:
        return "..."
    return to_text(Emitter([node], (), lets=False).expr(Operand(node)))


def is_name(text: str) -> bool:
    """Whether the language allows this name."""
    return _name_pattern().fullmatch(text) is not None


@cache
def _name_pattern() -> re.Pattern[str]:
    return re.compile(lark_parser().get_terminal("NAME").pattern.to_regexp())


def _worth_a_name(order: list[Node]) -> Iterator[Node]:
    """Nodes that become lets: given to a variable, used twice, or subscripted.

    What depends on an axis variable or on `s` cannot be one, and a name or number need not be.
    """
    uses: dict[Node, int] = {}
    subscripted: set[Node] = set()
    for node in order:
        for each in node.operands:
            uses[each.node] = uses.get(each.node, 0) + 1
            if each.named:
                subscripted.add(each.node)
    for node in order:
        if not (node.is_local or node.is_leaf) and (
            node.variable or uses.get(node, 0) > 1 or node in subscripted
        ):
            yield node


def _reading(order: list[Node], axes: Collection[str]) -> set[Node]:
    """The nodes that depend on a coordinate of one of the axes."""
    found: set[Node] = set()
    for node in order:
        if node.reads in axes or any(each.node in found for each in node.operands):
            found.add(node)
    return found


def in_order(roots: Iterable[Node]) -> list[Node]:
    """Every node once, in the order in which the function made them: operands first."""
    seen: set[Node] = set()
    stack = list(roots)
    while stack:
        node = stack.pop()
        if node not in seen:
            seen.add(node)
            stack.extend(each.node for each in node.operands)
    return sorted(seen, key=lambda node: node.number)
