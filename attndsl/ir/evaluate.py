"""The direct interpreter: evaluates bound expressions and masks in NumPy, entry by entry.

This is the denotation in executable form, written to be obviously right, and the oracle for everything below
it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attndsl.diagnostics import AttnBindError, AttnCallError
from attndsl.ir.bound import BoundIR, Segment
from attndsl.ir.expr import Apply, Const, Expr, Head, InputAt, InputElement, Position, Table, topological
from attndsl.ir.ops import OPS

Array = NDArray[Any]


def evaluate(expr: Expr, leaf: Callable[[Expr], Any]) -> Any:
    """The value of a bound expression; `leaf` gives the (broadcastable) values of its leaves.

    Of an input that is read by indices it gives the whole array.
    """
    values: dict[Expr, Any] = {}
    with np.errstate(over="ignore", under="ignore"):  # reals may reach infinity or zero
        for node in topological(expr):
            values[node] = _evaluate_node(node, values, leaf)
    return values[expr]


def _evaluate_node(node: Expr, values: Mapping[Expr, Any], leaf: Callable[[Expr], Any]) -> Any:
    match node:
        case Const(value):
            return value
        case Apply(op, args):
            return OPS[op].evaluate(*(values[arg] for arg in args))
        case Table(_, entries, index):
            return np.asarray(entries)[values[index]]
        case InputElement(_, indices, _):
            return leaf(node)[tuple(values[index] for index in indices)]
    return leaf(node)


LARGEST_MASK = 2**28
"""Entries up to which masks are written out."""


def whole_mask(ir: BoundIR, heads: int, inputs: Mapping[str, Array]) -> NDArray[np.bool_]:
    """The mask of the first heads, bool [heads, Nq, Nk]. Raises AttnBindError A0408 above 2**28 entries."""
    shape = heads, ir.query_space.size, ir.key_space.size
    refuse_large_mask(shape, "use `schedule()`, which never writes out the mask, or a smaller shape")
    return np.stack([mask_rows(ir, head, 0, shape[1], inputs) for head in range(heads)])


def refuse_large_mask(shape: tuple[int, ...], help: str) -> None:
    """Refuse to write out a mask of this shape with A0408, if it is too large."""
    if prod(shape) > LARGEST_MASK:
        raise AttnBindError(
            "A0408", f"this mask has {prod(shape):,} entries, at most {LARGEST_MASK:,} are written out",
            help=help,
        )  # fmt: skip


def mask_rows(
    ir: BoundIR, head: int, start: int, stop: int, inputs: Mapping[str, Array]
) -> NDArray[np.bool_]:
    """Rows `start` to `stop` of one head's mask, bool [stop - start, Nk]. inputs: arrays [tokens] by name."""
    return mask_of_queries(ir, head, np.arange(start, stop), inputs)


def mask_of_queries(
    ir: BoundIR, head: int, queries: NDArray[np.integer[Any]], inputs: Mapping[str, Array]
) -> NDArray[np.bool_]:
    """The rows of one head's mask for queries given by their positions, bool [queries, Nk]."""
    return mask_of_pairs(ir, head, queries, np.arange(ir.key_space.size), inputs)


def mask_of_pairs(
    ir: BoundIR,
    head: int,
    queries: NDArray[np.integer[Any]],
    keys: NDArray[np.integer[Any]],
    inputs: Mapping[str, Array],
) -> NDArray[np.bool_]:
    """One head's mask for queries and keys given by their positions, bool [queries, keys]."""
    mask = np.zeros((len(queries), len(keys)), dtype=bool)
    for region in ir.regions:
        query, key = ir.query_space.segments[region.query], ir.key_space.segments[region.key]
        rows, columns = _inside(query, queries), _inside(key, keys)
        if len(rows) and len(columns):
            leaf = _leaves(query, key, queries[rows], keys[columns], head, inputs)
            block = np.broadcast_to(evaluate(region.visible, leaf), (len(rows), len(columns)))
            mask[np.ix_(rows, columns)] = block
    return mask


def _inside(segment: Segment, tokens: NDArray[np.integer[Any]]) -> NDArray[np.intp]:
    """The places of the tokens that lie in a segment."""
    return np.flatnonzero((segment.offset <= tokens) & (tokens < segment.offset + segment.size))


def check_inputs(ir: BoundIR, inputs: Mapping[str, Any]) -> dict[str, Array]:
    """The inputs that masks read as arrays [tokens]; raises AttnCallError (A06xx) for wrong ones."""
    declared = {each.name: each for each in ir.mask_inputs}
    names = [each.name for each in ir.inputs]
    for name in inputs:
        if name not in names:
            known = ", ".join(names) or "none"
            raise AttnCallError(
                "A0610", f"pattern `{ir.name}` has no input `{name}`", help=f"its inputs: {known}"
            )
    arrays: dict[str, Array] = {}
    for name, each in declared.items():
        if name not in inputs:
            raise AttnCallError(
                "A0611", f"pattern `{ir.name}` needs the input `{name}`", help=f"pass {name}="
            )
        arrays[name] = np.asarray(inputs[name])
        tokens = (ir.key_space if each.shape == ("key",) else ir.query_space).size
        if arrays[name].shape != (tokens,):
            raise AttnCallError(
                "A0612", f"input `{name}` must have the shape ({tokens},), {arrays[name].shape} given",
                help="one value per token, in the order of the flattened space",
            )  # fmt: skip
    return arrays


def coordinates(segment: Segment, tokens: NDArray[np.integer[Any]]) -> tuple[Array, ...]:
    """The coordinate on each axis of tokens given by their positions in the whole space."""
    return np.unravel_index(np.asarray(tokens) - segment.offset, segment.extents)


def _leaves(
    query: Segment, key: Segment, rows: Array, columns: Array, head: int, inputs: Mapping[str, Array]
) -> Callable[[Expr], Any]:
    tokens = {"q": rows[:, None], "k": columns[None, :]}
    positions = {"q": coordinates(query, tokens["q"]), "k": coordinates(key, tokens["k"])}

    def leaf(node: Expr) -> Any:
        match node:
            case Position(side, int(axis)):
                return positions[side][axis]
            case Head():
                return head
            case InputAt(name, side):
                return inputs[name][tokens[side]]
        raise TypeError(f"{type(node).__name__} does not belong into bound IR")

    return leaf
