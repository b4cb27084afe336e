"""The pattern IR: one pattern with names resolved, functions inlined and types checked, but no numbers yet.

Text, the import hook and the Python decorator all produce this; equal patterns compare equal whatever they
were written in, because documentation and spans do not take part.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from attndsl.ir.blocks import Blocks
from attndsl.ir.derived import Derived
from attndsl.ir.expr import PRODUCT, Apply, Expr, Head, InputAt, LowRank, Symbol
from attndsl.ir.groups import Groups
from attndsl.ir.ops import Scalar
from attndsl.ir.route import Route
from attndsl.source import Span


@dataclass(frozen=True)
class Parameter:
    """A number (or array) that bind takes. shape: () or one of ('axes',), ('heads',), (n,).

    choices: names to choose from; the number is then the place of the chosen one.
    """

    name: str
    kind: Scalar
    shape: tuple[str | int, ...] = ()
    default: Expr | None = None
    span: Span | None = field(default=None, compare=False, repr=False)
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class SegmentShape:
    """A segment before bind: its axes by name; `variadic` takes any number of axes."""

    name: str
    axes: tuple[str, ...]
    variadic: bool = False


@dataclass(frozen=True)
class Requirement:
    """A condition on the numbers, checked at bind; `span` is what the message blames, `text` its spelling."""

    condition: Expr
    message: str
    span: Span | None = field(default=None, compare=False, repr=False)
    text: str = field(default="", compare=False, repr=False)


@dataclass(frozen=True)
class Arm:
    """The mask between two segments; None stands for any segment."""

    query: str | None
    key: str | None
    visible: Expr
    span: Span | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class Input:
    """A declared tensor: what its dimensions run over ('tokens', 'query', 'key', 'heads', 'dim'), or sizes.

    A name that is none of these is a size of the caller's choice.
    """

    name: str
    kind: Scalar
    shape: tuple[str | Expr, ...]


@dataclass(frozen=True)
class Decay:
    """What weights lose per step of an axis, as its natural logarithm; an input is read at the step's token.

    axis: its name, after bind its number.
    """

    log: Expr
    axis: str | int
    span: Span | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class Weighting:
    """What a pattern does with the pairs that it lets through.

    score: of a pair, over `Product`. weight: of a pair, over `Product`, which stands for the score; None is
    exp. normalize: whether weights are divided by their sum, or made to conserve what flows. sink: a logit
    that is added to that sum as exp(sink). gate: what the output is multiplied by. scale: of products, over
    `HeadDim`; None is dim ** -0.5. feature: of queries and keys before their products, over `Channel`. decay:
    of weights.
    """

    score: Expr = PRODUCT
    weight: Expr | None = None
    normalize: Literal["sum", "none", "flow"] = "sum"
    sink: Expr | None = None
    gate: Expr | None = None
    scale: Expr | None = None
    feature: Expr | None = None
    decay: Decay | None = None

    @property
    def expressions(self) -> tuple[Expr, ...]:
        """All its expressions."""
        decay = self.decay.log if self.decay else None
        found = (self.score, self.weight, self.sink, self.gate, self.scale, self.feature, decay)
        return tuple(each for each in found if each is not None)

    @property
    def of_product(self) -> Expr:
        """The weight of a pair over `Product` as the scaled dot product."""
        weight = Apply("exp", (PRODUCT,)) if self.weight is None else self.weight
        return _with_product(weight, self.score)

    @property
    def needs_more(self) -> bool:
        """Whether something is left to do around the kernel of the pairs."""
        around = (self.sink, self.gate, self.scale, self.feature, self.decay)
        return any(each is not None for each in around) or not self.is_softmax

    @property
    def is_linear(self) -> bool:
        """Whether weights are the scaled products themselves."""
        return self.score is PRODUCT and self.weight is PRODUCT

    @property
    def is_softmax(self) -> bool:
        """Whether weights are exponentials divided by their sum, so that they have a log-sum-exp."""
        return self.weight is None and self.normalize == "sum"


PLAIN = Weighting()
"""Softmax of the scaled dot products."""


def _with_product(root: Expr, value: Expr) -> Expr:
    """The expression with `value` in place of `Product`."""
    if root is PRODUCT:
        return value
    if not isinstance(root, Apply):
        return root
    return Apply(root.op, tuple(_with_product(arg, value) for arg in root.args))


@dataclass(frozen=True)
class PatternIR:
    """A whole pattern. `key_space` equals `query_space` unless the text declares two spaces."""

    name: str
    parameters: tuple[Parameter, ...]
    query_space: tuple[SegmentShape, ...]
    key_space: tuple[SegmentShape, ...]
    inputs: tuple[Input, ...]
    requirements: tuple[Requirement, ...]
    arms: tuple[Arm, ...]
    weighting: Weighting = PLAIN
    cross: bool = False
    """Whether queries and keys live in different spaces."""
    blocks: tuple[Blocks, ...] = ()
    derived: tuple[Derived, ...] = ()
    branches: tuple[PatternIR, ...] = ()
    """Complete patterns, each after those whose outputs it takes; all have the spaces of the whole."""
    combine: Expr | None = None
    """What joins the outputs of the branches."""
    route: Route | None = None
    """Which of the visible pairs are computed, chosen from the data."""
    groups: Groups | None = None
    """Sets of tokens that attend among themselves, chosen from the data."""
    documentation: str = field(default="", compare=False, repr=False)
    spans: Mapping[Expr, Span] = field(default_factory=dict, compare=False, repr=False)

    @property
    def mask_inputs(self) -> frozenset[str]:
        """The names of the inputs that decide which pairs are visible."""
        leaves = (leaf for arm in self.arms for leaf in arm.visible.leaves)
        own = frozenset(leaf.name for leaf in leaves if isinstance(leaf, InputAt))
        return own.union(*(branch.mask_inputs for branch in self.branches))

    @property
    def needs_more(self) -> bool:
        """See `ir.bound.needs_more`."""
        low_rank = any(isinstance(leaf, LowRank) for leaf in self.weighting.score.leaves)
        parts = self.branches or self.derived or self.route or self.groups
        return low_rank or self.weighting.needs_more or bool(parts)

    @property
    def depends_on_heads(self) -> bool:
        """Whether it says anything about heads, so that heads may differ."""
        if any(each.depends_on_heads for each in self.branches):
            return True
        roots = [*(arm.visible for arm in self.arms), *self.weighting.expressions]
        roots += [self.combine] if self.combine is not None else []
        leaves = frozenset().union(*(root.leaves for root in roots))
        names = {leaf.name for leaf in leaves if isinstance(leaf, Symbol)}
        declared: list[Parameter | Input] = [*self.parameters, *self.inputs]
        per_head = any("heads" in each.shape for each in declared)
        return per_head or Head() in leaves or bool(names & {"heads", "kv_heads", "kv_head"})
