"""Values of `--set name=value`: text to numbers, by the type that the pattern declares for the name."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import typer

from attndsl.diagnostics import AttnBindError, AttnFileError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from attndsl.ir.ops import Scalar
    from attndsl.ir.pattern import PatternIR

    Array = NDArray[Any]

Value = object
LARGEST_FILE = 2**28
"""Bytes: a file of one number per token of the longest sequences."""

WORDS: dict[Scalar, tuple[str, str]] = {
    "int": ("an integer", "8"),
    "real": ("a number", "0.5"),
    "bool": ("true or false", "true"),
}
"""What a value of each type is, and an example of one."""


def split_settings(settings: Sequence[str]) -> dict[str, str]:
    """Names and texts of all `--set name=value`. Raises typer.BadParameter (wrong usage) for other forms."""
    texts: dict[str, str] = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals or not name.strip():
            raise typer.BadParameter(f"{setting!r} is not of the form name=value", param_hint="--set")
        if name.strip() in texts:
            raise typer.BadParameter(f"{name.strip()!r} is set twice", param_hint="--set")
        texts[name.strip()] = text.strip()
    return texts


def parse_settings(pattern: PatternIR, texts: dict[str, str]) -> dict[str, Value]:
    """The values by name. Names that the pattern lacks keep their text: bind says what is wrong with them.

    Raises AttnBindError A0403 for a value of a wrong type, AttnFileError for a file that cannot be used.
    """
    kinds: dict[str, Scalar] = {each.name: each.kind for each in pattern.parameters if not each.choices}
    kinds |= {each.name: each.kind for each in pattern.inputs}
    kinds |= {segment.name: "int" for segment in (*pattern.query_space, *pattern.key_space)}
    return {name: _value(name, text, kinds[name]) if name in kinds else text for name, text in texts.items()}


def _value(name: str, text: str, kind: Scalar) -> Value:
    if text.startswith("@"):
        return read_json(text[1:])
    elements = [_element(name, part.strip(), kind) for part in text.split(",")]
    return tuple(elements) if len(elements) > 1 else elements[0]


def _element(name: str, text: str, kind: Scalar) -> int | float | bool:
    parsers: dict[Scalar, Callable[[str], int | float | bool]] = {"int": int, "real": float, "bool": _truth}
    try:
        return parsers[kind](text)
    except ValueError:
        wanted, example = WORDS[kind]
        shown = text if len(text) <= 60 else text[:57] + "..."
        raise AttnBindError(
            "A0403",
            f"`{name}` must be {wanted}",
            note=f"`{shown}` given",
            help=f"write --set {name}={example}",
        ) from None


def _truth(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError(text)
    return text == "true"


def input_array(name: str, kind: Scalar, value: Value) -> Array:
    """A declared input as an array. Raises AttnBindError A0403 where its values have another type."""
    import numpy as np

    try:
        array: Array = np.asarray(value)
    except ValueError:  # lists of different lengths
        array = np.asarray(None)
    if array.dtype.kind in {"int": "iu", "real": "iuf", "bool": "b"}[kind]:
        return array
    wanted, example = WORDS[kind]
    raise AttnBindError(
        "A0403",
        f"every value of `{name}` must be {wanted}",
        help=f"write one per token: --set {name}={example},{example},... or --set {name}=@file.json",
    )


def read_json(path: str) -> Value:
    """The value in a JSON file: a number, or a list with one number per head, axis or token."""
    text = _read_text(path)
    try:
        value: Value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise AttnFileError(
            "A0809", f"`{path}` is not JSON: {error}", help="write a number or a list, such as [0.5, 0.25]"
        ) from None
    return value


def _read_text(path: str) -> str:
    try:
        with open(path, "rb") as file:  # an empty path is no folder
            data = file.read(LARGEST_FILE + 1)
        if len(data) > LARGEST_FILE:
            raise ValueError("it is larger than 256 MiB")
        return data.decode("utf-8")
    except (OSError, ValueError) as error:
        reasons = {OSError: getattr(error, "strerror", None), UnicodeDecodeError: "it is not UTF-8 text"}
        reason = next((words for kind, words in reasons.items() if isinstance(error, kind)), error)
        raise AttnFileError(
            "A0809", f"`{path}` cannot be read: {reason}", help="check the path after `@`"
        ) from None
