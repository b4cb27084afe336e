"""The syntax tree: what the text of a `.attn` file says, before any name has a meaning.

Every node carries the span it was read from. Spans do not take part in equality, so that
`parse(print(tree)) == tree`. Sequences are tuples; nodes are frozen.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from attndsl.source import Span


@dataclass(frozen=True, slots=True)
class Node:
    """Common part of all syntax nodes: the place in the text."""

    span: Span | None = field(default=None, compare=False, repr=False, kw_only=True)


# ---------------------------------------------------------------- expressions


@dataclass(frozen=True, slots=True)
class Expr(Node):
    """An expression. The parser bounds its depth, so that later stages may recurse over it."""

    @property
    def children(self) -> tuple[Expr, ...]:
        """Direct sub-expressions, in source order."""
        return ()


@dataclass(frozen=True, slots=True)
class Number(Expr):
    """An integer (`12`, `2_048`) or real (`0.5`, `1e-3`) literal."""

    value: int | float

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Number):
            return NotImplemented
        return type(self.value) is type(other.value) and self.value == other.value

    def __hash__(self) -> int:
        return hash((type(self.value), self.value))


@dataclass(frozen=True, slots=True)
class Boolean(Expr):
    """`true` or `false`."""

    value: bool


@dataclass(frozen=True, slots=True)
class Name(Expr):
    """A bare name: parameter, let, function without arguments, `head`, `heads`, `q`, `k`."""

    name: str


@dataclass(frozen=True, slots=True)
class Field(Expr):
    """`q.frame`, `k.index`: a coordinate of the query or the key."""

    side: str
    """'q' or 'k'."""
    name: str
    """Axis name, quantifier variable, or 'index'."""


@dataclass(frozen=True, slots=True)
class Subscript(Expr):
    """`window[a]`, `alpha[head]`, `doc[q]`."""

    name: str
    indices: tuple[Expr, ...]

    @property
    def children(self) -> tuple[Expr, ...]:
        """The subscripts."""
        return self.indices


@dataclass(frozen=True, slots=True)
class Argument(Node):
    """One argument of a call: positional when `name` is None."""

    name: str | None
    value: Expr


@dataclass(frozen=True, slots=True)
class Call(Expr):
    """`neighborhood(window, stride = 2)`."""

    function: str
    arguments: tuple[Argument, ...]

    @property
    def children(self) -> tuple[Expr, ...]:
        """The argument values."""
        return tuple(argument.value for argument in self.arguments)


@dataclass(frozen=True, slots=True)
class Unary(Expr):
    """`-x`, `not x`."""

    operator: str
    operand: Expr

    @property
    def children(self) -> tuple[Expr, ...]:
        """The operand."""
        return (self.operand,)


@dataclass(frozen=True, slots=True)
class Binary(Expr):
    """`+ - * / // % **`, `and`, `or`; in a route also `.` (dot product) and `in` (`mean(k in b)`)."""

    operator: str
    left: Expr
    right: Expr

    @property
    def children(self) -> tuple[Expr, ...]:
        """Left and right operand."""
        return (self.left, self.right)


@dataclass(frozen=True, slots=True)
class Compare(Expr):
    """A chain of comparisons, `0 <= q.n - k.n < window`: n operators, n + 1 operands."""

    operators: tuple[str, ...]
    operands: tuple[Expr, ...]

    @property
    def children(self) -> tuple[Expr, ...]:
        """The operands in order."""
        return self.operands


@dataclass(frozen=True, slots=True)
class IfElse(Expr):
    """`value if condition else other`."""

    condition: Expr
    value: Expr
    other: Expr

    @property
    def children(self) -> tuple[Expr, ...]:
        """Value, condition, other: source order."""
        return (self.value, self.condition, self.other)


@dataclass(frozen=True, slots=True)
class Quantified(Expr):
    """`all axis a: body` or `any axis a: body`: the body for every axis of the space."""

    kind: str
    """'all' or 'any'."""
    variable: str
    body: Expr

    @property
    def children(self) -> tuple[Expr, ...]:
        """The body."""
        return (self.body,)


# ---------------------------------------------------------------- types, parameters


@dataclass(frozen=True, slots=True)
class Type(Node):
    """`int`, `real[heads]`, `bool[axes]`, `int[3]`, `real[query, heads, dim]`, or a choice: `elu1 | relu`.

    kind: the word; 'choice' where `choices` has the names to choose from.
    """

    kind: str
    shape: tuple[str | int | Expr, ...] = ()
    choices: tuple[str, ...] = ()

    @property
    def plain_shape(self) -> tuple[str | int, ...]:
        """The dimensions that are names or numbers: all that parameters may have."""
        return tuple(each for each in self.shape if isinstance(each, str | int))


@dataclass(frozen=True, slots=True)
class Parameter(Node):
    """`window: int[axes] = 1`. A function's parameter may leave out the type."""

    name: str
    type: Type | None
    default: Expr | None


