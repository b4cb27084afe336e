"""The options that commands share, each stated once with its help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

NUMBERS = "The pattern's numbers"


class Extents(tuple[int, ...]):
    """One integer per axis: a type of its own, because typer would read a plain tuple from several words."""


def extents(text: str) -> Extents:
    """`30,48,80` as a tuple. Raises typer.BadParameter (wrong usage) for anything else."""
    try:
        return Extents(int(part) for part in text.split(","))
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a list of integers such as 30,48,80") from None


PatternName = Annotated[
    str,
    typer.Argument(metavar="PATTERN", help="A name from `attndsl list`, or a path: my.attn, my.attn:name."),
]
Shape = Annotated[
    Extents | None,
    typer.Option(
        parser=extents,
        metavar="N,N,...",
        rich_help_panel=NUMBERS,
        help="Tokens per axis of the main space: 30,48,80.",
    ),
]
KeyShape = Annotated[
    Extents | None,
    typer.Option(
        parser=extents,
        metavar="N,N,...",
        rich_help_panel=NUMBERS,
        help="Tokens per axis of a key space of its own.",
    ),
]
Heads = Annotated[int | None, typer.Option(rich_help_panel=NUMBERS, help="Query heads.")]
KvHeads = Annotated[
    int | None,
    typer.Option(rich_help_panel=NUMBERS, help="Key and value heads, if fewer (grouped-query attention)."),
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        rich_help_panel=NUMBERS,
        help="A parameter, input or segment: window=18,24,24, causal=true, doc=@doc.json. Repeatable.",
    ),
]
Branch = Annotated[
    str | None,
    typer.Option(metavar="NAME", rich_help_panel=NUMBERS, help="A branch of a pattern of branches."),
]
Device = Annotated[str, typer.Option(help="h100, h200, b200, a100, ...")]
HeadDim = Annotated[
    int, typer.Option(min=1, max=65_536, rich_help_panel=NUMBERS, help="Dimension of each head.")
]
DataType = Annotated[
    Literal["fp32", "bf16", "fp16", "fp64"],
    typer.Option("--dtype", rich_help_panel=NUMBERS, help="Type of queries, keys and values."),
]
QueryTile = Annotated[
    Extents | None,
    typer.Option(
        "--q-tile", parser=extents, metavar="N,N,...", help="Query tile, tokens per axis. Default: chosen."
    ),
]
KeyTile = Annotated[
    Extents | None,
    typer.Option(
        "--kv-tile", parser=extents, metavar="N,N,...", help="Key tile, tokens per axis. Default: chosen."
    ),
]
PlanFile = Annotated[
    Path | None,
    typer.Option(
        "--plan", metavar="FILE", help="A plan of the pattern's route, as `attndsl plan` writes it."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object, for programs.")]

LONG_NAMES = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16", "fp64": "float64"}
"""What torch and the code printers call each `--dtype`."""
