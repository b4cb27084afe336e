"""Published times of Lightning Attention-2 and FlashAttention-2, and the predictions for the same shapes.

Forward, batch 4, 32 heads of 128 channels, bfloat16. Source: the table of
github.com/OpenNLPLab/lightning-attention, whose GPU is not named and taken for an A100.
"""

from __future__ import annotations

from attndsl.simulate.devices import device
from attndsl.simulate.linear import LinearFigures
from attndsl.simulate.machine import Kernel, seconds
from tests.simulate.linear_cases import linear

LIGHTNING = {2048: 1.13e-3, 4096: 2.24e-3, 8192: 4.41e-3, 16384: 8.83e-3, 32768: 17.7e-3}
FLASH = {2048: 0.755e-3, 4096: 2.74e-3, 8192: 10.4e-3, 16384: 40.6e-3, 32768: 163e-3}
"""Seconds by tokens."""


def predicted(tokens: int) -> LinearFigures:
    """Tiles and attndsl's recurrence."""
    found = linear(decay="head", shape=tokens, heads=32).simulate("a100", batch=4).linear
    assert found is not None
    return found


def lightning_kernel(tokens: int) -> float:
    """The published kernel by the model: chunks of 64 tokens, blocks of 32 value channels, TF32."""
    programs, chunks = 4 * 32 * 4, tokens // 64
    scores, values, state = 2 * 64 * 64 * 128, 2 * 64 * 64 * 32, 2 * 64 * 128 * 32
    longest = float(chunks * (scores + values + 2 * state))
    kernel = Kernel(programs, programs * longest, longest, 0.0, waits=4 * chunks, slowdown=2.0)
    return seconds(kernel, device("a100"))
