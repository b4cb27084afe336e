"""Which products leave out what is not visible, and which must not."""

from __future__ import annotations

import math

import pytest

from attndsl.codegen import tile_ir as tile
from attndsl.codegen.backward import delta, dk_dv, dq, dq_dk_dv
from attndsl.codegen.cpp_sparse import sparse_products
from attndsl.codegen.forward import forward
from attndsl.codegen.steps import Product, RowLoop, Step, inner_steps, split

PAIRS = tile.Shape("q", "kv")


def sparse(program: tile.Program) -> set[str]:
    return {product.target.name for product in sparse_products(list(inner_steps(split(program))))}


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        (forward(), {"scores_product", "weighted_values"}),
        (dq(), {"products", "dq"}),
        (dk_dv(), {"products"}),
        (dq_dk_dv(), {"products", "q_gradient_sum"}),
        (delta(), set()),
    ],
    ids=lambda value: value.name if isinstance(value, tile.Program) else "",
)
def test_products_of_the_passes(program: tile.Program, expected: set[str]) -> None:
    assert sparse(program) == expected


def steps_with(weights: tile.Expression) -> list[Step]:
    """Scores from queries and keys, then weights, then a sum of weights times values."""
    scores, values = tile.Variable("scores", PAIRS), tile.Variable("values", tile.Shape("kv", "value_dim"))
    queries = tile.Variable("queries", tile.Shape("q", "head_dim"))
    keys = tile.Variable("keys", tile.Shape("kv", "head_dim"))
    total = tile.Variable("total", tile.Shape("q", "value_dim"))
    return [
        Product(scores, tile.Dot(queries, keys, transpose_right=True)),
        RowLoop((tile.Assign("weights", weights),)),
        Product(total, tile.Dot(tile.Variable("weights", PAIRS), values), accumulates=True),
    ]


def masked(value: tile.Expression, otherwise: float) -> tile.Expression:
    return tile.Elementwise("select", (tile.Visible(), value, tile.Number(otherwise)))


SCORES = tile.Variable("scores", PAIRS)


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        (masked(SCORES, 0.0), {"scores", "total"}),
        (masked(SCORES, 1.0), {"scores"}),
        (tile.Elementwise("exp2", (masked(SCORES, -math.inf),)), {"scores", "total"}),
        (tile.Elementwise("exp2", (masked(SCORES, 0.0),)), {"scores"}),
        (tile.Elementwise("mul", (SCORES, masked(SCORES, 0.0))), {"total"}),
        (SCORES, set()),
    ],
)
def test_what_decides(weights: tile.Expression, expected: set[str]) -> None:
    assert {product.target.name for product in sparse_products(steps_with(weights))} == expected
