"""Modules for torch: attention by a pattern, with or without projections."""

from attndsl.nn.attention import Attention

__all__ = ["Attention"]
