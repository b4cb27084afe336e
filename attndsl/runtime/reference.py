"""The reference backend: the denotation in torch, float64 inside, differentiable, on any device.

It evaluates the mask with the direct interpreter and knows nothing of tiles. Query rows are taken in chunks,
so that a long sequence never needs all pairs of tokens at once, neither forward nor backward.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch.utils.checkpoint import checkpoint

from attndsl.ir.bound import BoundIR, decays_by_channel, is_routed
from attndsl.ir.evaluate import mask_rows
from attndsl.ir.expr import PRODUCT, Head
from attndsl.ir.group_plans import OneGroup, each_group
from attndsl.ir.plan import Plan
from attndsl.runtime.branches import Output, run_branches
from attndsl.runtime.channels import channel_attention
from attndsl.runtime.checks import check_inputs, check_tensors, output_type, scale_of
from attndsl.runtime.decays import decayed_products, with_computed_inputs
from attndsl.runtime.derived import Tensors, check_sources, derived_tensors
from attndsl.runtime.finish import featured, finished, gated, with_low_rank, with_sink
from attndsl.runtime.flow import flow_attention
from attndsl.runtime.plans import Plans, plans_of
from attndsl.runtime.torch_scores import on_rows

CHUNK = 2**24
"""The most scores that one chunk of query rows may have."""

Outputs = Any
"""The output tensor, or (output, log-sum-exp) if that was asked for."""


def reference(
    ir: BoundIR,
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    *,
    scale: float | None = None,
    return_lse: bool = False,
    plan: Any = None,
    **inputs: Any,
) -> Outputs:
    """Attention of every query over the keys it sees; queries that see nothing give 0 and LSE -inf.

    q: [batch, heads, Nq, D]; k: [batch, kv_heads, Nk, D]; v: [batch, kv_heads, Nk, Dv]. Returns [batch,
    heads, Nq, Dv] in q's type, and with return_lse also the natural log-sum-exp [batch, heads, Nq], float64
    for float64 tensors, else float32. plan: of routes, selected from the tensors by default. inputs:
    declared inputs, [tokens] or [batch, tokens]. Raises AttnCallError (A06xx).
    """
    plans = plans_of(ir, q, k, v, scale, inputs, plan) if is_routed(ir) or plan is not None else {}
    if ir.branches:
        return _of_branches(ir, q, k, v, scale, return_lse, inputs, plans)
    if ir.derived is not None:
        check_sources(ir, q, k, v)
        scale = scale_of(ir, scale, q.shape[-1])
    chosen = plans if ir.groups else plans.get("")
    return _of_own(ir, derived_tensors(ir, q, k, v, {}), scale, return_lse, inputs, chosen)


def _of_branches(
    ir: BoundIR,
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    scale: float | None,
    return_lse: bool,
    inputs: Mapping[str, Any],
    plans: Plans,
) -> Outputs:
    """The combination of the branches, float64 inside."""
    check_tensors(ir, q, k, v)

    def run(branch: BoundIR, tensors: Tensors, wants_lse: bool, given: Mapping[str, Any]) -> Output:
        factor = scale_of(branch, scale, q.shape[-1])
        found = _of_own(branch, tensors, factor, wants_lse, given, plans.get(branch.branch))
        return found if wants_lse else (found, None)

    found = run_branches(ir, q.double(), k.double(), v.double(), inputs, return_lse, run)
    if not return_lse:
        return found.to(output_type(q.dtype))
    out, lse = found
    return out.to(output_type(q.dtype)), lse if q.dtype == torch.float64 else lse.float()


def _of_own(
    ir: BoundIR,
    tensors: Tensors,
    scale: float | None,
    return_lse: bool,
    inputs: Mapping[str, Any],
    plan: Plan | Plans | None,
) -> Outputs:
    """The same for a pattern without branches, on the tensors that are attended with."""
    q, k, v = tensors
    if ir.over_channels:
        wide = q.double(), k.double(), v.double()
        return channel_attention(ir, wide, scale, return_lse, inputs).to(output_type(q.dtype))
    check_tensors(ir, q, k, v)
    checked = check_inputs(ir, inputs, len(q), v.shape[3], q.shape[3])
    q64, k64 = featured(ir, q.double(), k.double())
    if ir.weighting.normalize == "flow":
        return gated(ir, flow_attention(ir, q64, k64, v.double()), checked).to(output_type(q.dtype))
    q64, k64, factor = with_low_rank(ir, q64, k64, scale_of(ir, scale, q.shape[-1]), checked)
    checked = with_computed_inputs(ir, checked, checked, q64)
    if isinstance(plan, Mapping):
        out = gated(ir, _mean_over_groups(ir, plan, q64, k64, v.double(), factor, checked), checked)
        return out.to(output_type(q.dtype))
    out, lse = _all_rows(ir, q64, k64, v.double(), factor, checked, plan)
    out, lse = finished(ir, out, lse, checked)
    out = out.to(output_type(q.dtype))
    if not return_lse:
        return out
    return out, lse if q.dtype == torch.float64 else lse.float()


def _all_rows(
    ir: BoundIR, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, scale: float,
    inputs: Mapping[str, torch.Tensor], plan: Plan | OneGroup | None,
) -> tuple[torch.Tensor, torch.Tensor]:  # fmt: skip
    """Output and LSE of all query rows, float64, without sinks and gates."""
    parts = [
        checkpoint(
            _rows,
            ir,
            q[:, :, rows],
            k,
            v,
            scale,
            rows.start,
            inputs,
            plan,
            use_reentrant=False,
        )
        for rows in row_chunks(q, k)
    ]
    out, lse = (torch.cat(each, dim=2) for each in zip(*parts, strict=True))
    return out, lse


def _mean_over_groups(
    ir: BoundIR, plans: Plans, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, scale: float,
    inputs: Mapping[str, torch.Tensor],
) -> torch.Tensor:  # fmt: skip
    """The mean over the groups that each query is in of its outputs inside of them; 0 where it is in none."""
    total: torch.Tensor | float = 0.0
    times: torch.Tensor | int = 0
    for group in each_group(plans, ir.heads):
        out, _ = with_sink(ir, *_all_rows(ir, q, k, v, scale, inputs, group), inputs)
        inside = torch.from_numpy(group.queries).to(q.device).unsqueeze(-1)
        total = total + torch.where(inside, out, 0.0)
        times = times + inside.long()
    return torch.as_tensor(total) / torch.as_tensor(times).clamp(min=1)


def row_chunks(q: torch.Tensor, k: torch.Tensor) -> list[slice]:
    """Query rows whose scores fit into memory together, at least one chunk."""
    step = max(1, CHUNK // max(1, q.shape[0] * q.shape[1] * k.shape[2]))
    return [slice(start, start + step) for start in range(0, max(q.shape[2], 1), step)]


def _rows(
    ir: BoundIR,
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    scale: float,
    start: int,
    inputs: Mapping[str, torch.Tensor],
    plan: Plan | OneGroup | None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Output and LSE of a chunk of query rows, float64."""
    if not k.shape[2]:
        nothing = q[..., :0].sum(-1)
        return nothing.unsqueeze(-1).expand(*nothing.shape, v.shape[-1]), nothing - torch.inf
    if not ir.weighting.is_softmax:
        return _weighed_rows(ir, q, k, v, scale, start, inputs, plan)
    scores = masked_scores(ir, q, k, scale, start, inputs, plan)
    highest = scores.amax(-1, keepdim=True).detach()
    highest = torch.where(highest == -torch.inf, 0.0, highest)
    weights = torch.exp(scores - highest)
    total = weights.sum(-1, keepdim=True)
    empty = total == 0
    divisor = torch.where(empty, 1.0, total)
    sums = (grouped(ir, weights) @ v.unsqueeze(2)).flatten(1, 2)
    lse = torch.where(empty, -torch.inf, highest + torch.log(divisor))
    return sums / divisor, lse.squeeze(-1)


