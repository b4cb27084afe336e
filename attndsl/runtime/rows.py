"""Rows of a pattern: a few queries against all keys, as in generation from a cache.

The kernel is one of the placed pattern (`passes/placed.py`), to which positions are data. So one kernel
serves every length of the cache, and nothing is compiled from step to step. On a CPU, rows so few that tiles
of them would be mostly empty are computed in torch, from the same placed pattern.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from attndsl.diagnostics import AttnCallError
from attndsl.ir.bound import BoundIR, InputDeclaration
from attndsl.ir.pattern import Input
from attndsl.passes.placed import input_names, one_axis, placed
from attndsl.runtime.attend_pairs import attend_pairs
from attndsl.runtime.checks import check_kinds, check_scale, check_tensors
from attndsl.runtime.gather_rows import rows_of_mask
from attndsl.runtime.kernels import Saved, Wanted
from attndsl.runtime.reference import Outputs
from attndsl.runtime.split import Split
from attndsl.runtime.targets import Target, register

KEPT = 64
"""Numbers of queries and keys whose kernels are remembered."""

FEW = 64
"""Queries up to which keys are split over threads; more of them keep all threads busy by themselves."""

FEWEST = 4
"""Rows of a key/value head up to which products in torch are faster than tiles of 16 rows, on a CPU."""

IN_TORCH = (torch.float32, torch.float64)
"""Types for which they are: keys of others would have to be converted first."""

T = TypeVar("T")


@dataclass(frozen=True)
class Growing:
    """What rows are taken from.

    at: the bound pattern that serves lengths from a number on. bind: makes it callable. require: raises
    AttnBindError for lengths that the pattern refuses. inputs: what the pattern declares. asks_length:
    whether the mask depends on the length. heads: query and key/value heads, None for any. fixed: the
    queries and keys of a pattern whose shape is known.
    """

    at: Callable[[int], BoundIR]
    bind: Callable[[BoundIR], Target]
    require: Callable[[int], None]
    inputs: Sequence[Input | InputDeclaration]
    asks_length: bool = False
    heads: tuple[int, int] | None = None
    fixed: tuple[int, int] | None = None


class Rows:
    """The last rows of a pattern, as many as there are queries: call it as `Bound.__call__`.

    key: its name in graphs.
    """

    def __init__(self, name: str, pattern: Growing, *parts: object) -> None:
        self.name, self.pattern = name, pattern
        self.key = register(self, name, "rows", *parts)
        self._bound: OrderedDict[object, Target] = OrderedDict()
        self._split: OrderedDict[object, Split] = OrderedDict()
        self._allowed: set[int] = set()

    def __call__(
        self, q: Tensor, k: Tensor, v: Tensor, scale: float | None = None, return_lse: bool = False, *,
        exists: Tensor | None = None, **inputs: Any,
    ) -> Outputs:  # fmt: skip
        """Attention of the last tokens over all tokens.

        q: [batch, heads, count, D], the last `count` of the tokens; k: [batch, kv_heads, tokens, D]; v:
        [batch, kv_heads, tokens, Dv]. exists: bool [tokens] or [batch, tokens], false for padding, which
        nothing sees and which does not count: the others have the positions that they have without it.
        inputs: declared inputs, as for all tokens. Raises AttnCallError (A06xx).
        """
        if not torch.compiler.is_compiling():  # there, the operator's shapes are checked
            self.check_tensors(q, k, v)
        given = self._of_sides(q, k, inputs)
        return attend_pairs(self, q, k, v, scale, return_lse, given | self._positions(q, k, exists))

    def check_tensors(self, q: Tensor, k: Tensor, v: Tensor) -> None:
        """Raise AttnCallError (A06xx) for tensors that do not fit."""
        check_rows(self.name, self.pattern.heads, self.pattern.fixed, q, k, v)

    @property
    def mask_inputs(self) -> frozenset[str]:
        """See `Target`."""
        parts = (part for each in self.pattern.inputs for part in input_names(each).values())
        return frozenset({"query_position", "key_position", "length", *parts})

    def rank_of(self, name: str) -> int:
        """See `Target`: inputs of rows have one value per token."""
        return 1

    def kernel_for(self, q: Tensor, k: Tensor, v: Tensor, shape: Any = ()) -> Rows:
        """Itself: it finds the kernel for the positions of a call."""
        return self

    def compute(
        self, q: Tensor, k: Tensor, v: Tensor, scale: float | None, inputs: Mapping[str, Any]
    ) -> tuple[Tensor, Tensor]:
        """Output and log-sum-exp, without gradients."""
        shortest, placed_inputs = self._placed_inputs(q, k, inputs)
        if q.shape[2] > FEW or not k.shape[2] or not q.numel():
            kernel = self._whole(shortest, q, k).kernel_for(q, k, v)
            return kernel.compute(q, k, v, scale, placed_inputs)
        factor = check_scale(scale, q.shape[3])
        if _is_for_torch(q, k):
            return self._by_torch(shortest, q, k, v, factor, placed_inputs)
        return self._splitter(shortest)(q, k, v, factor, placed_inputs)

    def _by_torch(
        self, shortest: int, q: Tensor, k: Tensor, v: Tensor, scale: float, inputs: Mapping[str, Tensor]
    ) -> tuple[Tensor, Tensor]:
        ir = placed(self.pattern.at(shortest), q.shape[2], k.shape[2])
        return rows_of_mask(replace(ir, heads=q.shape[1], kv_heads=k.shape[1]), 0, q, k, v, scale, inputs)

    def gradients(
        self, saved: Saved, scale: float | None, inputs: Mapping[str, Any],
        out_gradient: Tensor, lse_gradient: Tensor, wanted: Wanted,
    ) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
        """The gradients of q, k and v; empty tensors for those that are not wanted."""
        shortest, placed_inputs = self._placed_inputs(saved.q, saved.k, inputs)
        kernel = self._whole(shortest, saved.q, saved.k).kernel_for(saved.q, saved.k, saved.v)
        return kernel.gradients(saved, scale, placed_inputs, out_gradient, lse_gradient, wanted)

    def input_gradients(self, *_: object) -> dict[str, Tensor]:
        """None: inputs of rows have no gradients."""
        return {}

    def _whole(self, shortest: int, q: Tensor, k: Tensor) -> Target:
        """The placed pattern for all keys at once."""
        counts = q.shape[2], k.shape[2]
        return remembered(
            self._bound,
            (shortest, *counts),
            lambda: self.pattern.bind(placed(self.pattern.at(shortest), *counts)),
        )

    def _splitter(self, shortest: int) -> Split:
        return remembered(self._split, shortest, lambda: Split(self.pattern.at(shortest), self.pattern.bind))

    def _of_sides(self, q: Tensor, k: Tensor, inputs: Mapping[str, Any]) -> dict[str, Tensor]:
        """The declared inputs as the placed pattern reads them: of the queries, and of the keys."""
        found: dict[str, Tensor] = {}
        declared = {each.name: each for each in self.pattern.inputs}
        for name, value in inputs.items():
            if name not in declared:
                raise AttnCallError(
                    "A0610", f"pattern `{self.name}` has no input `{name}`",
                    help=f"its inputs: {', '.join(declared) or 'none'}",
                )  # fmt: skip
            tensor = torch.as_tensor(value)
            for side, part in input_names(declared[name]).items():
                found[part] = tensor[..., -q.shape[2] :] if side == "q" else tensor
        for name in declared:
            if name not in inputs:
                raise AttnCallError(
                    "A0611", f"pattern `{self.name}` needs the input `{name}`", help=f"pass {name}="
                )
        return found

    def _positions(self, q: Tensor, k: Tensor, exists: Tensor | None) -> dict[str, Tensor]:
        """Where the tokens stand, and how many there are; nothing where all keys stand in a row."""
        if exists is None:
            return {}
        tokens = k.shape[2]
        check_exists(exists, k)
        ranks = exists.long().cumsum(-1)
        positions = torch.where(exists, ranks - 1, -1)
        count = q.shape[2]
        return {
            "query_position": positions[..., tokens - count :],
            "key_position": positions,
            "length": ranks[..., -1:].expand(*ranks.shape[:-1], count),
        }

    def _placed_inputs(
        self, q: Tensor, k: Tensor, inputs: Mapping[str, Any]
    ) -> tuple[int, dict[str, Tensor]]:
        """The least length to bind for, and the inputs of the placed pattern."""
        given = {name: value.contiguous() for name, value in inputs.items()}
        if "key_position" not in given:
            queries, keys = self.pattern.fixed or (k.shape[2], k.shape[2])
            given["query_position"] = torch.arange(queries - q.shape[2], queries, device=q.device)
            given["key_position"] = torch.arange(keys, device=q.device)
            given["length"] = torch.full((q.shape[2],), keys, device=q.device)
        length = given.pop("length")
        lengths = np.unique(length.cpu().numpy()).tolist()
        for each in set(lengths) - self._allowed:
            if each:
                self.pattern.require(each)
            self._allowed.add(each)
        if not self.pattern.asks_length:
            return 1, given
        shortest = 1 << (max(min(lengths, default=1), 1).bit_length() - 1)
        return shortest, given | {"length_of_query": length}


def _is_for_torch(q: Tensor, k: Tensor) -> bool:
    """Whether there are so few rows that tiles of them would be mostly empty."""
    rows = q.shape[2] * (q.shape[1] // k.shape[1])
    return q.device.type == "cpu" and q.dtype in IN_TORCH and rows <= FEWEST


def check_rows(
    name: str, heads: tuple[int, int] | None, fixed: tuple[int, int] | None, q: Tensor, k: Tensor, v: Tensor
) -> None:
    """Raise AttnCallError (A06xx) for tensors that are not the last queries and all keys of a pattern.

    heads, fixed: as of `Growing`.
    """
    check_kinds(q, k, v)
    fits = q.shape[1] and k.shape[1] and q.shape[1] % k.shape[1] == 0
    counts = heads or ((q.shape[1], k.shape[1]) if fits else (1, 1))
    queries, keys = fixed or (k.shape[2], k.shape[2])
    spaces = one_axis("queries", q.shape[2]), one_axis("keys", keys)
    check_tensors(BoundIR(name, *spaces, *counts, regions=()), q, k, v)
    if q.shape[2] > queries:
        raise AttnCallError(
            "A0620", f"q has {q.shape[2]} tokens, which cannot be the last of {queries}",
            help="pass the keys and values of all tokens, those of the queries included",
        )  # fmt: skip


def check_exists(exists: Tensor, k: Tensor) -> None:
    """Raise AttnCallError A0621 for what does not say which keys exist."""
    tokens = k.shape[2]
    if exists.dtype != torch.bool or tuple(exists.shape) not in ((tokens,), (len(k), tokens)):
        raise AttnCallError(
            "A0621",
            f"exists must be bool ({tokens},) or ({len(k)}, {tokens}),"
            f" {str(exists.dtype).removeprefix('torch.')} {tuple(exists.shape)} given",
            help="one truth value per key; false marks padding",
        )


def remembered(known: OrderedDict[object, T], key: object, make: Callable[[], T]) -> T:
    """What is known under a key, or made now; what was used first is dropped first."""
    if key not in known:
        known[key] = make()
        if len(known) > KEPT:
            known.popitem(last=False)
    return known[key]
