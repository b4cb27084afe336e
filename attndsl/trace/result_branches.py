"""Branches, blocks and derived tensors of a traced function: fields of its `Attention` become clauses."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any

from attndsl.diagnostics import AttnError, AttnTraceError
from attndsl.source import Source, Span
from attndsl.syntax import ast as syntax
from attndsl.syntax.parser import parse
from attndsl.trace.emit import Emitter
from attndsl.trace.node import Operand, leaf
from attndsl.trace.value import Number, Traced, operand

if TYPE_CHECKING:
    from attndsl.trace.result import Attention

Axes = str | Sequence[str]
BlockSizes = tuple[Axes, Number | Sequence[Number]]
"""The axes that blocks cut, and tokens per block along each."""

OfOutputs = Callable[..., Number]
Lift = Callable[[object], "list[Clause]"]
"""The clauses of what a branch is."""


@dataclass(frozen=True, eq=False)
class Clause:
    """A clause to be: the values it is made of, and how it is made of their expressions.

    blocks: names of the blocks that it declares, whose axis exists in some branches only.
    """

    values: tuple[Operand, ...]
    build: Callable[..., syntax.Clause]
    blocks: tuple[str, ...] = ()

    def emit(self, emitter: Emitter) -> syntax.Clause:
        """The clause."""
        return self.build(*map(emitter.expr, self.values))


def check(result: Attention, span: Span) -> None:
    """Raise AttnTraceError A1003 for fields that are not what they should be."""
    tensors = (result.query, result.key, result.value)
    right = {
        "blocks": (_are_blocks(result.blocks), 'blocks={"b": ("n", size)}'),
        "query`, `key` and `value": (
            all(isinstance(each, str | None) for each in tensors),
            'key="mean(k in b)"',
        ),
        "branches": (_is_named(result.branches), 'branches={"near": sliding(8)}'),
        "combine": (
            result.combine is None or callable(result.combine),
            "combine=lambda near, far: near + far",
        ),
    }
    for name, (fits, example) in right.items():
        if not fits:
            raise AttnTraceError(
                "A1003", f"`{name}` of an `Attention` is not what it should be", span=span,
                help=f"write `{example}`",
            )  # fmt: skip


def _is_named(value: object) -> bool:
    return value is None or (isinstance(value, Mapping) and all(isinstance(name, str) for name in value))


def _are_blocks(value: Mapping[str, BlockSizes] | None) -> bool:
    pairs = value.values() if value and _is_named(value) else ()
    return _is_named(value) and all(isinstance(pair, tuple) and len(pair) == 2 for pair in pairs)


def clauses_around(result: Attention, span: Span) -> Iterator[Clause]:
    """What stands before the mask: blocks, and derived tensors."""
    for name, (axes, sizes) in (result.blocks or {}).items():
        yield _blocks(name, axes, sizes, span)
    for role in ("query", "key", "value"):
        text = getattr(result, role)
        if text is not None:
            clause = _derived(role, text, span)
            yield Clause((), lambda clause=clause: clause)


def _blocks(name: str, axes: Axes, sizes: Number | Sequence[Number], span: Span) -> Clause:
    names = (axes,) if isinstance(axes, str) else tuple(axes)
    given = tuple(sizes) if isinstance(sizes, tuple | list) else (sizes,)
    values = tuple(operand(each, span) for each in given)
    return Clause(values, lambda *found: syntax.Blocks(name, names, found, span=span), (name,))


def _derived(role: str, text: str, span: Span) -> syntax.Derived:
    """The clause that a text such as `mean(k in b)` is, at the place of the function's result."""
    line = " ".join(text.split())
    try:
        pattern = parse(Source(f"{role}=", f"pattern p:\n    {role} {line}\n    attend true\n")).definitions[
            0
        ]
    except AttnError as error:
        raise type(error)(error.code, error.message, span=span, help=error.help, note=error.note) from None
    assert isinstance(pattern, syntax.Pattern)
    clause = pattern.clauses[0]
    if not isinstance(clause, syntax.Derived):
        raise AttnTraceError(
            "A1003", f"`{role}` of an `Attention` is not what it should be", span=span,
            help=f'write `{role}="mean(k in b)"`',
        )  # fmt: skip
    moved: syntax.Derived = _at(clause, span)
    return moved


def _at(node: Any, span: Span) -> Any:
    """The same tree at one place."""
    if isinstance(node, tuple):
        return tuple(_at(each, span) for each in node)
    if not is_dataclass(node) or isinstance(node, type | Span):
        return node
    parts = {each.name: _at(getattr(node, each.name), span) for each in fields(node) if each.name != "span"}
    return replace(node, **parts, span=span) if isinstance(node, syntax.Node) else node


def branch_clauses(result: Attention, span: Span, lift: Lift) -> Iterator[Clause]:
    """The branches and what combines them. lift: the clauses of what a branch is."""
    branches = result.branches or {}
    for name, each in branches.items():
        yield _branch(name, lift(each), span)
    if result.combine is not None:
        outputs = {name: Traced(leaf(name, has_scope=True)) for name in branches}
        value = result.combine(**_taken(result.combine, outputs, span))
        yield Clause((operand(value, span),), lambda found: syntax.Combine(found, span=span))


def _taken(combine: OfOutputs, outputs: Mapping[str, Traced], span: Span) -> dict[str, Traced]:
    """The outputs that a function asks for by name."""
    parameters = inspect.signature(combine).parameters.values()
    if any(each.kind is inspect.Parameter.VAR_KEYWORD for each in parameters):
        return dict(outputs)
    unknown = [each.name for each in parameters if each.name not in outputs]
    if unknown:
        raise AttnTraceError(
            "A1003", f"`combine` asks for `{unknown[0]}`, which is no branch", span=span,
            help=f"its parameters are names of branches: {', '.join(outputs) or 'there are none'}",
        )  # fmt: skip
    return {each.name: outputs[each.name] for each in parameters}


def _branch(name: str, clauses: Sequence[Clause], span: Span) -> Clause:
    counts = [len(each.values) for each in clauses]

    def build(*found: syntax.Expr) -> syntax.Clause:
        made, start = [], 0
        for clause, count in zip(clauses, counts, strict=True):
            made.append(clause.build(*found[start : start + count]))
            start += count
        return syntax.Branch(name, tuple(made), span=span)

    values = tuple(value for each in clauses for value in each.values)
    return Clause(values, build, tuple(block for each in clauses for block in each.blocks))
