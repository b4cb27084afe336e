"""A pattern at any length: bound when tensors of a new length come, so that graphs need not know the length.

`torch.compile(dynamic=True)` and `torch.export` trace a call once for all lengths; tiles and block maps are
made at run time, once per length. Lengths whose machine code is equal share it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import cached_property
from operator import index
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from attndsl.diagnostics import AttnCallError
from attndsl.ir.bound import BoundIR
from attndsl.ir.pattern import PatternIR
from attndsl.passes.open_length import depends_on_length
from attndsl.runtime.attend import attend
from attndsl.runtime.checks import check_kinds
from attndsl.runtime.gathered_rows import GatheredRows
from attndsl.runtime.reference import Outputs
from attndsl.runtime.rows import Rows
from attndsl.runtime.stateful import attend_with_state, no_state, step
from attndsl.runtime.targets import Kernel, PatternTarget, rank_in, register

LENGTHS = 256
"""Lengths that are kept bound; those that came first are dropped."""

Bind = Callable[[tuple[int, ...], int, int], PatternTarget]
"""Binds a pattern to a shape, empty if it was not given, and to the numbers of queries and keys."""


LastRows = Rows | GatheredRows


class AnyLength:
    """Attention by a pattern that has all its numbers but the shape.

    key: its name in graphs. mask_inputs, needs_more: what calls ask of the pattern, found out before graphs
    are made, which cannot enter the computation. held: by name, the pattern at the lengths that graphs are
    made for.
    """

    def __init__(self, ir: PatternIR, bind: Bind, make_rows: Callable[[], LastRows], *parts: object) -> None:
        self.ir, self.name = ir, ir.name
        self.bind, self._make_rows = bind, make_rows
        self.key = register(self, ir.name, "any length", *parts)
        self.mask_inputs, self.needs_more = ir.mask_inputs, ir.needs_more
        self._bound: OrderedDict[object, PatternTarget] = OrderedDict()
        self.held = SimpleNamespace()

    def __call__(
        self, q: Tensor, k: Tensor, v: Tensor, scale: float | None = None, return_lse: bool = False, *,
        shape: int | Sequence[int] = (), initial_state: Tensor | None = None, return_state: bool = False,
        plan: Any = None, **inputs: Any,
    ) -> Outputs:  # fmt: skip
        """Attention as by `Bound.__call__`.

        shape: extents of the space, as for `Pattern.bind`; without it the space has one axis.
        """
        extents = (shape,) if isinstance(shape, int) else tuple(shape)
        if initial_state is None and not return_state:
            return attend(self, q, k, v, scale, return_lse, inputs, extents, plan)
        ir = self._recurrence(q, k, extents)
        return attend_with_state(ir, q, k, v, scale, return_lse, initial_state, return_state, inputs)

    def step(
        self, q: Tensor, k: Tensor, v: Tensor, state: Tensor | None = None, scale: float | None = None,
        **inputs: Any,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        """One more token of a recurrence: its output and the new state, as by `Bound.step`.

        Raises AttnCallError (A06xx), A0676 for a pattern that asks how long the text is.
        """
        if depends_on_length(self.ir):
            raise AttnCallError(
                "A0676", f"`{self.name}` asks how long the text is, which a step does not know",
                help="bind it to the length of the whole text, and use `step` of the bound pattern",
            )  # fmt: skip
        check_kinds(q, k, v)
        return step(self._recurrence(q, k, ()), q, k, v, scale, state, inputs)

    def _recurrence(self, q: Tensor, k: Tensor, shape: Sequence[int]) -> BoundIR:
        """The pattern at one length, which carries a state. Raises AttnCallError A0674 for others."""
        ir = self.around(q, k, shape)
        if ir is None:
            raise no_state(self.name)
        return ir

    @cached_property
    def rows(self) -> LastRows:
        """The pattern's last rows, for generation from a cache: see `Pattern.rows_at_any_length`."""
        return self._make_rows()

    def rank_of(self, name: str) -> int:
        """See `Target`: at some length that is bound, which declares what calls compute too."""
        bound = next(iter(self._bound.values()), None)
        return rank_in(self.ir, name) if bound is None else bound.rank_of(name)

    def around(self, q: Tensor, k: Tensor, shape: Sequence[int] = ()) -> BoundIR | None:
        """See `Target`."""
        if not self.needs_more:
            return None
        check_kinds(q, k, k)
        return self._at(q, k, shape).around(q, k)

    def branch(self, name: str, q: Tensor, k: Tensor, shape: Sequence[int] = ()) -> PatternTarget:
        """See `Target`."""
        return self._at(q, k, shape).branch(name, q, k)

    def kernel_for(self, q: Tensor, k: Tensor, v: Tensor, shape: Sequence[int] = ()) -> Kernel:
        """The kernel for tensors of these types and sizes; a new length is bound first."""
        self.check_tensors(q, k, v)
        return self._at(q, k, shape).kernel_for(q, k, v)

    def _at(self, q: Tensor, k: Tensor, shape: Sequence[int]) -> PatternTarget:
        """The pattern at one length; a graph that looks at it is made for that length."""
        extents, queries, keys = tuple(shape), index(q.shape[2]), index(k.shape[2])
        if not torch.compiler.is_compiling():
            return self.at(extents, queries, keys)
        name = f"{extents}_{queries}_{keys}"
        _hold(self, name, extents, queries, keys)
        found: PatternTarget = getattr(self.held, name)
        return found

    def at(self, shape: tuple[int, ...], queries: int, keys: int) -> PatternTarget:
        """The pattern at one length, bound when first asked for."""
        key = (*shape, queries, keys)
        bound = self._bound.get(key)
        if bound is None:
            bound = self._bound[key] = self.bind(shape, queries, keys)
            if len(self._bound) > LENGTHS:
                self._bound.popitem(last=False)
        return bound

    def check_tensors(self, q: Tensor, k: Tensor, v: Tensor) -> None:
        """Raise AttnCallError (A06xx) for what is wrong at any length."""
        check_kinds(q, k, v)


def _hold(pattern: AnyLength, name: str, shape: tuple[int, ...], queries: int, keys: int) -> None:
    """Bind a pattern for a graph, which does not look inside."""
    setattr(pattern.held, name, pattern.at(shape, queries, keys))


_hold._dynamo_marked_constant = True  # type: ignore[attr-defined]  # its decorator would import the compiler
