"""What only a pattern with one block map can answer, asked of a pattern of branches or of channels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NoReturn

from attndsl.diagnostics import (
    AttnBackendError,
    AttnBindError,
    AttnScheduleError,
    AttnUnsupportedError,
)
from attndsl.ir.bound import BoundIR, Region
from attndsl.ir.expr import Apply
from attndsl.ir.pattern import PatternIR
from attndsl.passes.simplify import simplify_node


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
                help=f'look at each branch by itself: `bound.branches["{branch.branch}"]`,'
                f" or `--branch {branch.branch}` on the command line",
            )  # fmt: skip


def on_branches(
    pattern: PatternIR, change: Callable[[PatternIR], PatternIR], keeps_routes: bool = False
) -> tuple[PatternIR, ...]:
    """The branches, each changed.

    keeps_routes: the change leaves the mask of what has a route as it is. Raises AttnUnsupportedError A0910
    where a branch derives its tensors, or has a route that is not kept.
    """
    for each in pattern.branches or (pattern,):
        if each.groups or (each.route and not keeps_routes):
            refuse_route(each)
        if each.derived:
            raise AttnUnsupportedError(
                "A0910", f"`{pattern.name}` derives queries, keys or values, which no model's own mask fits",
                help="call it from a module of your own, such as `attndsl.nn.Attention`",
            )  # fmt: skip
    return tuple(map(change, pattern.branches))


def refuse_route(pattern: PatternIR) -> NoReturn:
    """Refuse with A0910 to hide pairs from a route, which would choose them all the same."""
    raise AttnUnsupportedError(
        "A0910", f"`{pattern.name}` has a route, which knows nothing of a model's own mask",
        help="let its own mask hide what comes later, as `attend causal`, or call it from a module of your"
        " own, such as `attndsl.nn.Attention`",
    )  # fmt: skip


def union(ir: BoundIR) -> BoundIR:
    """The mask of all branches together, as a pattern of its own. Raises AttnBindError A0431."""
    refuse_other_spaces(ir)
    first, *others = ir.branches
    regions = first.regions
    for other in others:
        regions = tuple(map(_joined, regions, other.regions))
    plain = tuple(replace(region, terms=()) for region in regions)
    return replace(ir, regions=plain, branches=(), combine=None)


def _joined(first: Region, second: Region) -> Region:
    return replace(first, visible=simplify_node(Apply("or", (first.visible, second.visible))))


def refuse_derived(ir: BoundIR) -> None:
    """Raise AttnBindError A0431 for patterns that attend with tensors made of those that they are given."""
    if ir.derived is not None:
        raise AttnBindError(
            "A0431", f"`{ir.name}` attends among tokens made of others",
            help="measure the call of the bound pattern, from Python",
        )  # fmt: skip


def refuse_products(ir: BoundIR) -> None:
    """Raise AttnBackendError A0707 for flows and sums over all keys, which no kernel computes."""
    if ir.weighting.normalize == "flow":
        raise AttnBackendError(
            "A0707", f"the flows of `{ir.name}` are computed by products of matrices in torch",
            help="call the bound pattern; there is no kernel to print",
        )  # fmt: skip
    if ir.linear is not None and ir.linear.algorithm == "sums":
        what = "sums over blocks of keys" if ir.route else "sums over all keys"
        raise AttnBackendError(
            "A0707", f"the {what} of `{ir.name}` are computed by products of matrices in torch",
            help="call the bound pattern; there is no kernel to print",
        )  # fmt: skip


def refuse_schedule(ir: BoundIR) -> None:
    """Raise AttnScheduleError A0530 for a pattern of branches, which has no block map of its own."""
    refuse_channels(ir)
    if ir.branches:
        first = ir.branches[0].branch
        raise AttnScheduleError(
            "A0530", f"`{ir.name}` has branches, each with a schedule of its own",
            help=f'write `.branches["{first}"].schedule()`, or `--branch {first}` on the command line',
        )  # fmt: skip
