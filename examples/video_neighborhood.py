"""Video attention in three dimensions: neighborhood attention with text tokens that see everything."""

import torch

import attndsl

VIDEO = attndsl.parse("""
pattern video_and_text(window: int[3], stride: int[3] = 1):
    space video(t, h, w) ++ text(n)
    attend
        video -> video: neighborhood(window, stride)
        else: true
""")

bound = VIDEO.bind(shape=(8, 16, 16), text=20, heads=2, window=(4, 8, 8), stride=(2, 4, 4))
schedule = bound.schedule()
print(
    f"tiles of {schedule.q_tile} queries and {schedule.kv_tile} keys: {schedule.tile_speedup:.1f}x less work"
)

tokens = 8 * 16 * 16 + 20
query, key, value = (torch.randn(1, 2, tokens, 64, dtype=torch.bfloat16) for _ in range(3))
output, lse = bound(query, key, value, return_lse=True)
print(f"output {tuple(output.shape)} in {output.dtype}, log-sum-exp {tuple(lse.shape)} in {lse.dtype}")
