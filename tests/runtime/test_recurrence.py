"""Chunked recurrences equal the recurrence token by token in float64: outputs, states and gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor
from torch.library import opcheck

from attndsl.codegen.recurrence_cpp import CHUNKS
from attndsl.diagnostics import AttnCallError
from attndsl.runtime.recurrence import recurrence, recurrence_step
from attndsl.runtime.recurrence_operators import recurrence_operator
from tests.runtime.attention_cases import needs_compiler
from tests.runtime.recurrence_cases import by_tokens, make_tensors

pytestmark = needs_compiler

SCALE = 0.3
CHUNK = CHUNKS["token"]
DIMS = (16, 32)
Tensors = dict[str, Tensor | None]
Compute = Callable[..., tuple[Tensor, Tensor]]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """More would wait for each other in the many small products of the oracle."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def results(compute: Compute, tensors: Tensors, runs: Tensor | None = None) -> list[Tensor]:
    """Output, final state, and the gradients of all tensors, with gradients flowing into both."""
    leaves = {
        name: None if each is None else each.detach().requires_grad_() for name, each in tensors.items()
    }
    found = compute(*leaves.values(), runs)
    random = torch.Generator().manual_seed(7)
    towards = [torch.randn(each.shape, generator=random).bfloat16().to(each.dtype) for each in found]
    given = [each for each in leaves.values() if each is not None]
    return [*found, *torch.autograd.grad(found, given, towards)]


def chunked(
    q: Tensor, k: Tensor, v: Tensor, decay: Tensor | None, state: Tensor, runs: Tensor | None
) -> tuple[Tensor, Tensor]:
    """The recurrence under test."""
    return recurrence(q, k, v, decay, scale=SCALE, initial_state=state, runs=runs)


def token_by_token(
    q: Tensor, k: Tensor, v: Tensor, decay: Tensor | None, state: Tensor, runs: Tensor | None
) -> tuple[Tensor, Tensor]:
    """The oracle, in the type of the state."""
    return by_tokens(q, k, v, decay, state, SCALE, runs, state.dtype)


call: Compute = chunked
"""The same for arguments that come as a list."""


def assert_within_the_error_rule(tensors: Tensors, runs: Tensor | None = None) -> None:
    """At most twice the error of the loop over tokens in float32, and a few roundings."""
    mine, same = results(chunked, tensors, runs), results(token_by_token, tensors, runs)
    exact = {name: None if each is None else each.double() for name, each in tensors.items()}
    true = results(token_by_token, exact, runs)
    for number, (found, other, wanted) in enumerate(zip(mine, same, true, strict=True)):
        floor = 8 * torch.finfo(found.dtype).eps * max(1.0, wanted.abs().max().item())
        allowed = 2 * (other.double() - wanted).abs().max().item() + floor
        assert (found.double() - wanted).abs().max().item() <= allowed, f"result {number}"


@pytest.mark.parametrize("tokens", [1, 5, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 7])
@pytest.mark.parametrize("kind", ["none", "token", "channel"])
def test_any_length(kind: str, tokens: int) -> None:
    assert_within_the_error_rule(make_tensors(tokens, kind, dims=DIMS))


@pytest.mark.parametrize("decay", [-1e-4, -8.0, 0.0])
@pytest.mark.parametrize("kind", ["token", "channel"])
def test_weak_strong_and_no_decay(kind: str, decay: float) -> None:
    assert_within_the_error_rule(make_tensors(2 * CHUNK + 3, kind, decay, dims=DIMS))


@pytest.mark.parametrize("kind", ["none", "token", "channel"])
def test_runs_begin_with_an_empty_state(kind: str) -> None:
    """At the first token of a chunk, at the last one, in the middle; the first run goes on from the state."""
    tokens = 3 * CHUNK
    begins = torch.zeros(1, tokens, dtype=torch.int32)
    begins[0, [7, 8, CHUNK - 1, CHUNK, 2 * CHUNK + 5]] = 1
    assert_within_the_error_rule(make_tensors(tokens, kind, dims=DIMS), runs=begins.cumsum(1).int())


