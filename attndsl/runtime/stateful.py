"""Calls of recurrences that take and return states, and steps of one token."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor

from attndsl.diagnostics import AttnCallError
from attndsl.ir.bound import BoundIR
from attndsl.runtime.attend import refuse_eight_bits_around, refuse_lse
from attndsl.runtime.autocast import under_autocast, without_autocast
from attndsl.runtime.checks import check_inputs, check_tensors, scale_of
from attndsl.runtime.finish import featured, gated
from attndsl.runtime.linear import linear_attention, linear_step
from attndsl.runtime.reference import Outputs
from attndsl.source import Span


def attend_with_state(
    ir: BoundIR, q: Tensor, k: Tensor, v: Tensor, scale: float | None, return_lse: bool,
    initial_state: Tensor | None, return_state: bool, inputs: Mapping[str, Any],
) -> Outputs:  # fmt: skip
    """Output, and with return_state the state after the last token. Raises AttnCallError (A06xx)."""
    _refuse_stateless(ir)
    if return_lse:
        refuse_lse(ir)
    q, k, v = under_autocast(q, k, v)
    with without_autocast(q):
        q, k, v, factor, checked = _prepared(ir, q, k, v, scale, inputs)
        found = linear_attention(ir, q, k, v, factor, checked, initial_state)
        out = gated(ir, found.out, checked)
    return (out, found.state) if return_state else out


def step(
    ir: BoundIR, q: Tensor, k: Tensor, v: Tensor, scale: float | None, state: Tensor | None,
    inputs: Mapping[str, Any],
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """The output of one more token, and the new state. Raises AttnCallError (A06xx)."""
    _refuse_stateless(ir)
    _refuse_documents(ir, inputs)
    ir = one_token(ir)
    q, k, v = under_autocast(q, k, v)
    with without_autocast(q):
        q, k, v, factor, checked = _prepared(ir, q, k, v, scale, inputs)
        found = linear_step(ir, q, k, v, factor, checked, state)
        assert found.state is not None
        return gated(ir, found.out, checked), found.state


def _prepared(
    ir: BoundIR, q: Tensor, k: Tensor, v: Tensor, scale: float | None, inputs: Mapping[str, Any]
) -> tuple[Tensor, Tensor, Tensor, float, dict[str, Tensor]]:
    """Checked tensors with queries and keys after the feature map, the scale, and the declared inputs."""
    check_tensors(ir, q, k, v)
    refuse_eight_bits_around(ir, q)
    checked = check_inputs(ir, inputs, len(q), v.shape[3], q.shape[3])
    return *featured(ir, q, k), v, scale_of(ir, scale, q.shape[3]), checked


def _refuse_documents(ir: BoundIR, inputs: Mapping[str, Any]) -> None:
    for name in (each.name for each in ir.mask_inputs if each.name in inputs):
        raise AttnCallError(
            "A0675", f"a step of `{ir.name}` does not read `{name}`: a single token is in one document",
            help=f"leave out {name}=, and pass state=None at the first token of each document",
        )  # fmt: skip


def one_token(ir: BoundIR) -> BoundIR:
    """The pattern at a single token: its inputs are those that its mask does not read."""
    segment = replace(ir.query_space.segments[0], extents=(1,) * len(ir.query_space.segments[0].axes))
    space = replace(ir.query_space, segments=(segment,))
    inputs = tuple(each for each in ir.inputs if each not in ir.mask_inputs)
    return replace(ir, query_space=space, key_space=space, inputs=inputs)


def _refuse_stateless(ir: BoundIR) -> None:
    if ir.branches or ir.linear is None or ir.linear.algorithm != "recurrence":
        why = f": {ir.linear.obstacle}" if ir.linear and ir.linear.obstacle else ""
        raise no_state(ir.name, why, ir.linear.span if ir.linear else None)


def no_state(name: str, why: str = "", span: Span | None = None) -> AttnCallError:
    """The error for a state of a pattern that has none."""
    return AttnCallError(
        "A0674", f"`{name}` is no recurrence, so it has no state{why}", span=span,
        help="states need `weight s` and `attend causal` in a space of one axis",
    )  # fmt: skip
