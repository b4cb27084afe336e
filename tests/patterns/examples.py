"""The published settings of a pattern, read from the `Examples:` section of its docstring.

One line per setting: a name, then what to bind in the words of the command line, such as
`hunyuan-video: shape=30,48,80 heads=24 window=18,24,24 stride=16,8,8`.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import attndsl

Number: TypeAlias = int | float | bool | str


def examples(pattern: str) -> dict[str, dict[str, Any]]:
    """What to pass to bind, by the setting's name."""
    _, _, section = attndsl.pattern(pattern).documentation.partition("Examples:\n")
    lines = [line.strip().split(": ", 1) for line in section.splitlines() if line.strip()]
    return {name: dict(setting(word) for word in words.split()) for name, words in lines}


def setting(word: str) -> tuple[str, Number | tuple[Number, ...]]:
    """`kv-heads=8` as ("kv_heads", 8); several numbers, and every shape, as a tuple."""
    name, _, text = word.partition("=")
    values = tuple(number(each) for each in text.split(","))
    return name.replace("-", "_"), values if len(values) > 1 or name.endswith("shape") else values[0]


def number(text: str) -> Number:
    """`true`, `false`, an integer, a real number, or one of several names."""
    if text[0].isalpha() and text not in ("true", "false"):
        return text
    if text in ("true", "false"):
        return text == "true"
    return float(text) if "." in text else int(text)
