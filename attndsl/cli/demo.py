"""`attndsl demo`: HunyuanVideo's attention from six lines: compiled, run, checked, predicted, drawn."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from attndsl.cli.demo_text import MISTAKE, NEXT, PATTERN, ROWS, SETTING

if TYPE_CHECKING:
    from attndsl.cli.steps import Steps
    from attndsl.pipeline import Bound, Pattern

HEAD_DIM = 128
CHECKED_ROWS = 64
DENSE_SHARE = 32
"""Dense attention is timed on one in this many queries."""


def demo(
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Where the picture goes: PNG, SVG or PDF.")
    ] = Path("attndsl_demo.png"),
) -> None:
    """HunyuanVideo's 115,200-token attention from six lines of text, in under a minute, on any machine."""
    from attndsl.cli.output import console
    from attndsl.cli.steps import Steps

    steps = Steps(console())
    pattern = _write(steps)
    bound = _compile(steps, pattern)
    _run(steps, bound)
    _predict(steps, pattern)
    _draw(steps, bound, output)
    _mistake(steps)
    steps.text(NEXT.format(picture=output))


def _write(steps: Steps) -> Pattern:
    """The pattern on the screen, and parsed."""
    import attndsl

    steps.heading("The pattern, six lines of .attn")
    steps.source(PATTERN)
    pattern = attndsl.parse(PATTERN, "hunyuan.attn")
    assert isinstance(pattern, attndsl.Pattern)
    return pattern


def _compile(steps: Steps, pattern: Pattern) -> Bound:
    """With HunyuanVideo's numbers: bound and scheduled."""
    steps.heading("With the numbers of HunyuanVideo")
    with steps.step("bind") as done:
        bound = pattern.bind(**SETTING, heads=1)
        done(f"{bound.name}: {bound.ir.query_space.size:,} tokens, head 1 of 24")
    with steps.step("schedule") as done:
        schedule = bound.schedule()
        done(
            f"{schedule.visited_tiles:,} of {schedule.total_tiles:,} tile pairs, "
            f"{schedule.partial_tiles:,} of them partial: {schedule.tile_speedup:.2f}x less work than dense"
        )
    return bound


def _run(steps: Steps, bound: Bound) -> None:
    """On this machine's CPU: compiled, measured, checked, and compared with dense attention."""
    from importlib.util import find_spec

    steps.heading("On this machine's CPU")
    if find_spec("torch") is None:
        steps.text("torch is not installed, so nothing is run here: pip install torch")
        return
    from attndsl.cli.demo_run import run

    run(steps, bound, HEAD_DIM, CHECKED_ROWS, DENSE_SHARE)


def _predict(steps: Steps, pattern: Pattern) -> None:
    """The five rows of the paper's table, predicted beside published."""
    from attndsl.cli.demo_table import prediction_table

    steps.heading("On a B200, predicted without one")
    with steps.step("simulate") as done:
        table, worst = prediction_table(pattern, ROWS)
        done(f"{len(ROWS)} settings; largest difference from the published numbers: {worst:.2f}")
    steps.table(table)
    steps.text("Published: A. Hassani et al., Generalized Neighborhood Attention, 2025, arXiv:2504.16922.")


def _draw(steps: Steps, bound: Bound, output: Path) -> None:
    """The picture, in a file."""
    from attndsl.show.encode import check_suffix

    steps.heading("The picture")
    with steps.step("draw") as done:
        check_suffix(output)  # before anything is drawn
        bound.show((15, 24, 40), q_tile=(4, 8, 8), kv_tile=(2, 8, 8)).save(output)
        done(f"{output.resolve()}")


def _mistake(steps: Steps) -> None:
    """What a typo gives."""
    import attndsl

    steps.heading("And with a typo")
    wrong, right = MISTAKE
    try:
        attndsl.parse(PATTERN.replace(right, wrong), "hunyuan.attn")
    except attndsl.AttnError as error:
        steps.quote(error.render())
