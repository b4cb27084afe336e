"""Mistakes in tensors, tiles and requests, each with its whole rendered error as a golden file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

import attndsl
from attndsl.diagnostics import AttnError
from attndsl.runtime.targets import find

BOUND = attndsl.pattern("sliding_window").bind(shape=8, left=2, heads=4, kv_heads=2)
LONG = attndsl.pattern("causal").bind(shape=8192)
DOCUMENT = attndsl.pattern("document").bind(shape=8, heads=4, kv_heads=2)


def tensors(**changes: Any) -> dict[str, Any]:
    """q, k and v that fit, with some of them changed."""
    fitting: dict[str, Any] = {
        "q": torch.zeros(2, 4, 8, 16),
        "k": torch.zeros(2, 2, 8, 16),
        "v": torch.zeros(2, 2, 8, 16),
    }
    return fitting | changes


CALLS = {
    "call_array": tensors(q=[[[[0.0]]]]),
    "call_three_dimensions": tensors(q=torch.zeros(4, 8, 16)),
    "call_batch": tensors(k=torch.zeros(3, 2, 8, 16)),
    "call_heads": tensors(q=torch.zeros(2, 6, 8, 16)),
    "call_kv_heads": tensors(k=torch.zeros(2, 4, 8, 16)),
    "call_tokens": tensors(q=torch.zeros(2, 4, 9, 16)),
    "call_key_tokens": tensors(k=torch.zeros(2, 2, 9, 16)),
    "call_head_dim": tensors(k=torch.zeros(2, 2, 8, 32)),
    "call_types": tensors(k=torch.zeros(2, 2, 8, 16, dtype=torch.bfloat16)),
    "call_integers": {name: tensor.int() for name, tensor in tensors().items()},
    "call_devices": tensors(v=torch.zeros(2, 2, 8, 16, device="meta")),
    "call_sparse": tensors(q=torch.zeros(2, 4, 8, 16).to_sparse()),
    "call_scale": tensors(scale=float("nan")),
    "call_unknown_input": tensors(doc=torch.zeros(8)),
}


@pytest.mark.parametrize("name", CALLS)
def test_mistake_in_the_tensors(name: str, golden: Callable[[str, str], None]) -> None:
    with pytest.raises(AttnError) as caught:
        BOUND(**CALLS[name])
    golden(f"errors/{name}.txt", caught.value.render() + "\n")


LINEAR = "pattern p:\n    space tokens(n)\n    attend {mask}\n    weight s\n    normalize none\n"
CAUSAL = attndsl.parse(LINEAR.format(mask="causal"), name="my.attn").bind(shape=4, heads=1)
BANDED = attndsl.parse(LINEAR.format(mask="k.n < q.n + 3"), name="my.attn")
DOCUMENTS = attndsl.parse(
    "pattern p:\n    space tokens(n)\n    input doc: int[tokens]\n"
    "    attend causal and doc[q] == doc[k]\n    weight s\n",
    name="my.attn",
).bind(shape=4, heads=1)
FADING = attndsl.parse(
    LINEAR.format(mask="causal\n    input g: real[tokens]\n    decay g per step of n")
).bind(shape=4, heads=1)
SCALED = attndsl.parse(LINEAR.format(mask="causal\n    scale 1.0 / (dim - 8)")).bind(shape=4, heads=1)
CHANNELS = attndsl.pattern("gla").bind(shape=4, heads=1)
Q = torch.zeros(1, 1, 4, 8)
LONGER = torch.zeros(1, 1, 1, 8).expand(1, 1, 65536, 8)

RECURRENCES: dict[str, Callable[[], Any]] = {
    "state_shape": lambda: CAUSAL(Q, Q, Q, initial_state=torch.zeros(1, 1, 8, 9)),
    "state_of_tiles": lambda: CAUSAL.using("tiles")(Q, Q, Q, return_state=True),
    "state_without_recurrence": lambda: BANDED.bind(shape=4, heads=1)(Q, Q, Q, return_state=True),
    "state_of_a_softmax": lambda: BOUND.step(*tensors().values()),
    "state_and_lse": lambda: CAUSAL(Q, Q, Q, return_lse=True, return_state=True),
    "document_comes_back": lambda: DOCUMENTS(Q, Q, Q, doc=torch.tensor([0, 1, 0, 0])),
    "too_many_pairs": lambda: BANDED.bind(shape=65536, heads=1)(LONGER, LONGER, LONGER),
    "channels_by_tiles": lambda: CHANNELS.using("tiles")(Q, Q, Q, g=-torch.rand(1, 4, 8)),
    "state_elsewhere": lambda: CAUSAL(Q, Q, Q, initial_state=torch.zeros(1, 1, 8, 8, device="meta")),
    "document_of_a_step": lambda: DOCUMENTS.step(Q[:, :, :1], Q[:, :, :1], Q[:, :, :1], doc=torch.zeros(1)),
    "eight_bits_in_linear_time": lambda: CAUSAL(*[Q.to(torch.float8_e4m3fn)] * 3),
    "derivative_of_a_recurrence": lambda: torch.func.grad(lambda q: CAUSAL(q, Q, Q).sum())(Q),
    "scale_without_a_value": lambda: SCALED(Q, Q, Q),
    "factor_below_zero": lambda: FADING(Q, Q, Q, g=torch.tensor([0.5, -0.25, 0.5, 0.5])),
    "another_algorithm": lambda: CAUSAL.using("sums"),
}


@pytest.mark.parametrize("name", RECURRENCES)
def test_mistake_with_linear_weights(name: str, golden: Callable[[str, str], None]) -> None:
    with pytest.raises(AttnError) as caught:
        RECURRENCES[name]()
    golden(f"errors/{name}.txt", caught.value.render() + "\n")


DATA = {
    "call_input_missing": tensors(),
    "call_input_length": tensors(doc=torch.zeros(9, dtype=torch.int64)),
    "call_input_text": tensors(doc="eight"),
    "call_input_type": tensors(doc=torch.zeros(8)),
}


@pytest.mark.parametrize("name", DATA)
def test_mistake_in_the_inputs(name: str, golden: Callable[[str, str], None]) -> None:
    with pytest.raises(AttnError) as caught:
        DOCUMENT(**DATA[name])
    golden(f"errors/{name}.txt", caught.value.render() + "\n")


HEIGHTS = attndsl.parse(
    "pattern p():\n    space tokens(n)\n    input height: real[tokens]\n    attend height[k] <= height[q]\n"
).bind(shape=8, heads=4, kv_heads=2)


def second_derivative() -> None:
    q = torch.zeros(2, 4, 8, 16, requires_grad=True)
    out = BOUND(**tensors(q=q))
    (gradient,) = torch.autograd.grad(out.sum(), q, create_graph=True)
    torch.autograd.grad(gradient.sum(), q)


def eight_bits(requires_grad: bool = False) -> dict[str, Any]:
    return {
        name: tensor.to(torch.float8_e4m3fn).requires_grad_(requires_grad)
        for name, tensor in tensors().items()
    }


REQUESTS: dict[str, Callable[[], object]] = {
    "gradient_of_a_mask": lambda: HEIGHTS(**tensors(height=torch.zeros(8, requires_grad=True))),
    "second_derivative": second_derivative,
    "forward_derivative": lambda: torch.func.grad(lambda q: BOUND(**tensors(q=q)).sum())(tensors()["q"]),
    "graph_of_another_process": lambda: find("causal_0123456789abcdef"),
    "tile_of_wrong_rank": lambda: BOUND.schedule(q_tile=(2, 2)),
    "tile_of_zero": lambda: BOUND.schedule(q_tile=0),
    "tile_too_large": lambda: LONG.schedule(kv_tile=4096),
    "density_of_data": lambda: DOCUMENT.schedule().density,
    "unknown_device": lambda: BOUND.simulate(device="b20"),
    "share_above_one": lambda: BOUND.simulate(attention_share=60.7),
    "simulated_batch": lambda: BOUND.simulate(batch=0),
    "unknown_backend": lambda: BOUND.compile(backend="cuda", head_dim=16),
    "eight_bits_on_the_cpu": lambda: BOUND(**eight_bits()),
    "eight_bits_with_gradients": lambda: BOUND(**eight_bits(requires_grad=True)),
    "cpu_in_float64": lambda: BOUND.compile(backend="cpu", head_dim=16, dtype="float64"),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_mistake_in_a_request(name: str, golden: Callable[[str, str], None]) -> None:
    with pytest.raises(AttnError) as caught:
        REQUESTS[name]()
    golden(f"errors/{name}.txt", caught.value.render() + "\n")


def test_a_kernel_that_has_run_still_checks_its_tensors() -> None:
    BOUND(**tensors())
    for name in ("call_batch", "call_devices", "call_types"):
        with pytest.raises(AttnError):
            BOUND(**CALLS[name])
    with pytest.raises(AttnError):
        BOUND(**tensors(v=torch.zeros(2, 2, 9, 16)))
    with pytest.raises(AttnError):
        BOUND(**tensors(v=torch.zeros(2, 1, 8, 16)))


RELATIVE = attndsl.pattern("relative_bias").bind(shape=(4, 4), heads=4, kv_heads=2, window=2)
SIGMOID = attndsl.pattern("sigmoid_attention").bind(shape=8, heads=4, kv_heads=2)


def test_table_of_wrong_size(golden: Callable[[str, str], None]) -> None:
    q, k = torch.zeros(2, 4, 16, 8), torch.zeros(2, 2, 16, 8)
    with pytest.raises(AttnError) as caught:
        RELATIVE(q, k, k, table=torch.zeros(4, 3, 4))
    golden("errors/call_table.txt", caught.value.render() + "\n")


def test_log_sum_exp_of_sigmoids(golden: Callable[[str, str], None]) -> None:
    with pytest.raises(AttnError) as caught:
        SIGMOID(**tensors(), return_lse=True)
    golden("errors/call_lse.txt", caught.value.render() + "\n")


OF_VALUES = attndsl.parse(
    "pattern p:\n    space tokens(n)\n    blocks b of n by 4\n    route score mean(v in b) . q\n"
    "          select top(1) per query\n    attend true\n",
    name="my.attn",
).bind(shape=8, heads=1)


def test_a_route_of_values_without_values(golden: Callable[[str, str], None]) -> None:
    q = torch.zeros(1, 1, 8, 4)
    with pytest.raises(AttnError) as caught:
        OF_VALUES.plan(q, q)
    golden("errors/route_of_values.txt", caught.value.render() + "\n")


def test_the_reference_of_a_route_under_vmap(golden: Callable[[str, str], None]) -> None:
    q = torch.zeros(2, 1, 1, 8, 4)
    with pytest.raises(AttnError) as caught:
        torch.vmap(OF_VALUES.reference)(q, q, q)
    golden("errors/route_under_vmap.txt", caught.value.render() + "\n")
