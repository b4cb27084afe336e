"""Tile IR: attention algorithms as statements over tiles, between the schedule and the printers.

A program runs once for every head of its `owner` side and every tile of that head. A value is a tile
`[rows, columns]`, a row vector `[rows]` or a scalar; rows and columns are named by what they run over, never
by a number, so that one program serves every tile size, head dimension and target. A tile holds existing
tokens only: what a printer does about tiles that the edge of the space cuts off is its own affair. Operands
of one `Elementwise` broadcast: scalars everywhere, row vectors over columns. Values are float32 (bool for
conditions); a printer may round the operands of `Dot` to the tensors' type.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from attndsl.codegen.elementwise import ELEMENTWISE
from attndsl.source import Span

Side = Literal["q", "kv"]
Dimension = Literal["q", "kv", "head_dim", "value_dim"]


@dataclass(frozen=True)
class Shape:
    """What the rows and columns of a value run over; None where it has none."""

    rows: Dimension | None = None
    columns: Dimension | None = None


SCALAR = Shape()


@dataclass(frozen=True)
class Tensor:
    """A tensor `[batch, heads, tokens, columns]`, or `[batch, heads, tokens]` if `columns` is None.

    slotted: it has a row for each slot of each tile instead, where a token may be in several tiles.
    rows: what its rows run over instead: a state is `[batch, heads, head_dim, value_dim]`.
    """

    name: str
    side: Side
    columns: Dimension | None = None
    slotted: bool = False
    rows: Dimension | None = None


@dataclass(frozen=True)
class Expression:
    """A value that a statement computes."""

    @property
    def shape(self) -> Shape:
        """What the value's rows and columns run over."""
        raise NotImplementedError

    @property
    def operands(self) -> tuple[Expression, ...]:
        """Direct sub-expressions."""
        return ()


@dataclass(frozen=True)
class Number(Expression):
    """A constant."""

    value: float

    @property
    def shape(self) -> Shape:
        """A scalar."""
        return SCALAR


@dataclass(frozen=True)
class Argument(Expression):
    """A number that the caller passes, such as the softmax scale."""

    name: str

    @property
    def shape(self) -> Shape:
        """A scalar."""
        return SCALAR


@dataclass(frozen=True)
class Variable(Expression):
    """The current value of an assigned name."""

    name: str
    like: Shape

    @property
    def shape(self) -> Shape:
        """The shape that was assigned."""
        return self.like


@dataclass(frozen=True)
class Full(Expression):
    """A value of the given shape with one number everywhere."""

    like: Shape
    value: float

    @property
    def shape(self) -> Shape:
        """As given."""
        return self.like


@dataclass(frozen=True)
class Load(Expression):
    """The rows of a tensor that are tokens of the current tile of its side; all, where no row is a token."""

    tensor: Tensor

    @property
    def shape(self) -> Shape:
        """[tokens of the tile, columns of the tensor]."""
        return Shape(self.tensor.rows or self.tensor.side, self.tensor.columns)


@dataclass(frozen=True)
class Visible(Expression):
    """Whether each query of the current q tile sees each key of the current kv tile, bool [q, kv].

    On a FULL tile it is true everywhere; on a PARTIAL tile it is the residual predicate of that tile.
    """

    @property
    def shape(self) -> Shape:
        """[q, kv]."""
        return Shape("q", "kv")


@dataclass(frozen=True)
class Term(Expression):
    """A term of the pattern's weighting, by number, for the queries and keys of the current tiles."""

    number: int
    like: Shape

    @property
    def shape(self) -> Shape:
        """[q, kv], [q] where the key does not matter, a scalar where the head alone decides."""
        return self.like


@dataclass(frozen=True)
class Elementwise(Expression):
    """An operation of `ELEMENTWISE`, element by element, with broadcasting."""

    op: str
    arguments: tuple[Expression, ...]

    def __post_init__(self) -> None:
        if len(self.arguments) != ELEMENTWISE[self.op].arity:
            raise ValueError(f"{self.op} takes {ELEMENTWISE[self.op].arity} operands")

    @property
    def shape(self) -> Shape:
        """The widest of the operands' shapes."""
        shapes = [argument.shape for argument in self.arguments]
        rows = {shape.rows for shape in shapes if shape.rows}
        columns = {shape.columns for shape in shapes if shape.columns}
        if len(rows) > 1 or len(columns) > 1:
            raise ValueError(f"{self.op} cannot broadcast {shapes}")
        return Shape(next(iter(rows), None), next(iter(columns), None))

    @property
    def operands(self) -> tuple[Expression, ...]:
        """The arguments."""
        return self.arguments


@dataclass(frozen=True)
class Reduce(Expression):
    """The maximum or sum of each row of a tile: a row vector."""

    kind: Literal["max", "sum"]
    tile: Expression

    @property
    def shape(self) -> Shape:
        """[rows]."""
        return Shape(self.tile.shape.rows)

    @property
    def operands(self) -> tuple[Expression, ...]:
        """The tile."""
        return (self.tile,)


@dataclass(frozen=True)
class Dot(Expression):
    """The matrix product of two tiles, either of them transposed first."""

    left: Expression
    right: Expression
    transpose_left: bool = False
    transpose_right: bool = False

    @property
    def shape(self) -> Shape:
        """[rows of the left, columns of the right], after transposition."""
        left, right = (
            _transposed(self.left, self.transpose_left),
            _transposed(self.right, self.transpose_right),
        )
        if left.columns != right.rows:
            raise ValueError(f"cannot multiply {left} by {right}")
        return Shape(left.rows, right.columns)

    @property
    def operands(self) -> tuple[Expression, ...]:
        """Both factors."""
        return self.left, self.right


