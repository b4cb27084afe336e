"""Times candidate configurations of Triton kernels on the GPU; `triton_tuned` remembers the fastest."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from attndsl.codegen.triton_configuration import Configuration, Direction, candidates
from attndsl.diagnostics import AttnBackendError
from attndsl.ir.bound import BoundIR
from attndsl.passes.branch_spaces import refuse_schedule
from attndsl.runtime.checks import EIGHT_BIT, check_kernel_inputs, check_tensors
from attndsl.runtime.derived import check_sources, derived_tensors
from attndsl.runtime.kernels import Inputs
from attndsl.runtime.triton_interpreter import interprets
from attndsl.runtime.triton_kernels import TritonKernels, compile_triton, with_positive_scale
from attndsl.runtime.triton_module import require_triton
from attndsl.runtime.triton_resources import DIRECTIONS
from attndsl.runtime.triton_tuned import store

Measure = Callable[[Callable[[], None]], float]
"""The time of a call, in milliseconds."""

Report = Callable[[str], None]

AGREEMENT = 0.05
"""How far results of two configurations may be apart, relative to the largest of them: by rounding only."""


def autotune(
    kernels: TritonKernels,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    inputs: Inputs | None = None,
    directions: Sequence[Direction] = DIRECTIONS,
    report: Report = print,
    measure: Measure | None = None,
) -> dict[Direction, Configuration]:
    """The fastest configuration of each kernel for these tensors, which is stored in the cache.

    report: is told of every candidate. measure: times a call, by default Triton's `do_bench`.
    """
    q, scale = with_positive_scale(q, q.shape[3] ** -0.5)
    given = _tensors(kernels, scale, inputs or {}, q, k, v)
    won: dict[Direction, Configuration] = {}
    for direction in directions:
        tuner = _Tuner(kernels, direction, given, inputs or {}, scale, measure or _bench)
        won[direction] = tuner.fastest(report)
    store(kernels.problem, won)
    return won


def autotune_bound(
    ir: BoundIR, q: Tensor, k: Tensor, v: Tensor, inputs: Mapping[str, Any], report: Report
) -> dict[Direction, Configuration]:
    """`autotune` for tensors as users pass them. Raises AttnError for what does not fit (A06xx, A07xx)."""
    refuse_schedule(ir)
    check_sources(ir, q, k, v)
    q, k, v = derived_tensors(ir, q, k, v, {})
    check_tensors(ir, q, k, v)
    checked = check_kernel_inputs(ir, inputs, len(q))
    kernels = compile_triton(ir, None, q.shape[3], v.shape[3], q.dtype)
    directions = DIRECTIONS[:1] if q.dtype == EIGHT_BIT else DIRECTIONS
    return autotune(kernels, q.detach(), k.detach(), v.detach(), checked, directions, report)


class _Tuner:
    """Tries the candidates of one kernel."""

    def __init__(
        self,
        kernels: TritonKernels,
        direction: Direction,
        given: Mapping[str, Tensor],
        inputs: Inputs,
        scale: float,
        measure: Measure,
    ) -> None:
        self.kernels = kernels
        self.direction = direction
        self.inputs = inputs
        self.scale = scale
        self.measure = measure
        default = kernels.choices(direction)[-1]
        program = kernels.load(direction, default).kernel.program
        self.tensors = {tensor.name: given[tensor.name] for tensor in (*program.inputs, *program.outputs)}
        self.outputs = [tensor.name for tensor in program.outputs]
        self.choices = list(
            dict.fromkeys([*kernels.choices(direction), *candidates(default, kernels.problem.target)])
        )

    def fastest(self, report: Report) -> Configuration:
        """The candidate that takes the least time."""
        wanted: list[Tensor] | None = None
        times: dict[Configuration, float] = {}
        for number, chosen in enumerate(self.choices, 1):
            head = f"{self.direction} {number}/{len(self.choices)} {_described(chosen)}"
            try:
                found = self._run(chosen)
                wanted = wanted or found
                if not _agree(found, wanted):
                    report(f"{head}: left out, its results differ")
                    continue
                times[chosen] = self.measure(lambda chosen=chosen: self._launch(chosen))  # type: ignore[misc]
                report(f"{head}: {times[chosen]:.3f} ms")
            except (AttnBackendError, RuntimeError, require_triton().TritonError) as error:
                report(
                    f"{head}: left out, {str(error).splitlines()[0] if str(error) else 'it does not compile'}"
                )
        return min(times, key=times.__getitem__) if times else self.choices[0]

    def _launch(self, chosen: Configuration) -> None:
        kernel = self.kernels.load(self.direction, chosen)
        self.kernels.run(kernel, self.tensors, self.inputs, self.scale)

    def _run(self, chosen: Configuration) -> list[Tensor]:
        for name in self.outputs:
            self.tensors[name].fill_(torch.nan)
        self._launch(chosen)
        return [self.tensors[name].clone() for name in self.outputs]


def _tensors(
    kernels: TritonKernels, scale: float, inputs: Inputs, q: Tensor, k: Tensor, v: Tensor
) -> dict[str, Tensor]:
    """All tensors that programs read and write."""
    out, lse = kernels.forward(scale, inputs, q, k, v)
    return {
        **{"q": q, "k": k, "v": v, "out": out, "lse": lse},
        **{"out_gradient": torch.randn_like(out), "delta": torch.zeros_like(lse)},
        **{
            "q_gradient": torch.empty_like(q),
            "k_gradient": torch.empty_like(k),
            "v_gradient": torch.empty_like(v),
        },
    }


def _agree(found: Sequence[Tensor], wanted: Sequence[Tensor]) -> bool:
    for one, other in zip(found, wanted, strict=True):
        largest = torch.where(other.isfinite(), other, 0.0).abs().max()
        same = (one == other) | ((one - other).abs() <= AGREEMENT * largest)
        if not bool(same.all()):
            return False
    return True


def _described(chosen: Configuration) -> str:
    extra = [chosen.loops, chosen.loads, *(["specialised"] if chosen.specialize else [])]
    tiles = f"{chosen.q_tokens} x {chosen.kv_tokens}"
    return f"{tiles}, {chosen.warps} warps, {chosen.stages} stages, {', '.join(extra)}"


def _bench(run: Callable[[], None]) -> float:
    if interprets():
        start = time.perf_counter()
        run()
        return 1e3 * (time.perf_counter() - start)
    from triton.testing import do_bench

    return float(do_bench(run, return_mode="median"))