def _weighed_rows(
    ir: BoundIR,
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    scale: float,
    start: int,
    inputs: Mapping[str, torch.Tensor],
    plan: Plan | OneGroup | None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Output and normaliser of a chunk of query rows whose weights are no softmax, float64."""
    if decays_by_channel(ir):
        product = decayed_products(ir, q, k, start, inputs) * scale
    else:
        product = (grouped(ir, q) @ k.unsqueeze(2).mT).flatten(1, 2) * scale
    weights = on_rows(ir, ir.weighting.of_product, product, start, inputs)
    visible = mask_of(ir, start, q.shape[2], len(q), inputs, plan).to(q.device)
    weights = torch.where(visible, weights, 0.0)
    sums = (grouped(ir, weights) @ v.unsqueeze(2)).flatten(1, 2)
    if ir.weighting.normalize == "none":
        return sums, torch.ones_like(sums[..., 0])
    total = weights.sum(-1, keepdim=True)
    divisor = torch.where(total == 0, 1.0, total)
    return torch.where(total == 0, 0.0, sums / divisor), total.squeeze(-1)


def grouped(ir: BoundIR, heads: torch.Tensor) -> torch.Tensor:
    """[batch, kv_heads, query heads that share one, ..] of a tensor [batch, heads, ..]."""
    return heads.unflatten(1, (ir.kv_heads, ir.heads // ir.kv_heads))  # type: ignore[no-untyped-call, no-any-return]


def masked_scores(
    ir: BoundIR,
    q: torch.Tensor,
    k: torch.Tensor,
    scale: float,
    start: int,
    inputs: Mapping[str, torch.Tensor],
    plan: Plan | OneGroup | None = None,
) -> torch.Tensor:
    """[batch, heads, rows, Nk] of a chunk of query rows that begins at `start`; -inf where not visible."""
    scores = (grouped(ir, q) @ k.unsqueeze(2).mT).flatten(1, 2) * scale
    if ir.weighting.score is not PRODUCT:
        scores = on_rows(ir, ir.weighting.score, scores, start, inputs)
    visible = mask_of(ir, start, q.shape[2], len(q), inputs, plan).to(q.device)
    return scores.masked_fill(~visible, -torch.inf)


def mask_of(
    ir: BoundIR,
    start: int,
    rows: int,
    batch: int,
    inputs: Mapping[str, torch.Tensor],
    plan: Plan | OneGroup | None = None,
) -> torch.Tensor:
    """[batch or 1, heads or 1, rows, Nk]: the pairs that the mask shows, and the plan lists."""
    visible = _static_mask(ir, start, rows, batch, inputs)
    if plan is None:
        return visible
    listed = torch.from_numpy(plan.rows_mask(start, start + rows))
    return visible & listed.repeat_interleave(ir.heads // plan.heads, 1)


def _static_mask(
    ir: BoundIR, start: int, rows: int, batch: int, inputs: Mapping[str, torch.Tensor]
) -> torch.Tensor:
    arrays = {each.name: inputs[each.name].detach().cpu().numpy() for each in ir.mask_inputs}
    heads = range(ir.heads if any(Head() in region.visible.leaves for region in ir.regions) else 1)
    batches = range(batch if any(array.ndim == 2 for array in arrays.values()) else 1)
    return torch.from_numpy(
        np.stack([
            np.stack([mask_rows(ir, head, start, start + rows, _element(arrays, b)) for head in heads])
            for b in batches
        ])
    )  # fmt: skip


def _element(arrays: Mapping[str, Any], batch: int) -> dict[str, Any]:
    return {name: array[batch] if array.ndim == 2 else array for name, array in arrays.items()}
