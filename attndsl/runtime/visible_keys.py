"""What the mask of a call of attention hides: later keys, others, or none."""

from __future__ import annotations

import torch

from attndsl.diagnostics import AttnCallError


def visible_keys(
    mask: torch.Tensor | None, causal: bool, queries: torch.Tensor, q: torch.Tensor
) -> tuple[torch.Tensor | None, bool]:
    """What a call hides: bool [batch or 1, heads or 1, queries, tokens] or None, and whether it is causal.

    Raises AttnCallError A0641 for a mask that adds other numbers than 0 and very negative ones.
    """
    if mask is None:
        return None, causal
    tokens = q.shape[2]
    rows = mask.expand(*mask.shape[:-2], tokens, tokens)[..., queries.to(mask.device), :]
    rows = rows.detach().reshape((1,) * (4 - mask.dim()) + tuple(rows.shape))
    visible = rows if rows.dtype == torch.bool else _visible(rows)
    past = torch.arange(tokens, device=mask.device) <= queries.to(mask.device)[:, None]
    if not bool((visible & ~past).any()) and not causal:
        causal = True
    if bool((visible == past).all() if causal else visible.all()):
        return None, causal
    return visible[: len(q)], causal


HIDDEN = -1e4
"""Models hide a key by adding the least number of some type, or a round one such as this."""


def _visible(bias: torch.Tensor) -> torch.Tensor:
    visible = bias == 0
    if bool((visible | (bias <= HIDDEN)).all()):
        return visible
    raise AttnCallError(
        "A0641",
        "a call of attention adds a bias to its scores",
        help="capture models whose attention mask only hides keys",
    )
