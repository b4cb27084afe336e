"""Shapes of tile IR values, and what cannot be built."""

from __future__ import annotations

import pytest

from attndsl.codegen import tile_ir as tile

Q = tile.Load(tile.Tensor("q", "q", "head_dim"))
K = tile.Load(tile.Tensor("k", "kv", "head_dim"))
LSE = tile.Load(tile.Tensor("lse", "q"))


@pytest.mark.parametrize(
    ("value", "shape"),
    [
        (tile.Number(1.0), tile.SCALAR),
        (Q, tile.Shape("q", "head_dim")),
        (LSE, tile.Shape("q")),
        (tile.Dot(Q, K, transpose_right=True), tile.Shape("q", "kv")),
        (tile.Dot(Q, Q, transpose_left=True), tile.Shape("head_dim", "head_dim")),
        (tile.Reduce("max", Q), tile.Shape("q")),
        (tile.Elementwise("mul", (tile.Argument("scale"), LSE)), tile.Shape("q")),
        (tile.Elementwise("sub", (Q, LSE)), tile.Shape("q", "head_dim")),
        (tile.Elementwise("select", (tile.Visible(), tile.Number(0.0), LSE)), tile.Shape("q", "kv")),
    ],
)
def test_shapes(value: tile.Expression, shape: tile.Shape) -> None:
    assert value.shape == shape


def test_factors_must_share_their_inner_dimension() -> None:
    with pytest.raises(ValueError, match="cannot multiply"):
        _ = tile.Dot(Q, K).shape


def test_operands_must_broadcast() -> None:
    with pytest.raises(ValueError, match="cannot broadcast"):
        _ = tile.Elementwise("add", (Q, K)).shape


def test_operations_know_their_arity() -> None:
    with pytest.raises(ValueError, match="takes 1 operands"):
        tile.Elementwise("exp2", (Q, Q))