# ---------------------------------------------------------------- clauses


@dataclass(frozen=True, slots=True)
class Clause(Node):
    """One line (or block) in the body of a pattern."""


@dataclass(frozen=True, slots=True)
class SpaceSegment(Node):
    """`video(t, h, w)`, or `tokens(axes...)` of any rank (`axes` is then ('axes',) and `variadic`)."""

    name: str
    axes: tuple[str, ...]
    variadic: bool = False


@dataclass(frozen=True, slots=True)
class Space(Clause):
    """`space video(t, h, w) ++ text(n)`; role is 'both', 'query' or 'key' (`query space frames(f)`)."""

    role: str
    segments: tuple[SpaceSegment, ...]


@dataclass(frozen=True, slots=True)
class Derived(Clause):
    """`key mean(k in b)`, `value gather`, `query transposed(q)`; role is 'query', 'key' or 'value'."""

    role: str
    value: Expr


@dataclass(frozen=True, slots=True)
class Let(Clause):
    """`let end = expr`."""

    name: str
    value: Expr


@dataclass(frozen=True, slots=True)
class Require(Clause):
    """`require condition, "message"`."""

    condition: Expr
    message: str


@dataclass(frozen=True, slots=True)
class Input(Clause):
    """`input doc: int[tokens]`: a tensor given at the call."""

    name: str
    type: Type


@dataclass(frozen=True, slots=True)
class Arm(Node):
    """`video -> text: expr`, or `else: expr` with both segments None."""

    query: str | None
    key: str | None
    condition: Expr


@dataclass(frozen=True, slots=True)
class Attend(Clause):
    """`attend expr` (one arm, both segments None) or one arm per pair of segments."""

    arms: tuple[Arm, ...]


@dataclass(frozen=True, slots=True)
class Score(Clause):
    """`score expr` in terms of `s`."""

    value: Expr


@dataclass(frozen=True, slots=True)
class Scale(Clause):
    """`scale expr`: what products are multiplied by unless the caller says."""

    value: Expr


@dataclass(frozen=True, slots=True)
class Feature(Clause):
    """`feature name`: the function that queries and keys go through before their products."""

    name: str


@dataclass(frozen=True, slots=True)
class Decay(Clause):
    """`decay expr per step of axis`."""

    value: Expr
    axis: str


@dataclass(frozen=True, slots=True)
class Weight(Clause):
    """`weight expr` in terms of `s` (default `exp(s)`)."""

    value: Expr


@dataclass(frozen=True, slots=True)
class Gate(Clause):
    """`gate expr`: multiplies the output."""

    value: Expr


@dataclass(frozen=True, slots=True)
class Normalize(Clause):
    """`normalize sum` (default), `normalize none`, or `normalize sum + exp(logit)`."""

    kind: str
    extra: Expr | None = None


@dataclass(frozen=True, slots=True)
class Blocks(Clause):
    """`blocks b of n by size`, `blocks b of (y, x) by (8, 8)`: a partition of the tokens into boxes."""

    name: str
    axes: tuple[str, ...]
    sizes: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Groups(Clause):
    """`groups c of expr`: sets of tokens, chosen by a route of queries and one of keys."""

    name: str
    count: Expr


@dataclass(frozen=True, slots=True)
class RouteStep(Node):
    """One phrase of a route: its word (`score`, `among`, `select`, `prefer`, `always`) and expression.

    `per` holds the names after `select expr per query, head`.
    """

    word: str
    value: Expr
    per: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Route(Clause):
    """`route score ... among ... select ... per ... always ...`.

    members: `queries` or `keys` where the route chooses members of groups, else empty.
    """

    steps: tuple[RouteStep, ...]
    members: str = ""


@dataclass(frozen=True, slots=True)
class Branch(Clause):
    """`branch name:` with clauses of its own."""

    name: str
    clauses: tuple[Clause, ...]


@dataclass(frozen=True, slots=True)
class Combine(Clause):
    """`combine expr` over the names of the branches."""

    value: Expr


# ---------------------------------------------------------------- definitions


@dataclass(frozen=True, slots=True)
class Function(Node):
    """`def name(parameters): ... return expr`, with lets and requires before the return."""

    name: str
    parameters: tuple[Parameter, ...]
    documentation: str
    clauses: tuple[Let | Require, ...]
    result: Expr


@dataclass(frozen=True, slots=True)
class Pattern(Node):
    """`pattern name(parameters): clauses`."""

    name: str
    parameters: tuple[Parameter, ...]
    documentation: str
    clauses: tuple[Clause, ...]


@dataclass(frozen=True, slots=True)
class File(Node):
    """A whole `.attn` file: docstring, functions and patterns in order."""

    documentation: str
    definitions: tuple[Function | Pattern, ...]
