"""Expression nodes of the pattern IR: frozen and hash-consed, so that equal expressions are the same object.

Before bind an expression may mention parameters, extents and quantifiers; `BOUND_NODES` lists what is left
after bind: numbers, token coordinates, the head, tables indexed by head, and declared inputs. Where a node
came from in the text is kept beside the IR (`PatternIR.spans`), so that identity does not depend on it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal
from weakref import WeakValueDictionary

from attndsl.ir.ops import OPS, Scalar

Side = Literal["q", "k"]
Number = int | float | bool

_interned: WeakValueDictionary[object, Any] = WeakValueDictionary()
_lock = threading.Lock()


class _Interning(type):
    """Makes `Node(fields)` return the one existing node with these fields."""

    def __call__(cls, *fields: Any) -> Any:
        key = (cls, tuple(map(_identity, fields)))
        with _lock:
            node = _interned.get(key)
            if node is None:
                node = super().__call__(*fields)
                _interned[key] = node
        return node


def _identity(value: Any) -> object:
    """A key that tells 1, 1.0 and True apart, and 0.0 from -0.0."""
    if isinstance(value, tuple):
        return tuple(map(_identity, value))
    return (type(value), repr(value)) if isinstance(value, float) else (type(value), value)


@dataclass(frozen=True, eq=False)
class Expr(metaclass=_Interning):
    """An expression; `type` is 'int', 'real' or 'bool'."""

    @property
    def type(self) -> Scalar:
        """The scalar type of the value."""
        raise NotImplementedError

    @property
    def children(self) -> tuple[Expr, ...]:
        """Direct sub-expressions."""
        return ()

    @cached_property
    def depth(self) -> int:
        """Height of the expression; every stage may recurse this deep."""
        return 1 + max((child.depth for child in self.children), default=0)

    @cached_property
    def mentioned(self) -> frozenset[Expr]:
        """All nodes below this node, and the node itself."""
        return frozenset(topological(self))

    @cached_property
    def leaves(self) -> frozenset[Expr]:
        """All nodes without operands below this node (or the node itself)."""
        return frozenset(node for node in topological(self) if not node.children)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), tuple(getattr(self, name) for name in self.__dataclass_fields__)


@dataclass(frozen=True, eq=False)
class Const(Expr):
    """A number or truth value."""

    value: Number

    @property
    def type(self) -> Scalar:
        if isinstance(self.value, bool):
            return "bool"
        return "int" if isinstance(self.value, int) else "real"


@dataclass(frozen=True, eq=False)
class Symbol(Expr):
    """A number known at bind: a scalar parameter, or `heads`, `kv_heads`, `rank`."""

    name: str
    kind: Scalar

    @property
    def type(self) -> Scalar:
        return self.kind


@dataclass(frozen=True, eq=False)
class AxisVariable(Expr):
    """The variable of `all axis a`; stands only inside Position, Extent and Element."""

    name: str

    @property
    def type(self) -> Scalar:
        return "int"


@dataclass(frozen=True, eq=False)
class Extent(Expr):
    """`extent(axis)`: axis is a name or an AxisVariable."""

    axis: str | AxisVariable

    @property
    def type(self) -> Scalar:
        return "int"


@dataclass(frozen=True, eq=False)
class Element(Expr):
    """An element of a parameter with a shape: `window[a]`, `alpha[head]`, `pad[0]`."""

    name: str
    index: Expr
    kind: Scalar

    @property
    def type(self) -> Scalar:
        return self.kind

    @property
    def children(self) -> tuple[Expr, ...]:
        return (self.index,)


@dataclass(frozen=True, eq=False)
class Quantified(Expr):
    """`all axis a: body` or `any axis a: body`."""

    kind: Literal["all", "any"]
    variable: AxisVariable
    body: Expr

    @property
    def type(self) -> Scalar:
        return "bool"

    @property
    def children(self) -> tuple[Expr, ...]:
        return (self.body,)


@dataclass(frozen=True, eq=False)
class FlatIndex(Expr):
    """`q.index`, `k.index`: the position in the whole flattened space, segments included."""

    side: Side

    @property
    def type(self) -> Scalar:
        return "int"


@dataclass(frozen=True, eq=False)
class Position(Expr):
    """A coordinate of the query or key.

    axis: a name or variable before bind, the axis number in its segment after.
    """

    side: Side
    axis: str | AxisVariable | int

    @property
    def type(self) -> Scalar:
        return "int"


@dataclass(frozen=True, eq=False)
class Head(Expr):
    """The query head, 0 .. heads - 1."""

    @property
    def type(self) -> Scalar:
        return "int"


@dataclass(frozen=True, eq=False)
class Table(Expr):
    """A bound per-head parameter, read at an index."""

    name: str
    values: tuple[Number, ...]
    index: Expr

    @property
    def type(self) -> Scalar:
        return Const(self.values[0]).type

    @property
    def children(self) -> tuple[Expr, ...]:
        return (self.index,)


@dataclass(frozen=True, eq=False)
class InputAt(Expr):
    """A declared input read at the query or key token: `doc[q]`."""

    name: str
    side: Side
    kind: Scalar

    @property
    def type(self) -> Scalar:
        return self.kind


@dataclass(frozen=True, eq=False)
class InputElement(Expr):
    """An element of a declared input of several dimensions: `table[head, q.y - k.y + 3]`.

    A dimension that runs over tokens is read at a position in the flattened space.
    """

    name: str
    indices: tuple[Expr, ...]
    kind: Scalar

    @property
    def type(self) -> Scalar:
        return self.kind

    @property
    def children(self) -> tuple[Expr, ...]:
        return self.indices


@dataclass(frozen=True, eq=False)
class WholeInput(Expr):
    """A declared input element by element, as a gate reads it: at the query, head and channel at work."""

    name: str
    kind: Scalar

    @property
    def type(self) -> Scalar:
        return self.kind


@dataclass(frozen=True, eq=False)
class Product(Expr):
    """`s` in a score: scale times the dot product of query and key. In a weight `s` is the score."""

    @property
    def type(self) -> Scalar:
        return "real"


@dataclass(frozen=True, eq=False)
class Channel(Expr):
    """The channel of a query or key that a feature map is applied to."""

    @property
    def type(self) -> Scalar:
        return "real"


@dataclass(frozen=True, eq=False)
class ChannelSoftmax(Expr):
    """The softmax of a query or key over its channels, at the channel at work."""

    @property
    def type(self) -> Scalar:
        return "real"


@dataclass(frozen=True, eq=False)
class HeadDim(Expr):
    """`dim` in a scale: the number of channels of queries, known when tensors come."""

    @property
    def type(self) -> Scalar:
        return "int"


@dataclass(frozen=True, eq=False)
class LowRank(Expr):
    """`dot(bq, bk)`: the dot product of two declared inputs, one row per query and one per key."""

    query: str
    key: str

    @property
    def type(self) -> Scalar:
        return "real"


@dataclass(frozen=True, eq=False)
class Term(Expr):
    """A part of a bound score without `s`; `Region.terms[number]` is its value in each region."""

    number: int

    @property
    def type(self) -> Scalar:
        return "real"


@dataclass(frozen=True, eq=False)
class Apply(Expr):
    """An operator of `ops.OPS` applied to its operands; all arithmetic, comparison and logic is this node."""

    op: str
    args: tuple[Expr, ...]

    @cached_property
    def _type(self) -> Scalar:
        return OPS[self.op].result(tuple(arg.type for arg in self.args))

    @property
    def type(self) -> Scalar:
        return self._type

    @property
    def children(self) -> tuple[Expr, ...]:
        return self.args


BOUND_NODES = (Const, Position, Head, Table, InputAt, InputElement, Apply)
PRODUCT = Product()
CHANNEL = Channel()
CHANNEL_SOFTMAX = ChannelSoftmax()
TRUE = Const(True)
FALSE = Const(False)


def topological(*roots: Expr) -> Iterator[Expr]:
    """Every node below the roots exactly once, operands before the nodes that use them."""
    seen: set[Expr] = set()
    stack: list[tuple[Expr, bool]] = [(root, False) for root in reversed(roots)]
    while stack:
        node, ready = stack.pop()
        if ready:
            yield node
        elif node not in seen:
            seen.add(node)
            stack.append((node, True))
            stack.extend((child, False) for child in reversed(node.children) if child not in seen)
