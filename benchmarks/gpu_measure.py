"""Measures one case on a GPU: every contender is tried, compared, and timed, taking turns."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Callable, Mapping, Sequence

import torch

from attndsl.cli.sample import TOLERANCE
from attndsl.runtime.triton_kernels import TritonKernels
from attndsl.schedule.schedule import Schedule
from attndsl.simulate.report import Report
from benchmarks.gpu_cases import GpuCase
from benchmarks.gpu_check import Tensors, difference, row_error
from benchmarks.gpu_contenders import Attention, Make, computes_the_pattern, contenders, full
from benchmarks.gpu_results import OURS, OWN_DENSE, GpuResult, Pass, PassResult
from benchmarks.gpu_routed import error_of_few
from benchmarks.gpu_tensors import inputs_on, random_tensors
from benchmarks.gpu_timing import medians, within
from benchmarks.timing import speedup

APART: dict[Pass, float] = {"forward": 2.0, "training": 4.0}
"""How far two contenders may be apart, in the tolerance of one of them."""

Call = Callable[[], Tensors]


def measure(case: GpuCase, device: str, tuned: bool, budget: float, without: Sequence[str] = ()) -> GpuResult:
    """Forward pass, and forward and backward pass.

    tuned: with contenders that time candidates first. budget: seconds to time each pass, compilation not
    counted. without: contenders to leave out.
    """
    torch._dynamo.reset()  # else it counts recompilations over all cases and then runs uncompiled
    tensors = random_tensors(case, device)
    if tuned and device == "cuda":
        _tune(case, tensors)
    makers = {name: make for name, make in contenders(case, device, tuned).items() if name not in without}
    passes: dict[Pass, PassResult] = {}
    with torch.no_grad():
        attentions, failures = _made(makers)
        error = _checked(case, tensors, attentions, failures)
        passes["forward"] = _pass(case, _forward(attentions, tensors), failures, "forward", budget)
    leaves = tuple(each.requires_grad_() for each in tensors)
    passes["training"] = _pass(case, _training(attentions, leaves), failures, "training", budget)
    return _result(case, tensors, error, passes)


def _made(makers: Mapping[str, Make]) -> tuple[dict[str, Attention], dict[str, str]]:
    """Contenders that can be made, and why others cannot."""
    made: dict[str, Attention] = {}
    failures: dict[str, str] = {}
    for name, make in makers.items():
        attempt(name, failures, lambda name=name, make=make: made.__setitem__(name, make()))  # type: ignore[misc]
    return made, failures


def attempt(name: str, failures: dict[str, str], action: Callable[[], object]) -> bool:
    """Whether an action succeeds; if not, the reason is noted and memory freed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            action()
    except Exception as error:  # a rival may fail in any way, and the benchmark goes on
        failures[name] = _reason(error)
    else:
        return True
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.synchronize()  # raises where the GPU itself has failed: nothing can be measured then
        torch.cuda.empty_cache()
    return False


def _reason(error: Exception) -> str:
    """The first line of an error, which names it."""
    if isinstance(error, torch.OutOfMemoryError):
        return "out of memory"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0][:160]}" if lines else type(error).__name__


def _checked(
    case: GpuCase, tensors: Tensors, attentions: dict[str, Attention], failures: dict[str, str]
) -> float | None:
    """The largest error of attndsl, which is left out where that is too large, or where it does not run."""
    errors: list[float] = []

    def compare() -> None:
        if case.kind == "routed":
            errors.append(error_of_few(case, tensors[0].device.type))
        else:
            errors.append(row_error(case, tensors, attentions[OURS](*tensors)))

    if attempt(OURS, failures, compare):
        if errors[0] <= TOLERANCE[case.dtype]:
            return errors[0]
        failures[OURS] = f"differs from float64 by {errors[0]:.2g}"
    attentions.pop(OURS, None)
    return errors[0] if errors else None


def _forward(attentions: Mapping[str, Attention], tensors: Tensors) -> dict[str, Call]:
    q, k, v = tensors
    return {
        name: lambda attention=attention: (attention(q, k, v),)  # type: ignore[misc]
        for name, attention in attentions.items()
    }


def _training(attentions: Mapping[str, Attention], leaves: Tensors) -> dict[str, Call]:
    """Output and gradients."""
    q, k, v = leaves
    seed = torch.randn_like(q)

    def call(attention: Attention) -> Tensors:
        out = attention(q, k, v)
        return (out.detach(), *torch.autograd.grad(out, leaves, seed))

    return {
        name: lambda attention=attention: call(attention)  # type: ignore[misc]
        for name, attention in attentions.items()
    }


def _pass(
    case: GpuCase, calls: Mapping[str, Call], made: Mapping[str, str], kind: Pass, budget: float
) -> PassResult:
    """Tries every call once, compares what is to be equal, and times what works."""
    failures, working = dict(made), {}
    wanted: Tensors | None = None
    for name, call in calls.items():
        found: list[Tensors] = []
        if not attempt(name, failures, lambda call=call, found=found: found.append(call())):  # type: ignore[misc]
            continue
        if name == OURS:
            wanted = found[0]
        apart = difference(found[0], wanted) if wanted and computes_the_pattern(case, name) else 0.0
        if apart <= APART[kind] * TOLERANCE[case.dtype]:
            working[name] = call
        else:
            failures[name] = f"differs from {OURS} by {apart:.2g}"
    del wanted, found
    seconds = within(working, budget) if working else {}
    mine = seconds.get(OURS)
    faster = {name: speedup(each, mine) for name, each in seconds.items() if mine and name != OURS}
    return PassResult(medians(seconds), faster, failures)


def _tune(case: GpuCase, tensors: Tensors) -> None:
    """Times attndsl's own candidates; the fastest are used from then on."""
    q, k, v = tensors
    inputs = inputs_on(case, q.device.type)
    attempt(OURS, {}, lambda: case.bound.autotune(q, k, v, **inputs))
    attempt(OWN_DENSE, {}, lambda: full(case.tokens).autotune(q, k, v))


def _result(
    case: GpuCase, tensors: Tensors, error: float | None, passes: dict[Pass, PassResult]
) -> GpuResult:
    if case.kind == "routed":
        figures: Schedule | Report = case.bound.simulate(draws=1)
    else:
        figures = _schedule(case, tensors)
    return GpuResult(
        name=case.name,
        kind=case.kind,
        pattern=case.pattern,
        numbers=case.numbers,
        batch=case.batch,
        heads=case.heads,
        head_dim=case.head_dim,
        tokens=case.tokens,
        dtype=case.dtype,
        density=figures.density,
        tile_speedup=figures.tile_speedup_mean if isinstance(figures, Report) else figures.tile_speedup,
        q_tile=tuple(figures.q_tile),
        kv_tile=tuple(figures.kv_tile),
        largest_error=error,
        passes=passes,
    )


def _schedule(case: GpuCase, tensors: Tensors) -> Schedule:
    """The schedule of attndsl's forward kernel, for the case's inputs."""
    found: list[Schedule] = []
    q, k, v = tensors

    def find() -> None:
        kernels = case.bound.kernel_for(q, k, v).kernels
        assert isinstance(kernels, TritonKernels)
        found.append(kernels.schedule("forward"))

    return (found[0] if attempt(OURS, {}, find) else case.bound.schedule()).refine(case.inputs)
