"""The bound IR: a pattern with all its numbers, ready to be scheduled.

The mask of a bound pattern is given region by region: a region is a pair (query segment, key segment) and
holds one boolean expression over `Position('q', axis number)`, `Position('k', axis number)`, `Head()`,
per-head tables and declared inputs. Regions cover every pair of segments exactly once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod

from attndsl.ir.expr import Expr, Number
from attndsl.ir.ops import Scalar
from attndsl.ir.pattern import PatternIR
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


@dataclass(frozen=True)
class InputDeclaration:
    """A tensor that the caller passes; `shape` names what each dimension runs over."""

    name: str
    kind: Scalar
    shape: tuple[str, ...]


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
    spans: Mapping[Expr, Span] = field(default_factory=dict, compare=False, repr=False)
    pattern: PatternIR | None = field(default=None, compare=False, repr=False)
    parameters: Mapping[str, tuple[Number, ...]] = field(default_factory=dict, compare=False, repr=False)
