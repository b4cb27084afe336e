"""C++ kernels of scores and weights beside float64: outputs, and gradients of tensors and inputs."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from attndsl.diagnostics import AttnCallError
from attndsl.ir.bound import BoundIR
from attndsl.pipeline import Bound
from tests.codegen.weightings import CLAUSES, bound, inputs_of, two_segments
from tests.runtime.attention_cases import needs_compiler

pytestmark = needs_compiler


def check(ir: BoundIR, batch: int | None = None, dtype: torch.dtype = torch.float32, **options: Any) -> None:
    torch.manual_seed(0)
    heads, tokens = (ir.heads, ir.kv_heads, ir.kv_heads), ir.query_space.size
    q, k, v = (torch.randn(2, each, tokens, 8, dtype=dtype, requires_grad=True) for each in heads)
    inputs: dict[str, Any] = {
        name: value.float().requires_grad_() for name, value in inputs_of(ir, batch).items()
    }
    leaves, pattern, options = [q, k, v, *inputs.values()], Bound(ir), inputs | options
    out, wanted = pattern(q, k, v, **options), pattern.reference(q, k, v, **options)
    seed = torch.randn_like(out)
    pairs = zip(
        torch.autograd.grad(out, leaves, seed), torch.autograd.grad(wanted, leaves, seed), strict=True
    )
    limit = 4e-5 if dtype == torch.float32 else 4e-2
    for mine, theirs in [(out, wanted), *pairs]:
        error = float((mine - theirs).detach().abs().max())
        assert error <= limit * max(1.0, float(theirs.detach().abs().max()))


FAST = ("biases of both sides", "choice", "linear")


@pytest.mark.parametrize(
    "name", [n if n in FAST else pytest.param(n, marks=pytest.mark.slow) for n in CLAUSES]
)
def test_kernels_equal_the_denotation(name: str) -> None:
    check(bound(name))


def test_scores_count_positions_across_segments() -> None:
    check(two_segments())


def test_inputs_may_differ_between_batch_elements() -> None:
    check(bound("biases of both sides"), batch=2)


def test_half_precision() -> None:
    check(bound("distance"), dtype=torch.bfloat16)


@pytest.mark.parametrize("scale", [-0.5, 2.0])
def test_any_scale(scale: float) -> None:
    check(bound("cap"), scale=scale)


def test_weights_that_are_no_softmax_have_no_log_sum_exp() -> None:
    ir = bound("sigmoid")
    q, k = torch.randn(1, 4, 40, 8), torch.randn(1, 2, 40, 8)
    with pytest.raises(AttnCallError, match="A0619"):
        Bound(ir)(q, k, k, return_lse=True)


def test_a_graph_holds_the_gradients_of_inputs() -> None:
    ir = bound("temperature")
    q, k, t = torch.randn(1, 4, 40, 8), torch.randn(1, 2, 40, 8), torch.randn(4, requires_grad=True)
    pattern = Bound(ir)

    @torch.compile(fullgraph=True, backend="aot_eager")
    def loss(t: torch.Tensor) -> Any:
        return pattern(q, k, k, t=t).square().sum()

    (found,) = torch.autograd.grad(loss(t), t)
    (wanted,) = torch.autograd.grad(pattern.reference(q, k, k, t=t).square().sum(), t)
    assert torch.allclose(found, wanted, rtol=1e-3)
