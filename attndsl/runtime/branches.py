"""Patterns of branches in torch: each branch by its own kernels, and what combines their outputs around them.

Autograd differentiates the combination; a joint softmax weighs outputs by their log-sum-exp, whose gradient
the kernels take.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from attndsl.diagnostics import AttnCallError
from attndsl.ir.bound import BoundIR
from attndsl.ir.combine import BranchOutput, Identity, Joint, Projected
from attndsl.ir.expr import Expr, topological
from attndsl.runtime.checks import check_inputs, check_tensors, output_type, wide_type
from attndsl.runtime.derived import Tensors, derived_tensors
from attndsl.runtime.finish import leaf_per_query
from attndsl.runtime.torch_expression import evaluate

Inputs = Mapping[str, Any]
Output = tuple[Tensor, Tensor | None]
"""The output of a branch, and its log-sum-exp if that was asked for."""

Run = Callable[[BoundIR, Tensors, bool, Inputs], Output]
"""Runs a branch on its own tensors: whether its log-sum-exp is wanted, and the inputs that it reads."""


def run_branches(
    ir: BoundIR, q: Tensor, k: Tensor, v: Tensor, inputs: Inputs, return_lse: bool, run: Run
) -> Any:
    """The combined output [batch, heads, Nq, Dv], and with return_lse its log-sum-exp, where it has one."""
    check_tensors(ir, q, k, v)
    source = _source_of_lse(ir) if return_lse else ()
    checked = check_inputs(ir, inputs, q.shape[0], v.shape[3], q.shape[3])
    joined = {*source, *_joined(ir)}
    outputs: dict[str, Output] = {}
    for branch in ir.branches:
        tensors = derived_tensors(branch, q, k, v, {name: out for name, (out, _) in outputs.items()})
        given = {each.name: inputs[each.name] for each in branch.inputs}
        outputs[branch.branch] = run(branch, tensors, branch.branch in joined, given)
    kind = wide_type(q.dtype)
    out = _combined(ir, outputs, v, checked, kind).to(output_type(v.dtype))
    return (out, _joint(source, outputs, kind)[1]) if return_lse else out


def _joined(ir: BoundIR) -> set[str]:
    """The branches whose log-sum-exp the combination needs."""
    return {name for node in topological(*_roots(ir)) if isinstance(node, Joint) for name in node.names}


def _roots(ir: BoundIR) -> tuple[Expr, ...]:
    return () if ir.combine is None else (ir.combine,)


def _source_of_lse(ir: BoundIR) -> tuple[str, ...]:
    """The branches whose log-sum-exp is that of the pattern. Raises AttnCallError A0619 for none."""
    by_name = {each.branch: each for each in ir.branches}
    match ir.combine:
        case Joint(names):
            return tuple(names)
        case BranchOutput(name) if by_name[name].weighting.is_softmax:
            return (name,)
    raise AttnCallError(
        "A0619", f"`{ir.name}` combines its branches to no softmax, so it has no log-sum-exp",
        help='leave out return_lse, or ask one of its branches: `bound.branches["name"]`',
    )  # fmt: skip


def _combined(
    ir: BoundIR, outputs: Mapping[str, Output], v: Tensor, inputs: Mapping[str, Tensor], kind: torch.dtype
) -> Tensor:
    """What `combine` says, at least in single precision."""
    wide = {name: value.to(kind) if value.is_floating_point() else value for name, value in inputs.items()}
    other = leaf_per_query(ir, wide, v.device)
    _check_channels(ir, outputs, v)

    def leaf(node: Expr, operands: Sequence[Any]) -> Any:
        match node:
            case BranchOutput(name):
                return outputs[name][0].to(kind)
            case Joint(names):
                return _joint(names, outputs, kind)[0]
            case Identity():
                own = v[:, :, v.shape[2] - ir.query_space.size :]  # those of the last rows, or all
                return own.to(kind).repeat_interleave(ir.heads // v.shape[1], 1)
            case Projected(_, weight, bias):
                return _projected(operands[0], wide, ir, weight, bias)
        return other(node, operands)

    shape = (v.shape[0], ir.heads, ir.query_space.size, v.shape[3])
    assert ir.combine is not None
    return torch.as_tensor(evaluate(ir.combine, leaf, kind)).to(kind).expand(shape)


def _check_channels(ir: BoundIR, outputs: Mapping[str, Output], v: Tensor) -> None:
    for name in (each.branch for each in ir.branches):
        found = outputs[name][0].shape[3]
        if found != v.shape[3]:
            raise AttnCallError(
                "A0680", f"branch `{name}` has {found} channels of output, values have {v.shape[3]}",
                help="branches that transpose tensors need queries and values with the same head_dim",
            )  # fmt: skip


def _joint(names: Sequence[str], outputs: Mapping[str, Output], kind: torch.dtype) -> tuple[Tensor, Tensor]:
    """One softmax over the pairs of all branches: outputs by their share of the sum, and its logarithm."""
    lses = []
    for name in names:
        lse = outputs[name][1]
        assert lse is not None
        lses.append(lse.to(kind))
    each = torch.stack(lses)
    highest = each.amax(0).detach()
    highest = torch.where(highest == -torch.inf, 0.0, highest)
    shares = torch.exp(each - highest)
    total = shares.sum(0)
    empty = total == 0
    divisor = torch.where(empty, 1.0, total)
    out = sum(
        (share / divisor).unsqueeze(-1) * outputs[name][0].to(kind)
        for name, share in zip(names, shares, strict=True)
    )
    return torch.as_tensor(out), torch.where(empty, -torch.inf, highest + torch.log(divisor))


def _projected(value: Tensor, inputs: Mapping[str, Tensor], ir: BoundIR, weight: str, bias: str) -> Tensor:
    """The value @ weight^T + bias, for all heads or one per head."""
    out = value @ _per_head(inputs[weight], ir, weight, 2).mT
    return out if not bias else out + _per_head(inputs[bias], ir, bias, 1).unsqueeze(-2)


def _per_head(value: Tensor, ir: BoundIR, name: str, dimensions: int) -> Tensor:
    """An input [heads or nothing, ...], with or without a batch, as [batch or 1, heads or 1, ...]."""
    declared = next(each for each in ir.inputs if each.name == name)
    if value.ndim == len(declared.shape):
        value = value.unsqueeze(0)
    return value.unsqueeze(1) if len(declared.shape) == dimensions else value
