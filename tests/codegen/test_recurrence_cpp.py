"""The C++ of recurrences: what it says. That it computes the recurrence is tested in tests/runtime."""

from __future__ import annotations

from attndsl.codegen.recurrence import recurrence_dk_dv, recurrence_dq, recurrence_forward
from attndsl.codegen.recurrence_cpp import print_recurrence
from attndsl.codegen.standalone import standalone


def test_one_loop_walks_the_chunks() -> None:
    text = print_recurrence(recurrence_forward("token", 32), 32, 64, 48, "bfloat16")
    assert "constexpr int Tq = 32, Tk = 32;  // tokens of a chunk, as queries and as keys" in text
    assert "constexpr int D = 64, Dv = 48;" in text
    assert text.count("for (int64_t turn = 0; turn < call.queries.tiles; ++turn)") == 1
    assert text.index("load_state(state, call.tensors[initial_state]") < text.index("int64_t turn")
    assert "const int64_t q_tile = turn" in text


def test_gradients_of_keys_walk_backward() -> None:
    text = print_recurrence(recurrence_dk_dv("none", 32), 32, 64, 64, "float32")
    assert "const int64_t q_tile = call.queries.tiles - 1 - turn, kv_tile = q_tile;" in text


def test_tensors_have_their_types_and_everything_else_is_float32() -> None:
    text = print_recurrence(recurrence_dq("channel", 16), 16, 64, 64, "bfloat16")
    assert "using Element = bfloat16;\nusing Factor = float;" in text
    assert "rows_of<const Element>(call.tensors[q]" in text
    assert "rows_of<const float>(call.tensors[decay]" in text
    assert "rows_of<float>(call.tensors[q_gradient]" in text


def test_a_tile_computed_step_by_step_is_not_overwritten() -> None:
    """`weights` gather the products of one level after the other, so they share memory with none of them."""
    text = print_recurrence(recurrence_forward("channel", 16), 16, 64, 64, "float32")
    assert "auto& weights =" not in text


def test_one_file_stands_alone() -> None:
    text = standalone(print_recurrence(recurrence_forward("none", 32), 32, 16, 16, "float32"))
    assert '#include "' not in text
    assert text.count("int for_each_head(") == 1
