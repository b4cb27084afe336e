"""Names of bound patterns that carry their parameters: `gna_w18x24x24_s16x8x8`."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from attndsl.ir.expr import Const
from attndsl.ir.pattern import Parameter, PatternIR
from attndsl.passes.bind_expr import Numbers


def bound_name(pattern: PatternIR, numbers: Numbers) -> str:
    """The pattern's name with its parameters, as a Python identifier of at most 60 characters."""
    prefixes = _prefixes([parameter.name for parameter in pattern.parameters])
    parts = [pattern.name]
    for parameter in pattern.parameters:
        elements = numbers.arrays.get(parameter.name) or (numbers.scalars[parameter.name],)
        if parameter.default is None or elements != _default_elements(parameter, elements):
            spelled = parameter.choices[int(elements[0].value)] if parameter.choices else _spell(elements)
            parts.append(prefixes[parameter.name] * (not parameter.choices) + spelled)
    return _shortened("_".join(parts))


def branch_name(whole: str, branch: str) -> str:
    """The name of a branch of a bound pattern, `agent_a49_gather`, at most as long."""
    return _shortened(f"{whole}_{branch}")


def _shortened(name: str) -> str:
    return name if len(name) <= 60 else f"{name[:50]}_{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _default_elements(parameter: Parameter, elements: Sequence[Const]) -> tuple[object, ...]:
    return (parameter.default,) * len(elements)


def _prefixes(names: Sequence[str]) -> dict[str, str]:
    """The shortest beginning of each name that no earlier name has taken."""
    taken: dict[str, str] = {}
    for name in names:
        lengths = range(1, len(name) + 1)
        taken[name] = next((name[:n] for n in lengths if name[:n] not in taken.values()), name)
    return taken


def _spell(elements: Sequence[Const]) -> str:
    if len(set(elements)) == 1 and len(elements) > 3:
        elements = elements[:1]
    if len(elements) > 4:
        digest = hashlib.sha256(repr([each.value for each in elements]).encode()).hexdigest()
        return digest[:8]
    return "x".join(_spell_one(each.value) for each in elements)


def _spell_one(value: object) -> str:
    text = (
        str(int(value))
        if isinstance(value, bool)
        else f"{value:g}"
        if isinstance(value, float)
        else str(value)
    )
    return text.replace("-", "m").replace(".", "p").replace("+", "")
