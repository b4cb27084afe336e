"""A setting that a pattern's docstring names, with its prediction."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from attndsl.cli.options import extents
from attndsl.cli.problem import Problem, bind, example_options
from attndsl.diagnostics import AttnError
from attndsl.simulate.linear_text import algorithm_summary
from attndsl.simulate.report import Report

DEVICE = "b200"


@dataclass(frozen=True)
class Setting:
    """A setting: its words as the docstring has them, and the prediction, or the reason why there is none."""

    pattern: str
    name: str
    words: str
    tokens: int
    report: Report | None
    remarks: tuple[str, ...]

    @property
    def command(self) -> str:
        """A command line that prints the prediction."""
        return f"attndsl simulate {self.pattern} {example_options(self.words)}"


def setting(pattern: str, name: str, words: str) -> Setting:
    """A setting of a library pattern, predicted."""
    try:
        report = problem(pattern, words).bound.simulate(device=DEVICE)
    except AttnError as error:
        tokens = prod(extents(numbers(words).get("shape", "0")))
        return Setting(pattern, name, words, tokens, None, (f"not predicted: {error.message}",))
    algorithm = (algorithm_summary(report.linear, DEVICE),) if report.linear else ()
    return Setting(pattern, name, words, report.tokens, report, (*algorithm, *report.notes))


def problem(pattern: str, words: str) -> Problem:
    """A library pattern bound to a setting, as the command line would do it."""
    given = numbers(words)
    shape, key_shape = (given.pop(name, None) for name in ("shape", "key-shape"))
    heads, kv_heads = (given.pop(name, None) for name in ("heads", "kv-heads"))
    return bind(
        pattern,
        None if shape is None else extents(shape),
        None if heads is None else int(heads),
        None if kv_heads is None else int(kv_heads),
        None if key_shape is None else extents(key_shape),
        [f"{name}={value}" for name, value in given.items()],
    )


def numbers(words: str) -> dict[str, str]:
    """The texts of a setting by name: `shape=30,48,80 window=18,24,24`."""
    pairs = (word.partition("=") for word in words.split())
    return {name: text for name, _, text in pairs}
