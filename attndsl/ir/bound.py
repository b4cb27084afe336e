"""The bound IR: a pattern with all its numbers, ready to be scheduled.

The mask of a bound pattern is given region by region: a region is a pair (query segment, key segment) and
holds one boolean expression over `Position('q', axis number)`, `Position('k', axis number)`, `Head()`,
per-head tables and declared inputs. Regions cover every pair of segments exactly once. The weighting is one
for all regions: what it says of positions are terms, which each region defines in its own coordinates.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from math import prod
from typing import Literal

from attndsl.ir.derived import Derivation, has_key_per_query_head
from attndsl.ir.expr import Expr, InputAt, InputElement, Number, WholeInput
from attndsl.ir.ops import Scalar
from attndsl.ir.pattern import PLAIN, PatternIR, Weighting
from attndsl.ir.route import InputVector, Route
from attndsl.source import Span


@dataclass(frozen=True)
class Segment:
    """A box of tokens, flattened row-major, that starts at `offset` in its space."""

    name: str
    axes: tuple[str, ...]
    extents: tuple[int, ...]
    offset: int

    @property
    def size(self) -> int:
        """Number of tokens."""
        return prod(self.extents)


@dataclass(frozen=True)
class Space:
    """One or more segments, one after the other."""

    segments: tuple[Segment, ...]

    @property
    def size(self) -> int:
        """Number of tokens."""
        return sum(segment.size for segment in self.segments)


@dataclass(frozen=True)
class Region:
    """Which keys of segment `key` a query of segment `query` sees (segment numbers), and where it says so."""

    query: int
    key: int
    visible: Expr
    span: Span | None = field(default=None, compare=False, repr=False)
    terms: tuple[Expr, ...] = ()
    """The values of `Term(0)`, `Term(1)`, ... of the pattern's weighting."""


@dataclass(frozen=True)
class InputDeclaration:
    """A tensor that the caller passes; `shape` names what each dimension runs over."""

    name: str
    kind: Scalar
    shape: tuple[str | int, ...]


@dataclass(frozen=True)
class LinearForm:
    """How a pattern whose weights are products is computed.

    algorithm: 'recurrence' (a state carried over chunks of tokens), 'sums' (over all keys, or over the blocks
    of keys that a route lists), or 'tiles' (all visible pairs). documents: the input whose change from one
    token to the next resets the state. obstacle: why it is tiles, and span where the text says so; empty
    where tiles were asked for.
    """

    algorithm: Literal["recurrence", "sums", "tiles"]
    documents: str | None = None
    obstacle: str = field(default="", compare=False)
    span: Span | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class BoundIR:
    """One attention pattern with all numbers. `name` carries the parameters: `gna_w18x24x24_s16x8x8`.

    `pattern` and `parameters` (the elements of each value, also of defaults) tell where it came from; they
    take no part in equality.
    """

    name: str
    query_space: Space
    key_space: Space
    heads: int
    kv_heads: int
    regions: tuple[Region, ...]
    inputs: tuple[InputDeclaration, ...] = ()
    weighting: Weighting = PLAIN
    low_rank: tuple[tuple[str, str], ...] = ()
    """Pairs of inputs, of queries and of keys, whose dot products are added to the scaled product."""
    computed: tuple[InputDeclaration, ...] = ()
    """Inputs that calls compute: what pairs of tokens read of a decay."""
    linear: LinearForm | None = None
    """How linear weights are computed; None for all other weights."""
    derived: Derivation | None = None
    """The tensors that are made of those that the caller passes; the spaces above are those of the result."""
    branches: tuple[BoundIR, ...] = ()
    """Complete patterns, each after those whose outputs it takes; a pattern of branches has no regions."""
    combine: Expr | None = None
    branch: str = ""
    """The name of this branch in its pattern."""
    route: Route | None = None
    """Which of the visible pairs are computed, chosen from the data."""
    groups: tuple[BoundIR, ...] = ()
    """Of a pattern with groups the maps of groups and queries, and of groups and keys.

    Rows of a map are groups, columns its tokens, and its route chooses the members of each group. Both are
    called by their members, as branches are by their names.
    """
    members: Literal["", "queries", "keys"] = ""
    """Of such a map, what its columns are."""
    spans: Mapping[Expr, Span] = field(default_factory=dict, compare=False, repr=False)
    pattern: PatternIR | None = field(default=None, compare=False, repr=False)
    parameters: Mapping[str, tuple[Number, ...]] = field(default_factory=dict, compare=False, repr=False)

    @property
    def over_channels(self) -> bool:
        """Whether its tokens are the channels of what the caller passes."""
        return self.derived is not None and self.derived.is_transposed

    mask_inputs: tuple[InputDeclaration, ...] = field(init=False, compare=False, repr=False)
    """The inputs that decide which pairs are visible; others only weigh them."""
    kernel_inputs: tuple[InputDeclaration, ...] = field(init=False, compare=False, repr=False)
    """The inputs that decide about pairs: those of masks, and those of scores and weights."""
    decay_inputs: frozenset[str] = field(init=False, compare=False, repr=False)
    """The names of the inputs that the decay reads."""
    inputs_of_keys: frozenset[str] = field(init=False, compare=False, repr=False)
    """The names of the inputs whose `dim` are the channels of queries and keys, not of values."""

    def __post_init__(self) -> None:
        """Sort the inputs out, before graphs ask, which cannot look into expressions."""
        masks = _read_by(region.visible for region in self.regions)
        pairs = masks | _read_by(term for region in self.regions for term in region.terms)
        inputs = (*self.inputs, *self.computed)
        object.__setattr__(self, "mask_inputs", tuple(each for each in inputs if each.name in masks))
        object.__setattr__(self, "kernel_inputs", tuple(each for each in inputs if each.name in pairs))
        leaves = self.weighting.decay.log.leaves if self.weighting.decay else ()
        read = frozenset(leaf.name for leaf in leaves if isinstance(leaf, WholeInput | InputElement))
        object.__setattr__(self, "decay_inputs", read)
        vectors = _vectors_of(each.route for each in (self, *self.groups) if each.route is not None)
        object.__setattr__(self, "inputs_of_keys", read | vectors)


