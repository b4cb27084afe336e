"""PATTERN on the command line with its numbers, and examples in errors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import attndsl
from attndsl.cli.problem import bind, example_options, examples
from attndsl.diagnostics import AttnBindError, AttnCallError


@pytest.fixture
def file(tmp_path: Path) -> Callable[[str, str], str]:
    def write(text: str, name: str) -> str:
        (tmp_path / name).write_text(text)
        return str(tmp_path / name)

    return write


def test_a_missing_number_is_shown_by_a_published_example() -> None:
    with pytest.raises(AttnBindError, match="A0401") as caught:
        bind("gna", (8, 8), None, None, None, [])
    assert caught.value.help == "for example: gna --shape 12,12 --set window=6,6 --set stride=2,2"


def test_an_example_does_not_hide_what_is_wrong_with_the_heads() -> None:
    with pytest.raises(AttnBindError, match="A0407") as caught:
        bind("causal", (8,), 0, None, None, [])
    assert caught.value.help == "pass the number of heads that the tensors have"
    with pytest.raises(AttnBindError, match="A0407") as missing:
        bind("cswin", (8, 8), None, None, None, ["stripe=2"])
    assert missing.value.help == "for example: cswin --shape 12,12 --heads 2 --set stripe=2"


def test_a_missing_input_is_asked_for_in_the_words_of_the_command_line() -> None:
    problem = bind("document", (4,), None, None, None, [])
    with pytest.raises(AttnCallError, match="A0611") as caught:
        problem.checked_inputs()
    assert caught.value.help == "write --set doc=@doc.json, a file with a list of one value per token"


def test_inputs_are_kept_apart_from_parameters() -> None:
    problem = bind("document", (4,), None, None, None, ["doc=0,0,1,1", "causal=false"])
    assert problem.inputs["doc"].tolist() == [0, 0, 1, 1]
    assert problem.bound.mask(**problem.inputs).sum() == 8


@pytest.mark.parametrize(
    "content", ['["a", "b", "c", "d"]', "[0, [1, 2], 3]", "{}", "[0.5, 1, 1, 1]", "null"]
)
def test_inputs_of_a_wrong_type_are_refused(file: Callable[..., str], content: str) -> None:
    path = file(content, "doc.json")
    with pytest.raises(AttnBindError, match="every value of `doc` must be an integer"):
        bind("document", (4,), None, None, None, [f"doc=@{path}"])


@pytest.mark.parametrize("name", ["shape", "heads", "self"])
def test_options_are_no_settings(name: str) -> None:
    with pytest.raises(AttnBindError, match="A0402"):
        bind("causal", (4,), None, None, None, [f"{name}=4"])


@pytest.mark.parametrize("name", attndsl.patterns())
def test_every_example_of_the_library_is_a_command_line(name: str) -> None:
    for example in examples(attndsl.pattern(name).documentation).values():
        options = example_options(example)
        assert options.startswith("--shape ")
        assert options.count("=") == options.count("--set")
