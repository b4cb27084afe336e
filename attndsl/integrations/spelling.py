"""Names of patterns with parameters in one word: `sliding_window?left=128&right=0`, or the path of a plan.

What stands before `?` is a library pattern, the path of a `.attn` file, or the path of a plan (`.json`).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from attndsl.diagnostics import AttnCallError
from attndsl.plans import LayerPlan, Plan, load_plan

PREFIX = "attndsl:"


def parse_name(name: str) -> Plan | LayerPlan:
    """The plan that a name spells: of all layers, or of one that all layers share. Raises AttnError."""
    source, _, parameters = name.removeprefix(PREFIX).partition("?")
    if source.endswith(".json"):
        if parameters:
            raise _misspelled(name, "a plan has its parameters in its file")
        return load_plan(Path(source))
    return LayerPlan(source, dict(_parameter(name, part) for part in parameters.split("&") if part))


def _parameter(name: str, part: str) -> tuple[str, Any]:
    parameter, equals, text = part.partition("=")
    if not equals or not parameter or not text:
        raise _misspelled(name, f"`{part}` is not `parameter=value`")
    values = [_value(name, each) for each in text.split(",")]
    return parameter, values if len(values) > 1 else values[0]


def _value(name: str, text: str) -> Any:
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, (bool, int, float)):
        raise _misspelled(name, f"`{text}` is neither a number nor true or false")
    return value


def _misspelled(name: str, problem: str) -> AttnCallError:
    return AttnCallError(
        "A0660", f"`{name}` names no attention: {problem}",
        help=f"write {PREFIX}sliding_window?left=128&right=0, with lists as 1,2,3",
    )  # fmt: skip
