"""Linear attention called through bound patterns: states, steps, documents, lengths, and tiles beside it."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

import attndsl

TEXT = """
pattern scalar:
    space tokens(n)
    input g: real[heads, tokens]
    attend causal
    weight s
    decay exp(g) per step of n
    normalize none

pattern gated:
    space tokens(n)
    input g: real[tokens]
    input o: real[query, heads, dim]
    attend causal
    feature relu
    weight s
    decay exp(g) per step of n
    normalize sum + 1e-3
    gate sigmoid(o)

pattern documents:
    space tokens(n)
    input doc: int[tokens]
    input rate: real[heads]
    attend causal and doc[q] == doc[k]
    weight s
    decay exp(-abs(rate)) per step of n
    normalize none

pattern bidirectional:
    space tokens(n)
    input g: real[heads, tokens]
    attend true
    weight s
    decay exp(g) per step of n
    normalize none

pattern fading:
    space tokens(n)
    attend causal
    decay 1.0 - 2.0 ** (-1 - head) per step of n
"""
PATTERNS: Any = attndsl.parse(TEXT)
HEADS, N, D, DV = 2, 37, 8, 6


def draw(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(*shape, dtype=dtype)


def tensors(n: int = N, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    return [draw(2, HEADS, n, size, dtype=dtype) for size in (D, D, DV)]


def inputs(name: str, n: int = N) -> dict[str, Tensor]:
    steps = -torch.rand(2, HEADS, n, dtype=torch.float64)
    return {
        "scalar": {"g": steps},
        "gla": {"g": -torch.rand(2, HEADS, n, D, dtype=torch.float64)},
        "gated": {"g": steps[:, 0], "o": draw(n, HEADS, DV)},
        "documents": {"doc": torch.arange(n) // 9, "rate": draw(HEADS)},
        "bidirectional": {"g": steps},
        "lightning": {},
        "fading": {},
    }[name]


def bound(name: str, n: int = N) -> Any:
    pattern = getattr(PATTERNS, name, None) or attndsl.pattern(name)
    return pattern.bind(shape=n, heads=HEADS)


def parts(given: dict[str, Tensor], start: int, stop: int) -> dict[str, Tensor]:
    """The inputs of some of the tokens: the dimension that has one entry per token is cut."""
    return {
        name: value.narrow(list(value.shape).index(N), start, stop - start) if N in value.shape else value
        for name, value in given.items()
    }


RECURRENT = ("scalar", "gla", "gated", "lightning")


@pytest.mark.parametrize("name", [*RECURRENT, "documents", "bidirectional", "fading"])
def test_calls_equal_the_reference(name: str) -> None:
    given, here = tensors(), inputs(name)
    out = bound(name)(*given, **here)
    assert torch.allclose(out, bound(name).reference(*given, **here), atol=1e-11)


@pytest.mark.parametrize("name", ["scalar", "gated", "documents", "bidirectional", "fading"])
def test_tiles_equal_the_reference(name: str) -> None:
    given, here = tensors(dtype=torch.float32), inputs(name)
    out = bound(name).using("tiles")(*given, **here)
    assert torch.allclose(out, bound(name).reference(*given, **here), atol=2e-5)


@pytest.mark.parametrize("name", RECURRENT)
def test_a_text_may_be_cut_anywhere(name: str) -> None:
    given, here = tensors(), inputs(name)
    wanted, last = bound(name)(*given, return_state=True, **here)
    state, outs = None, []
    for start, stop in ((0, 1), (1, 20), (20, N)):
        part = [each[:, :, start:stop] for each in given]
        call = bound(name, stop - start)
        out, state = call(*part, initial_state=state, return_state=True, **parts(here, start, stop))
        outs.append(out)
    assert torch.allclose(torch.cat(outs, 2), wanted, atol=1e-11)
    assert state is not None
    assert torch.allclose(state, last, atol=1e-11)


@pytest.mark.parametrize("name", RECURRENT)
def test_steps_equal_the_whole(name: str) -> None:
    given, here = tensors(), inputs(name)
    wanted, last = bound(name)(*given, return_state=True, **here)
    state = None
    for t in range(N):
        token = (each[:, :, t : t + 1] for each in given)
        out, state = bound(name).step(*token, state, **parts(here, t, t + 1))
        assert torch.allclose(out, wanted[:, :, t : t + 1], atol=1e-11)
    assert state is not None
    assert torch.allclose(state, last, atol=1e-11)


def test_steps_of_documents_start_anew_without_a_state() -> None:
    given, here = tensors(), inputs("documents")
    wanted = bound("documents")(*given, **here)
    state = None
    for t in range(N):
        token = (each[:, :, t : t + 1] for each in given)
        out, state = bound("documents").step(*token, state if t % 9 else None, rate=here["rate"])
        assert torch.allclose(out, wanted[:, :, t : t + 1], atol=1e-11)


def test_the_first_document_continues_the_state_and_others_start_anew() -> None:
    given, here, state = tensors(), inputs("documents"), draw(2, HEADS, D, DV)
    out, last = bound("documents")(*given, initial_state=state, return_state=True, **here)
    outs = []
    for start in range(0, N, 9):
        stop = min(start + 9, N)
        part, doc = [each[:, :, start:stop] for each in given], here["doc"][start:stop]
        own, final = bound("documents", stop - start)(
            *part, initial_state=None if start else state, return_state=True, doc=doc, rate=here["rate"]
        )
        outs.append(own)
    assert torch.allclose(out, torch.cat(outs, 2), atol=1e-11)
    assert torch.allclose(last, final, atol=1e-11)


@pytest.mark.parametrize("cut", [9, 13])
def test_documents_may_be_cut_where_the_caller_says_which_go_on(cut: int) -> None:
    given, rate = tensors(), draw(HEADS)
    documents = torch.stack([torch.arange(N) // 9, torch.arange(N) // 11])
    wanted, last = bound("documents")(*given, doc=documents, rate=rate, return_state=True)
    first = [each[:, :, :cut] for each in given]
    _, state = bound("documents", cut)(*first, doc=documents[:, :cut], rate=rate, return_state=True)
    goes_on = documents[:, cut] == documents[:, cut - 1]
    assert goes_on.tolist() == [cut == 13, True]
    rest = [each[:, :, cut:] for each in given]
    out, final = bound("documents", N - cut)(
        *rest, doc=documents[:, cut:], rate=rate, return_state=True,
        initial_state=torch.where(goes_on[:, None, None, None], state, 0.0),
    )  # fmt: skip
    assert torch.allclose(out, wanted[:, :, cut:], atol=1e-11)
    assert torch.allclose(final, last, atol=1e-11)


def test_a_state_has_gradients() -> None:
    given = [each.requires_grad_() for each in tensors()]
    state = draw(2, HEADS, D, DV).requires_grad_()
    here = {name: value.requires_grad_() for name, value in inputs("scalar").items()}
    out, last = bound("scalar")(*given, initial_state=state, return_state=True, **here)
    keep = here["g"].exp()
    wanted, carried = [], state
    for t in range(N):
        carried = keep[:, :, t, None, None] * carried + given[1][:, :, t, :, None] * given[2][:, :, t, None]
        wanted.append(D**-0.5 * given[0][:, :, t, None] @ carried)
    seeds = torch.randn_like(out), torch.randn_like(last)
    leaves = [*given, state, here["g"]]
    found = torch.autograd.grad((out, last), leaves, seeds)
    expected = torch.autograd.grad((torch.cat(wanted, 2), carried), leaves, seeds)
    for mine, theirs in zip(found, expected, strict=True):
        assert torch.allclose(mine, theirs, atol=1e-9)


@pytest.mark.parametrize("name", ["documents", "bidirectional", "fading"])
def test_gradients_equal_those_of_the_reference(name: str) -> None:
    given = [each.requires_grad_() for each in tensors()]
    here = inputs(name)
    leaves = given + [each.requires_grad_() for each in here.values() if each.is_floating_point()]
    out = bound(name)(*given, **here)
    seed = torch.randn_like(out)
    found = torch.autograd.grad(out, leaves, seed)
    expected = torch.autograd.grad(bound(name).reference(*given, **here), leaves, seed)
    for mine, theirs in zip(found, expected, strict=True):
        assert torch.allclose(mine, theirs, atol=1e-9)


def test_queries_share_keys_and_values() -> None:
    pattern = attndsl.pattern("linear").bind(shape=N, heads=4, kv_heads=2)
    q, k, v = draw(1, 4, N, D), draw(1, 2, N, D), draw(1, 2, N, DV)
    assert torch.allclose(pattern(q, k, v), pattern.reference(q, k, v), atol=1e-11)


def test_the_patterns_scale_gives_way_to_the_callers() -> None:
    given = tensors()
    own = bound("lightning")(*given)
    assert torch.allclose(bound("lightning")(*given, scale=0.5), 0.5 * own, atol=1e-11)


@pytest.mark.parametrize("name", ["scalar", "gated"])
def test_graphs_hold_recurrences(name: str) -> None:
    given, here, call = tensors(), inputs(name), bound(name)
    compiled = torch.compile(lambda q, k, v, **more: call(q, k, v, **more), fullgraph=True, backend="eager")
    assert torch.allclose(compiled(*given, **here), call(*given, **here), atol=1e-11)


def test_any_length_is_bound_as_needed() -> None:
    call: Any = attndsl.pattern("lightning").at_any_length(heads=HEADS)
    for n in (1, 5, N):
        given = tensors(n)
        assert torch.allclose(call(*given), bound("lightning", n).reference(*given), atol=1e-11)


def test_a_compiled_recurrence_is_called_as_any_kernel() -> None:
    given = tensors(dtype=torch.float32)
    for backend in ("auto", "reference"):
        kernel = bound("lightning").compile(backend, head_dim=D, value_dim=DV)
        wanted = bound("lightning").reference(*given)
        assert torch.allclose(kernel(*given), wanted, atol=1e-4)


FORGETFUL = ["scalar", "gla", "bidirectional"]


def forgetting(name: str) -> dict[str, Tensor]:
    steps = inputs(name)["g"]
    steps[:, :, 5] = steps[:, 1, 20:22] = -torch.inf
    return {"g": steps}


@pytest.mark.parametrize("name", FORGETFUL)
@pytest.mark.parametrize("algorithm", ["its own", "tiles", "reference"])
def test_a_step_may_forget_everything(name: str, algorithm: str) -> None:
    if (name, algorithm) == ("gla", "tiles"):
        pytest.skip("no kernel of pairs computes decays of channels")
    dtype = torch.float32 if algorithm == "tiles" else torch.float64
    given = [each.requires_grad_() for each in tensors(dtype=dtype)]
    here = forgetting(name)["g"].requires_grad_()
    own = bound(name)
    call = {"its own": own, "tiles": own.using("tiles"), "reference": own.reference}[algorithm]
    nearly = here.detach().clamp(min=-60.0)
    wanted = own.reference(*given, g=nearly)
    out = call(*given, g=here)
    assert torch.allclose(out, wanted, atol=2e-5)
    found = torch.autograd.grad(out.sum(), [*given, here])
    expected = torch.autograd.grad(wanted.sum(), given)
    for mine, theirs in zip(found, expected, strict=False):
        assert torch.allclose(mine, theirs, atol=1e-4)
    assert found[3].isfinite().all()


STRONG: dict[str, Callable[[Tensor], Tensor]] = {
    "sigmoid(g)": lambda g: torch.nn.functional.logsigmoid(g),
    "sigmoid(g) ** (1.0 / 16.0)": lambda g: torch.nn.functional.logsigmoid(g) / 16,
    "0.5 * sigmoid(g) * exp(g)": lambda g: torch.nn.functional.logsigmoid(g) + g - math.log(2),
}


@pytest.mark.parametrize("factor", STRONG)
@pytest.mark.parametrize("shape", ["heads", "heads, tokens"])
def test_gates_that_round_to_zero_have_gradients(factor: str, shape: str) -> None:
    text = TEXT.split("pattern gated")[0].replace("heads, tokens", shape).replace("exp(g)", factor)
    given, g = tensors(), -800.0 * torch.rand(*((HEADS, N)[: 1 + shape.count(",")]), dtype=torch.float64)
    leaf, log = g.clone().requires_grad_(), g.clone().requires_grad_()
    out = attndsl.parse(text).bind(shape=N, heads=HEADS)(*given, g=leaf)
    steps = STRONG[factor](log)
    wanted = bound("scalar")(*given, g=steps if steps.ndim == 2 else steps[:, None].expand(HEADS, N))
    assert torch.allclose(out, wanted, atol=1e-11)
    (found,), (expected,) = torch.autograd.grad(out.sum(), leaf), torch.autograd.grad(wanted.sum(), log)
    assert torch.allclose(found, expected, atol=1e-9)


@pytest.mark.parametrize("score", ["s", "2.0 * s"])
def test_exponentials_that_are_not_divided_decay(score: str) -> None:
    rising = attndsl.parse(
        f"pattern rising:\n    space tokens(n)\n    attend causal\n    score {score}\n"
        "    decay 0.5 per step of n\n    normalize none\n"
    ).bind(shape=N)
    q, k, v = tensors()
    factor = 2.0 if "2" in score else 1.0
    place = torch.arange(N)
    decay = 0.5 ** (place[:, None] - place).double()
    weights = (torch.exp(factor * D**-0.5 * q @ k.mT) * decay).tril()
    assert torch.allclose(rising.reference(q, k, v), weights @ v, atol=1e-9)
    assert torch.allclose(rising(q, k, v), weights @ v, atol=1e-9)


def test_a_truth_value_may_choose_the_decay() -> None:
    text = TEXT.split("pattern gated")[0]
    text = text.replace("real[heads", "bool[heads").replace("exp(g)", "0.5 if g else 1.0")
    chosen = attndsl.parse(text).bind(shape=N, heads=HEADS)
    given, g = tensors(), torch.rand(HEADS, N) < 0.5
    wanted = bound("scalar")(*given, g=torch.where(g, 0.5, 1.0).log())
    assert torch.allclose(chosen(*given, g=g), wanted, atol=1e-6)


@pytest.mark.parametrize("name", ["lightning", "scalar", "gated"])
def test_autocast_takes_tensors_of_several_types(name: str) -> None:
    q, k, v = tensors(dtype=torch.float32)
    here = inputs(name)
    wanted = bound(name)(*(each.bfloat16() for each in (q, k, v)), **here)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(bound(name)(q.bfloat16(), k, v, **here), wanted)
        out, _ = bound(name)(q, k.bfloat16(), v, return_state=True, **here)
        token = (each[:, :, :1] for each in (q, k, v.bfloat16()))
        step, _ = bound(name).step(*token, **parts(here, 0, 1))
    assert torch.equal(out, wanted)
    assert step.dtype == torch.bfloat16


def test_kernels_have_no_forward_derivatives() -> None:
    q, k, v = tensors(dtype=torch.float32)
    for transform in (
        lambda: torch.func.grad(lambda q: bound("lightning")(q, k, v).sum())(q),
        lambda: torch.func.jvp(lambda q: bound("lightning")(q, k, v), (q,), (q,)),
    ):
        with pytest.raises(attndsl.AttnError, match="A0624"):
            transform()


def test_a_bound_pattern_that_has_run_can_be_pickled() -> None:
    given = tensors(dtype=torch.float32)
    for name in ("lightning", "causal"):
        pattern: Any = attndsl.pattern(name).bind(shape=N, heads=HEADS)
        out = pattern(*given)
        if name == "causal":
            pattern.rows(given[0][:, :, -1:], *given[1:])
        assert torch.equal(pickle.loads(pickle.dumps(pattern))(*given), out)
