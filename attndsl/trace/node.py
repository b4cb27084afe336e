"""What a traced value remembers: the operation that made it, as a graph whose nodes may be shared.

A node knows how to build its syntax node from those of its operands. `emit.py` turns the graph into
expressions and lets.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count

from attndsl.diagnostics import AttnTypeError
from attndsl.passes.resolve_expr import MOST_STEPS
from attndsl.source import Span
from attndsl.syntax import ast as syntax
from attndsl.syntax.build_expressions import DEEPEST_EXPRESSION

Build = Callable[..., syntax.Expr]
"""Makes a syntax node from its place and the syntax nodes of its operands."""


@dataclass(frozen=True, eq=False)
class Node:
    """One step of the trace. span: where it happened; None for leaves that have no place of their own."""

    build: Build
    operands: tuple[Operand, ...] = ()
    span: Span | None = None
    variable: str = ""
    """The Python variable that was given the value, which makes it a let."""
    name: str = ""
    """What a let of it is called."""
    binds: Node | None = None
    """The axis variable that a quantifier binds."""
    is_axis: bool = False
    is_leaf: bool = False
    """Whether this is a name or a number, which is never worth a name of its own."""
    has_scope: bool = False
    """Whether this name has a meaning in one clause only, as `s` in a score."""
    reads: str = ""
    """The axis that is read by name."""
    number: int = field(default_factory=count().__next__)
    """Nodes are numbered as they are made."""

    @cached_property
    def axes(self) -> frozenset[Node]:
        """Axis variables that the value depends on."""
        if self.is_axis:
            return frozenset([self])
        found: frozenset[Node] = frozenset().union(*(each.node.axes for each in self.operands))
        return found - {self.binds}

    @cached_property
    def is_local(self) -> bool:
        """Whether the value cannot be named for the whole pattern: it depends on a name of smaller scope."""
        operands = (each.node for each in self.operands if not each.named)
        return self.has_scope or bool(self.axes) or any(node.is_local for node in operands)

    @cached_property
    def height(self) -> int:
        """The longest way down to a leaf."""
        return 1 + max((each.node.height for each in self.operands), default=0)

    @cached_property
    def size(self) -> int:
        """Steps below this node when every use is written out."""
        return 1 + sum(each.node.size for each in self.operands)

    @cached_property
    def quantifiers(self) -> int:
        """How many quantifiers are nested in each other here."""
        inside = max((each.node.quantifiers for each in self.operands), default=0)
        return inside + (self.binds is not None)


@dataclass(frozen=True, eq=False)
class Operand:
    """A use of a node. span: where it is used. named: whether it must be a name, as what is subscripted."""

    node: Node
    span: Span | None = field(default=None, repr=False)
    named: bool = False


def checked(node: Node) -> Node:
    """The same node, once it is known not to be too large for the stages that follow."""
    # Asked for now, of operands that know theirs already, so that no later question goes deep.
    height, size, local, _ = node.height, node.size, node.is_local, node.quantifiers
    if height > DEEPEST_EXPRESSION or (local and size > MOST_STEPS):
        raise AttnTypeError(
            "A0308",
            "this expression grows too large when its lets and functions are written out",
            span=node.span,
            help="join long lists of conditions with `attndsl.lang.any_of` or `attndsl.lang.all_of`",
        )
    return node


def leaf(name: str, *, has_scope: bool = False) -> Node:
    """A bare name: a parameter, an input, `head`, `q`."""
    return Node(lambda span: syntax.Name(name, span=span), is_leaf=True, has_scope=has_scope)
