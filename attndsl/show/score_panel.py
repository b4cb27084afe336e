"""The panel of scores that depend on positions: how dark a visible pair is, so much it is favoured."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from attndsl.show import palette
from attndsl.show.panel import Array, Box, add_axes, count_ticks, show_image
from attndsl.show.subject import PARTIAL_PAIR, Subject

FAINTEST = 0.15
"""How much ink the least favoured visible pair gets."""


@dataclass(frozen=True)
class ScorePanel:
    """The score of every visible pair whose product is 0, from the lowest (pale) to the highest (dark)."""

    subject: Subject
    classes: Array
    score: Array

    @property
    def title(self) -> str:
        """What is shown, with its range."""
        low, high = self._range()
        return f"Score of a product of 0: {low:.3g} (pale) to {high:.3g} (dark)"

    def width(self, height: float) -> float:
        """As wide as high."""
        return height

    def draw(self, figure: Figure, box: Box) -> None:
        """Draw all pairs in token order."""
        axes = add_axes(figure, box)
        show_image(axes, scored_colours(self.score, self._visible(), *self._range()))
        count_ticks(axes)
        axes.set_xlabel("key token")
        axes.set_ylabel("query token")

    def _visible(self) -> Array:
        visible: Array = self.classes >= PARTIAL_PAIR
        return visible

    def _range(self) -> tuple[float, float]:
        """The lowest and the highest finite score of a visible pair."""
        finite = self.score[self._visible() & np.isfinite(self.score)]
        return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)


def scored_colours(score: Array, visible: Array, low: float, high: float) -> Array:
    """Colours [rows, columns, 3]: ink by the place of a score between `low` and `high`."""
    place = np.clip((np.nan_to_num(score) - low) / ((high - low) or 1.0), 0.0, 1.0)
    ink = np.where(visible, FAINTEST + (1 - FAINTEST) * place, 0.0)[..., None]
    colours: Array = ink * palette.rgb(palette.INK) + (1 - ink) * palette.rgb(palette.SKIPPED)
    return colours
