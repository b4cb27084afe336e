"""Pattern IR that was stored as JSON comes back equal, with its docstrings and its places in the text."""

from __future__ import annotations

import pytest

from attndsl import library
from attndsl.ir.expr import Apply, Const, Expr, Symbol
from attndsl.ir.pattern import Parameter
from attndsl.ir.stored import from_json, to_json
from attndsl.source import Source, Span

PRELUDE = library.source(library.PRELUDE)


@pytest.mark.parametrize("name", library.names())
def test_every_pattern_of_the_library_comes_back(name: str) -> None:
    source = library.source(name)
    stored = tuple(library.resolve_source(source))
    back = from_json(to_json(stored, (source, PRELUDE)), (source, PRELUDE))
    assert back == stored
    for one, other in zip(back, stored, strict=True):
        assert one.spans == other.spans
        assert one.documentation == other.documentation
        assert [each.span for each in one.requirements] == [each.span for each in other.requirements]
        assert [each.span for each in one.arms] == [each.span for each in other.arms]


@pytest.mark.parametrize("number", [0, 1, True, False, 0.0, 1.0, -0.0, 0.1, 2**62, -(2**63), 1e300])
def test_numbers_keep_their_type_and_value(number: float) -> None:
    assert from_json(to_json(Const(number), ()), ()) is Const(number)


def test_a_shared_expression_is_written_once() -> None:
    expr: Expr = Symbol("n", "int")
    for _ in range(200):
        expr = Apply("add", (expr, expr))
    text = to_json(expr, ())
    assert len(text) < 20_000
    assert from_json(text, ()) is expr


def test_a_span_of_a_source_that_is_not_stored_is_refused() -> None:
    place = Span(Source("other.attn", "text"), 0, 4)
    with pytest.raises(ValueError, match="not in"):
        to_json(Parameter("left", "int", span=place), (PRELUDE,))


def test_only_nodes_of_the_ir_are_stored_and_built() -> None:
    with pytest.raises(ValueError, match="Source is not part"):
        to_json(PRELUDE, ())
    with pytest.raises(KeyError):
        from_json('[[["Path","/"]],null]', ())
