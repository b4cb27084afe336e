"""The last rows of patterns: what `Bound.rows` and `Pattern.rows_at_any_length` return."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, partial
from typing import Any

from attndsl.diagnostics import AttnBindError
from attndsl.ir.bound import BoundIR
from attndsl.ir.pattern_text import pattern_text
from attndsl.passes.branch_spaces import refuse_rows
from attndsl.passes.open_length import LONGEST, depends_on_length, grows, open_length, requires_of_length
from attndsl.pipeline import Bound, Pattern
from attndsl.runtime.rows import Growing, Rows
from attndsl.runtime.targets import describe


def rows_of_bound(bound: Bound) -> Rows:
    """The last rows of a bound pattern."""
    ir = bound.ir
    refuse_rows(ir)
    growing = Growing(
        at=lambda _: ir,
        bind=partial(Bound, any_heads=bound.any_heads),
        require=lambda _: None,
        inputs=ir.inputs,
        heads=None if bound.any_heads else (ir.heads, ir.kv_heads),
        fixed=(ir.query_space.size, ir.key_space.size),
    )
    return Rows(bound.name, growing, describe(ir), bound.any_heads)


def rows_of_pattern(
    pattern: Pattern, heads: int | None, kv_heads: int | None, values: Mapping[str, Any]
) -> Rows:
    """The last rows of a pattern of one axis, at any length. Raises AttnBindError A0416 for others."""
    ir = pattern.ir
    refuse_rows(ir)
    if not grows(ir):
        raise AttnBindError(
            "A0416", f"pattern `{ir.name}` does not grow token by token: its space is not one axis",
            help="bind it to a shape, and use `rows` of the bound pattern",
        )  # fmt: skip

    @cache
    def at(shortest: int) -> BoundIR:
        return Pattern(open_length(ir, shortest)).bind(LONGEST, heads, kv_heads, **values).ir

    def require(length: int) -> None:
        if requires_of_length(ir):
            pattern.bind(length, heads, kv_heads, **values)

    any_heads = heads is None and kv_heads is None
    growing = Growing(
        at=at,
        bind=partial(Bound, any_heads=any_heads),
        require=require,
        inputs=ir.inputs,
        asks_length=depends_on_length(ir),
        heads=None if any_heads else (heads or kv_heads or 1, kv_heads or heads or 1),
    )
    return Rows(pattern.name, growing, pattern_text(ir), heads, kv_heads, sorted(values.items()))
