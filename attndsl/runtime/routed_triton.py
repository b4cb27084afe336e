"""Plans through Triton kernels: those of the placed pattern, with lists of visited tiles made from the plan.

Tokens are laid out in tile order (`routed_layout.py`), and their positions are inputs of the kernels. The
lists are made on the host.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from attndsl.codegen.programs import program_of
from attndsl.codegen.triton import PrintedKernel, print_kernel
from attndsl.codegen.triton_configuration import Configuration, Direction, defaults
from attndsl.codegen.triton_targets import Target
from attndsl.codegen.triton_tokens import power_of_two
from attndsl.codegen.triton_visits import RESIDUAL_SHIFT
from attndsl.ir.bound import BoundIR
from attndsl.ir.plan import Plan
from attndsl.passes.placed import input_names, placed
from attndsl.runtime.kernels import Inputs, Saved, Wanted
from attndsl.runtime.routed_cpu import delta_of
from attndsl.runtime.routed_layout import Layout
from attndsl.runtime.routed_mask import StaticMask
from attndsl.runtime.triton_device import cache_bytes, current_target
from attndsl.runtime.triton_kernels import CACHE_SHARE, with_positive_scale
from attndsl.runtime.triton_launch import LoadedKernel
from attndsl.schedule.block_map import block_map
from attndsl.schedule.schedule import Schedule
from attndsl.schedule.tiling import AxisTiling, SegmentTiling, Tiling

DIRECTIONS: tuple[Direction, ...] = ("forward", "dq", "dk_dv")
KEPT = 64
SMALLEST_TILE = 16


class TritonPlanKernels:
    """Triton kernels of a plan; see `Kernels`."""

    def __init__(self, ir: BoundIR, plan: Plan, head_dim: int, value_dim: int, dtype: torch.dtype) -> None:
        self.ir, self.plan = ir, plan
        element = str(dtype).removeprefix("torch.")
        self.target = current_target()
        self.chosen = configurations(self.target, plan, head_dim, value_dim, element)
        rows = max(each.q_tokens for each in self.chosen.values())
        keys = max(each.kv_tokens for each in self.chosen.values())
        self.layout = Layout(StaticMask(ir), plan, (rows, keys), plan.q_block < SMALLEST_TILE)
        self.fit = head_dim, value_dim, element
        self._calls: dict[Direction, dict[str, Tensor]] = {}

    def forward(self, scale: float, inputs: Inputs, q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """See `Kernels`."""
        tensors = self._queries(len(q), q=q) | self._keys(k=k, v=v)
        rows = tensors["q"].shape[2]
        out = q.new_zeros((len(tensors["q"]), 1, rows, v.shape[3]))
        lse = torch.full(out.shape[:3], -torch.inf, dtype=torch.float32, device=q.device)
        if rows:
            self._run("forward", tensors | {"out": out, "lse": lse}, inputs, len(q), scale)
        out, lse = self._merged(out[:, 0], lse[:, 0], len(q))
        return out.unflatten(0, q.shape[:2]), lse.unflatten(0, q.shape[:2])  # type: ignore[no-untyped-call]

    def backward(
        self,
        scale: float,
        inputs: Inputs,
        saved: Saved,
        out_gradient: Tensor,
        lse_gradient: Tensor,
        wanted: Wanted,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """See `Kernels`."""
        q, k, v = saved.q, saved.k, saved.v
        delta = delta_of(self.ir, saved, out_gradient, lse_gradient)
        lse = torch.where(saved.lse == -torch.inf, 0.0, saved.lse)  # such queries visit no tile
        of_queries = {"q": q, "out_gradient": out_gradient, "lse": lse, "delta": delta}
        tensors = self._queries(len(q), **of_queries) | self._keys(k=k, v=v)
        dq, dk, dv = (torch.zeros_like(tensors[name]) for name in ("q", "k", "v"))
        found = [each.new_empty(0) for each in (dq, dk, dv)]
        if wanted.q:
            if dq.numel():
                self._run("dq", tensors | {"q_gradient": dq}, inputs, len(q), scale)
            found[0] = self._summed(dq[:, 0], len(q)).reshape(q.shape)
        if wanted.kv:
            if dq.numel():
                outputs = {"k_gradient": dk, "v_gradient": dv}
                self._run("dk_dv", tensors | outputs, inputs, len(q), scale)
            found[1:] = [self._of_kv_heads(each, like) for each, like in ((dk, k), (dv, v))]
        return found[0], found[1], found[2]

    def _run(
        self, direction: Direction, tensors: Mapping[str, Tensor], inputs: Inputs, batch: int, scale: float
    ) -> None:
        q, factor = with_positive_scale(tensors["q"], scale)
        kernel = loaded(
            self.ir, direction, self.chosen[direction], q.shape[2], tensors["k"].shape[2], *self.fit
        )
        one_head = max(1, tensors["k"].shape[2] * (self.fit[0] + self.fit[1]) * q.element_size())
        call: dict[str, Any] = {
            **tensors, "q": q, "scale": factor, **self._positions(batch, inputs, q.device),
            **self._lists(direction, batch, q.device), "map_batch_stride": 1, "batch_heads": len(q),
            "heads_together": max(1, int(CACHE_SHARE * cache_bytes(q.device)) // one_head),
        }  # fmt: skip
        kernel.launch(call)

    # ------------------------------------------------------------ tokens in rows, and back

    def _queries(self, batch: int, **tensors: Tensor) -> dict[str, Tensor]:
        """Tensors [batch, heads, queries, ..] in rows, [batch * heads, 1, rows, ..], 0 in filling."""
        rows = self._moved(np.stack([each.positions for each in self.layout.queries]), batch, tensors)
        return {name: _rows(each.flatten(0, 1), rows).unsqueeze(1) for name, each in tensors.items()}

    def _keys(self, **tensors: Tensor) -> dict[str, Tensor]:
        """Tensors [batch, kv_heads, keys, ..] for every query head, in rows."""
        group = self.ir.heads // self.ir.kv_heads
        result = {}
        for name, each in tensors.items():
            heads = each.repeat_interleave(group, 1).flatten(0, 1)
            rows = torch.from_numpy(self.layout.keys.positions).to(each.device)
            result[name] = _rows(heads, rows.expand(len(heads), -1)).unsqueeze(1)
        return result

    def _merged(self, out: Tensor, lse: Tensor, batch: int) -> tuple[Tensor, Tensor]:
        """Output and LSE of each query from those of its rows."""
        places, exists = self._places(batch, out.device)
        flat = places.flatten(1)
        totals = lse.gather(1, flat).view(places.shape).masked_fill(~exists, -torch.inf)
        total = torch.logsumexp(totals, -1) if totals.shape[-1] else totals.sum(-1) - torch.inf
        weights = torch.exp(totals - torch.where(total == -torch.inf, 0.0, total).unsqueeze(-1))
        merged = out.new_zeros((*places.shape[:2], out.shape[2]), dtype=torch.float32)
        for place in range(places.shape[2]):
            merged += _rows(out, places[..., place]) * weights[..., place : place + 1]
        return merged.to(out.dtype), total

    def _summed(self, rows: Tensor, batch: int) -> Tensor:
        """The sum over each query's rows."""
        places, exists = self._places(batch, rows.device)
        total = rows.new_zeros((*places.shape[:2], rows.shape[2]), dtype=torch.float32)
        for place in range(places.shape[2]):
            total += _rows(rows, torch.where(exists[..., place], places[..., place], -1))
        return total.to(rows.dtype)

    def _of_kv_heads(self, rows: Tensor, like: Tensor) -> Tensor:
        """Gradients of rows of keys as those of tokens, summed over the heads that share them."""
        place = np.empty(self.plan.keys, dtype=np.int64)
        positions = self.layout.keys.positions
        place[positions[positions >= 0]] = np.flatnonzero(positions >= 0)
        tokens = rows[:, 0, torch.from_numpy(place).to(rows.device)].float()
        heads = tokens.view(len(like), self.ir.kv_heads, -1, *tokens.shape[1:])
        return heads.sum(2).to(like.dtype)

    def _places(self, batch: int, device: torch.device) -> tuple[Tensor, Tensor]:
        places = self._of_lists(torch.from_numpy(self.layout.rows_of_query).to(device), batch)
        return places.clamp(min=0), places >= 0

    def _of_lists(self, values: Tensor, batch: int) -> Tensor:
        """What belongs to each list, for every batch element and head."""
        heads = values.view(self.plan.batch, self.plan.heads, *values.shape[1:])
        heads = heads.expand(batch, *heads.shape[1:])
        return heads.repeat_interleave(self.ir.heads // self.plan.heads, 1).flatten(0, 1)

    def _moved(self, values: NDArray[np.int64], batch: int, like: Mapping[str, Tensor]) -> Tensor:
        device = next(iter(like.values())).device
        return self._of_lists(torch.from_numpy(values).to(device), batch)

    # ------------------------------------------------------------ what kernels are told

    def _positions(self, batch: int, inputs: Inputs, device: torch.device) -> dict[str, Tensor]:
        """The inputs of the placed pattern: where tokens stand, and what is declared of them."""
        of_queries = self._of_lists(
            torch.from_numpy(np.stack([each.positions for each in self.layout.queries])).to(device), batch
        )
        of_keys = torch.from_numpy(self.layout.keys.positions).to(device).expand(len(of_queries), -1)
        found = {"query_position": of_queries, "key_position": of_keys}
        positions = {"q": of_queries, "k": of_keys}
        for declared in self.ir.kernel_inputs:
            value = inputs[declared.name].to(device)
            rows = value.expand(batch, -1).repeat_interleave(self.ir.heads, 0)
            for side, name in input_names(declared).items():
                found[name] = rows.gather(1, positions[side].clamp(min=0))
        return {name: value.contiguous() for name, value in found.items()}

    def _lists(self, direction: Direction, batch: int, device: torch.device) -> dict[str, Tensor]:
        """Lists of visited tiles for every batch element and head: FULL tiles first."""
        if direction not in self._calls:
            self._calls[direction] = self._make_lists(direction)
        lists = self._calls[direction]
        records = self._of_lists(lists["records"], batch)
        return {"records": records.to(device), "tiles": lists["tiles"].to(device)}

    def _make_lists(self, direction: Direction) -> dict[str, Tensor]:
        chosen = self.chosen[direction]
        q_tiles = len(self.layout.queries[0].positions) // chosen.q_tokens
        kv_tiles = len(self.layout.keys.positions) // chosen.kv_tokens
        records, tiles, start = [], [], 0
        for number in range(len(self.layout.lists)):
            row, column, residual = self.layout.visits(number, chosen.q_tokens, chosen.kv_tokens)
            owner, other = (column, row) if direction == "dk_dv" else (row, column)
            owners = kv_tiles if direction == "dk_dv" else q_tiles
            order = np.argsort(owner * 2 + residual, kind="stable")
            tiles.append((other + (residual << RESIDUAL_SHIFT))[order])
            count = np.bincount(owner, minlength=owners)
            full = np.bincount(owner[residual == 0], minlength=owners)
            first = start + np.cumsum(count) - count
            records.append(np.stack([first, first + full, first + count], axis=1))
            start += len(row)
        return {
            "records": torch.from_numpy(np.stack(records).astype(np.int32)),
            "tiles": torch.from_numpy(np.concatenate([*tiles, [0]]).astype(np.int32)),
        }


def _rows(tensor: Tensor, rows: Tensor) -> Tensor:
    """Rows [lists, rows, ..] of a tensor [lists, tokens, ..]; 0 for row -1."""
    lists = torch.arange(len(tensor), device=tensor.device).unsqueeze(1)
    found = tensor[lists, rows.clamp(min=0)]
    missing = (rows < 0).view(*rows.shape, *[1] * (found.ndim - 2))
    return found.masked_fill(missing, 0)


def configurations(
    target: Target, plan: Plan, head_dim: int, value_dim: int, element: str
) -> dict[Direction, Configuration]:
    """How the kernels of a plan are built: as usual, but no tile is larger than a unit of keys or queries."""
    found: dict[Direction, Configuration] = {}
    for direction in DIRECTIONS:
        usual = defaults(target, direction, head_dim, value_dim, element)[-1]
        by_query = plan.q_block < SMALLEST_TILE
        q_most = usual.q_tokens if by_query else max(SMALLEST_TILE, power_of_two(plan.q_block))
        kv_most = max(SMALLEST_TILE, power_of_two(plan.kv_block))
        found[direction] = replace(
            usual, q_tokens=min(usual.q_tokens, q_most), kv_tokens=min(usual.kv_tokens, kv_most)
        )
    return found


@lru_cache(KEPT)
def loaded(
    ir: BoundIR, direction: Direction, chosen: Configuration, rows: int, keys: int,
    head_dim: int, value_dim: int, element: str,
) -> LoadedKernel:  # fmt: skip
    """A kernel over so many rows of queries and keys. Its text is the same for all of them."""
    printed, schedule = printed_kernel(ir, direction, chosen, rows, keys, head_dim, value_dim, element)
    return LoadedKernel(printed, schedule)


def printed_kernel(
    ir: BoundIR, direction: Direction, chosen: Configuration, rows: int, keys: int,
    head_dim: int, value_dim: int, element: str,
) -> tuple[PrintedKernel, Schedule]:  # fmt: skip
    """The kernel of the placed pattern, which is told at each call which tiles are visited."""
    at = replace(placed(ir, rows, keys), heads=1, kv_heads=1)
    sizes = (chosen.q_tokens,), (chosen.kv_tokens,)
    queries, keys_ = (
        Tiling(space, (SegmentTiling(space.segments[0], (AxisTiling(space.size, *size),)),))
        for space, size in zip((at.query_space, at.key_space), sizes, strict=True)
    )
    first = np.zeros(1, dtype=np.int64)
    maps = (block_map(first, first, first + 1, first + 1, queries.tiles, keys_.tiles),)  # some PARTIAL tile
    schedule = Schedule(
        at, queries, keys_, maps, np.zeros(1, dtype=np.int64), (at.regions[0].visible,), ((0, 0),),
        *sizes, (1,), (1,),
    )  # fmt: skip
    return print_kernel(program_of(at, direction), schedule, head_dim, value_dim, element, chosen), schedule
