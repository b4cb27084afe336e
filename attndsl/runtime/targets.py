"""Names for what operators run: a graph of torch holds text, from which its operators find a bound pattern.

A name says what is computed, so that a graph can be saved, and run in another process that has bound the same
pattern. What a graph names is kept alive from the moment the graph is made.
"""

from __future__ import annotations

import hashlib
import weakref
from typing import TYPE_CHECKING, Protocol, cast

from attndsl.diagnostics import AttnCallError
from attndsl.ir.bound import BoundIR
from attndsl.ir.expr import Table, topological
from attndsl.ir.pattern import PatternIR
from attndsl.ir.text import bound_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import torch
    from torch import Tensor

    from attndsl.runtime.kernels import Saved, Wanted


class Kernel(Protocol):
    """What computes a call: a compiled kernel, or rows of a pattern, which find one for their positions."""

    def compute(
        self, q: Tensor, k: Tensor, v: Tensor, scale: float | None, inputs: Mapping[str, Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Output and log-sum-exp, without gradients."""

    def gradients(
        self, saved: Saved, scale: float | None, inputs: Mapping[str, Tensor],
        out_gradient: Tensor, lse_gradient: Tensor, wanted: Wanted,
    ) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
        """The gradients of q, k and v; empty tensors for those that are not wanted."""

    def input_gradients(
        self, saved: Saved, scale: float | None, inputs: Mapping[str, Tensor],
        out_gradient: Tensor, lse_gradient: Tensor, wanted: Sequence[str],
    ) -> dict[str, Tensor]:  # fmt: skip
        """The gradients of the declared inputs named in `wanted`."""


class Target(Protocol):
    """What can be called by name: what computes pairs of tokens, or all of a pattern."""

    @property
    def key(self) -> str:
        """The name."""

    @property
    def mask_inputs(self) -> frozenset[str]:
        """The declared inputs that masks read, which have no gradients."""

    def rank_of(self, name: str) -> int:
        """How many dimensions an input has without that of the batch."""

    def kernel_for(
        self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, shape: Sequence[int] = ()
    ) -> Kernel:
        """The kernel for tensors of these shapes and types. shape: extents of the space, where still open."""

    def check_tensors(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> None:
        """Refuse tensors that do not fit with AttnCallError (A06xx); also tensors without data."""


class PatternTarget(Target, Protocol):
    """A bound pattern, a compiled kernel, or a pattern at any length."""

    def around(self, q: torch.Tensor, k: torch.Tensor, shape: Sequence[int] = ()) -> BoundIR | None:
        """The bound pattern, if more than a kernel is needed: see `ir.bound.needs_more`."""

    def branch(self, name: str, q: torch.Tensor, k: torch.Tensor, shape: Sequence[int] = ()) -> PatternTarget:
        """A branch of the pattern, where it has branches."""


PLANS = "plans:"
"""What begins the name of a pattern's plans, in front of the pattern's own."""

_known: dict[str, list[weakref.ref[Target]]] = {}
_kept: dict[str, Target] = {}


def register(target: Target, name: str, *parts: object) -> str:
    """A key for the target, equal for equal names and parts; both together must say what it computes."""
    digest = hashlib.sha256("\0".join([name, *map(str, parts)]).encode()).hexdigest()[:16]
    key = f"{name}_{digest}"
    alive = [reference for reference in _known.get(key, []) if reference() is not None]
    _known[key] = [*alive, weakref.ref(target)]
    return key


def describe(ir: BoundIR) -> str:
    """A text that differs between patterns which differ."""
    roots = [root for region in ir.regions for root in (region.visible, *region.terms)]
    nodes = set(topological(*roots, *ir.weighting.expressions, *([ir.combine] if ir.combine else [])))
    tables = sorted({(node.name, node.values) for node in nodes if isinstance(node, Table)})
    branches = "".join(f"\n{describe(branch)}" for branch in ir.branches)
    return f"{bound_text(ir)}{branches}\n{tables}\n{ir.inputs}\n{ir.linear}"


def rank_in(ir: BoundIR | PatternIR, name: str) -> int:
    """How many dimensions a declared input has without that of the batch."""
    declared = (*ir.inputs, *(ir.computed if isinstance(ir, BoundIR) else ()))
    return next(len(each.shape) for each in declared if each.name == name)


def mask_inputs_of(ir: BoundIR) -> frozenset[str]:
    """The names of the inputs that masks read."""
    return frozenset(each.name for each in ir.mask_inputs)


def find(key: str) -> Target:
    """The target of a key. Raises AttnCallError A0618 where none is alive."""
    if key in _kept:
        return _kept[key]
    if key.startswith(PLANS):
        from attndsl.runtime.routed import PlansTarget  # which registers its own targets here

        return PlansTarget(cast(PatternTarget, find(key.removeprefix(PLANS))))
    for reference in _known.get(key, []):
        target = reference()
        if target is not None:
            return target
    raise AttnCallError(
        "A0618", f"this graph calls `{key}`, which is not bound in this process",
        help="bind the pattern that the graph was made with, with the same numbers, before the graph runs",
    )  # fmt: skip


def keep(key: str) -> Target:
    """The target of a key, which from now on lives as long as the process."""
    return _kept.setdefault(key, find(key))
