"""Pictures as the bytes of a file: PNG for screens, SVG and PDF for papers."""

from __future__ import annotations

import io
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from attndsl.diagnostics import AttnFileError
from attndsl.show import palette

FORMATS = (".png", ".svg", ".pdf")
DOTS_PER_INCH = 220
MARGIN = 0.12
"""Inches of white around the picture."""


def encode(figure: Figure, path: Path, dots_per_inch: float = DOTS_PER_INCH) -> bytes:
    """The picture in the format that the suffix of `path` names; the same bytes for the same picture.

    Raises AttnFileError A0808 for other suffixes.
    """
    suffix = check_suffix(path)
    buffer = io.BytesIO()
    stamps = {".png": {"Software": None}, ".svg": {"Date": None}, ".pdf": {"CreationDate": None}}
    with matplotlib.rc_context(palette.STYLE):
        page = figure.get_tightbbox().padded(MARGIN)
        figure.savefig(
            buffer, format=suffix[1:], dpi=dots_per_inch, metadata=stamps[suffix], bbox_inches=page
        )
    return buffer.getvalue()


def check_suffix(path: Path) -> str:
    """The suffix of a picture's path, in lower case."""
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise AttnFileError(
            "A0808",
            f"`{path}` does not name a picture format",
            help=f"end the path with one of {', '.join(FORMATS)}",
        )
    return suffix
