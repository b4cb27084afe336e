"""Transformers of diffusers with neighborhood attention: a video model, and an image model with text."""

import diffusers
import torch

import attndsl
from attndsl.integrations.diffusers import use_pattern

torch.manual_seed(0)
video = diffusers.WanTransformer3DModel(
    num_attention_heads=2, attention_head_dim=32, in_channels=4, out_channels=4, text_dim=16, freq_dim=32,
    ffn_dim=64, num_layers=2, rope_max_seq_len=64,
).eval()  # fmt: skip
latents, prompt = torch.randn(1, 4, 8, 32, 32), torch.randn(1, 12, 16)

with torch.no_grad():
    dense = video(latents, torch.tensor([500]), prompt, return_dict=False)[0]
    with use_pattern(video, "gna", window=(4, 8, 8), stride=(2, 4, 4)):  # of 8 x 16 x 16 tokens
        sparse = video(latents, torch.tensor([500]), prompt, return_dict=False)[0]
    with use_pattern(video, "full"):
        same = video(latents, torch.tensor([500]), prompt, return_dict=False)[0]
assert torch.allclose(same, dense, atol=1e-4)
print(f"output {tuple(sparse.shape)}, {(sparse - dense).std() / dense.std():.1%} away from dense attention")
print(attndsl.pattern("gna").bind(shape=(8, 16, 16), window=(4, 8, 8), stride=(2, 4, 4)).simulate())

image = diffusers.FluxTransformer2DModel(
    in_channels=4, num_layers=1, num_single_layers=1, attention_head_dim=32, num_attention_heads=2,
    joint_attention_dim=16, pooled_projection_dim=8, axes_dims_rope=(8, 12, 12),
).eval()  # fmt: skip
places = torch.cartesian_prod(torch.zeros(1), torch.arange(16.0), torch.arange(16.0))
use_pattern(image, "neighborhood", window=(5, 5))  # text sees and is seen by all
with torch.no_grad():
    out = image(
        torch.randn(1, 256, 4), torch.randn(1, 12, 16), torch.randn(1, 8), torch.tensor([0.5]),
        img_ids=places, txt_ids=torch.zeros(12, 3), return_dict=False,
    )[0]  # fmt: skip
print(f"output {tuple(out.shape)}")
