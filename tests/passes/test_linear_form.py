"""Which patterns run in linear time, and what is said to keep others from it."""

from __future__ import annotations

import pytest

import attndsl
from attndsl.ir.bound import BoundIR, LinearForm

HEAD = "pattern p:\n    space tokens(n)\n    input doc: int[tokens]\n    input other: int[tokens]\n"


def bound(mask: str, rest: str = "", head: str = HEAD, shape: int | tuple[int, ...] = 32) -> BoundIR:
    text = f"{head}    attend {mask}\n    weight s\n{rest}"
    found: BoundIR = attndsl.parse(text).bind(shape=shape, heads=2).ir
    return found


def form(mask: str, rest: str = "", head: str = HEAD, shape: int | tuple[int, ...] = 32) -> LinearForm:
    found = bound(mask, rest, head, shape).linear
    assert found is not None
    return found


CAUSAL = (
    "causal",
    "k.n <= q.n",
    "q.n >= k.n",
    "k.index <= q.index",
    "q.n - k.n >= 0",
    "k.n < q.n + 1",
    "0 <= 2 + q.n - (k.n + 2)",
    "q.n + 1 > k.n",
)


@pytest.mark.parametrize("mask", CAUSAL)
def test_a_causal_mask_is_a_recurrence(mask: str) -> None:
    assert form(mask) == LinearForm("recurrence")


@pytest.mark.parametrize("decay", ["0.5", "exp(-slope(head, heads))", "1.0 - 2.0 ** (-5 - head)"])
def test_a_decay_changes_nothing_about_that(decay: str) -> None:
    assert form("causal", f"    decay {decay} per step of n\n") == LinearForm("recurrence")


def test_documents_reset_the_state() -> None:
    assert form("doc[q] == doc[k] and causal") == LinearForm("recurrence", documents="doc")
    assert form("causal and doc[k] == doc[q]") == LinearForm("recurrence", documents="doc")


def test_tokens_of_several_axes_come_one_after_the_other() -> None:
    head = "pattern p:\n    space image(y, x)\n"
    assert form("k.index <= q.index", head=head, shape=(4, 5)) == LinearForm("recurrence")
    assert form("k.index <= q.index", head=head, shape=(4, 1)) == LinearForm("recurrence")
    assert form("k.y <= q.y and k.x <= q.x", head=head, shape=(4, 5)).algorithm == "tiles"


def test_a_mask_that_shows_everything_is_two_sums() -> None:
    assert form("true") == LinearForm("sums")
    assert form("true", "    decay 0.5 per step of n\n").algorithm == "tiles"


NOT_CAUSAL = (
    "k.n < q.n",
    "k.n <= q.n + 1",
    "k.n <= 2 * q.n",
    "q.n <= k.n",
    "sliding(8)",
    "causal and head > 0",
    "causal and doc[q] == other[k]",
    "causal and doc[q] == doc[k] and other[q] == other[k]",
    "causal or doc[q] == doc[k]",
    "doc[q] == doc[k]",
)


@pytest.mark.parametrize("mask", NOT_CAUSAL)
def test_other_masks_are_tiles_and_say_which_clause_is_to_blame(mask: str) -> None:
    found = form(mask)
    assert found.algorithm == "tiles"
    assert found.obstacle == "`attend` is not `causal`, alone or within documents"
    assert found.span is not None
    assert found.span.text == mask


def test_a_decay_along_one_of_two_axes_is_to_blame() -> None:
    head = "pattern p:\n    space image(y, x)\n"
    found = form("k.index <= q.index", "    decay 0.5 per step of x\n", head, (4, 5))
    assert found.algorithm == "tiles"
    assert "`decay`" in found.obstacle
    assert found.span is not None
    assert found.span.text == "0.5"


def test_segments_are_to_blame() -> None:
    found = form("k.index <= q.index", head="pattern p:\n    space video(n) ++ text(m)\n")
    assert found == LinearForm("tiles")
    assert "segments" in found.obstacle


@pytest.mark.parametrize("clause", ["score 2.0 * s", "weight exp(s)", "weight relu(s)"])
def test_other_weights_have_no_linear_form(clause: str) -> None:
    text = f"pattern p:\n    space tokens(n)\n    attend causal\n    {clause}\n"
    assert attndsl.parse(text).bind(shape=8).ir.linear is None


ROUTED = """
pattern p:
    space tokens(n)
    blocks a of n by {queries}
    blocks c of n by {keys}
    route score mean(q in a) . mean(k in c)
          select top(2) per a
    attend {mask}
    weight s
{clause}"""


def routed(mask: str = "true", clause: str = "", queries: int = 32, keys: int = 16) -> LinearForm:
    text = ROUTED.format(mask=mask, clause=clause, queries=queries, keys=keys)
    found: LinearForm | None = attndsl.parse(text).bind(shape=64).ir.linear
    assert found is not None
    return found


def test_blocks_that_a_route_lists_as_a_whole_are_sums() -> None:
    assert routed() == LinearForm("sums")
    assert routed(queries=16, keys=64) == LinearForm("sums")


def test_what_hides_pairs_of_a_listed_block_is_to_blame() -> None:
    found = routed("causal")
    assert (found.algorithm, found.obstacle) == (
        "tiles", "`attend` hides pairs inside the blocks that its route lists"
    )  # fmt: skip
    assert found.span is not None
    assert found.span.text == "causal"


def test_a_decay_inside_listed_blocks_is_to_blame() -> None:
    found = routed(clause="    decay 0.5 per step of n\n")
    assert found.algorithm == "tiles"
    assert "`decay`" in found.obstacle


@pytest.mark.parametrize(("queries", "keys"), [(16, 16), (64, 8), (8, 64)])
def test_small_blocks_have_no_states(queries: int, keys: int) -> None:
    found = routed(queries=queries, keys=keys)
    assert found.algorithm == "tiles"
    assert f"units of {queries} x {keys} tokens" in found.obstacle
