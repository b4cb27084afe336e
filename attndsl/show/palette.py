"""Colours and typography of all pictures.

The colours are those of Okabe and Ito, which readers with any kind of colour blindness tell apart and which
keep their order of lightness in print without colour.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

FULL = "#0B5394"
PARTIAL = "#E69F00"
MASKED = "#FBE7BF"
SKIPPED = "#F3F4F6"
QUERY = "#C2185B"
INK = "#1F2933"
FAINT = "#6B7785"
LINE = "#B8C0CC"

STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",  # shipped with matplotlib: the same picture on every machine
    "font.size": 8,
    "text.color": INK,
    "axes.edgecolor": LINE,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.6,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "svg.hashsalt": "attndsl",  # the same file for the same picture
}


def rgb(colour: str) -> NDArray[np.float64]:
    """Red, green and blue of a `#RRGGBB` colour, each 0 to 1."""
    return np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])


MASK_COLOURS = np.stack([rgb(SKIPPED), rgb(INK)])
"""Colours of the mask alone: invisible, visible."""

CLASS_COLOURS = np.stack([rgb(SKIPPED), rgb(MASKED), rgb(PARTIAL), rgb(FULL)])
"""Colours of token pairs: skipped, visited but masked, visible in a partial tile, visible in a full tile."""
