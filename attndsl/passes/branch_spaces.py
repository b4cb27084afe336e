"""What is asked of a pattern of branches, or of channels, that only a pattern with one block map can answer."""

from __future__ import annotations

from attndsl.diagnostics import AttnBindError, AttnScheduleError
from attndsl.ir.bound import BoundIR


def refuse_channels(ir: BoundIR) -> None:
    """Raise AttnBindError A0431 where tokens are channels, whose number is known when tensors come."""
    if ir.over_channels:
        raise AttnBindError(
            "A0431", f"the tokens of `{ir.name}` are channels, which all see one another",
            help="channels have no mask and no tiles; call the pattern, or look at another branch",
        )  # fmt: skip


def refuse_other_spaces(ir: BoundIR) -> None:
    """Raise AttnBindError A0431 where a branch attends among other tokens than the pattern's."""
    for branch in ir.branches:
        if branch.derived is not None:
            raise AttnBindError(
                "A0431", f"branch `{branch.branch}` of `{ir.name}` attends among tokens made of others",
                help=f'look at each branch by itself: `bound.branches["{branch.branch}"]`',
            )  # fmt: skip


def refuse_schedule(ir: BoundIR) -> None:
    """Raise AttnScheduleError A0530 for a pattern of branches, which has no block map of its own."""
    refuse_channels(ir)
    if ir.branches:
        first = ir.branches[0].branch
        raise AttnScheduleError(
            "A0530", f"`{ir.name}` has branches, each with a schedule of its own",
            help=f'write `.branches["{first}"].schedule()`',
        )  # fmt: skip
