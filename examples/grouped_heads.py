"""Patterns that differ from head to head, with grouped-query attention: MoA spans chosen per head."""

import torch

import attndsl

heads, kv_heads, tokens = 8, 2, 1024
alpha = [64.0, 128.0, 256.0, 1024.0] * 2
bound = attndsl.pattern("moa").bind(shape=tokens, heads=heads, kv_heads=kv_heads, alpha=alpha, beta=0.0)
print(f"{bound.schedule().density:.1%} of all pairs are visible")

query = torch.randn(2, heads, tokens, 64)
key, value = (torch.randn(2, kv_heads, tokens, 64) for _ in range(2))
output = bound(query, key, value)
assert torch.allclose(output, bound.reference(query, key, value), atol=1e-5)
print(f"output {tuple(output.shape)}")