def _transposed(value: Expression, transpose: bool) -> Shape:
    shape = value.shape
    return Shape(shape.columns, shape.rows) if transpose else shape


@dataclass(frozen=True)
class Relabel(Expression):
    """The same value, its rows taken as queries or as keys: in `ForChunks` they are the same tokens."""

    value: Expression
    rows: Side

    @property
    def shape(self) -> Shape:
        """[rows, columns of the value]."""
        return Shape(self.rows, self.value.shape.columns)

    @property
    def operands(self) -> tuple[Expression, ...]:
        """The value."""
        return (self.value,)


@dataclass(frozen=True)
class Pairs(Expression):
    """Whether a query and a key of one chunk stand in a relation, bool [q, kv]; known without any data.

    up_to: the key is not after the query. before: it is before. same: they are one token. halves: the chunk
    divided into blocks of `2 * half` tokens, the query lies in the second half and the key in the first half
    of one block; over half = 1, 2, 4 .. these are all pairs of `before`, each once.
    """

    relation: Literal["up_to", "before", "same", "halves"]
    half: int = 0

    @property
    def shape(self) -> Shape:
        """[q, kv]."""
        return Shape("q", "kv")


@dataclass(frozen=True)
class Scan(Expression):
    """Running sums over the rows, which are tokens of a chunk; columns do not mix.

    through: row i is the sum of the rows up to i, with i. after: the sum of the rows after i, without i.
    block: sums start anew in every block of so many rows; 0: one block is the whole chunk. Sums of steps are
    formed so, never as differences: that is exact for steps of very different size, even infinite ones.
    """

    value: Expression
    kind: Literal["through", "after"]
    block: int = 0

    @property
    def shape(self) -> Shape:
        """As the value."""
        return self.value.shape

    @property
    def operands(self) -> tuple[Expression, ...]:
        """The value."""
        return (self.value,)


@dataclass(frozen=True)
class Total(Expression):
    """The sum of all rows: one number per column of a tile, as a row vector; a scalar of a row vector."""

    value: Expression

    @property
    def shape(self) -> Shape:
        """[columns of the value]."""
        return Shape(self.value.shape.columns)

    @property
    def operands(self) -> tuple[Expression, ...]:
        """The value."""
        return (self.value,)


@dataclass(frozen=True)
class Statement:
    """A step of a program. comment: what it does, in words. span: the part of the text it comes from."""

    comment: str = field(default="", kw_only=True)
    span: Span | None = field(default=None, kw_only=True, compare=False)


@dataclass(frozen=True)
class Assign(Statement):
    """Gives a name a value. Inside a loop, assigning a name from outside carries it to the next turn."""

    name: str
    value: Expression


@dataclass(frozen=True)
class Store(Statement):
    """Writes the rows of a tensor that are tokens of the owner tile."""

    tensor: Tensor
    value: Expression


@dataclass(frozen=True)
class Add(Statement):
    """Adds `factor * value` to the rows of an output, zero at first, that are tokens of the visited tile."""

    tensor: Tensor
    value: Dot
    factor: Expression


@dataclass(frozen=True)
class ForVisited(Statement):
    """Runs the body for every tile of the other side that the head's block map lists for the owner tile."""

    body: tuple[Assign | Add, ...]


@dataclass(frozen=True)
class ForHeads(Statement):
    """Runs the body for every query head that shares the owner's kv head; for programs that own kv."""

    body: tuple[ForVisited, ...]


@dataclass(frozen=True)
class ForChunks(Statement):
    """Runs the body for every chunk of a head's tokens, one after the other; for programs that own q.

    The queries and keys of the body are the same tokens: those of the chunk, where the query head and its kv
    head have them. reverse: the last chunk first. Tokens that a short last chunk lacks read as 0.
    """

    body: tuple[Statement, ...]
    reverse: bool = False


@dataclass(frozen=True)
class Program:
    """One kernel: `body` runs for every head and tile of `owner`, in any order, on any number of processors.

    A program that owns q runs for each query head, one that owns kv for each kv head; there, what belongs to
    queries stands inside `ForHeads`. Where a program has `Add`, the tiles of a head run one after another. A
    program with `ForChunks` runs once for each query head, and reads and writes tokens inside it only.
    """

    name: str
    owner: Side
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    arguments: tuple[Argument, ...]
    body: tuple[Statement, ...]


def additions(body: Iterable[Statement]) -> Iterator[Add]:
    """The `Add` statements of a body, also inside loops."""
    for statement in body:
        if isinstance(statement, Add):
            yield statement
        elif isinstance(statement, ForVisited | ForHeads):
            yield from additions(statement.body)


def terms(body: Iterable[Statement]) -> list[int]:
    """The numbers of the terms that a body reads, sorted."""
    return sorted({term.number for statement in body for term in _terms_of(statement)})


def _terms_of(statement: Statement) -> Iterator[Term]:
    if isinstance(statement, ForVisited | ForHeads):
        for inner in statement.body:
            yield from _terms_of(inner)
    elif isinstance(statement, Assign | Store | Add):
        yield from _terms_in(statement.value)


def _terms_in(value: Expression) -> Iterator[Term]:
    if isinstance(value, Term):
        yield value
    for operand in value.operands:
        yield from _terms_in(operand)
