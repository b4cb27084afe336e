"""The part of the demo that runs: a kernel is built, timed, checked, and compared with dense attention."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from attndsl.cli.sample import TOLERANCE, largest_error
from attndsl.cli.timing import seconds_of
from attndsl.runtime import rivals

if TYPE_CHECKING:
    from attndsl.cli.steps import Steps
    from attndsl.pipeline import Bound

DTYPE = "float32"


def run(steps: Steps, bound: Bound, head_dim: int, rows: int, dense_share: int) -> None:
    """One head of random queries, keys and values, forward, in single precision."""
    ir = bound.ir
    with steps.step("compile") as done:
        kernel = bound.compile(head_dim=head_dim, dtype=DTYPE)
        if kernel.backend == "reference":
            done("no C++ compiler works here, so the demo runs nothing: attndsl doctor says what to install")
            return
        done(f"a C++ kernel for {rivals.torch_facts()['threads']} threads (kept for the next time)")
    q, k, v = rivals.random_tensors(ir, head_dim, DTYPE)
    flops = 4.0 * ir.query_space.size * ir.key_space.size * head_dim
    with steps.step("run") as done:
        out, seconds = _timed(partial(kernel, q, k, v))
        work = bound.schedule().density * flops
        done(f"forward: {1e3 * seconds:,.0f} ms, {work / seconds / 1e9:,.0f} GFLOP/s")
    with steps.step("check") as done:
        arrays = [rivals.to_array(tensor) for tensor in (q, k, v)]
        error = largest_error(ir, arrays, rivals.to_array(out), rows, inputs={})
        verdict = "agree with" if error <= TOLERANCE[DTYPE] else "DIFFER from"
        done(f"{rows} sampled queries {verdict} the float64 definition, largest error {error:.0e}")
    with steps.step("compare") as done:
        part = ir.query_space.size // dense_share
        slow = dense_share * _timed(rivals.dense(q[:, :, :part], k, v))[1]
        slower = f"{1e3 * slow:,.0f} ms, {slow / seconds:.1f}x as long"
        done(f"dense attention in torch: about {slower} (from 1/{dense_share} of the queries)")


def _timed(function: Callable[[], Any]) -> tuple[Any, float]:
    """Result and wall time of one call."""
    results: list[Any] = []
    seconds = seconds_of(lambda: results.append(function()))
    return results[0], seconds
