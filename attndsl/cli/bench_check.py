"""How far a measured kernel is from the denotation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from attndsl.cli.sample import largest_error
from attndsl.ir.bound import BoundIR
from attndsl.ir.pattern import PLAIN
from attndsl.runtime import rivals

if TYPE_CHECKING:
    from torch import Tensor

    from attndsl.pipeline import Bound

CHECKED_ROWS = 32
MOST_PAIRS = 2**30
"""Beyond so many pairs of all heads, the reference backend would take minutes."""


def is_masked_softmax(ir: BoundIR) -> bool:
    """Whether a pattern says which pairs are visible and nothing else."""
    return ir.weighting == PLAIN and not (ir.low_rank or ir.branches or ir.route or ir.groups)


def error_of(
    bound: Bound,
    tensors: tuple[Tensor, Tensor, Tensor],
    out: Tensor,
    inputs: Mapping[str, Tensor],
    plans: Mapping[str, Any],
) -> float | None:
    """The largest difference from the denotation in float64; None where that would take too long.

    Masks are checked on `CHECKED_ROWS` queries, all else on all, by the reference backend. Where outputs are
    larger than values, as those of sums over many tokens are, differences are parts of the largest output.
    plans: of routes, by branch, with which `out` was computed.
    """
    ir = bound.ir
    if is_masked_softmax(ir):
        arrays = [rivals.to_array(tensor) for tensor in tensors]
        read = {each.name: inputs[each.name].numpy() for each in ir.mask_inputs}
        return largest_error(ir, arrays, rivals.to_array(out), CHECKED_ROWS, read)
    if ir.heads * ir.query_space.size * ir.key_space.size > MOST_PAIRS:
        return None
    q, k, v = (tensor.double() for tensor in tensors)
    given: Any = plans.get("", plans)
    data: dict[str, Any] = dict(inputs) | ({"plan": given} if plans else {})
    exact = bound.reference(q, k, v, **data)
    largest = max(1.0, float(exact.abs().max()))
    return float((out.double() - exact).abs().max()) / largest


def verdict(result: Mapping[str, Any], ir: BoundIR) -> str:
    """What the check found, in a sentence."""
    if result["largest_error"] is None:
        return "The output was not checked: the float64 denotation of so many pairs takes minutes."
    words = "agrees with" if result["correct"] else "[bold red]differs from[/bold red]"
    where = f"{CHECKED_ROWS} sampled queries" if is_masked_softmax(ir) else "all queries"
    return (
        f"The output {words} the float64 denotation on {where}: largest error {result['largest_error']:.1e}."
    )
