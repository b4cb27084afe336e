"""`attndsl.capture` on models of transformers and diffusers, built small with random weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import attndsl
from attndsl.fitting.samples import open_samples


@pytest.fixture(scope="module")
def llama() -> torch.nn.Module:
    transformers = pytest.importorskip("transformers")
    config = transformers.LlamaConfig(
        vocab_size=64, hidden_size=32, intermediate_size=32, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, attn_implementation="sdpa",
    )  # fmt: skip
    torch.manual_seed(0)
    model: torch.nn.Module = transformers.LlamaForCausalLM(config).eval().requires_grad_(False)
    return model


TEXT = torch.arange(96).reshape(2, 48) % 64


def test_a_language_model_is_causal_and_shares_keys(llama: torch.nn.Module, tmp_path: Path) -> None:
    with attndsl.capture(llama, tmp_path / "a.safetensors", sequences=2):
        llama(TEXT)
    samples = open_samples(tmp_path / "a.safetensors")
    assert samples.numbers == (0, 1)
    layer = samples.layer(1)
    assert (layer.q.shape, layer.k.shape) == ((2, 4, 48, 8), (2, 2, 48, 8))
    assert layer.causal
    assert layer.mask is None


def test_padding_is_hidden(llama: torch.nn.Module, tmp_path: Path) -> None:
    exists = torch.ones_like(TEXT)
    exists[1, :10] = 0
    with attndsl.capture(llama, tmp_path / "a.npz", sequences=2):
        llama(TEXT, attention_mask=exists)
    layer = open_samples(tmp_path / "a.npz").layer(0)
    assert layer.causal
    assert layer.mask is not None
    assert not layer.mask[1, 0, 10:, :10].any()
    result = attndsl.fit(tmp_path / "a.npz", {"causal": {}})
    assert result.layers[0].kept == pytest.approx(1.0, abs=1e-6)


def test_generation_is_captured_up_to_its_first_token(llama: torch.nn.Module, tmp_path: Path) -> None:
    with attndsl.capture(llama, tmp_path / "a.npz", sequences=4):
        llama.generate(TEXT[:1], max_new_tokens=3, do_sample=False)  # type: ignore[operator]
    assert open_samples(tmp_path / "a.npz").layer(0).q.shape == (1, 4, 48, 8)


def test_a_video_model_is_not_causal_and_its_text_is_passed_over(tmp_path: Path) -> None:
    diffusers = pytest.importorskip("diffusers")
    torch.manual_seed(0)
    model = diffusers.WanTransformer3DModel(
        num_attention_heads=2, attention_head_dim=16, in_channels=4, out_channels=4, text_dim=16, freq_dim=16,
        ffn_dim=16, num_layers=2, cross_attn_norm=True, qk_norm="rms_norm_across_heads",
    ).requires_grad_(False)  # fmt: skip
    video, text = torch.randn(1, 4, 3, 8, 8), torch.randn(1, 7, 16)
    with attndsl.capture(model, tmp_path / "a.npz"):
        model(video, torch.tensor([1]), text)
    samples = open_samples(tmp_path / "a.npz")
    assert samples.numbers == (0, 1)
    assert (samples.layer(0).tokens, samples.layer(0).causal) == (3 * 4 * 4, False)
    grid = {"window": [(1, 4, 4), (3, 3, 3)]}
    result = attndsl.fit(tmp_path / "a.npz", {"gna": grid}, shape=(3, 4, 4), budget=0.6)
    assert all(layer.chosen is not None for layer in result.layers)