def test_runs_of_every_batch_element() -> None:
    runs = torch.stack([torch.arange(CHUNK + 9) // 5, torch.arange(CHUNK + 9) // 11]).int()
    assert_within_the_error_rule(make_tensors(CHUNK + 9, "token", -8.0, dims=DIMS), runs=runs)


@pytest.mark.parametrize("kind", ["token", "channel"])
def test_steps_that_forget_everything(kind: str) -> None:
    """A factor of 0, and of e^-1000, between steps of hardly any decay: none of them costs precision."""
    tensors = make_tensors(2 * CHUNK, kind, -1e-3, dims=DIMS)
    decay = tensors["decay"]
    assert decay is not None
    decay[:, :, 20] = -1000.0
    decay[:, 0, 40] = -torch.inf
    found = results(chunked, tensors)
    true = results(token_by_token, {name: None if t is None else t.double() for name, t in tensors.items()})
    for mine, wanted in zip(found, true, strict=True):
        torch.testing.assert_close(mine.double(), wanted, rtol=0, atol=3e-6 * wanted.abs().max().item())


def test_query_heads_share_keys_and_values() -> None:
    assert_within_the_error_rule(make_tensors(CHUNK + 3, "token", heads=(6, 2), dims=DIMS))


@pytest.mark.parametrize("kind", ["token", "channel"])
def test_few_heads_are_split_over_threads(kind: str) -> None:
    torch.set_num_threads(2)
    tensors = make_tensors(CHUNK + 3, kind, heads=(1, 1), dims=(DIMS[0], 2 * DIMS[1]), batch=1)
    assert_within_the_error_rule(tensors)


def test_channels_that_fill_no_vector() -> None:
    assert_within_the_error_rule(make_tensors(CHUNK + 3, "token", dims=(11, 29)))
    assert_within_the_error_rule(make_tensors(CHUNK + 3, "channel", dims=(11, 29)))


def test_bfloat16_keeps_states_and_decays_in_float32() -> None:
    tensors = make_tensors(2 * CHUNK + 1, "token", heads=(2, 1), dims=DIMS, dtype=torch.bfloat16)
    assert_within_the_error_rule(tensors)
    out, state = results(chunked, tensors)[:2]
    assert (out.dtype, state.dtype) == (torch.bfloat16, torch.float32)


@pytest.mark.parametrize("kind", ["none", "token", "channel"])
def test_float64_is_computed_in_torch(kind: str) -> None:
    tensors = make_tensors(2 * CHUNK + 5, kind, heads=(4, 2), dims=(8, 12))
    exact = {name: None if each is None else each.double() for name, each in tensors.items()}
    runs = (torch.arange(2 * CHUNK + 5) // 19)[None].int()
    for found, wanted in zip(
        results(chunked, exact, runs), results(token_by_token, exact, runs), strict=True
    ):
        torch.testing.assert_close(found, wanted, rtol=0, atol=1e-11 * max(1.0, wanted.abs().max().item()))


def test_any_strides() -> None:
    """Channels or tokens that are not neighbours, decays that are one number per head, expanded gradients."""
    tensors = make_tensors(CHUNK + 5, "token", dims=DIMS)
    slopes = torch.tensor([-0.5, -0.01])[None, :, None].expand(2, 2, CHUNK + 5)
    plain = tensors | {"decay": slopes.contiguous()}
    strided = {name: None if t is None else t.mT.contiguous().mT for name, t in tensors.items()}
    for found, wanted in zip(
        results(chunked, strided | {"decay": slopes}), results(chunked, plain), strict=True
    ):
        torch.testing.assert_close(found, wanted, rtol=0, atol=0)
    q, k, v = (torch.randn(2, CHUNK, 2, size).transpose(1, 2).requires_grad_() for size in (16, 16, 32))
    out, _ = recurrence(q, k, v, scale=1.0)
    assert torch.autograd.grad(out.sum(), q)[0].shape == q.shape


def test_halves_of_a_text_give_the_whole() -> None:
    tensors = make_tensors(CHUNK + 20, "token", dims=DIMS)
    q, k, v, decay, state = tensors.values()
    out, final = call(q, k, v, decay, state, None)
    cut = CHUNK - 3
    first = [t[:, :, :cut] for t in (q, k, v, decay) if t is not None]
    second = [t[:, :, cut:] for t in (q, k, v, decay) if t is not None]
    early, between = call(*first, state, None)
    late, last = call(*second, between, None)
    torch.testing.assert_close(torch.cat([early, late], 2), out, rtol=0, atol=1e-5)
    torch.testing.assert_close(last, final, rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", ["none", "token", "channel"])
def test_steps_equal_the_whole(kind: str) -> None:
    tensors = make_tensors(9, kind, heads=(4, 2), dims=DIMS)
    q, k, v, decay, state = tensors.values()
    assert q is not None
    assert state is not None
    one_step: Compute = recurrence_step
    out, final = call(*tensors.values(), None)
    for token in range(9):
        of_token = [None if t is None else t[:, :, token : token + 1] for t in (q, k, v)]
        step = None if decay is None else decay[:, :, token : token + 1]
        found, state = one_step(*of_token, state, step, SCALE)
        torch.testing.assert_close(found, out[:, :, token : token + 1], rtol=0, atol=1e-5)
    torch.testing.assert_close(state, final, rtol=0, atol=1e-5)


def test_no_tokens_and_no_batch() -> None:
    tensors = make_tensors(0, "token", dims=DIMS)
    out, state = call(*tensors.values(), None)
    assert out.shape == (2, 2, 0, 32)
    torch.testing.assert_close(state, tensors["initial_state"])
    out, state = call(*make_tensors(3, "token", dims=DIMS, batch=0).values(), None)
    assert out.shape == (0, 2, 3, 32)
    assert state.shape == (0, 2, 16, 32)


def test_the_operator_keeps_its_promises() -> None:
    tensors = make_tensors(5, "token", heads=(2, 1), dims=DIMS)
    leaves = [None if each is None else each.requires_grad_() for each in tensors.values()]
    opcheck(recurrence_operator, (*leaves, SCALE))


def test_graphs_without_breaks() -> None:
    tensors = make_tensors(CHUNK + 1, "token", dims=DIMS)
    compiled = torch.compile(chunked, fullgraph=True, backend="aot_eager")
    runs = (torch.arange(CHUNK + 1) // 10)[None].int()
    for found, wanted in zip(results(compiled, tensors, runs), results(chunked, tensors, runs), strict=True):
        torch.testing.assert_close(found, wanted, rtol=0, atol=0)


def test_second_derivatives_are_refused() -> None:
    q, k, v = (torch.randn(2, 2, 3, size, requires_grad=True) for size in (16, 16, 32))
    out, _ = recurrence(q, k, v, scale=SCALE)
    (gradient,) = torch.autograd.grad(out.sum(), q, create_graph=True)
    with pytest.raises(AttnCallError, match="A0617"):
        torch.autograd.grad(gradient.sum(), k)
