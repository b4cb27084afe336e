"""The result of fit: figures, the choice, and the plan that the choice becomes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attndsl.diagnostics import AttnScheduleError
from attndsl.fitting.candidates import Candidate
from attndsl.fitting.layer_fit import LayerFit
from attndsl.fitting.text import fit_as_text
from attndsl.plans import FORMAT, VERSION

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Fit:
    """Figures of all layers and candidates; with a budget also what was chosen.

    `layers[n].kept[head, candidate]` is the attention mass that a candidate keeps, and so on; see LayerFit.
    """

    samples: Path
    candidates: tuple[Candidate, ...]
    layers: tuple[LayerFit, ...]
    budget: float | None
    device: str

    @property
    def kept(self) -> float:
        """The attention mass that the choice keeps, mean over all heads. Raises A0529 without a choice."""
        self._require_choice()
        kept = [mass for layer in self.layers if layer.chosen for mass in layer.chosen.kept]
        return float(sum(kept) / len(kept))

    @property
    def density(self) -> float:
        """The density of the choice: visible pairs / all pairs of all layers. Raises A0529 without one."""
        self._require_choice()
        visible = sum(
            each.weight * each.heads * each.chosen.report.density for each in self.layers if each.chosen
        )
        return float(visible / sum(each.weight * each.heads for each in self.layers))

    def plan(self) -> dict[str, Any]:
        """The plan, as JSON has it: a pattern and its parameters by layer; null for layers without samples.

        Raises AttnScheduleError A0529 without a choice.
        """
        self._require_choice()
        layers: list[dict[str, Any] | None] = [None] * (1 + max(each.number for each in self.layers))
        for layer in self.layers:
            assert layer.chosen is not None
            layers[layer.number] = {"pattern": layer.chosen.name, "parameters": layer.chosen.values}
        return {"format": FORMAT, "version": VERSION, "layers": layers}

    def plan_text(self) -> str:
        """The text of the plan file."""
        plan = self.plan()
        layers = ",\n".join(f"  {json.dumps(layer)}" for layer in plan.pop("layers"))
        head = json.dumps(plan)[1:-1]
        return f'{{{head}, "layers": [\n{layers}\n]}}\n'

    def draw(self, layer: int) -> Figure:
        """The picture of a layer, by its number: recall against density, all candidates."""
        from attndsl.fitting.picture import draw

        return draw(self, next(each for each in self.layers if each.number == layer))

    def to_dict(self) -> dict[str, Any]:
        """Numbers, texts and lists only, for JSON; infinite speedups are None."""
        chosen = self.budget is not None
        return {
            "samples": str(self.samples),
            "device": self.device,
            "candidates": [
                {"pattern": each.name, "parameters": dict(each.values), "label": each.label}
                for each in self.candidates
            ],
            "layers": [each.to_dict() for each in self.layers],
            "budget": self.budget,
            "kept": self.kept if chosen else None,
            "density": self.density if chosen else None,
        }

    def __str__(self) -> str:
        return fit_as_text(self)

    def _require_choice(self) -> None:
        if self.budget is None:
            raise AttnScheduleError(
                "A0529", "nothing was chosen, because fit had no budget", help="pass a budget, such as 0.25"
            )
