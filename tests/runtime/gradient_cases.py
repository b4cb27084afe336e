"""Shared by the tests of gradients: seeds, gradients of plain torch, and FlashAttention's rule for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from attndsl.ir.bound import BoundIR
from attndsl.runtime.reference import reference
from tests.runtime.attention_cases import mask_of, plain

Attention = Callable[..., Any]


def seeds(q: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """Random gradients of the output and of the log-sum-exp, the same every time."""
    generator = torch.Generator().manual_seed(7)
    out = torch.randn(*q.shape[:3], v.shape[3], generator=generator).to(q.dtype)
    return out, torch.randn(*q.shape[:3], generator=generator)


def gradients(
    attention: Attention, given: Sequence[Tensor], of_lse: bool = True, **options: Any
) -> tuple[Tensor, ...]:
    """The gradients of q, k and v under the seeds. of_lse: whether the log-sum-exp has a gradient."""
    leaves = [tensor.detach().requires_grad_() for tensor in given]
    out, lse = attention(*leaves, return_lse=True, **options)
    out_seed, lse_seed = seeds(given[0], given[2])
    lse_seed = lse_seed * of_lse
    return torch.autograd.grad((out, lse), leaves, (out_seed.to(out.dtype), lse_seed.to(lse.dtype)))


def assert_inside_gradient_rule(
    found: Sequence[Tensor], ir: BoundIR, given: Sequence[Tensor], of_lse: bool = True
) -> None:
    """At most twice the error of plain torch in the same type, plus what rounding makes unavoidable.

    That is a few units in the last place of the largest gradient or key, which differences of numbers near 1
    are multiplied by; and the rounding of the log-sum-exp, from which weights are computed again.
    """
    mask = mask_of(ir)

    def written_out(*tensors: Tensor, return_lse: bool) -> Any:
        return plain(tensors, mask)

    wanted = gradients(written_out, [tensor.double() for tensor in given], of_lse)
    same = gradients(written_out, given, of_lse)
    lse = plain([tensor.double() for tensor in given], mask)[1]
    rounding = 4 * torch.finfo(given[0].dtype).eps + 2 * torch.finfo(torch.float32).eps * float(
        lse.abs().max()
    )
    largest = max(float(each.abs().max()) for each in (*wanted, given[1]))
    for name, mine, exact, rough in zip("qkv", found, wanted, same, strict=True):
        allowed = 2 * (rough.double() - exact).abs().max() + rounding * largest
        error = (mine.double() - exact).abs().max()
        assert error <= allowed, f"gradient of {name}: error {error:.3g}, allowed {allowed:.3g}"


def assert_like_reference(
    attention: Attention, ir: BoundIR, given: Sequence[Tensor], tolerance: float = 2e-5, **inputs: Any
) -> None:
    """The gradients are those of the reference, also of queries that see nothing."""

    def exact(*tensors: Tensor, return_lse: bool) -> Any:
        q, k, v = tensors
        return reference(ir, q, k, v, return_lse=return_lse, **inputs)

    wanted = gradients(exact, [tensor.double() for tensor in given])
    for mine, each in zip(gradients(attention, given, **inputs), wanted, strict=True):
        torch.testing.assert_close(mine.double(), each, rtol=tolerance, atol=tolerance)
