"""examples/attention_gym: every twin equals FlexAttention's example in mask, output and gradients."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
import torch.nn.attention.flex_attention

pytest.importorskip("examples.attention_gym", reason="needs the source tree")

from attndsl.ir.plan import Plan
from examples.attention_gym import compare as script
from examples.attention_gym import mask_mods, score_mods
from examples.attention_gym.compare import compare, main
from examples.attention_gym.twins import FOLDER, Twin, twins

TWINS = twins()
COMPILED = ("graphormer_edge", "paged_bias")
"""Those whose kernels are compiled in every run: a learned table, and data that differ within a batch."""


@pytest.fixture(autouse=True)
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """FlexAttention without TorchDynamo: the same numbers, sooner."""
    module = torch.nn.attention.flex_attention
    monkeypatch.setattr(module, "_FLEX_ATTENTION_DISABLE_COMPILE_DEBUG", True, raising=False)


@pytest.mark.filterwarnings("ignore:flex_attention called without")
@pytest.mark.parametrize("name", TWINS)
def test_the_reference_of_a_twin_equals_its_example(name: str) -> None:
    found = compare(TWINS[name], compiled=False)
    assert found.same_mask
    assert max(found.output, found.formula, *found.gradients.values()) < 1e-11


@pytest.mark.filterwarnings("ignore:flex_attention called without")
@pytest.mark.parametrize(
    "name", [name if name in COMPILED else pytest.param(name, marks=pytest.mark.slow) for name in TWINS]
)
def test_the_compiled_twin_equals_its_example(name: str) -> None:
    assert compare(TWINS[name]).agrees


def test_every_file_of_the_folder_is_the_twin_of_an_example_and_named_after_its_pattern() -> None:
    files = {path.stem for path in Path(FOLDER).glob("*.attn")}
    assert files == {name for name, twin in TWINS.items() if twin.path}
    assert {twin.pattern.name for twin in TWINS.values()} == set(TWINS)
    assert all(twin.pattern.ir.documentation for twin in TWINS.values())


def test_learned_tables_are_compared() -> None:
    assert set(compare(TWINS["graphormer_spatial"], compiled=False).gradients) == {"q", "k", "v", "bias"}


def test_without_a_plan_vsa_selects_the_tiles_whose_means_score_highest() -> None:
    bound = TWINS["vsa"].pattern.bind(**TWINS["vsa"].bind)
    q, k = (torch.randn(2, 2, 24, 8) for _ in range(2))
    pooled_q, pooled_k = (x.reshape(2, 2, 4, 6, 8).mean(3) for x in (q, k))
    wanted = (pooled_q @ pooled_k.mT).topk(2).indices.sort(-1).values
    plan = bound.plan(q, k)
    assert isinstance(plan, Plan)
    assert torch.equal(plan.indices, wanted.int())


def test_another_mask_does_not_agree() -> None:
    other = dataclasses.replace(TWINS["sliding_window"], mask_mod=mask_mods.sliding_window(6))
    assert not compare(other, compiled=False).agrees


def test_another_score_does_not_agree() -> None:
    found = compare(dataclasses.replace(TWINS["relative"], score_mod=score_mods.checkerboard), compiled=False)
    assert found.same_mask
    assert not found.agrees
    assert found.formula < 1e-11


def test_the_script_says_what_it_compared(capsys: pytest.CaptureFixture[str]) -> None:
    main(["graphormer_edge"])
    printed = capsys.readouterr().out
    assert printed.startswith("graphormer_edge         same mask, output ")
    assert ", dbias " in printed


def test_the_script_ends_with_the_names_that_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    other: Twin = dataclasses.replace(TWINS["graphormer_edge"], mask_mod=mask_mods.causal)
    monkeypatch.setattr(script, "twins", lambda: {"graphormer_edge": other})
    with pytest.raises(SystemExit, match="different: graphormer_edge"):
        main([])


def test_the_script_knows_its_twins() -> None:
    with pytest.raises(SystemExit, match="no such twin: causl; there are full, "):
        main(["causl"])
