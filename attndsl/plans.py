"""Plans: which pattern, with which parameters, each layer of a model uses.

A plan file is JSON, written by `attndsl fit` or by hand:

    {"format": "attndsl-plan", "version": 1, "layers": [{"pattern": "streaming", "parameters":
    {"sink": 4, "window": 1020}}, null]}

null leaves a layer its own attention. The plans that MoA publishes, `{"alphas": [[layer][head]], "betas":
[[layer][head]]}` (T. Fu et al., 2024, arXiv:2406.14909), are read as they are.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attndsl.diagnostics import AttnFileError
from attndsl.named_pattern import find_pattern

if TYPE_CHECKING:
    from attndsl.pipeline import Bound, Pattern

FORMAT, VERSION = "attndsl-plan", 1


@dataclass(frozen=True)
class LayerPlan:
    """The attention of one layer. pattern: a library name, the path of a `.attn` file, or a Pattern."""

    pattern: str | Path | Pattern
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def resolve(self) -> Pattern:
        """The pattern itself. Raises AttnError where its name or file cannot be read."""
        return as_pattern(self.pattern)

    def bind(self, shape: int | Sequence[int], heads: int, kv_heads: int | None = None) -> Bound:
        """The pattern with all its numbers, as `Pattern.bind`."""
        return self.resolve().bind(shape, heads, kv_heads, **self.parameters)


@dataclass(frozen=True)
class Plan:
    """One entry per layer; None leaves a layer its own attention. name: where it came from."""

    layers: tuple[LayerPlan | None, ...]
    name: str = "plan"

    @classmethod
    def same(cls, pattern: str | Path | Pattern, parameters: Mapping[str, Any], layers: int) -> Plan:
        """A plan in which all layers are equal."""
        return cls((LayerPlan(pattern, parameters),) * layers)


def as_pattern(pattern: str | Path | Pattern) -> Pattern:
    """A pattern from its name (in the library, `file.attn`, `file.attn:name`), or itself.

    Raises AttnError.
    """
    return find_pattern(str(pattern)) if isinstance(pattern, (str, Path)) else pattern


def load_plan(source: str | Path | Mapping[str, Any] | Sequence[Any] | Plan) -> Plan:
    """A plan from the path of its JSON file, from what such a file holds, or from a list.

    A list has one entry per layer: None, a LayerPlan, a pattern, or a pair (pattern, parameters). Raises
    AttnFileError: A0840 for a file that is no JSON, A0841 for what is no plan, A0842 for another version.
    """
    match source:
        case Plan():
            return source
        case str() | os.PathLike():
            return _from_data(_read(Path(source)), str(source))
        case Mapping():
            return _from_data(source, "plan")
    return Plan(tuple(_layer(each, number, "plan") for number, each in enumerate(source)))


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise AttnFileError(
            "A0801", f"there is no file `{path}`", help="check the path, which is relative to this folder"
        ) from None
    except (OSError, ValueError) as error:
        raise AttnFileError(
            "A0840", f"`{path}` cannot be read as JSON: {error}",
            help="a plan is what `attndsl fit` writes, or MoA's JSON of alphas and betas",
        ) from None  # fmt: skip


def _from_data(data: Any, name: str) -> Plan:
    match data:
        case {"format": "attndsl-plan", "version": version} if version != VERSION:
            raise AttnFileError(
                "A0842", f"`{name}` is a plan of version {version!r}, this release reads version {VERSION}",
                help="install the release of attndsl that wrote it, or make the plan anew",
            )  # fmt: skip
        case {"format": "attndsl-plan", "version": 1, "layers": [*layers]}:
            return Plan(tuple(_layer(each, number, name) for number, each in enumerate(layers)), name)
        case {"alphas": [*alphas], "betas": [*betas]}:
            return _of_moa(alphas, betas, name)
    raise _malformed(name, "it has neither `layers` nor `alphas` and `betas`")


def _of_moa(alphas: Sequence[Any], betas: Sequence[Any], name: str) -> Plan:
    if len(alphas) != len(betas):
        raise _malformed(name, f"it has alphas of {len(alphas)} layers and betas of {len(betas)}")
    layers = []
    for number, (alpha, beta) in enumerate(zip(alphas, betas, strict=True)):
        if not (_are_numbers(alpha) and _are_numbers(beta) and len(alpha) == len(beta)):
            raise _malformed(name, f"layer {number} needs one alpha and one beta per head, as numbers")
        layers.append(LayerPlan("moa", {"alpha": alpha, "beta": beta}))
    return Plan(tuple(layers), name)


def _are_numbers(values: Any) -> bool:
    return isinstance(values, list) and all(
        isinstance(each, (int, float)) and not isinstance(each, bool) for each in values
    )


def _layer(entry: Any, number: int, name: str) -> LayerPlan | None:
    from attndsl.pipeline import Pattern

    match entry:
        case None | LayerPlan():
            return entry
        case str() | Path() | Pattern():
            return LayerPlan(entry)
        case (str() | Path() | Pattern()) as pattern, Mapping() as parameters:
            return LayerPlan(pattern, parameters)
        case {"pattern": str(pattern), "parameters": Mapping() as parameters} if len(entry) == 2:
            return LayerPlan(pattern, parameters)
        case {"pattern": str(pattern)} if len(entry) == 1:
            return LayerPlan(pattern)
    raise _malformed(name, f"layer {number} is neither null nor a pattern with its parameters")


def _malformed(name: str, problem: str) -> AttnFileError:
    return AttnFileError(
        "A0841", f"`{name}` is no plan: {problem}",
        help='write {"format": "attndsl-plan", "version": 1, "layers": [{"pattern": "causal", '
        '"parameters": {}}, null]}',
    )  # fmt: skip
