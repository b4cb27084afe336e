"""Bound expressions in torch: one function per operator of `ir/ops.OPS`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from attndsl.ir.expr import Apply, Const, Expr, Table, topological


def evaluate(
    expr: Expr, leaf: Callable[[Expr, Sequence[Any]], Any], real: torch.dtype = torch.float64
) -> Any:
    """The value of an expression. leaf: of nodes that are neither numbers, operators nor tables.

    leaf gets a node and the values of its operands. real: the type of tables of reals.
    """
    values: dict[Expr, Any] = {}
    for node in topological(expr):
        operands = [values[child] for child in node.children]
        match node:
            case Const(float(value)):  # a Python number beside integers would give float32
                values[node] = torch.tensor(value, dtype=torch.float64)
            case Const(value):
                values[node] = value
            case Apply(op):
                values[node] = TORCH_OPS[op](*operands)
            case Table(_, entries, _):
                values[node] = _entry(entries, operands[0], real)
            case _:
                values[node] = leaf(node, operands)
    return values[expr]


def _entry(entries: Sequence[Any], index: Any, real: torch.dtype) -> Tensor:
    kind = real if isinstance(entries[0], float) else None
    device = index.device if isinstance(index, Tensor) else None
    entry: Tensor = torch.tensor(entries, dtype=kind, device=device)[index]
    return entry


def _float(value: Any) -> Tensor:
    """The value as a real tensor: float64 unless it is real already."""
    tensor = torch.as_tensor(value)
    return tensor if tensor.is_floating_point() and isinstance(value, Tensor) else tensor.double()


def _to_int(function: Callable[[Tensor], Tensor]) -> Callable[[Any], Tensor]:
    return lambda x: function(_float(x)).long()


def _extreme(pair: Callable[[Tensor, Tensor], Tensor], bound: str) -> Callable[[Any, Any], Any]:
    """Minimum or maximum of tensors, or of a tensor and a number."""

    def apply(x: Any, y: Any) -> Any:
        if isinstance(x, Tensor) and isinstance(y, Tensor):
            return pair(x, y)
        tensor, number = (x, y) if isinstance(x, Tensor) else (torch.as_tensor(y), x)
        return torch.clamp(tensor, **{bound: number})

    return apply


def _bit_length(x: Any) -> Tensor:
    size = torch.as_tensor(x).abs()
    return torch.stack([size >= 2**bit for bit in range(62)]).sum(0)


TORCH_OPS: dict[str, Callable[..., Any]] = {
    "add": lambda x, y: x + y,
    "sub": lambda x, y: x - y,
    "mul": lambda x, y: x * y,
    "div": lambda x, y: _float(x) / y,
    "floordiv": lambda x, y: x // y,
    "mod": lambda x, y: x % y,
    "pow": lambda x, y: torch.as_tensor(x) ** y,
    "neg": lambda x: -x,
    "abs": lambda x: abs(x),
    "min": _extreme(torch.minimum, "max"),
    "max": _extreme(torch.maximum, "min"),
    "floor": _to_int(torch.floor),
    "ceil": _to_int(torch.ceil),
    "round": _to_int(torch.round),
    "int": _to_int(torch.trunc),
    "real": _float,
    "bit_length": _bit_length,
    "exp": lambda x: torch.exp(_float(x)),
    "log2": lambda x: torch.log2(_float(x)),
    "sqrt": lambda x: torch.sqrt(_float(x)),
    "tanh": lambda x: torch.tanh(_float(x)),
    "erf": lambda x: torch.erf(_float(x)),
    "lt": lambda x, y: x < y,
    "le": lambda x, y: x <= y,
    "gt": lambda x, y: x > y,
    "ge": lambda x, y: x >= y,
    "eq": lambda x, y: x == y,
    "ne": lambda x, y: x != y,
    "and": lambda x, y: x & y,
    "or": lambda x, y: x | y,
    "not": lambda x: torch.logical_not(torch.as_tensor(x)),
    "select": lambda condition, x, y: torch.where(torch.as_tensor(condition), x, y),
}
"""Every operator of `ops.OPS` in torch."""
