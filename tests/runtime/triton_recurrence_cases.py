"""Triton kernels of recurrences beside the loop over tokens in float64: one case, and by how much it errs.

The same cases run in Triton's interpreter on the CPU and on a GPU.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from attndsl.runtime import triton_recurrence_segments
from attndsl.runtime.recurrence import recurrence
from tests.runtime.recurrence_cases import by_tokens, make_tensors

NAMES = ("out", "final_state", "q", "k", "v", "decay", "initial_state")
SCALE = 0.3
SMALLEST_SEGMENT = 64
Tensors = dict[str, Tensor | None]


@dataclass(frozen=True)
class Case:
    """Random tensors. decay: the mean step. forget: tokens before which everything, or e^-1000, is forgotten.

    run: tokens of a run, 0: no runs. heads_last: tensors lie in memory as [batch, tokens, heads, channels],
    and steps are one number per head. segments: whether tokens are divided into as many as there can be.
    """

    kind: str
    tokens: int
    decay: float = -0.1
    forget: tuple[int, ...] = ()
    heads: tuple[int, int] = (2, 2)
    dims: tuple[int, int] = (16, 16)
    batch: int = 1
    dtype: str = "float32"
    run: int = 0
    heads_last: bool = False
    segments: bool = False
    device: str = "cpu"


@dataclass(frozen=True)
class Found:
    """The largest difference of a result from float64, the same of the loop in its type, and its size."""

    error: float
    plain: float
    size: float
    exact_type: bool


def compare(case: Case) -> dict[str, Found]:
    """Outputs, and gradients of all tensors with gradients flowing into output and state, by name."""
    tensors = _tensors(case)
    runs = (torch.arange(case.tokens, device=case.device) // case.run)[None].int() if case.run else None

    def kernels(*arguments: Tensor) -> tuple[Tensor, Tensor]:
        q, k, v, decay, state = arguments
        return recurrence(q, k, v, decay, scale=SCALE, initial_state=state, runs=runs)

    def loop(*arguments: Tensor) -> tuple[Tensor, Tensor]:
        q, k, v, decay, state = arguments
        return by_tokens(q, k, v, decay, state, SCALE, runs, state.dtype)

    exact = {name: None if each is None else each.double() for name, each in tensors.items()}
    with _many_segments(case.segments):
        mine = _results(kernels, tensors)
    same, true = _results(loop, tensors), _results(loop, exact)
    names = [name for name in NAMES if name in ("out", "final_state") or tensors[name] is not None]
    found = {}
    for name, one, other, wanted in zip(names, mine, same, true, strict=True):
        error, plain = (float((each.double() - wanted).abs().max()) for each in (one, other))
        like = tensors["q"] if name == "out" else tensors.get(name, tensors["initial_state"])
        assert like is not None
        found[name] = Found(error, plain, max(1.0, float(wanted.abs().max())), one.dtype == like.dtype)
    return found


def assert_close(case: Case, found: dict[str, Found]) -> None:
    """At most twice the error of the loop in the same type, and some roundings of factors to that type.

    Products of float32 are three in TF32 on a GPU. The gradient of a step sums what rounding leaves of all
    later tokens.
    """
    rounding = torch.finfo(getattr(torch, case.dtype)).eps
    for name, each in found.items():
        factor = (8 if case.device == "cpu" else 64) if case.dtype == "float32" else 4
        factor *= 2 if name == "decay" else 1
        allowed = 2 * each.plain + factor * rounding * each.size
        assert each.error <= allowed, f"{name} errs by {each.error:.3g}, {allowed:.3g} allowed"
        assert each.exact_type, name


def _tensors(case: Case) -> Tensors:
    dtype = getattr(torch, case.dtype)
    made = make_tensors(case.tokens, case.kind, case.decay, case.heads, case.dims, case.batch, dtype)
    tensors = {name: None if each is None else each.to(case.device) for name, each in made.items()}
    steps = tensors["decay"]
    if steps is not None:
        for place, token in enumerate(case.forget):
            steps[:, :, token] = -1000.0 if place % 2 else -torch.inf
    if case.heads_last:
        for name in ("q", "k", "v"):
            tensors[name] = _heads_last(tensors[name])
        tensors["decay"] = None if steps is None else steps[:, :, :1].expand(steps.shape)
    return tensors


def _heads_last(tensor: Tensor | None) -> Tensor:
    assert tensor is not None
    return tensor.transpose(1, 2).contiguous().transpose(1, 2)


def _results(compute: Callable[..., tuple[Tensor, Tensor]], tensors: Tensors) -> list[Tensor]:
    leaves = [None if each is None else each.detach().requires_grad_() for each in tensors.values()]
    outputs = compute(*leaves)
    random = torch.Generator().manual_seed(7)
    towards = [torch.randn(each.shape, generator=random).bfloat16().to(each) for each in outputs]
    given = [each for each in leaves if each is not None]
    gradients = torch.autograd.grad(outputs, given, towards)
    return [each.detach() for each in (*outputs, *gradients)]


@contextmanager
def _many_segments(wanted: bool) -> Iterator[None]:
    """Small segments, and as many as possible, if wanted."""
    module = triton_recurrence_segments
    before = module.SMALLEST, module.PROGRAMS
    if wanted:
        module.SMALLEST, module.PROGRAMS = SMALLEST_SEGMENT, 10**6
    yield
    module.SMALLEST, module.PROGRAMS = before
