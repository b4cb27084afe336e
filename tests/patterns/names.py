"""The shipped patterns by what they say: masks alone, or also scores, weights and gates."""

from __future__ import annotations

import attndsl
from attndsl.ir.pattern import PLAIN

WEIGHTED = [name for name in attndsl.patterns() if attndsl.pattern(name).ir.weighting != PLAIN]
MASKS = [name for name in attndsl.patterns() if name not in WEIGHTED]
