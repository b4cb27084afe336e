"""Branches, combinations and derived tensors equal their formulas: outputs, and gradients of everything."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import attndsl
from tests.runtime.branch_cases import CASES, blocks, mean, products
from tests.runtime.triton_worker import interpreted, needs_triton

DIM = 16
TOLERANCE = {torch.float64: 1e-11, torch.float32: 5e-5, torch.bfloat16: 4e-2}


def given(
    name: str, tokens: int, heads: tuple[int, int], dtype: torch.dtype, batch: int
) -> dict[str, Tensor]:
    """Tensors and inputs of a case; inputs have a batch where there is more than one element."""
    sizes = {"heads": heads[0], "query": tokens, "dim": DIM}
    shapes: dict[str, tuple[int, ...]] = {
        each: (batch, count, tokens, DIM)
        for each, count in zip("qkv", (heads[0], *heads[1:] * 2), strict=True)
    }
    for each, dimensions in CASES[name].inputs.items():
        own = tuple(sizes[size] for size in dimensions)
        shapes[each] = (batch, *own) if batch > 1 else own
    return {each: torch.randn(shape).to(dtype).requires_grad_() for each, shape in shapes.items()}


def expected(name: str, tensors: dict[str, Tensor]) -> Tensor:
    wide = {each: tensor.double() for each, tensor in tensors.items()}
    q, k, v = (wide.pop(each) for each in "qkv")
    group = q.shape[1] // k.shape[1]
    return CASES[name].formula(q, k.repeat_interleave(group, 1), v.repeat_interleave(group, 1), wide)


def errors(
    name: str, tokens: int, heads: tuple[int, int] = (2, 2), dtype: str = "float32", batch: int = 2
) -> list[float]:
    """How far output and gradients are from the formula, relative to their size."""
    torch.manual_seed(0)
    kind = getattr(torch, dtype)
    tensors = given(name, tokens, heads, kind, batch)
    out = CASES[name].bind(tokens, *heads)(**tensors)
    wanted = expected(name, tensors)
    assert out.dtype == kind
    seed = torch.randn_like(out)
    leaves = list(tensors.values())
    found = (out, *torch.autograd.grad(out, leaves, seed))
    exact = (wanted, *torch.autograd.grad(wanted, leaves, seed.double()))
    pairs = (
        (mine.detach().double(), theirs.detach().double()) for mine, theirs in zip(found, exact, strict=True)
    )
    return [float((mine - theirs).abs().max() / theirs.abs().max().clamp(min=1.0)) for mine, theirs in pairs]


@pytest.mark.parametrize("tokens", [1, 3, 8, 23])
@pytest.mark.parametrize("name", CASES)
def test_the_reference_equals_the_formula(name: str, tokens: int) -> None:
    assert max(errors(name, tokens, dtype="float64")) < TOLERANCE[torch.float64]


@pytest.mark.parametrize("name", CASES)
def test_heads_may_be_grouped(name: str) -> None:
    assert max(errors(name, 9, heads=(4, 2), dtype="float64", batch=1)) < TOLERANCE[torch.float64]


@pytest.mark.parametrize("name", ["compressed", pytest.param("joined", marks=pytest.mark.slow)])
def test_kernels_equal_the_formula(name: str) -> None:
    assert max(errors(name, 45, heads=(4, 2))) < TOLERANCE[torch.float32]


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.slow) for name in CASES])
@pytest.mark.parametrize("tokens", [1, 130])
def test_kernels_of_all_cases(name: str, tokens: int) -> None:
    assert max(errors(name, tokens)) < TOLERANCE[torch.float32]


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_half_precision_is_combined_in_single_precision(name: str) -> None:
    assert errors(name, 45, dtype="bfloat16")[0] < TOLERANCE[torch.bfloat16]


@needs_triton
@pytest.mark.parametrize("name", ["joined"])
def test_triton_kernels_in_the_interpreter(name: str) -> None:
    assert max(interpreted(errors, name, 19, (2, 1), "float32", 1)) < TOLERANCE[torch.float32]


def test_a_joint_softmax_has_the_log_sum_exp_of_the_union() -> None:
    tensors = given("overlapping", 7, (2, 2), torch.float64, 1)
    q, k, v = (tensors[each].detach() for each in "qkv")
    bound = CASES["overlapping"].bind(7)
    _, lse = bound(q, k, v, return_lse=True)
    seen = bound.branches["everything"].mask().astype(int) + bound.branches["first"].mask()
    wanted = torch.logsumexp(products(q, k) + torch.log(torch.tensor(seen)), -1)
    assert torch.allclose(lse, wanted)
    assert torch.allclose(bound.reference(q, k, v, return_lse=True)[1], wanted)


def test_a_query_that_no_branch_lets_see_gives_0() -> None:
    bound = attndsl.parse(
        "pattern p:\n    space tokens(n)\n    branch a:\n        attend k.n < q.n - 3\n"
        "    branch b:\n        attend k.n < q.n - 5\n    combine joint(a, b)\n"
    ).bind(shape=12)
    q = torch.randn(1, 1, 12, 8, dtype=torch.float64, requires_grad=True)
    out, lse = bound(q, q, q, return_lse=True)
    (gradient,) = torch.autograd.grad(out.sum() + lse[lse > -torch.inf].sum(), q)
    assert (out[:, :, :4] == 0).all()
    assert (lse[:, :, :4] == -torch.inf).all()
    assert torch.isfinite(gradient).all()


def test_the_mask_is_the_union_of_the_masks() -> None:
    bound = CASES["projected"].bind(9)
    union = np.logical_or(*(each.mask() for each in bound.branches.values()))
    assert (bound.mask() == union).all()


def test_branches_are_patterns_of_their_own() -> None:
    bound = CASES["compressed"].bind(9)
    far = bound.branches["far"]
    assert far.mask().shape == (1, 9, 3)
    assert (far.schedule().to_mask() == far.mask()).all()
    q = torch.randn(1, 2, 9, DIM, dtype=torch.float64)
    keys = blocks(q, mean)
    seen = torch.tensor(far.mask()[0])
    assert torch.allclose(far(q, q, q)[:, :, 4:], products_over(q, keys, seen)[:, :, 4:], atol=1e-5)


def products_over(q: Tensor, keys: Tensor, seen: Tensor) -> Tensor:
    return torch.softmax(products(q, keys).masked_fill(~seen, -torch.inf), -1) @ keys


@pytest.mark.parametrize("pool", ["mean", "max", "sum"])
def test_blocks_may_be_boxes_that_the_edge_cuts_off(pool: str) -> None:
    bound = attndsl.parse(
        "pattern p:\n    space image(y, x)\n    blocks b of (y, x) by (2, 3)\n"
        f"    query {pool}(q in b)\n    attend k.y == 0 and k.x == 0\n"
    ).bind(shape=(3, 7))
    assert bound.ir.query_space.size == 6
    q = torch.randn(1, 1, 21, 4, dtype=torch.float64)
    grid = q.view(3, 7, 4)
    boxes = [grid[y : y + 2, x : x + 3].flatten(0, 1) for y in (0, 2) for x in (0, 3, 6)]
    pools: dict[str, Any] = {
        "mean": lambda x: x.mean(0),
        "max": lambda x: x.amax(0),
        "sum": lambda x: x.sum(0),
    }
    wanted = torch.stack([pools[pool](box) for box in boxes])
    _, lse = bound(q, q, q, return_lse=True)
    assert torch.allclose(lse[0, 0], wanted @ q[0, 0, 0] * 0.5)


def test_blocks_along_one_axis_of_several_hold_all_of_the_others() -> None:
    bound = attndsl.parse(
        "pattern p:\n    space video(frame, token)\n    blocks b of frame by 2\n"
        "    key mean(k in b)\n    value mean(v in b)\n    attend k.b == 1\n"
    ).bind(shape=(3, 4))
    q = torch.randn(1, 1, 12, 4, dtype=torch.float64)
    assert torch.allclose(bound(q, q, q), q[:, :, 8:].mean(2, keepdim=True).expand_as(q))


def test_blocks_are_of_one_segment() -> None:
    bound = attndsl.parse(
        "pattern p:\n    space video(t) ++ text(n)\n    blocks b of n by 2\n"
        "    key mean(k in b)\n    value mean(v in b)\n    attend k.b == 0\n"
    ).bind(shape=3, text=4)
    q = torch.randn(1, 1, 7, 4, dtype=torch.float64)
    assert torch.allclose(bound(q, q, q), q[:, :, 3:5].mean(2, keepdim=True).expand_as(q))


@pytest.mark.parametrize("name", [pytest.param("compressed", marks=pytest.mark.slow), "channels"])
def test_graphs_hold_branches_whole(name: str) -> None:
    tensors = given(name, 9, (2, 2), torch.float32, 1)
    bound = CASES[name].bind(9)
    graph = torch.compile(lambda **each: bound(**each), fullgraph=True, backend="aot_eager")
    assert torch.allclose(graph(**tensors), bound(**tensors), atol=1e-6)
    graph(**tensors).sum().backward()
    assert all(each.grad is not None for each in tensors.values())


def test_heads_may_be_left_open() -> None:
    agent = attndsl.pattern("agent").bind(shape=9, agents=2)
    q, k = torch.randn(1, 4, 9, DIM), torch.randn(1, 2, 9, DIM)
    graph = torch.compile(lambda q, k: agent(q, k, k), fullgraph=True, backend="aot_eager")
    assert torch.allclose(agent(q, k, k), agent.reference(q, k, k), atol=1e-5)
    assert torch.allclose(graph(q, k), agent(q, k, k), atol=1e-6)


def test_autocast_lowers_what_branches_are_given() -> None:
    bound = CASES["chain"].bind(9)
    q = torch.randn(1, 2, 9, DIM)
    with torch.autocast("cpu", torch.bfloat16):
        out = bound(q, q, q)
    assert out.dtype == torch.bfloat16
    assert torch.allclose(out.float(), bound.reference(q, q, q), atol=TOLERANCE[torch.bfloat16])


def test_a_compiled_pattern_has_kernels_for_each_branch() -> None:
    bound = CASES["joined"].bind(9)
    q = torch.randn(1, 2, 9, DIM)
    compiled = bound.compile("reference", head_dim=DIM)
    assert compiled.backend == "reference"
    assert torch.allclose(compiled(q, q, q), bound.reference(q, q, q), atol=1e-6)


def test_modules_follow_the_length() -> None:
    module = attndsl.nn.Attention("agent", agents=2)
    for tokens in (5, 9):
        q = torch.randn(1, 2, tokens, DIM)
        wanted = attndsl.pattern("agent").bind(shape=tokens, agents=2).reference(q, q, q)
        assert torch.allclose(module(q, q, q), wanted, atol=1e-5)


def test_inputs_are_asked_for_once_and_given_to_the_branches_that_read_them() -> None:
    bound = attndsl.parse(
        "pattern p:\n    space tokens(n)\n    input doc: int[tokens]\n    input u: real[heads]\n"
        "    branch a:\n        attend doc[q] == doc[k]\n    branch b:\n        attend causal\n"
        "    combine u[head] * a + b\n"
    ).bind(shape=6, heads=1)
    assert [each.name for each in bound.branches["a"].ir.inputs] == ["doc"]
    assert bound.branches["b"].ir.inputs == ()
    q, doc, u = (
        torch.randn(1, 1, 6, 8, dtype=torch.float64),
        torch.tensor([0, 0, 0, 1, 1, 1]),
        torch.tensor([0.5]),
    )
    assert torch.allclose(bound(q, q, q, doc=doc, u=u), bound.reference(q, q, q, doc=doc, u=u))
    assert bound.mask(doc=doc.numpy()).sum() == 18 + 9


def test_a_branch_by_itself_follows_its_route() -> None:
    bound = attndsl.pattern("sla").bind(shape=64, heads=1, bq=32, bk=8, keep=0.25, drop=0.25)
    q, k, v = (torch.randn(1, 1, 64, DIM, dtype=torch.float64) for _ in range(3))
    plan, critical = bound.plan(q, k)["critical"], bound.branches["critical"]
    scores = (q @ k.mT * DIM**-0.5).masked_fill(~torch.from_numpy(plan.to_mask()), -torch.inf)
    for out in (critical(q, k, v), critical(q, k, v, plan=critical.plan(q, k)), critical.reference(q, k, v)):
        assert torch.allclose(out, torch.softmax(scores, -1) @ v)
