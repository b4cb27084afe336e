"""Patterns with linear weights for the tests of their predictions."""

from __future__ import annotations

from typing import Any

import attndsl
from attndsl.pipeline import Bound

MASKS = {
    "causal": "causal",
    "documents": "causal and doc[q] == doc[k]",
    "all": "true",
    "window": "sliding(3)",
}
DECAYS = {"none": "", "head": "exp(-(head + 1))", "token": "exp(g)", "channel": "exp(c)"}


def linear(mask: str = "causal", decay: str = "none", normalize: str = "none", **numbers: Any) -> Bound:
    """A bound pattern with linear weights: one of the masks, one of the decays."""
    lines = [
        "pattern p:",
        "space tokens(n)",
        "input doc: int[tokens]" if mask == "documents" else "",
        "input g: real[heads, tokens]" if decay == "token" else "",
        "input c: real[heads, tokens, dim]" if decay == "channel" else "",
        f"attend {MASKS[mask]}",
        "weight s",
        f"decay {DECAYS[decay]} per step of n" if decay != "none" else "",
        f"normalize {normalize}",
    ]
    text = "\n    ".join(filter(None, lines)) + "\n"
    bound: Bound = attndsl.parse(text, "my.attn").bind(**{"shape": 128, "heads": 2} | numbers)
    return bound
