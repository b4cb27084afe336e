"""`attndsl.capture`: q and k of a model's attention, however the model calls it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional
from torch.nn.functional import scaled_dot_product_attention

import attndsl
from attndsl.fitting.samples import Layer, open_samples

TOKENS, WIDTH, HEADS = 32, 16, 4
Attention = Callable[..., torch.Tensor]


class Block(torch.nn.Module):
    """One layer of self-attention, with fewer heads of keys than of queries."""

    def __init__(self, attention: Attention, **options: Any) -> None:
        super().__init__()
        self.attention = attention
        self.options = options
        self.q = torch.nn.Linear(WIDTH, HEADS * 4)
        self.kv = torch.nn.Linear(WIDTH, 2 * 2 * 4)

    def project(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        q = self.q(x).unflatten(-1, (HEADS, 4)).transpose(1, 2)
        k, v = self.kv(x).unflatten(-1, (2, 2, 4)).permute(2, 0, 3, 1, 4)
        return q, k, v

    def forward(self, x: torch.Tensor, **options: Any) -> torch.Tensor:
        q, k, v = self.project(x)
        out = self.attention(q, k, v, enable_gqa=True, **{**self.options, **options})
        return x + out.transpose(1, 2).flatten(2)


def by_module(*args: Any, **options: Any) -> torch.Tensor:
    """The way most models call it."""
    return functional.scaled_dot_product_attention(*args, **options)


def model(**options: Any) -> torch.nn.Sequential:
    torch.manual_seed(0)
    return torch.nn.Sequential(
        Block(by_module, **options), Block(scaled_dot_product_attention, **options)
    ).requires_grad_(False)


def tokens(batch: int = 1, length: int = TOKENS) -> torch.Tensor:
    return torch.randn(batch, length, WIDTH, generator=torch.Generator().manual_seed(batch))


def read(path: Path) -> list[Layer]:
    samples = open_samples(path)
    return [samples.layer(number) for number in samples.numbers]


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_each_layer_becomes_what_the_model_computed(tmp_path: Path, suffix: str) -> None:
    chosen, x = model(is_causal=True, scale=0.3), tokens()
    path = tmp_path / f"a{suffix}"
    with attndsl.capture(chosen, path):
        chosen(x)
    layers = read(path)
    assert len(layers) == 2
    for layer, block in zip(layers, chosen, strict=True):
        assert isinstance(block, Block)
        q, k, _ = block.project(x)
        assert (layer.q == q.numpy()).all()
        assert (layer.k == k.numpy()).all()
        assert layer.scale == pytest.approx(0.3)
        assert layer.causal
        assert layer.mask is None
        x = block(x)


def test_the_model_computes_what_it_computes_without(tmp_path: Path) -> None:
    chosen, x = model(is_causal=True), tokens()
    before = chosen(x)
    with attndsl.capture(chosen, tmp_path / "a.npz"):
        during = chosen(x)
    assert torch.equal(before, during)
    assert functional.scaled_dot_product_attention is scaled_dot_product_attention
    assert not chosen._forward_hooks
    assert not chosen._forward_pre_hooks


def test_bfloat16_stays_bfloat16(tmp_path: Path) -> None:
    chosen, x = model().bfloat16(), tokens().bfloat16()
    for name in ("a.safetensors", "a.npz"):
        with attndsl.capture(chosen, tmp_path / name):
            chosen(x)
    first, second = (read(tmp_path / name) for name in ("a.safetensors", "a.npz"))
    assert all((a.q == b.q).all() and (a.k == b.k).all() for a, b in zip(first, second, strict=True))
    assert (tmp_path / "a.safetensors").stat().st_size < (tmp_path / "a.npz").stat().st_size


def test_queries_are_sampled_and_keys_are_whole(tmp_path: Path) -> None:
    chosen, x = model(), tokens()
    with attndsl.capture(chosen, tmp_path / "a.npz", queries=6):
        chosen(x)
    first, second = read(tmp_path / "a.npz")
    block = chosen[0]
    assert isinstance(block, Block)
    assert first.queries.shape == (6,)
    assert first.tokens == TOKENS
    assert (first.q == block.project(x)[0][:, :, first.queries].numpy()).all()
    assert (first.queries == second.queries).all()


@pytest.mark.parametrize(("batch", "passes"), [(1, 5), (2, 3), (8, 1)])
def test_sequences_come_from_the_batch_and_from_later_passes(tmp_path: Path, batch: int, passes: int) -> None:
    chosen = model()
    with attndsl.capture(chosen, tmp_path / "a.npz", sequences=5):
        for _ in range(passes):
            chosen(tokens(batch))
    assert all(len(layer.q) == 5 and len(layer.k) == 5 for layer in read(tmp_path / "a.npz"))


def test_calls_of_other_lengths_are_no_layers(tmp_path: Path) -> None:
    class WithCrossAttention(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            heads = x.view(1, TOKENS, HEADS, 4).transpose(1, 2)
            by_module(heads, heads[:, :, :7], heads[:, :, :7])
            return by_module(heads, heads, heads)

    chosen = WithCrossAttention()
    with attndsl.capture(chosen, tmp_path / "a.npz"):
        chosen(tokens())
    assert len(read(tmp_path / "a.npz")) == 1


def test_calls_outside_of_the_model_are_not_recorded(tmp_path: Path) -> None:
    chosen = model()
    with attndsl.capture(chosen, tmp_path / "a.npz"):
        model()(tokens())
        chosen(tokens())
        model()(tokens())
    assert len(read(tmp_path / "a.npz")) == 2


@pytest.mark.parametrize("kind", ["bool", "float"])
def test_a_causal_mask_is_recognised(tmp_path: Path, kind: str) -> None:
    mask = torch.ones(TOKENS, TOKENS, dtype=torch.bool).tril()
    if kind == "float":
        mask = torch.zeros(TOKENS, TOKENS).masked_fill(~mask, torch.finfo(torch.float32).min)
    with attndsl.capture(chosen := model(attn_mask=mask), tmp_path / "a.npz"):
        chosen(tokens())
    assert all(layer.causal and layer.mask is None for layer in read(tmp_path / "a.npz"))


def test_a_mask_that_hides_nothing_is_none(tmp_path: Path) -> None:
    with attndsl.capture(chosen := model(attn_mask=torch.zeros(1, 1, 1, TOKENS)), tmp_path / "a.npz"):
        chosen(tokens())
    assert all(not layer.causal and layer.mask is None for layer in read(tmp_path / "a.npz"))


def test_other_masks_are_kept_for_the_sampled_queries(tmp_path: Path) -> None:
    mask = torch.ones(2, 1, TOKENS, TOKENS, dtype=torch.bool)
    mask[1, ..., :9] = False
    with attndsl.capture(chosen := model(attn_mask=mask), tmp_path / "a.npz", sequences=2, queries=5):
        chosen(tokens(2))
    layer = read(tmp_path / "a.npz")[0]
    assert layer.mask is not None
    assert (layer.mask == mask[:, :, layer.queries].numpy()).all()


def test_a_pass_without_a_mask_beside_one_with_a_mask(tmp_path: Path) -> None:
    mask = torch.ones(TOKENS, TOKENS, dtype=torch.bool)
    mask[:, 3] = False
    block = Block(by_module).requires_grad_(False)
    with attndsl.capture(block, tmp_path / "a.npz", sequences=2):
        block(tokens())
        block(tokens(), attn_mask=mask)
    (layer,) = read(tmp_path / "a.npz")
    assert layer.mask is not None
    assert layer.mask[0].all()
    assert (layer.mask[1, 0] == mask.numpy()).all()


@pytest.mark.parametrize("causal", [False, True])
def test_modules_of_torch_are_seen_through(tmp_path: Path, causal: bool) -> None:
    kind = torch.nn.TransformerEncoderLayer(WIDTH, HEADS, batch_first=True)
    encoder = torch.nn.TransformerEncoder(kind, 3, enable_nested_tensor=False).eval().requires_grad_(False)
    mask = torch.nn.Transformer.generate_square_subsequent_mask(TOKENS) if causal else None
    with attndsl.capture(encoder, tmp_path / "a.npz"):
        encoder(tokens(), mask=mask)
    layers = read(tmp_path / "a.npz")
    assert [layer.causal for layer in layers] == [causal] * 3


def test_after_an_exception_nothing_is_written_and_nothing_stays(tmp_path: Path) -> None:
    def fail() -> None:
        with attndsl.capture(chosen := model(), tmp_path / "a.npz"):
            chosen(tokens())
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert list(tmp_path.iterdir()) == []
    assert functional.scaled_dot_product_attention is scaled_dot_product_attention


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.npz"
    path.write_bytes(b"old")

    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", fail)
    chosen = model()
    with pytest.raises(attndsl.AttnFileError, match="A0810"), attndsl.capture(chosen, path):
        chosen(tokens())
    assert path.read_bytes() == b"old"
    assert [each.name for each in tmp_path.iterdir()] == ["a.npz"]


def test_what_is_captured_can_be_fitted(tmp_path: Path) -> None:
    chosen = model(is_causal=True)
    with attndsl.capture(chosen, tmp_path / "a.safetensors"):
        chosen(tokens())
    grid = {"sink": 1, "window": [4, 16]}
    result = attndsl.fit(tmp_path / "a.safetensors", {"streaming": grid}, budget=0.2)
    assert [layer["parameters"]["window"] for layer in result.plan()["layers"]] == [4, 4]
