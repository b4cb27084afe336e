"""The last rows of patterns: what `Bound.rows` and `Pattern.rows_at_any_length` return."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, partial
from typing import Any

from attndsl.diagnostics import AttnBindError
from attndsl.ir.bound import BoundIR
from attndsl.ir.pattern_text import pattern_text
from attndsl.passes.open_length import LONGEST, depends_on_length, grows, open_length, requires_of_length
from attndsl.passes.row_by_row import is_kernel_of_rows, refuse_rows
from attndsl.pipeline import Bound, Pattern
from attndsl.runtime.derived import of_sources
from attndsl.runtime.gathered_rows import GatheredRows
from attndsl.runtime.rows import Growing, Rows
from attndsl.runtime.targets import describe


def rows_of_bound(bound: Bound) -> Rows | GatheredRows:
    """The last rows of a bound pattern. Raises AttnUnsupportedError A0905 where it takes all queries."""
    ir = bound.ir
    refuse_rows(ir)
    heads = None if bound.any_heads else (ir.heads, ir.kv_heads)
    if not is_kernel_of_rows(ir):
        whole = of_sources(ir) if ir.derived is not None else ir
        sizes = whole.query_space.size, whole.key_space.size
        return GatheredRows(
            bound.name, lambda _: bound, ir.inputs, heads and (heads[0], whole.kv_heads), sizes
        )
    growing = Growing(
        at=lambda _: ir,
        bind=partial(Bound, any_heads=bound.any_heads),
        require=lambda _: None,
        inputs=ir.inputs,
        heads=heads,
        fixed=(ir.query_space.size, ir.key_space.size),
    )
    return Rows(bound.name, growing, describe(ir), bound.any_heads)


def rows_of_pattern(
    pattern: Pattern, heads: int | None, kv_heads: int | None, values: Mapping[str, Any]
) -> Rows | GatheredRows:
    """The last rows of a pattern of one axis, at any length. Raises AttnBindError A0416 for others."""
    ir = pattern.ir
    refuse_rows(ir)
    if not grows(ir):
        raise AttnBindError(
            "A0416", f"pattern `{ir.name}` does not grow token by token: its space is not one axis",
            help="bind it to a shape, and use `rows` of the bound pattern",
        )  # fmt: skip

    any_heads = heads is None and kv_heads is None
    counts = None if any_heads else (heads or kv_heads or 1, kv_heads or heads or 1)
    if not is_kernel_of_rows(ir):

        def whole(length: int) -> Bound:
            bound = pattern.bind(length, heads, kv_heads, **values)
            refuse_rows(bound.ir)
            return bound

        return GatheredRows(pattern.name, whole, ir.inputs, counts)

    @cache
    def at(shortest: int) -> BoundIR:
        return Pattern(open_length(ir, shortest)).bind(LONGEST, heads, kv_heads, **values).ir

    def require(length: int) -> None:
        if requires_of_length(ir):
            pattern.bind(length, heads, kv_heads, **values)

    growing = Growing(
        at=at,
        bind=partial(Bound, any_heads=any_heads),
        require=require,
        inputs=ir.inputs,
        asks_length=depends_on_length(ir),
        heads=counts,
    )
    return Rows(pattern.name, growing, pattern_text(ir), heads, kv_heads, sorted(values.items()))
