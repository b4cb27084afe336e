"""Whether the arrays of a file are samples of attention: shapes, types and values."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from attndsl.diagnostics import AttnCallError
from attndsl.fitting.sample_file import Array


def check_shapes(number: int, q: Array, k: Array) -> None:
    """Raise AttnCallError A0630 unless q and k are samples of one layer."""
    for name, array in (("q", q), ("k", k)):
        if array.ndim != 4 or not array.size:
            raise _misfit(number, f"{name} has the shape {list(array.shape)}")
        if array.dtype.kind != "f" and array.dtype.name != "bfloat16":
            raise _misfit(number, f"{name} has the type {array.dtype}")
    for what, place in (("batches", 0), ("head dimensions", 3)):
        if q.shape[place] != k.shape[place]:
            raise _misfit(number, f"q and k have {what} {q.shape[place]} and {k.shape[place]}")
    if q.shape[1] % k.shape[1]:
        raise _misfit(number, f"{k.shape[1]} heads of k do not divide {q.shape[1]} heads of q")


def _misfit(number: int, problem: str) -> AttnCallError:
    return AttnCallError(
        "A0630",
        f"the samples of layer {number} do not fit: {problem}",
        help="q and k are floating point [batch, heads, tokens, head_dim]; k may have fewer heads",
    )


def is_number(array: Array) -> bool:
    """Whether all elements are finite numbers."""
    numeric = array.dtype.kind in "iuf" or array.dtype.name == "bfloat16"
    return numeric and bool(np.isfinite(array.astype(np.float64)).all())


def finite(name: str, array: Array) -> Array:
    """The array as float32. Raises AttnCallError A0631 for NaN or infinite elements."""
    values: Any = array.astype(np.float32)
    wrong = values.size - int(np.isfinite(values).sum())
    if wrong:
        raise AttnCallError(
            "A0631",
            f"`{name}` has {wrong:,} elements that are NaN or too large for float32",
            help="capture from a model whose outputs are finite",
        )
    result: Array = values
    return result


def shown_keys(name: str, mask: Array, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """The mask of a file. Raises AttnCallError A0634 unless it has the shape, or 1 for batch or heads."""
    fits = mask.ndim == 4 and all(
        own == wanted or (own == 1 and place < 2)
        for place, (own, wanted) in enumerate(zip(mask.shape, shape, strict=True))
    )
    if mask.dtype.kind in "bu" and fits:
        return mask.astype(bool)
    raise AttnCallError(
        "A0634",
        f"`{name}` must be bool {list(shape)}, {mask.dtype} {list(mask.shape)} given",
        help="True where the model lets a query see a key; batch and heads may be 1",
    )
