"""Attention over a plan that is known only at run time: which keys each query attends to, as data.

Three regimes share one interface: blocks of queries run through block-sparse kernels, whose block maps are
made from the plan (`routed_blocks.py`); queries that are routed each on its own are gathered by key unit
(`routed_gather.py`); and keys that are chosen one by one are gathered by tiles of queries
(`routed_listed.py`). Triton's kernels serve the first two (`routed_triton.py`); torch serves all other types
and devices (`routed_tokens.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal

import torch
from torch import Tensor

from attndsl.ir.bound import BoundIR, pairs_only
from attndsl.ir.plan import Plan
from attndsl.runtime.attend_pairs import attend_pairs
from attndsl.runtime.checks import check_kernel_inputs, check_kinds, check_scale, check_tensors
from attndsl.runtime.compile import FAST
from attndsl.runtime.kernels import Kernels, Saved, Wanted
from attndsl.runtime.plan_inputs import PREFIX, RANKS, arrays_of, plan_in
from attndsl.runtime.routed_blocks import BlockKernels
from attndsl.runtime.routed_gather import GatheredKernels
from attndsl.runtime.routed_layout import has_placed
from attndsl.runtime.routed_listed import ListedKernels
from attndsl.runtime.routed_tokens import TokenKernels
from attndsl.runtime.targets import PLANS, PatternTarget, describe, mask_inputs_of, rank_in, register
from attndsl.runtime.transforms import needs_operators
from attndsl.runtime.triton_interpreter import interprets
from attndsl.runtime.triton_problem import MOST_CHANNELS

Regime = Literal["blocks", "gathered", "listed", "tokens", "triton"]

SMALLEST_UNIT = 16
"""Tokens of a unit from which on it fills a tile; tiles have whole vectors of rows and columns."""

KEPT = 64
"""Patterns and sizes of units that are remembered."""


def routed_attention(
    ir: BoundIR,
    plan: Plan,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    scale: float | None = None,
    inputs: Mapping[str, Any] | None = None,
    regime: Regime | None = None,
    target: PatternTarget | None = None,
    shape: Sequence[int] = (),
) -> tuple[Tensor, Tensor]:
    """Attention over the pairs that the plan lists and the static mask of `ir` shows.

    q: [batch, heads, queries, D]; k: [batch, kv_heads, keys, D]; v: [batch, kv_heads, keys, Dv]. scale: of
    products, D**-0.5 by default. inputs: the declared inputs of masks and scores. regime: the fastest that
    serves the plan by default. target, shape: what graphs call the pattern, as for `attend`. Returns the
    output [batch, heads, queries, Dv] in q's type and, in float32 or float64, the LSE [batch, heads,
    queries], or the sum of weights where weights are no softmax. Queries with no pair give 0 and -inf (sum
    0). Differentiable in q, k, v and the inputs that scores read; sinks, gates and low-rank biases are left
    to the caller. Raises AttnCallError (A06xx).
    """
    given, sizes = {**(inputs or {}), **arrays_of(plan, q.device)}, plan.sizes
    if target is not None and needs_operators(q, k, v):
        out, lse = attend_pairs(PlansTarget(target), q, k, v, scale, True, given, (*shape, *sizes))
    else:
        out, lse = attend_pairs(routed_target(pairs_only(ir), *sizes, regime), q, k, v, scale, True, given)
    return out, lse


@lru_cache(KEPT)
def routed_target(
    ir: BoundIR, queries: int, keys: int, q_block: int, kv_block: int, regime: Regime | None = None
) -> RoutedTarget:
    """What computes plans over units of these sizes. ir: of pairs only."""
    return RoutedTarget(ir, (queries, keys, q_block, kv_block), regime)


class RoutedTarget:
    """See `Target` and `Kernel`; the plan's arrays come among the inputs. Safe to call from many threads.

    sizes: queries, keys, and the most tokens in their units.
    """

    def __init__(self, ir: BoundIR, sizes: tuple[int, int, int, int], regime: Regime | None) -> None:
        self.ir, self.sizes, self.regime = ir, sizes, regime
        self.key = register(self, ir.name, "routed", describe(ir), sizes, regime)
        self._last: tuple[object, Plan, Kernels] | None = None

    @property
    def mask_inputs(self) -> frozenset[str]:
        """See `Target`."""
        return mask_inputs_of(self.ir)

    def rank_of(self, name: str) -> int:
        """See `Target`."""
        return RANKS[name] if name in RANKS else rank_in(self.ir, name)

    def kernel_for(self, q: Tensor, k: Tensor, v: Tensor, shape: Sequence[int] = ()) -> RoutedTarget:
        """Itself."""
        return self

    def check_tensors(self, q: Tensor, k: Tensor, v: Tensor) -> None:
        """Raise AttnCallError (A06xx) for tensors that do not fit."""
        check_tensors(self.ir, q, k, v)

    def compute(
        self, q: Tensor, k: Tensor, v: Tensor, scale: float | None, inputs: Mapping[str, Any]
    ) -> tuple[Tensor, Tensor]:
        """Output and log-sum-exp, without gradients. Raises AttnCallError (A06xx)."""
        factor, checked = self._check(q, k, v, scale, inputs)
        q, k, v = (each.resolve_neg() if each.is_neg() else each for each in (q, k, v))
        return self._kernels(inputs, q, v).forward(factor, checked, q, k, v)

    def gradients(
        self, saved: Saved, scale: float | None, inputs: Mapping[str, Tensor],
        out_gradient: Tensor, lse_gradient: Tensor, wanted: Wanted,
    ) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
        """The gradients of q, k and v; empty tensors for those that are not wanted."""
        factor, checked = self._check(saved.q, saved.k, saved.v, scale, inputs)
        given = _readable(saved), _readable_rows(out_gradient), lse_gradient
        return self._kernels(inputs, saved.q, saved.v).backward(factor, checked, *given, wanted)

    def input_gradients(
        self, saved: Saved, scale: float | None, inputs: Mapping[str, Tensor],
        out_gradient: Tensor, lse_gradient: Tensor, wanted: Sequence[str],
    ) -> dict[str, Tensor]:  # fmt: skip
        """The gradients of the declared inputs named in `wanted`."""
        factor, checked = self._check(saved.q, saved.k, saved.v, scale, inputs)
        kernels = TokenKernels(self.ir, self._plan(inputs), saved.q.device)
        found = kernels.input_gradients(saved, factor, checked, out_gradient, lse_gradient, wanted)
        return {name: found[name].to(inputs[name].dtype) for name in wanted}

    def _check(
        self, q: Tensor, k: Tensor, v: Tensor, scale: float | None, inputs: Mapping[str, Any]
    ) -> tuple[float, dict[str, Tensor]]:
        self.check_tensors(q, k, v)
        declared = {name: value for name, value in inputs.items() if not name.startswith(PREFIX)}
        return check_scale(scale, q.shape[3]), check_kernel_inputs(self.ir, declared, len(q))

    def _plan(self, inputs: Mapping[str, Tensor]) -> Plan:
        return plan_in(self.sizes, inputs)

    def _kernels(self, inputs: Mapping[str, Tensor], q: Tensor, v: Tensor) -> Kernels:
        """The kernels of a plan; those of the last one are kept, since its gradients may follow.

        Graphs of CUDA make lists of their own, which change with the plan's when they are replayed. Tensors
        of inference do not tell when they change, and have no gradients.
        """
        plan = self._plan(inputs)
        arrays = [value for name, value in inputs.items() if name.startswith(PREFIX)]
        captured = q.is_cuda and torch.cuda.is_current_stream_capturing()
        if captured or any(each.is_inference() for each in arrays):
            return kernels_of(self.ir, plan, q, v, self.regime)
        states = tuple((value.data_ptr(), value._version, value.shape, value.stride()) for value in arrays)
        fit = states, q.shape[3], v.shape[3], q.dtype, q.device
        last = self._last
        if last is None or last[0] != fit:
            last = fit, plan, kernels_of(self.ir, plan, q, v, self.regime)  # the plan's memory stays its own
            self._last = last
        return last[2]


class PlansTarget:
    """The plans of a pattern in a graph, which names the pattern. See `Target`.

    The sizes of a plan, as for `routed_target`, come after the extents that the pattern leaves open.
    """

    def __init__(self, pattern: PatternTarget) -> None:
        self.pattern, self.key, self.mask_inputs = pattern, PLANS + pattern.key, pattern.mask_inputs

    def rank_of(self, name: str) -> int:
        """See `Target`."""
        return RANKS[name] if name in RANKS else self.pattern.rank_of(name)

    def kernel_for(self, q: Tensor, k: Tensor, v: Tensor, shape: Sequence[int] = ()) -> RoutedTarget:
        """What computes plans of these sizes."""
        *extents, queries, keys, q_block, kv_block = shape
        ir = self.pattern.around(q, k, extents)
        assert ir is not None, "patterns with a route need more than a kernel"
        return routed_target(pairs_only(ir), queries, keys, q_block, kv_block)

    def check_tensors(self, q: Tensor, k: Tensor, v: Tensor) -> None:
        """Raise AttnCallError (A06xx) for tensors that do not fit."""
        check_kinds(q, k, v)


def kernels_of(ir: BoundIR, plan: Plan, q: Tensor, v: Tensor, regime: Regime | None = None) -> Kernels:
    """The kernels of a plan for tensors of these shapes and types."""
    taken = regime or regime_of(ir, plan, q, v)
    sizes = q.shape[3], v.shape[3], q.dtype
    if taken == "triton":
        from attndsl.runtime.routed_triton import TritonPlanKernels  # here, because Triton need not be there

        return TritonPlanKernels(ir, plan, *sizes, q.device)
    if taken == "blocks":
        return BlockKernels(ir, plan, *sizes)
    if taken == "gathered":
        return GatheredKernels(ir, plan, *sizes)
    if taken == "listed":
        return ListedKernels(ir, plan, *sizes)
    return TokenKernels(ir, plan, q.device)


def regime_of(ir: BoundIR, plan: Plan, q: Tensor, v: Tensor) -> Regime:
    """Which kernels serve a plan best."""
    if q.dtype not in FAST or not (plan.queries and plan.keys):
        return "tokens"
    large = plan.kv_block >= SMALLEST_UNIT
    if q.device.type == "cuda" or interprets():
        fits = large and max(q.shape[3], v.shape[3]) <= MOST_CHANNELS
        return "triton" if fits and has_placed(ir) else "tokens"
    if q.device.type != "cpu" or has_terms_of_regions(ir):
        return "tokens"
    if not large:
        return "listed" if len(ir.key_space.segments) == 1 else "tokens"
    return "blocks" if plan.q_block >= SMALLEST_UNIT else "gathered"


def has_terms_of_regions(ir: BoundIR) -> bool:
    """Whether scores differ from one pair of segments to another."""
    return len({region.terms for region in ir.regions}) > 1


def _readable(saved: Saved) -> Saved:
    tensors = (saved.q, saved.k, saved.v)
    q, k, v = (each.resolve_neg() if each.is_neg() else each for each in tensors)
    return Saved(q, k, v, saved.out, saved.lse)


def _readable_rows(gradient: Tensor) -> Tensor:
    """A gradient whose channels are neighbours: those of expanded tensors are not, and are read often."""
    gradient = gradient.resolve_neg() if gradient.is_neg() else gradient
    return gradient if gradient.stride(3) == 1 else gradient.contiguous()