def _read_by(roots: Iterable[Expr]) -> set[str]:
    """The names of the inputs that expressions read."""
    nodes = (node for root in roots for node in root.mentioned)
    return {node.name for node in nodes if isinstance(node, InputAt | InputElement)}


def _vectors_of(routes: Iterable[Route]) -> frozenset[str]:
    """The names of the inputs whose channels routes compare."""
    nodes = (node for route in routes for root in route.expressions for node in root.mentioned)
    return frozenset(node.name for node in nodes if isinstance(node, InputVector))


def decays_by_channel(ir: BoundIR) -> bool:
    """Whether channels of keys decay on their own."""
    return any("dim" in each.shape for each in ir.inputs if each.name in ir.decay_inputs)


def input_sizes(ir: BoundIR, name: str, dim: int = 0) -> tuple[int, ...]:
    """The sizes of a declared input without its batch; 0 for those of the caller's choice. dim: of `dim`."""
    declared = next(each for each in (*ir.inputs, *ir.computed) if each.name == name)
    known = {
        "tokens": ir.query_space.size, "query": ir.query_space.size, "key": ir.key_space.size,
        "heads": ir.heads, "kv_heads": ir.kv_heads, "dim": dim,
    }  # fmt: skip
    return tuple(each if isinstance(each, int) else known.get(each, 0) for each in declared.shape)


def needs_more(ir: BoundIR) -> bool:
    """Whether more is needed than a kernel of the pairs: feature maps, sinks, gates, ..., or no softmax."""
    parts = ir.low_rank or ir.branches or ir.derived or ir.route or ir.groups
    return bool(parts) or ir.weighting.needs_more


def algorithm_of(ir: BoundIR) -> str:
    """What computes a pattern: see `Bound.algorithm`."""
    if ir.branches:
        return " + ".join(map(algorithm_of, ir.branches))
    if ir.over_channels:
        return "products"
    return ir.linear.algorithm if ir.linear else "tiles"


def is_routed(ir: BoundIR) -> bool:
    """Whether the data decide which pairs are computed, in the pattern or one of its branches."""
    return any(each.route is not None for each in (ir, *ir.branches, *ir.groups))


def pairs_only(ir: BoundIR) -> BoundIR:
    """What kernels compute of a pattern: its pairs alone, and the inputs that these need."""
    weighting = replace(ir.weighting, sink=None, gate=None, scale=None, feature=None, decay=None)
    return replace(
        ir, weighting=weighting, low_rank=(), inputs=ir.kernel_inputs, computed=(), linear=None,
        derived=None, route=None, groups=(),
    )  # fmt: skip


def by_tiles(ir: BoundIR) -> BoundIR:
    """The same pattern, pair by pair of tokens even where its weights are linear."""
    linear = LinearForm("tiles") if ir.linear else None
    return replace(ir, linear=linear, branches=tuple(map(by_tiles, ir.branches)))


def with_heads(ir: BoundIR, heads: int, kv_heads: int) -> BoundIR:
    """The same pattern for other head counts of the tensors that the caller passes."""
    derived = replace(ir.derived, kv_heads=kv_heads) if ir.derived else None
    wide = derived is not None and has_key_per_query_head(derived.tensors)
    branches, groups = (
        tuple(with_heads(each, heads, kv_heads) for each in parts) for parts in (ir.branches, ir.groups)
    )
    own = heads if wide else kv_heads
    return replace(ir, heads=heads, kv_heads=own, derived=derived, branches=branches, groups=groups)
