"""Densities that the papers and repositories publish, from the formulas."""

from __future__ import annotations

from math import prod

import numpy as np
import pytest

from tests.patterns.formulas.neighborhoods import gna_tables
from tests.patterns.formulas.per_head import s2_blocks
from tests.patterns.formulas.tables import Mask
from tests.patterns.formulas.video import radial_blocks


def density_of_tables(tables: list[Mask]) -> float:
    """Visible pairs over all pairs, where all axes must agree."""
    return prod(float(table.mean()) for table in tables)


@pytest.mark.parametrize("stride", [(1, 1, 1), (2, 1, 1), (1, 1, 8), (2, 8, 8), (16, 8, 8)])
def test_gna_on_hunyuan_video_saves_the_published_flops(stride: tuple[int, int, int]) -> None:
    tables = gna_tables((30, 48, 80), (18, 24, 24), stride)
    assert 1 / density_of_tables(tables) == pytest.approx(11.11, abs=0.005)


@pytest.mark.parametrize("stride", [(1, 1), (16, 16)])
def test_gna_on_flux_saves_the_published_flops(stride: tuple[int, int]) -> None:
    assert 1 / density_of_tables(gna_tables((256, 256), (80, 80), stride)) == pytest.approx(10.24, abs=0.005)


@pytest.mark.parametrize(
    ("model", "frames", "decay", "sink", "sparsity"),
    [
        ("HunyuanVideo", 30, 0.95, False, 0.725),
        ("Wan2.1", 18, 0.2, True, 0.713),
        ("Wan2.2", 20, 0.8, True, 0.648),
        ("HunyuanVideo x4", 128, 1.0, False, 0.885),
    ],
)
def test_radial_has_the_published_sparsity_of_the_video_part(
    model: str, frames: int, decay: float, sink: bool, sparsity: float
) -> None:
    blocks = radial_blocks((frames, 3840), decay, sink=sink)
    assert 1 - blocks.mean() == pytest.approx(sparsity, abs=0.0006), model


def block_density(mask: Mask) -> float:
    """Visible blocks over those below and on the diagonal, averaged over heads."""
    return float(mask.sum() / (len(mask) * np.tri(mask.shape[1]).sum()))


def test_s2_has_the_published_density_in_phi_3_small() -> None:
    by_query_head = s2_blocks(
        8192 // 64, 16, 8, heads=32, kv_heads=32, homo_head=False, offset=1, dense_heads=0
    )
    assert block_density(by_query_head) == pytest.approx(0.329, abs=0.0005)


def test_s2_has_the_published_density_in_the_64k_benchmark() -> None:
    mask = s2_blocks(65536 // 64, 8, 16, heads=16, kv_heads=16, homo_head=False, offset=0, dense_heads=0)
    assert block_density(mask) == pytest.approx(0.077, abs=0.0005)
