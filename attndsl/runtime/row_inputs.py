"""The declared inputs of a call for the last rows of a pattern: of all tokens, and of the last queries."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from attndsl.ir.bound import BoundIR, InputDeclaration
from attndsl.ir.pattern import Input
from attndsl.ir.reads import inputs_read
from attndsl.passes.placed import one_axis
from attndsl.runtime.checks import check_inputs, input_tensor
from attndsl.runtime.derived import of_sources

OF_QUERIES = ("tokens", "query")
"""Dimensions that have one element per query."""

OF_TOKENS = (*OF_QUERIES, "key")


@dataclass(frozen=True)
class RowInputs:
    """Checked inputs by name.

    pairs: what masks, scores, decays and routes read, of all tokens. own: all inputs, of the last queries
    where they have one element per query. given: the latter as they came.
    """

    pairs: Mapping[str, Tensor]
    own: Mapping[str, Tensor]
    given: Mapping[str, Any]


def row_inputs(ir: BoundIR, inputs: Mapping[str, Any], q: Tensor, k: Tensor, v: Tensor) -> RowInputs:
    """The inputs of the last rows. Raises AttnCallError (A06xx) for what does not fit.

    What belongs to queries alone, such as gates, may be that of the last queries or of all.
    """
    if not ir.inputs and not inputs:
        return RowInputs({}, {}, {})
    whole = of_sources(ir) if ir.derived is not None else ir
    count, sizes = q.shape[2], (v.shape[3], q.shape[3])
    given = dict(inputs)
    for each in ir.inputs:
        if each.name in inputs:
            given[each.name] = _last(each, inputs[each.name], count)
    last = replace(whole, query_space=one_axis("queries", count))
    own = check_inputs(last, given, len(q), *sizes)
    read = _read_by_pairs(ir)
    whole = replace(whole, inputs=tuple(each for each in ir.inputs if each.name in read))
    pairs = check_inputs(whole, {name: inputs[name] for name in inputs if name in read}, len(q), *sizes)
    return RowInputs(pairs, own, given)


def _read_by_pairs(ir: BoundIR) -> frozenset[str]:
    """The inputs that pairs of tokens need, each at any of them."""
    names: set[str] = set()
    for each in (ir, *ir.branches):
        around = replace(each.weighting, sink=None, gate=None)
        names |= inputs_read(each.regions, around, each.route)
        names |= {key for _, key in each.low_rank}
    return frozenset(names)


def _last(declared: Input | InputDeclaration, value: Any, count: int) -> Tensor:
    """What belongs to the last `count` tokens or queries; too short as it is, which checks say."""
    tensor = input_tensor(declared.name, value)
    places = slice(-count, None) if count else slice(0)
    return _along(declared, tensor, lambda name, _: places if name in OF_QUERIES else None)


def of_text(
    declared: Input | InputDeclaration, value: Any, number: int, batch: int, places: Mapping[int, Tensor]
) -> Tensor:
    """What belongs to one text of a batch, and there to the places of tokens, by how many there are."""
    tensor = input_tensor(declared.name, value)
    if tensor.ndim > len(declared.shape) and len(tensor) == batch:
        tensor = tensor[number]
    return _along(declared, tensor, lambda name, size: places.get(size) if name in OF_TOKENS else None)


def _along(
    declared: Input | InputDeclaration, tensor: Tensor, of: Callable[[Any, int], slice | Tensor | None]
) -> Tensor:
    """Some places along dimensions. of: which, by the name and size of a dimension; None for all."""
    outer = tensor.ndim - len(declared.shape)
    for dimension, name in enumerate(declared.shape):
        places = of(name, tensor.shape[outer + dimension]) if outer >= 0 else None
        if places is not None:
            index: tuple[Any, ...] = (*(slice(None),) * (outer + dimension), places)
            tensor = tensor[index]
    return tensor
