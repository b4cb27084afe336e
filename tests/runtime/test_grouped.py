"""Groups with all that patterns may say of pairs, beside the reference: masks, scores, weights, gates."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

import attndsl
from attndsl.diagnostics import AttnCallError
from attndsl.ir.plan import Plan
from attndsl.pipeline import Bound
from tests.patterns.inputs import random_inputs

HEAD = """pattern p(clusters: int = 3, window: int = 7):
    space {space}
    input centroids: real[{over}clusters, dim]
{inputs}    groups c of clusters
    route queries score unit(q) . centroids[{head}c]
                  select {rule} per {pool}
    route keys score unit(k) . centroids[{head}c]
               select {rule} per {pool}
"""


def text(
    body: str, space: str = "tokens(n)", inputs: str = "", rule: str = "top(window)", pool: str = "c",
    over: str = "heads, ",
) -> str:  # fmt: skip
    head = HEAD.format(
        space=space, over=over, inputs=inputs, head="head, " if over else "", rule=rule, pool=pool
    )
    return head + "\n".join(f"    {line}" for line in body.splitlines()) + "\n"


BODIES: dict[str, str] = {
    "full": text("attend true"),
    "one map for all heads": text("attend causal", over=""),
    "axes": text("attend neighborhood(3)", space="image(y, x)"),
    "segments": text(
        "attend\n    image -> image: q.y >= k.y\n    else: true", space="image(y, x) ++ text(t)"
    ),
    "documents": text("attend causal and doc[q] == doc[k]", inputs="    input doc: int[tokens]\n"),
    "heads differ": text("attend k.n <= q.n + head\nscore s - slope(head, heads) * abs(q.n - k.n)"),
    "bias of keys": text(
        "attend true\nscore s + bias[head, k]", inputs="    input bias: real[heads, tokens]\n"
    ),
    "table": text(
        "attend causal\nscore s + table[head, clamp(q.n - k.n, 0, 7)]",
        inputs="    input table: real[heads, 8]\n",
    ),
    "low rank": text(
        "attend true\nscore s + dot(bq, bk)",
        inputs="    input bq: real[heads, query, 2]\n    input bk: real[kv_heads, key, 2]\n",
    ),
    "sink": text("attend causal\nnormalize sum + exp(g[head])", inputs="    input g: real[heads]\n"),
    "gate": text("attend causal\ngate sigmoid(g)", inputs="    input g: real[query, heads, dim]\n"),
    "other weights": text("attend true\nweight relu(s)\nnormalize none"),
    "linear weights": text("attend causal\nfeature elu1\nweight s"),
    "decay": text("attend causal\nweight s\ndecay sigmoid(g) per step of n\nnormalize none",
                  inputs="    input g: real[heads, tokens]\n"),
    "no number of members": text("attend causal", rule="threshold(0.8)"),
    "groups compete": text("attend causal", pool="head"),
    "blocks": text("attend causal").replace(
        "    groups", "    blocks b of n by 4\n    groups"
    ).replace("unit(q)", "mean(q in b)").replace("unit(k)", "mean(k in b)"),
}  # fmt: skip


def bound(name: str) -> Bound:
    pattern = attndsl.parse(BODIES[name], name=f"{name}.attn")
    axes = len(pattern.ir.query_space[0].axes)
    extra = {"text": 4} if len(pattern.ir.query_space) > 1 else {}
    found: Bound = pattern.bind(shape=(26,) if axes == 1 else (4, 6), heads=4, kv_heads=2, **extra)
    return found


def tensors(ir: Any, dtype: torch.dtype, batch: int = 2) -> list[Tensor]:
    heads, n = (ir.heads, ir.kv_heads, ir.kv_heads), ir.query_space.size
    return [torch.randn(batch, each, n, 16, dtype=dtype).requires_grad_() for each in heads]


def inputs_of(ir: Any, dtype: torch.dtype, batch: int | None = None) -> dict[str, Any]:
    drawn = random_inputs(ir, 16, batch)
    return {
        name: value.to(dtype).requires_grad_(name != "centroids") if value.is_floating_point() else value
        for name, value in drawn.items()
    }


def compare(case: Bound, dtype: torch.dtype, tolerance: float, batch: int | None = None) -> None:
    given, inputs = tensors(case.ir, dtype), inputs_of(case.ir, dtype, batch)
    q, k, v = given
    out, wanted = case(q, k, v, **inputs), case.reference(q, k, v, **inputs)
    torch.testing.assert_close(out, wanted, atol=tolerance, rtol=tolerance)
    leaves = [*given, *(each for each in inputs.values() if each.requires_grad)]
    seed = torch.randn_like(out)
    found, expected = (torch.autograd.grad(each, leaves, seed, allow_unused=True) for each in (out, wanted))
    for mine, theirs in zip(found, expected, strict=True):
        assert (mine is None) == (theirs is None)
        if mine is not None:
            torch.testing.assert_close(mine, theirs, atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize("name", BODIES)
def test_all_that_patterns_say_in_double_precision(name: str) -> None:
    torch.manual_seed(0)
    compare(bound(name), torch.float64, 1e-10)


@pytest.mark.parametrize("name", ["heads differ", "table", "documents"])
def test_inputs_with_a_batch(name: str) -> None:
    torch.manual_seed(1)
    compare(bound(name), torch.float64, 1e-10, batch=2)


@pytest.mark.slow
@pytest.mark.parametrize("name", BODIES)
def test_all_that_patterns_say_by_kernels(name: str) -> None:
    torch.manual_seed(2)
    compare(bound(name), torch.float32, 1e-4)


@pytest.mark.slow
def test_all_that_patterns_say_by_triton_in_its_interpreter() -> None:
    command = [sys.executable, "-m", "pytest", "-q", __file__, "-k", "by_kernels", "-p", "no:cacheprovider"]
    found = subprocess.run(
        command, env={**os.environ, "TRITON_INTERPRET": "1"}, capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stdout


# ---------------------------------------------------------------- plans and tensors


def small(dtype: torch.dtype = torch.float64) -> tuple[Any, list[Tensor], dict[str, Any]]:
    torch.manual_seed(3)
    case = bound("heads differ")
    return case, tensors(case.ir, dtype), inputs_of(case.ir, dtype)


def test_plans_that_are_given_are_used() -> None:
    case, (q, k, v), inputs = small()
    plans = case.plan(q, k, **inputs)
    out = case(q, k, v, **inputs)
    assert torch.equal(case(q, k, v, plan=plans, **inputs), out)
    assert torch.equal(case(q, k, v, plan={"keys": plans["keys"]}, **inputs), out)
    fewer = replace(
        plans["keys"], indices=plans["keys"].indices[..., :2], counts=plans["keys"].counts.clamp(max=2)
    )
    other = plans | {"keys": fewer}
    found, wanted = case(q, k, v, plan=other, **inputs), case.reference(q, k, v, plan=other, **inputs)
    torch.testing.assert_close(found, wanted)
    assert not torch.allclose(found, out)


def test_a_plan_of_one_element_and_head_serves_all() -> None:
    case, (q, k, v), inputs = small()
    lists = torch.tensor([[[[0, 5, 9], [1, 25, -1], [-1, -1, -1]]]], dtype=torch.int32)
    plan = Plan(3, 26, 1, 1, lists, (lists >= 0).sum(-1, dtype=torch.int32))
    found = case(q, k, v, plan={"queries": plan, "keys": plan}, **inputs)
    torch.testing.assert_close(found, case.reference(q, k, v, plan={"queries": plan, "keys": plan}, **inputs))
    members = [0, 1, 5, 9, 25]
    assert found[:, :, [n for n in range(26) if n not in members]].abs().max() == 0
    assert (found[:, :, members].abs().amax(-1) > 0).all()


def test_the_mask_of_plans_is_of_pairs_that_meet() -> None:
    case, (q, k, _), inputs = small()
    plans = case.plan(q[:1], k[:1], **inputs)
    queries, keys = (plans[name].to_mask()[0] for name in ("queries", "keys"))
    pairs = np.einsum("hci,hcj->hij", queries.astype(int), keys.astype(int)) > 0
    assert np.array_equal(case.mask(plan=plans), pairs & case.mask())


def test_strides_do_not_matter() -> None:
    case, given, inputs = small()
    q, k, v = (each.detach() for each in given)
    odd = [each.transpose(1, 3).contiguous().transpose(1, 3) for each in (q, k, v)]
    assert not odd[0].is_contiguous()
    assert torch.equal(case(*odd, **inputs), case(q, k, v, **inputs))


def test_half_precision_sums_in_single() -> None:
    case, given, inputs = small(torch.float32)
    q, k, v = (each.detach().bfloat16() for each in given)
    plans = case.plan(q, k, **inputs)
    found = case(q, k, v, plan=plans, **inputs)
    wanted = case.reference(q.double(), k.double(), v.double(), plan=plans, **inputs)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.double(), wanted, atol=0.03, rtol=0.03)


def test_any_number_of_heads_where_they_do_not_differ() -> None:
    free = attndsl.parse(BODIES["one map for all heads"]).bind(shape=26)
    for heads in (1, 3):
        q, k, v = (torch.randn(1, heads, 26, 16, dtype=torch.float64) for _ in range(3))
        centroids = torch.randn(3, 16, dtype=torch.float64)
        found = free(q, k, v, centroids=centroids)
        torch.testing.assert_close(found, free.reference(q, k, v, centroids=centroids))


def test_centroids_of_a_batch() -> None:
    case, (q, k, v), _ = small()
    centroids = torch.randn(2, 4, 3, 16, dtype=torch.float64)
    whole = case(q, k, v, centroids=centroids)
    for element in range(2):
        own = slice(element, element + 1)
        torch.testing.assert_close(case(q[own], k[own], v[own], centroids=centroids[element]), whole[own])


def test_a_batch_of_none() -> None:
    case, _, inputs = small()
    q, k, v = tensors(case.ir, torch.float64, batch=0)
    assert case(q, k, v, **inputs).shape == (0, 4, 26, 16)


def test_graphs_are_cut_at_groups() -> None:
    case, (q, k, v), inputs = small()
    compiled = torch.compile(lambda *given: 2 * case(*given, **inputs), backend="eager")
    torch.testing.assert_close(compiled(q, k, v), 2 * case(q, k, v, **inputs))


def test_vmap_with_plans_that_are_given() -> None:
    case, given, inputs = small()
    given = [each.detach() for each in given]
    plans = case.plan(*given[:2], **inputs)
    found = torch.vmap(lambda *each: case(*each, plan=plans, **inputs))(
        *(each.unsqueeze(0) for each in given)
    )
    torch.testing.assert_close(found[0], case(*given, plan=plans, **inputs))


def test_values_of_other_channels() -> None:
    case, (q, k, _), inputs = small()
    v = torch.randn(2, 2, 26, 5, dtype=torch.float64)
    torch.testing.assert_close(case(q, k, v, **inputs), case.reference(q, k, v, **inputs))


def test_gradients_are_the_same_each_time() -> None:
    case, given, inputs = small(torch.float32)
    torch.set_num_threads(2)
    try:
        runs = [torch.autograd.grad(case(*given, **inputs).sum(), given) for _ in range(2)]
    finally:
        torch.set_num_threads(1)
    assert all(torch.equal(one, other) for one, other in zip(*runs, strict=True))


def test_memory_is_that_of_members() -> None:
    n, clusters, window = 4096, 8, 16
    case = attndsl.pattern("routing_transformer").bind(shape=n, heads=2, clusters=clusters, window=window)
    q, k, v = (torch.randn(1, 2, n, 16, dtype=torch.float64) for _ in range(3))
    inputs: Any = {"centroids": torch.randn(2, clusters, 16, dtype=torch.float64)}
    plans = case.plan(q, k, **inputs)
    with LargestTensor() as seen:
        case(q, k, v, plan=plans, **inputs)
    assert seen.elements <= 2 * n * 16 + 16


class LargestTensor(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """The most elements of a tensor that an operation makes."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.elements = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        for each in result if isinstance(result, tuple) else (result,):
            if isinstance(each, Tensor):
                self.elements = max(self.elements, each.untyped_storage().nbytes() // each.element_size())
        return result


# ---------------------------------------------------------------- mistakes


def wrong(name: str) -> Any:
    case, (q, k, v), inputs = small()
    plans = case.plan(q, k, **inputs)
    shorter = attndsl.parse(BODIES["heads differ"]).bind(shape=20, heads=4, kv_heads=2)
    match name:
        case "groups_have_no_lse":
            return case(q, k, v, return_lse=True, **inputs)
        case "groups_take_two_plans":
            return case(q, k, v, plan=plans["keys"], **inputs)
        case "plan_of_no_members":
            return case(q, k, v, plan={"values": plans["keys"]}, **inputs)
        case "plan_of_groups_of_other_tokens":
            own = shorter.plan(q[:, :, :20], k[:, :, :20], **inputs)
            return case(q, k, v, plan=own, **inputs)
        case "groups_under_func_grad":
            return torch.func.grad(lambda each: case(each, k, v, plan=plans, **inputs).sum())(q.detach())
        case "groups_of_eight_bits":
            eight = [each.detach().to(torch.float8_e4m3fn) for each in (q, k, v)]
            return case(*eight, plan=plans, **inputs)
        case "mask_of_one_plan_of_groups":
            return case.mask(plan={"keys": plans["keys"]})
    raise AssertionError(name)


@pytest.mark.parametrize(
    "name",
    [
        "groups_have_no_lse",
        "groups_take_two_plans",
        "plan_of_no_members",
        "plan_of_groups_of_other_tokens",
        "mask_of_one_plan_of_groups",
        "groups_under_func_grad",
        "groups_of_eight_bits",
    ],
)
def test_mistakes_in_calls(name: str, golden: Callable[[str, str], None]) -> None:
    with pytest.raises(AttnCallError) as caught:
        wrong(name)
    golden(f"errors/{name}.txt", caught.value.render() + "\n")
