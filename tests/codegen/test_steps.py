"""Splitting tile IR into products, row loops and movements of tiles."""

from __future__ import annotations

from attndsl.codegen import tile_ir as tile
from attndsl.codegen.backward import delta, dk_dv, dq, dq_dk_dv
from attndsl.codegen.forward import forward
from attndsl.codegen.recurrence import recurrence_dk_dv
from attndsl.codegen.steps import (
    Chunks,
    Gather,
    Heads,
    LoadState,
    Product,
    RowLoop,
    Scatter,
    Sweep,
    Visit,
    inner_steps,
    reads,
    split,
)

SCORES = tile.Shape("q", "kv")
X, Y = tile.Variable("x", SCORES), tile.Variable("y", SCORES)
QUERIES, KEYS = tile.Load(tile.Tensor("q", "q", "head_dim")), tile.Load(tile.Tensor("k", "kv", "head_dim"))
PRODUCT = tile.Dot(tile.Variable("queries", QUERIES.shape), KEYS, transpose_right=True)


def steps_of(*body: tile.Statement) -> tuple[object, ...]:
    return split(tile.Program("p", "q", (), (), (), body))


def add(left: tile.Expression, right: tile.Expression) -> tile.Elementwise:
    return tile.Elementwise("add", (left, right))


def test_the_forward_pass() -> None:
    outside = split(forward())
    assert [type(step) for step in outside] == [Gather, RowLoop, Visit, RowLoop, Scatter, RowLoop, Scatter]
    visit = outside[2]
    assert isinstance(visit, Visit)
    assert [type(step) for step in visit.steps] == [Gather, Gather, Product, RowLoop, RowLoop, Product]


def test_the_backward_pass() -> None:
    assert [type(step) for step in split(delta())] == [Gather, Gather, Gather, Gather, RowLoop, Scatter]
    *_, visit, _, _ = split(dq())
    assert isinstance(visit, Visit)
    assert [type(step) for step in visit.steps] == [Gather, Gather, Product, Product, RowLoop, Product]
    heads = split(dk_dv())[3]
    assert isinstance(heads, Heads)
    (visit,) = heads.steps
    assert isinstance(visit, Visit)
    assert [type(step) for step in visit.steps[4:]] == [Product, Product, RowLoop, Product, Product]


def test_what_is_added_to_visited_tiles_is_a_sum_of_products() -> None:
    products = [step for step in inner_steps(split(dq_dk_dv())) if isinstance(step, Product)]
    assert [(step.target.name, step.accumulates) for step in products] == [
        ("products", False),
        ("weight_gradients", False),
        ("dv", True),
        ("dk", True),
        ("q_gradient_sum", True),
    ]


def test_a_tile_that_is_mentioned_twice_is_read_once() -> None:
    gathered = [step.target for step in inner_steps(split(dq())) if isinstance(step, Gather)]
    assert sorted(gathered) == ["deltas", "k_rows", "lse_rows", "out_gradients", "queries", "v_rows"]


def test_a_sum_of_products_is_one_step() -> None:
    *_, step = steps_of(tile.Assign("x", add(X, PRODUCT)))
    assert isinstance(step, Product)
    assert step.accumulates
    assert step.rescale is None
    assert reads(step) == {"x", "queries", "k_rows"}


def test_only_the_block_that_masks_has_a_second_form() -> None:
    visit = split(forward())[2]
    assert isinstance(visit, Visit)
    masking, rest = (step for step in visit.steps if isinstance(step, RowLoop))
    assert [statement.name for statement in masking.assignments] == ["scores", "new_highest_of_tile"]
    assert masking.masks
    assert not rest.masks
    assert not masking.when_all_visible().masks


def test_a_product_inside_a_value_gets_a_name() -> None:
    _, product, loop = steps_of(tile.Assign("x", add(PRODUCT, tile.Number(1.0))))
    assert isinstance(product, Product)
    assert product.target.name == "x_product"
    assert isinstance(loop, RowLoop)
    assert reads(loop) == {"x_product"}


def test_a_rescaled_sum_of_products_is_one_step() -> None:
    rescale = tile.Variable("r", tile.Shape("q"))
    _, step = steps_of(tile.Assign("x", add(tile.Elementwise("mul", (X, rescale)), PRODUCT)))
    assert isinstance(step, Product)
    assert step.rescale == rescale
    assert reads(step) == {"x", "r", "queries", "k_rows"}


def test_a_reduction_inside_a_value_gets_a_name() -> None:
    (loop,) = steps_of(tile.Assign("m", tile.Elementwise("exp2", (tile.Reduce("max", X),))))
    assert isinstance(loop, RowLoop)
    assert [statement.name for statement in loop.assignments] == ["m_of_tile", "m"]


def test_rows_of_different_sides_do_not_share_a_loop() -> None:
    per_key = tile.Variable("z", tile.Shape("kv"))
    loops = steps_of(tile.Assign("a", add(X, Y)), tile.Assign("b", add(per_key, per_key)))
    assert len(loops) == 2


def test_sums_over_the_tokens_of_a_chunk_are_steps_of_their_own() -> None:
    steps = tile.Variable("steps", tile.Shape("q"))
    decay = tile.Elementwise("exp2", (tile.Scan(add(steps, steps), "through", 4),))
    terms, sweep, loop = steps_of(tile.Assign("decay", decay))
    sums, summed = (tile.Variable(name, steps.shape) for name in ("decay_sums", "decay_terms"))
    assert isinstance(terms, RowLoop)
    assert sweep == Sweep(sums, summed, "through", 4)
    assert isinstance(loop, RowLoop)
    assert reads(loop) == {"decay_sums"}


def test_tokens_taken_as_keys_stay_where_they_are() -> None:
    faded = tile.Elementwise("mul", (KEYS, tile.Relabel(tile.Variable("decay", tile.Shape("q")), "kv")))
    gather, loop = steps_of(tile.Assign("faded", faded))
    assert isinstance(gather, Gather)
    assert isinstance(loop, RowLoop)
    assert reads(loop) == {"k_rows", "decay"}


def test_a_recurrence_loads_its_state_before_the_chunks() -> None:
    load, chunks, store = split(recurrence_dk_dv("none", 16))
    assert isinstance(load, LoadState)
    assert isinstance(chunks, Chunks)
    assert chunks.reverse
    assert isinstance(store, Scatter)
    assert load.target.name in reads(chunks)
