"""A pattern of one's own: write it, look at its mask, predict it, run it, check it."""

import torch

import attndsl

BLOCK_CROSS = attndsl.parse('''
"""Every query sees its own block, and the first token of every earlier block."""

pattern block_cross(block: int = 32):
    space tokens(n)
    require extent(n) % block == 0, "the block must divide the number of tokens"
    let same = q.n // block == k.n // block
    let summary = k.n % block == 0 and k.n <= q.n
    attend (same and causal) or summary
''')

bound = BLOCK_CROSS.bind(shape=512, heads=4)
print(f"{bound.name}: {bound.mask()[0].sum(axis=1).max()} keys at most for one query")

report = bound.simulate(device="h100")
print(report)

query, key, value = (torch.randn(1, 4, 512, 64) for _ in range(3))
output = bound(query, key, value)
expected = bound.reference(query, key, value)
print(f"largest difference from the reference: {(output - expected).abs().max():.1e}")
assert torch.allclose(output, expected, atol=1e-5)
