"""Pictures that `Bound.show` returns: what they draw, what they refuse, and how they are kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import attndsl
from attndsl.diagnostics import AttnCallError, AttnFileError, AttnScheduleError
from tests.show.test_plan_figure import PLAN, PLANS, SLA, XATTENTION

GNA = attndsl.pattern("gna").bind(shape=(12, 12), window=(5, 5))
PNG = b"\x89PNG\r\n\x1a\n"


def test_a_notebook_gets_the_picture_itself() -> None:
    assert GNA.show(q_tile=(4, 4), kv_tile=(4, 4))._repr_png_().startswith(PNG)


def test_a_picture_is_written_in_the_format_that_the_path_names(tmp_path: Path) -> None:
    GNA.show(query=(3, 4)).save(tmp_path / "a.svg")
    assert (tmp_path / "a.svg").read_text().startswith("<?xml")
    with pytest.raises(AttnFileError, match="A0808"):
        GNA.show().save(tmp_path / "a.jpg")
    with pytest.raises(AttnFileError, match="A0810"):
        GNA.show().save(tmp_path / "nowhere" / "a.png")


def test_masks_that_read_inputs_are_drawn_with_them() -> None:
    bound = attndsl.pattern("document").bind(shape=64)
    whole, halves = (bound.show(doc=np.arange(64) // size) for size in (64, 32))
    assert whole._repr_png_() != halves._repr_png_()
    with pytest.raises(AttnCallError, match="A0611"):
        bound.show()


def test_a_head_or_query_that_does_not_exist_is_refused() -> None:
    for head in (-1, 1):
        with pytest.raises(AttnScheduleError, match="A0561"):
            GNA.show(head=head)
    with pytest.raises(AttnScheduleError, match="A0560"):
        GNA.show(query=(12, 0))


def test_of_branches_all_that_any_of_them_lets_see_is_drawn() -> None:
    marginal = SLA.branches["marginal"].show().figure
    names = [[text.get_text() for text in figure.texts] for figure in (SLA.show().figure, marginal)]
    assert [SLA.name in names[0], SLA.name in names[1], f"{SLA.name}_marginal" in names[1]] == [
        True,
        False,
        True,
    ]


def test_a_plan_is_drawn_beside_the_static_mask() -> None:
    titles = [text.get_text() for text in XATTENTION.show(plan=PLAN).figure.texts]
    assert any("plan" in title for title in titles)
    assert SLA.show(plan=PLANS)._repr_png_().startswith(PNG)
    with pytest.raises(AttnScheduleError, match="A0561"):
        XATTENTION.show(plan=PLAN, head=2)


def test_plans_of_tensors_are_drawn() -> None:
    q, k = (torch.randn(1, 2, 64, 8) for _ in range(2))
    assert XATTENTION.show(plan=XATTENTION.plan(q, k))._repr_png_().startswith(PNG)
