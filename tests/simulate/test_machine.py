"""The machine model: its three limits, and the published times that its constants come from."""

from __future__ import annotations

import pytest

from attndsl.simulate.devices import device
from attndsl.simulate.machine import ATTAINED, LAUNCH, WAIT, Kernel, seconds
from scripts.simulator_table import FLASH, LIGHTNING, lightning_kernel, predicted

A100 = device("a100")


def test_arithmetic_is_shared_by_all_processors() -> None:
    kernel = Kernel(programs=10_000, flops=1e12, longest=1e8, bytes=0.0)
    assert seconds(kernel, A100) == pytest.approx(LAUNCH + 1e12 / (ATTAINED * 312e12))


def test_a_kernel_is_no_faster_than_its_longest_program() -> None:
    kernel = Kernel(programs=1, flops=1e9, longest=1e9, bytes=0.0, waits=100)
    alone = 1e9 / (ATTAINED * 312e12 / 108)
    assert seconds(kernel, A100) == pytest.approx(LAUNCH + alone + 100 * WAIT)


def test_a_kernel_is_no_faster_than_its_memory_traffic() -> None:
    kernel = Kernel(programs=10_000, flops=1e9, longest=1e5, bytes=2.04e12, launches=2)
    assert seconds(kernel, A100) == pytest.approx(2 * LAUNCH + 1.0)


@pytest.mark.parametrize("tokens", [4096, 8192, 16384, 32768])
def test_tiles_take_as_long_as_flash_attention_2(tokens: int) -> None:
    tiles, _ = predicted(tokens)
    assert tiles.seconds == pytest.approx(FLASH[tokens], rel=0.06)


@pytest.mark.parametrize("tokens", LIGHTNING)
def test_a_recurrence_of_that_shape_takes_as_long_as_lightning_attention_2(tokens: int) -> None:
    assert lightning_kernel(tokens) == pytest.approx(LIGHTNING[tokens], rel=0.06)


def test_the_published_kernels_cross_where_the_model_says() -> None:
    for tokens in LIGHTNING:
        tiles, _ = predicted(tokens)
        assert (lightning_kernel(tokens) < tiles.seconds) == (LIGHTNING[tokens] < FLASH[tokens])
