"""From the words of a command line to a pattern, and to a pattern with all its numbers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from attndsl.cli import values
from attndsl.diagnostics import AttnBindError, AttnCallError, AttnNameError
from attndsl.named_pattern import find_pattern

if TYPE_CHECKING:
    from attndsl.pipeline import Bound, Pattern

EXAMPLE_HELP = ("A0401", "A0404", "A0405", "A0409")
"""Errors about numbers that are missing or of a wrong length: a worked example helps most."""


@dataclass(frozen=True)
class Problem:
    """A bound pattern and the data for its declared inputs, as arrays by name."""

    pattern: Pattern
    bound: Bound
    inputs: Mapping[str, Any]

    def of_branch(self, name: str | None) -> Problem:
        """A branch of the pattern as a problem of its own; itself for None. Raises AttnNameError A0231."""
        if name is None:
            return self
        if name not in self.bound.branches:
            raise AttnNameError(
                "A0231", f"`{self.bound.name}` has no branch `{name}`",
                help=f"its branches: {', '.join(self.bound.branches) or 'none'}",
            )  # fmt: skip
        bound = self.bound.branches[name]
        names = {each.name for each in bound.ir.inputs}
        inputs = {key: each for key, each in self.inputs.items() if key in names}
        return replace(self, bound=bound, inputs=inputs)

    def checked_inputs(self) -> dict[str, Any]:
        """The data that the mask reads. Raises AttnCallError (A06xx) where it is missing or does not fit."""
        from attndsl.ir.evaluate import check_inputs

        ir = self.bound.joined.ir
        try:
            return check_inputs(ir, self.inputs)
        except AttnCallError as error:
            if error.code != "A0611":
                raise
            name = next(each.name for each in ir.mask_inputs if each.name not in self.inputs)
            advice = f"write --set {name}=@{name}.json, a file with a list of one value per token"
            raise AttnCallError(error.code, error.message, help=advice) from None


def bind(
    name: str,
    shape: tuple[int, ...] | None,
    heads: int | None,
    kv_heads: int | None,
    key_shape: tuple[int, ...] | None,
    settings: list[str] | None,
) -> Problem:
    """The pattern with the numbers of the shared options. Raises AttnError for numbers that do not fit."""
    texts = values.split_settings(settings or [])
    pattern = find_pattern(name)
    given = values.parse_settings(pattern.ir, texts)
    inputs = {
        each.name: values.input_array(each.name, each.kind, given.pop(each.name))
        for each in pattern.ir.inputs
        if each.name in given
    }
    try:
        bound = pattern.bind(
            shape=shape, heads=heads, kv_heads=kv_heads, key_shape=key_shape, **_checked(given)
        )
    except AttnBindError as error:
        missing = error.code in EXAMPLE_HELP or (error.code == "A0407" and heads is None)
        raise _with_example(error, name, pattern) if missing else error from None
    return Problem(pattern, bound, inputs)


def examples(documentation: str) -> dict[str, str]:
    """The published settings in a pattern's docstring: name to `shape=30,48,80 window=18,24,24`."""
    _, _, section = documentation.partition("Examples:")
    lines = (line.strip() for line in section.splitlines())
    pairs = (re.fullmatch(r"([\w.-]+):\s+(\S.*)", line) for line in lines)
    return {found[1]: found[2] for found in pairs if found}


def example_options(example: str) -> str:
    """An example of a docstring as the options of a command line."""
    shared = ("shape", "heads", "kv-heads", "key-shape")
    words = (word.split("=", 1) for word in example.split())
    return " ".join(f"--{n} {v}" if n in shared else f"--set {n}={v}" for n, v in words)


def _checked(given: dict[str, object]) -> dict[str, Any]:
    """The values, without names that would collide with other options of bind."""
    for name in ("shape", "heads", "kv_heads", "key_shape", "self"):
        if name in given:
            advice = f"write --{name.replace('_', '-')} {given[name]}" if name != "self" else "leave it out"
            raise AttnBindError("A0402", f"`{name}` is not a parameter", help=advice)
    return given


def _with_example(error: AttnBindError, name: str, pattern: Pattern) -> AttnBindError:
    """The error, with a published setting of the pattern as a command line where numbers are missing."""
    example = next(iter(examples(pattern.documentation).values()), None)
    if example is None:
        return error
    advice = f"for example: {name} {example_options(example)}"
    return AttnBindError(error.code, error.message, span=error.span, note=error.note, help=advice)
