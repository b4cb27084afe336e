"""Documents that follow one another: where the state of a recurrence starts anew."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.library import custom_op, register_fake

from attndsl.diagnostics import AttnCallError


@custom_op("attndsl::runs", mutates_args=())
def _runs(documents: Tensor) -> Tensor:
    """The number of the run that each token is in, int32 [batch or 1, tokens]."""
    rows = documents if documents.ndim == 2 else documents.unsqueeze(0)
    changes = torch.zeros(rows.shape, dtype=torch.int32, device=rows.device)
    changes[:, 1:] = rows[:, 1:] != rows[:, :-1]
    runs = changes.cumsum(1, dtype=torch.int32)
    for row, run in zip(rows, runs, strict=True):
        if len(row) and len(row.unique()) != int(run[-1]) + 1:
            raise AttnCallError(
                "A0671", "a document comes back after another one, so no state can be carried along it",
                help="number documents so that each is one run of tokens, or call `bound.using('tiles')`",
            )  # fmt: skip
    return runs


def runs_of(documents: Tensor) -> Tensor:
    """The number of the run that each token is in, int32 [batch or 1, tokens].

    documents: [tokens] or [batch, tokens]. Raises AttnCallError A0671 where one document is several runs.
    """
    runs: Tensor = _runs(documents)
    return runs


def _shape(documents: Tensor) -> Tensor:
    shape = documents.shape if documents.ndim == 2 else (1, *documents.shape)
    return documents.new_empty(shape, dtype=torch.int32)


register_fake("attndsl::runs", _shape)
