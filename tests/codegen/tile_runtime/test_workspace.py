"""The workspace: aligned blocks, kept from call to call."""

from __future__ import annotations

import numpy as np

from tests.codegen.tile_runtime.arrays import Call


def blocks(runtime: Call, size: int) -> list[int]:
    """The addresses of two consecutive blocks of a workspace of the given number of bytes."""
    addresses = np.zeros(2, dtype=np.uint64)
    runtime("workspace_blocks", addresses, size)
    return [int(address) for address in addresses]


def test_blocks_are_aligned_and_apart(runtime: Call) -> None:
    for size in (4096, 100_001, 1 << 20, 65 << 20):
        first, second = blocks(runtime, size)
        assert first % 64 == 0
        assert second % 64 == 0
        assert second - first >= 64


def test_memory_is_kept_from_call_to_call(runtime: Call) -> None:
    large = blocks(runtime, 1 << 22)
    assert blocks(runtime, 1 << 20) == large
    assert blocks(runtime, 1 << 22) == large
