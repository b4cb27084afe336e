"""Numbers with prefixes, for texts."""

from __future__ import annotations

PREFIXES = (("P", 1e15), ("T", 1e12), ("G", 1e9), ("M", 1e6))


def large(number: float) -> str:
    """A number with a decimal prefix, for a unit to follow: `14.7 T`."""
    for prefix, scale in PREFIXES:
        if number >= scale:
            return f"{number / scale:.3g} {prefix}"
    return f"{number:,.0f} "


def duration(seconds: float) -> str:
    """A time such as `1.41 ms`."""
    if seconds >= 1:
        return f"{seconds:.3g} s"
    return f"{seconds * 1e3:.3g} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.3g} µs"
