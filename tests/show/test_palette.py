"""The colours can be told apart without colour vision: by lightness alone."""

from __future__ import annotations

import pytest

from attndsl.show import palette


def lightness(colour: str) -> float:
    """Relative luminance of WCAG 2.1."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in palette.rgb(colour)]
    return float(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2])


@pytest.mark.parametrize(
    ("darker", "lighter", "least"),
    [
        (palette.FULL, palette.PARTIAL, 2.5),
        (palette.PARTIAL, palette.MASKED, 1.7),
        (palette.INK, palette.SKIPPED, 7.0),
        (palette.QUERY, palette.PARTIAL, 2.0),
    ],
)
def test_colours_keep_their_order_of_lightness(darker: str, lighter: str, least: float) -> None:
    assert (lightness(lighter) + 0.05) / (lightness(darker) + 0.05) >= least
