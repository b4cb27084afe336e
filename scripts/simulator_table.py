"""Writes the table of published and predicted times into docs/simulator.md.

    python -m scripts.simulator_table

Forward, batch 4, 32 heads of 128 channels, bfloat16. The published times are those of the table of
github.com/OpenNLPLab/lightning-attention, whose GPU is not named and taken for an A100. A test keeps the page
equal to what this prints.
"""

from __future__ import annotations

from pathlib import Path

import attndsl
from attndsl.simulate.devices import device
from attndsl.simulate.linear_work import Work
from attndsl.simulate.machine import Kernel, seconds
from attndsl.simulate.units import duration

PAGE = Path(__file__).resolve().parents[1] / "docs" / "simulator.md"
START, END = "<!-- table: make docs -->", "<!-- end of table -->"
DEVICE, BATCH, HEADS = "a100", 4, 32

LIGHTNING = {2048: 1.13e-3, 4096: 2.24e-3, 8192: 4.41e-3, 16384: 8.83e-3, 32768: 17.7e-3}
FLASH = {2048: 0.755e-3, 4096: 2.74e-3, 8192: 10.4e-3, 16384: 40.6e-3, 32768: 163e-3}
"""Published seconds by tokens: Lightning Attention-2 and FlashAttention-2."""

COLUMNS = (
    "tokens",
    "FlashAttention-2, published",
    "tiles, predicted",
    "Lightning Attention-2, published",
    "a kernel of its shape, predicted",
    "attndsl's recurrence, predicted",
)


def predicted(tokens: int) -> tuple[Work, Work]:
    """Tiles and attndsl's recurrence."""
    bound = attndsl.pattern("lightning").bind(shape=tokens, heads=HEADS)
    found = bound.simulate(DEVICE, batch=BATCH).linear
    assert found is not None
    assert found.linear is not None
    assert found.quadratic is not None
    return found.quadratic, found.linear


def lightning_kernel(tokens: int) -> float:
    """Seconds of the published kernel by the model: chunks of 64, values in blocks of 32 channels, TF32."""
    programs, chunks = BATCH * HEADS * 4, tokens // 64
    scores, values, state = 2 * 64 * 64 * 128, 2 * 64 * 64 * 32, 2 * 64 * 128 * 32
    longest = float(chunks * (scores + values + 2 * state))
    kernel = Kernel(programs, programs * longest, longest, 0.0, waits=4 * chunks, slowdown=2.0)
    return seconds(kernel, device(DEVICE))


def table() -> str:
    """One row per length."""
    rows = [f"| {' | '.join(COLUMNS)} |", f"|{' ---: |' * len(COLUMNS)}"]
    for tokens in LIGHTNING:
        tiles, ours = predicted(tokens)
        published = FLASH[tokens], tiles.seconds, LIGHTNING[tokens], lightning_kernel(tokens)
        rows.append(f"| {tokens:,} | {' | '.join(map(duration, (*published, ours.seconds)))} |")
    return "\n".join(rows)


def filled(page: str) -> str:
    """The page's text with the table between its markers replaced."""
    before, rest = page.split(START, 1)
    return f"{before}{START}\n\n{table()}\n\n{END}{rest.split(END, 1)[1]}"


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
