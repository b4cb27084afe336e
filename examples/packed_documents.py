"""Packed documents: a mask that reads data; tiles between different documents are skipped at the call."""

import torch

import attndsl

lengths = [300, 20, 500, 204]
document = torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths))

bound = attndsl.pattern("document").bind(shape=1024, heads=2)
query, key, value = (torch.randn(1, 2, 1024, 64) for _ in range(3))
output = bound(query, key, value, doc=document)

# The second document alone gives the same rows.
alone = attndsl.pattern("causal").bind(shape=20, heads=2)
rows = slice(300, 320)
expected = alone(query[:, :, rows], key[:, :, rows], value[:, :, rows])
assert torch.allclose(output[:, :, rows], expected, atol=1e-5)
print("each document attends to itself only")
