"""Rows of patterns with more than a mask and a score: routes, branches, weights, gates, decays, tables."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from attndsl.diagnostics import AttnCallError
from attndsl.ir.bound import BoundIR, InputDeclaration
from attndsl.ir.pattern import Input
from attndsl.runtime.attend_pairs import refuse_gradients
from attndsl.runtime.autocast import under_autocast, without_autocast
from attndsl.runtime.checks import EIGHT_BIT, output_type, wide_type
from attndsl.runtime.gather_rows import as_slice, gather_rows
from attndsl.runtime.outside_of_graphs import outside_of_graphs
from attndsl.runtime.reference import Outputs
from attndsl.runtime.row_inputs import of_text
from attndsl.runtime.rows import FEW, check_exists, check_rows, remembered
from attndsl.runtime.targets import PatternTarget
from attndsl.runtime.transforms import refuse_derivatives


class Whole(PatternTarget, Protocol):
    """A pattern at one length."""

    @property
    def ir(self) -> BoundIR:
        """The bound pattern."""

    def for_tensors(self, q: Tensor, k: Tensor) -> Whole:
        """The same with the heads of tensors."""

    def __call__(
        self,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        scale: float | None = None,
        return_lse: bool = False,
        **inputs: Any,
    ) -> Outputs:
        """Attention of all queries."""


class GatheredRows:
    """The last rows of a pattern, as many as there are queries: call it as `Rows`.

    at: the pattern at a number of keys; raises AttnError for numbers that it refuses. inputs: what the
    pattern declares. heads, fixed: as of `Growing`.
    """

    def __init__(
        self,
        name: str,
        at: Callable[[int], Whole],
        inputs: Sequence[Input | InputDeclaration],
        heads: tuple[int, int] | None = None,
        fixed: tuple[int, int] | None = None,
    ) -> None:
        self.name, self.at, self.inputs, self.heads, self.fixed = name, at, inputs, heads, fixed
        self._known: OrderedDict[object, Whole] = OrderedDict()

    @outside_of_graphs
    def __call__(
        self, q: Tensor, k: Tensor, v: Tensor, scale: float | None = None, return_lse: bool = False, *,
        exists: Tensor | None = None, **inputs: Any,
    ) -> Outputs:  # fmt: skip
        """Attention of the last tokens over all tokens, as by `Rows`."""
        check_rows(self.name, self.heads, self.fixed, q, k, v)
        refuse_derivatives(q, k, v)
        q, k, v = under_autocast(q, k, v)
        if exists is not None:
            check_exists(exists, k)
            if not bool(exists.all()):
                return self._padded(q, k, v, scale, return_lse, exists, inputs)
        return self._rows(q, k, v, scale, return_lse, inputs)

    def _rows(
        self,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        scale: float | None,
        return_lse: bool,
        inputs: Mapping[str, Any],
    ) -> Outputs:
        """Where all tokens exist. Many queries that are all there are go through the kernels of the whole."""
        bound = self._bound(k.shape[2], q, k)
        refuse_gradients(bound, inputs)
        queries = k.shape[2] if self.fixed is None else self.fixed[0]
        if q.shape[2] == queries > FEW:
            return bound(q, k, v, scale, return_lse, **inputs)
        if q.dtype == EIGHT_BIT:
            q, k, v = (each.to(output_type(q.dtype)) for each in (q, k, v))
        with without_autocast(q):
            return gather_rows(bound.ir, q, k, v, scale, return_lse, inputs)

    def _bound(self, length: int, q: Tensor, k: Tensor) -> Whole:
        """The pattern at a length with the heads of tensors: all layers of a model share it at one step."""
        key = length, q.shape[1], k.shape[1]
        return remembered(self._known, key, lambda: self.at(length).for_tensors(q, k))

    def _padded(
        self, q: Tensor, k: Tensor, v: Tensor, scale: float | None, return_lse: bool, exists: Tensor,
        inputs: Mapping[str, Any],
    ) -> Outputs:  # fmt: skip
        """Text by text, each without its padding."""
        if self.fixed is not None:
            raise AttnCallError(
                "A0621", f"`{self.name}` is bound to {self.fixed[1]} keys, of which none may be padding",
                help="use `Pattern.at_any_length`, whose rows follow the length of each text",
            )  # fmt: skip
        found = [
            self._text(
                q[at], k[at], v[at], scale, return_lse, own, self._inputs_of(inputs, q, k, at.start, own)
            )
            for at, own in zip(_each(len(q)), exists.expand(len(q), -1), strict=True)
        ]
        out, lse = (torch.cat(each) for each in zip(*found, strict=True))
        return (out, lse) if return_lse else out

    def _text(
        self, q: Tensor, k: Tensor, v: Tensor, scale: float | None, return_lse: bool, exists: Tensor,
        inputs: Mapping[str, Any],
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        """Output and LSE of one text, 0 and -inf for queries that do not exist."""
        keys, rows = exists.nonzero().squeeze(-1), _last(exists, q)
        out = q.new_zeros((*q.shape[:3], v.shape[3]), dtype=output_type(q.dtype))
        lse = q.new_full(q.shape[:3], -torch.inf, dtype=wide_type(q.dtype))
        if not len(rows):
            return out, lse
        taken = as_slice(keys)
        part = self._rows(q[:, :, rows], k[:, :, taken], v[:, :, taken], scale, return_lse, inputs)
        part, part_lse = part if return_lse else (part, lse[:, :, rows])
        return out.index_copy(2, rows, part), lse.index_copy(2, rows, part_lse)

    def _inputs_of(
        self, inputs: Mapping[str, Any], q: Tensor, k: Tensor, number: int, exists: Tensor
    ) -> dict[str, Any]:
        """The inputs of one text: those of its tokens."""
        keys = exists.nonzero().squeeze(-1)
        places = {q.shape[2]: _last(exists, q), k.shape[2]: keys}
        declared = {each.name: each for each in self.inputs}
        return {
            name: of_text(declared[name], value, number, len(q), places) if name in declared else value
            for name, value in inputs.items()
        }


def _each(batch: int) -> list[slice]:
    return [slice(number, number + 1) for number in range(batch)]


def _last(exists: Tensor, q: Tensor) -> Tensor:
    """Which of the queries exist."""
    return exists[len(exists) - q.shape[2] :].nonzero().squeeze(-1)
