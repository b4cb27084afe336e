"""`attndsl list`: the shipped patterns, one line each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from attndsl.cli.options import Json
from attndsl.cli.output import console, print_json
from attndsl.cli.problem import examples

if TYPE_CHECKING:
    from attndsl.ir.expr import Expr
    from attndsl.ir.pattern import PatternIR


def list_patterns(json: Json = False) -> None:
    """List the patterns of the library."""
    from attndsl import library

    found = [library.load(name) for name in library.names()]
    if json:
        print_json([summary(pattern) for pattern in found])
    else:
        _print_table(found)


def summary(pattern: PatternIR) -> dict[str, object]:
    """What a program wants to know of a pattern: parameters, spaces, inputs, published settings."""
    return {
        "name": pattern.name,
        "summary": first_line(pattern),
        "parameters": [
            {"name": each.name, "type": _type(each.kind, each.shape), "required": each.default is None}
            for each in pattern.parameters
        ],
        "space": [_segment(segment.name, segment.axes, segment.variadic) for segment in pattern.query_space],
        "key_space": [
            _segment(segment.name, segment.axes, segment.variadic) for segment in pattern.key_space
        ],
        "linear_weights": pattern.weighting.is_linear,
        "inputs": [{"name": each.name, "type": _type(each.kind, each.shape)} for each in pattern.inputs],
        "examples": examples(pattern.documentation),
    }


def signature(pattern: PatternIR) -> str:
    """The parameters as the text declares them; a question mark where there is a default."""
    parts = (
        f"{each.name}{'' if each.default is None else '?'}: {_type(each.kind, each.shape)}"
        for each in pattern.parameters
    )
    return f"{pattern.name}({', '.join(parts)})"


def first_line(pattern: PatternIR) -> str:
    """The first sentence of the docstring."""
    return pattern.documentation.strip().split("\n")[0]


def spaces(pattern: PatternIR) -> str:
    """The space, or query and key space, in the language's words."""
    query = " ++ ".join(_segment(each.name, each.axes, each.variadic) for each in pattern.query_space)
    key = " ++ ".join(_segment(each.name, each.axes, each.variadic) for each in pattern.key_space)
    return f"{query} -> {key}" if pattern.cross else query


def _segment(name: str, axes: tuple[str, ...], variadic: bool) -> str:
    return f"{name}({', '.join(axes)}{'...' if variadic else ''})"


def _type(kind: str, shape: Sequence[str | int | Expr]) -> str:
    from attndsl.ir.text import expression

    sizes = (str(each) if isinstance(each, str | int) else expression(each) for each in shape)
    return f"{kind}[{', '.join(sizes)}]" if shape else kind


def _print_table(found: list[PatternIR]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold cyan", no_wrap=True)
    table.add_column()
    for pattern in found:
        parameters = [f"{each.name}{'' if each.default is None else '?'}" for each in pattern.parameters]
        described = Text(first_line(pattern))
        weights = ["linear weights"] if pattern.weighting.is_linear else []
        described.append(f"\n{' · '.join([spaces(pattern), *weights, *parameters])}", style="dim")
        table.add_row(pattern.name, described)
    out = console()
    out.print(table)
    out.print("\nParameters with a question mark have a default. To see one: ", end="")
    out.print("attndsl show gna --shape 24,24 --set window=9,9", style="bold", soft_wrap=True)
