"""The last rows of patterns beyond a softmax over a static mask: the keys that few queries see, in torch.

A route selects for the last queries only; of a mask, the keys that no query sees are not read. Nothing is
compiled, whatever the length, and autograd differentiates all but the selection.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from attndsl.ir.bound import BoundIR, pairs_only
from attndsl.ir.expr import TRUE
from attndsl.passes.placed import one_axis
from attndsl.runtime.attend import refuse_lse
from attndsl.runtime.branches import Output, run_branches
from attndsl.runtime.checks import output_type, scale_of, wide_type
from attndsl.runtime.decays import with_computed_inputs
from attndsl.runtime.derived import Tensors, derived_tensors
from attndsl.runtime.finish import featured, finished, with_low_rank
from attndsl.runtime.reference import Outputs, mask_of, row_chunks
from attndsl.runtime.route_places import with_heads
from attndsl.runtime.routed_pairs import Pairs, attended
from attndsl.runtime.routed_tokens import TokenKernels
from attndsl.runtime.row_inputs import RowInputs, row_inputs
from attndsl.runtime.select_last import select_last


def gather_rows(
    ir: BoundIR, q: Tensor, k: Tensor, v: Tensor, scale: float | None, return_lse: bool,
    inputs: Mapping[str, Any],
) -> Outputs:  # fmt: skip
    """The last rows of a bound pattern, as many as there are queries, with their LSE if asked for.

    Tensors fit the pattern, which decides row by row: see `passes/row_by_row.py`. Raises AttnCallError
    (A06xx) for inputs that do not.
    """
    given = row_inputs(ir, inputs, q, k, v)
    if ir.branches:

        def run(branch: BoundIR, tensors: Tensors, wants_lse: bool, _: Mapping[str, Any]) -> Output:
            out, lse = _rows_of(branch, tensors, scale_of(branch, scale, q.shape[3]), given)
            return out, lse if wants_lse else None

        last = replace(ir, query_space=one_axis("queries", q.shape[2]))
        return run_branches(last, q, k, v, given.given, return_lse, run)
    if return_lse and not ir.weighting.is_softmax:
        refuse_lse(ir)
    factor = scale_of(ir, scale, q.shape[3])
    out, lse = _rows_of(ir, derived_tensors(ir, q, k, v, {}), factor, given)
    return (out, lse) if return_lse else out


def _rows_of(ir: BoundIR, tensors: Tensors, scale: float, given: RowInputs) -> tuple[Tensor, Tensor]:
    """Output and LSE of a pattern without branches, on the tensors that it attends with."""
    q, k, v = tensors
    plan = select_last(ir, q, k, v, scale, given.pairs) if ir.route is not None else None
    q, k = featured(ir, q, k)
    tokens = q.new_empty((), dtype=torch.float64).expand(*q.shape[:2], *k.shape[2:])
    inputs = with_computed_inputs(ir, given.pairs, given.pairs, tokens)
    q, k, scale = with_low_rank(ir, q, k, scale, given.pairs, given.own)
    inputs = {each.name: inputs[each.name] for each in ir.kernel_inputs}
    pairs, first = pairs_only(ir), ir.query_space.size - q.shape[2]
    if plan is not None:
        out, lse = TokenKernels(pairs, plan, q.device, first).forward(scale, inputs, q, k, v)
    else:
        parts = [
            rows_of_mask(pairs, first + rows.start, q[:, :, rows], k, v, scale, inputs)
            for rows in row_chunks(q, k)
        ]
        out, lse = (torch.cat(each, 2) for each in zip(*parts, strict=True))
    out, lse = finished(ir, out.to(output_type(v.dtype)), lse, given.own)
    return out, lse


def rows_of_mask(
    ir: BoundIR, first: int, q: Tensor, k: Tensor, v: Tensor, scale: float, inputs: Mapping[str, Tensor]
) -> tuple[Tensor, Tensor]:
    """Some rows of a pattern without a route, from `first` on: only keys that one of them sees are read."""
    shown = mask_of(ir, first, q.shape[2], len(q), inputs).to(q.device)
    numbers = shown.flatten(0, 2).any(0).nonzero().squeeze(-1)
    columns = as_slice(numbers)
    lists = ir.heads if shown.shape[1] > 1 else ir.kv_heads
    wide = wide_type(q.dtype)
    keys, values = (with_heads(each[:, :, columns].to(wide), lists) for each in (k, v))
    pairs = Pairs(
        replace(ir, regions=tuple(replace(each, visible=TRUE) for each in ir.regions)),
        torch.arange(first, first + q.shape[2], device=q.device),
        numbers.expand(len(q), lists, -1),
        shown[..., columns].expand(len(q), lists, -1, -1),
        inputs,
    )
    return attended(pairs, q.to(wide), keys, values, scale)


def as_slice(numbers: Tensor) -> slice | Tensor:
    """Ascending numbers as a slice where they are a run, which nothing has to be copied for."""
    if not len(numbers):
        return slice(0, 0)
    start, stop = int(numbers[0]), int(numbers[-1]) + 1
    return slice(start, stop) if stop - start == len(numbers) else numbers
