"""Between tensors of any layout and tiles: what exists is moved, what does not is zero and never written."""

from __future__ import annotations

import numpy as np
import pytest

from tests.codegen.tile_runtime.arrays import ELEMENTS, LAYOUTS, Call, decode, encode, random, strides

TILES = [
    ("float", 16, 8),
    *((element, 32, 40) for element in ELEMENTS),
    *((element, 16, 64) for element in ELEMENTS),
]
TOKENS = np.random.default_rng(2).permutation(50).astype(np.int32)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("element", "rows", "columns"), TILES)
def test_gather_takes_existing_tokens_and_fills_the_rest_with_zeros(
    runtime: Call, element: str, rows: int, columns: int, layout: str
) -> None:
    tensor = LAYOUTS[layout](encode(random(50, columns), element))
    padded = -(-columns // runtime("lanes")) * runtime("lanes")
    for count in (rows, rows - 3, 1, 0):
        expected = np.zeros((rows, padded), dtype=np.float32)
        expected[:count, :columns] = decode(tensor, element)[TOKENS[:count]]
        tile, transposed = random(rows, padded), random(columns, rows)
        arguments = (tensor, strides(tensor), TOKENS, count)
        runtime(f"gather_rows_{element}_{rows}_{columns}", tile, *arguments)
        runtime(f"gather_transposed_{element}_{rows}_{columns}", transposed, *arguments)
        assert np.array_equal(tile, expected)
        assert np.array_equal(transposed, expected[:, :columns].T)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("element", "rows", "columns"), TILES)
def test_store_writes_existing_tokens(
    runtime: Call, element: str, rows: int, columns: int, layout: str
) -> None:
    tile = random(rows, columns, seed=3)
    for count in (rows, rows - 3, 1, 0):
        tensor = LAYOUTS[layout](encode(random(50, columns), element))
        expected = tensor.copy()
        expected[TOKENS[:count]] = encode(tile[:count], element)
        runtime(f"store_rows_{element}_{rows}_{columns}", tensor, tile, strides(tensor), TOKENS, count)
        assert np.array_equal(tensor, expected)


@pytest.mark.parametrize(("element", "rows", "columns"), TILES)
def test_store_writes_nothing_between_tokens_and_channels(
    runtime: Call, element: str, rows: int, columns: int
) -> None:
    memory = encode(random(100, 2 * columns), element)
    before, tensor = memory.copy(), memory[::2, ::2]
    runtime(
        f"store_rows_{element}_{rows}_{columns}", tensor, random(rows, columns), strides(tensor), TOKENS, rows
    )
    assert np.array_equal(memory[1::2], before[1::2])
    assert np.array_equal(memory[:, 1::2], before[:, 1::2])
