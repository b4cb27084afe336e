"""`attndsl.attention`: one function for all patterns, which remembers what it has bound."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attndsl.plans import as_pattern

if TYPE_CHECKING:
    import torch

    from attndsl.pipeline import Bound, Pattern
    from attndsl.runtime.any_length import AnyLength

KEPT = 256
"""Bound patterns that are remembered; those that came first are dropped."""

_known: OrderedDict[object, Bound | AnyLength] = OrderedDict()


def attention(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    pattern: str | Path | Pattern,
    shape: int | Sequence[int] | None = None,
    *,
    scale: float | None = None,
    return_lse: bool = False,
    initial_state: torch.Tensor | None = None,
    return_state: bool = False,
    plan: Any = None,
    **parameters: Any,
) -> Any:
    """Attention by a pattern, as `torch.nn.functional.scaled_dot_product_attention` is called.

    q: [batch, heads, queries, D]; k: [batch, kv_heads, keys, D]; v: [batch, kv_heads, keys, Dv]. pattern: a
    library name, the path of a `.attn` file, or a Pattern. shape: extents of its space; without it the
    pattern follows the number of tokens. parameters: of the pattern, extents of its further segments, and its
    declared inputs. Returns [batch, heads, queries, Dv], and with return_lse also the log-sum-exp [batch,
    heads, queries]. initial_state, return_state: of recurrences, plan: of routes, as for `Bound.__call__`.
    Raises AttnError.
    """
    found = as_pattern(pattern)
    declared = {each.name for each in found.ir.inputs}
    inputs = {name: parameters.pop(name) for name in declared & parameters.keys()}
    bound = attention_of(found, shape, q, k, parameters)
    state: dict[str, Any] = {"initial_state": initial_state, "return_state": return_state}
    return bound(q, k, v, scale, return_lse, plan=plan, **state, **inputs)


def attention_of(
    pattern: Pattern,
    shape: int | Sequence[int] | None,
    q: torch.Tensor,
    k: torch.Tensor,
    parameters: Mapping[str, Any],
) -> Bound | AnyLength:
    """The pattern for these tensors, bound to a shape or at any length, the same object every time."""
    heads = (q.shape[1], k.shape[1]) if pattern.depends_on_heads else (None, None)
    extents = tuple(shape) if isinstance(shape, Sequence) else shape
    key = pattern.ir, extents, heads, tuple(sorted((n, frozen(v)) for n, v in parameters.items()))
    if key not in _known:
        _known[key] = (
            pattern.at_any_length(*heads, **parameters)
            if extents is None
            else pattern.bind(extents, *heads, **parameters)
        )
        if len(_known) > KEPT:
            _known.popitem(last=False)
    return _known[key]


def frozen(value: Any) -> Any:
    """A value that can be compared and hashed, from numbers, lists and arrays."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    return tuple(map(frozen, value)) if isinstance(value, (list, tuple)) else value
