"""`attndsl fit SAMPLES`: what patterns keep of a model's attention, and a plan within a density budget."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from attndsl.cli import options
from attndsl.cli.output import console, print_json, print_report, write_text
from attndsl.cli.values import parse_settings, split_settings
from attndsl.files import write_file

if TYPE_CHECKING:
    from attndsl.fitting.bench import Progress
    from attndsl.fitting.result import Fit

SAMPLES = "The samples"

Candidates = Annotated[
    list[str],
    typer.Option(
        "-p",
        "--pattern",
        metavar="'PATTERN NAME=VALUE|VALUE ...'",
        help="A pattern with values; alternatives stand between bars: 'streaming sink=4 window=64|256'. "
        "Repeatable.",
    ),
]
Budget = Annotated[
    float | None,
    typer.Option(help="Largest mean density, visible pairs / all pairs. Without it nothing is chosen."),
]
Causal = Annotated[
    bool | None,
    typer.Option(
        "--causal/--no-causal",
        rich_help_panel=SAMPLES,
        help="Whether the model is causal, where the file does not say.",
        show_default=False,
    ),
]


Layers = Annotated[
    options.Extents | None,
    typer.Option(
        parser=options.extents, metavar="N,N,...", rich_help_panel=SAMPLES, help="Which layers: 0,1,2."
    ),
]
Pictures = Annotated[
    Path | None, typer.Option(metavar="FOLDER", help="Write a picture of each layer into this folder.")
]
PerHead = Annotated[bool, typer.Option("--per-head", help="Also print the figures of each head.")]


def fit(
    samples: Annotated[
        Path, typer.Argument(metavar="SAMPLES", help="Safetensors or npz, as attndsl.capture writes it.")
    ],
    patterns: Candidates,
    budget: Budget = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="The plan file. Default: plan.json.")
    ] = None,
    pictures: Pictures = None,
    per_head: PerHead = False,
    shape: options.Shape = None,
    causal: Causal = None,
    layers: Layers = None,
    queries: Annotated[
        int, typer.Option(min=1, rich_help_panel=SAMPLES, help="Queries to look at in each layer.")
    ] = 256,
    seed: Annotated[int, typer.Option(min=0, rich_help_panel=SAMPLES, help="Which queries those are.")] = 0,
    device: options.Device = "b200",
    json: options.Json = False,
) -> None:
    """Measure the attention mass that patterns keep, choose per head within a budget, and write a plan."""
    from attndsl.fitting.fit import fit as run

    if output is not None and budget is None:
        raise typer.BadParameter("a plan needs --budget", param_hint="--output")
    grids = [parse_candidates(words) for words in patterns]
    with _progress() as progress:
        result = run(
            samples, grids, budget=budget, shape=shape, causal=causal, layers=layers, queries=queries,
            seed=seed, device=device, progress=progress,
        )  # fmt: skip
    written = _write(result, output, pictures)
    if json:
        print_json(result.to_dict())
        return
    print_report(str(result))
    if per_head:
        _print_heads(result)
    for path in written:
        console().print(f"wrote {path}", markup=False, soft_wrap=True)


def parse_candidates(words: str) -> tuple[str, dict[str, Any]]:
    """`moa alpha=0|64 beta=0.5` as a pattern's name and its grids: a list for values between bars."""
    from attndsl.named_pattern import find_pattern

    name, *settings = words.split() or [""]
    if not name or "=" in name:
        raise typer.BadParameter(f"{words!r} does not begin with a pattern", param_hint="--pattern")
    ir = find_pattern(name).ir
    grids: dict[str, Any] = {}
    for setting, text in split_settings(settings).items():
        values = [parse_settings(ir, {setting: part})[setting] for part in text.split("|")]
        grids[setting] = values if len(values) > 1 else _one_value(values[0])
    return name, grids


def _one_value(value: object) -> object:
    """A list from a JSON file is one value, not a grid of values."""
    return tuple(value) if isinstance(value, list) else value


@contextmanager
def _progress() -> Iterator[Progress]:
    """Bars on a terminal, one for each stage, by way of standard error; they vanish when all is done."""
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description:<10}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    out = console(error=True)
    with Progress(*columns, console=out, transient=True, disable=not out.is_terminal) as bars:
        tasks: dict[str, Any] = {}

        def progress(stage: str, part: float) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=1.0)
            bars.update(tasks[stage], completed=part)

        yield progress


def _write(result: Fit, output: Path | None, pictures: Path | None) -> list[Path]:
    """Write the plan and the pictures; returns their paths."""
    written = []
    if result.budget is not None:
        written.append(output or Path("plan.json"))
        write_text(written[-1], result.plan_text())
    if pictures is not None:
        from attndsl.show.encode import encode

        pictures.mkdir(parents=True, exist_ok=True)
        for layer in result.layers:
            written.append(pictures / f"layer_{layer.number}.png")
            write_file(written[-1], encode(result.draw(layer.number), written[-1]))
    return written


def _print_heads(result: Fit) -> None:
    from attndsl.fitting.text import heads_as_text

    for layer in result.layers:
        print_report(heads_as_text(layer, [each.label for each in result.candidates]))
