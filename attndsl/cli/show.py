"""`attndsl show PATTERN`: the picture of a pattern, its tiles, and the neighborhood of one query."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from attndsl.cli import options
from attndsl.cli.output import console
from attndsl.cli.problem import Problem, bind
from attndsl.diagnostics import AttnFileError

Output = Annotated[
    Path | None,
    typer.Option("-o", "--output", help="PNG, SVG or PDF file. Default: the pattern's name, .png."),
]
Query = Annotated[
    options.Extents | None,
    typer.Option(
        parser=options.extents, metavar="N,N,...", help="The query whose keys are drawn (2-D, 3-D): 15,24,40."
    ),
]


def show(
    pattern: options.PatternName,
    output: Output = None,
    shape: options.Shape = None,
    heads: options.Heads = None,
    kv_heads: options.KvHeads = None,
    key_shape: options.KeyShape = None,
    settings: options.Settings = None,
    head_dim: options.HeadDim = 128,
    dtype: options.DataType = "fp32",
    query: Query = None,
    head: Annotated[int, typer.Option(min=0, help="The head to draw, where heads differ.")] = 0,
    q_tile: options.QueryTile = None,
    kv_tile: options.KeyTile = None,
    branch: options.Branch = None,
    plan: options.PlanFile = None,
) -> None:
    """Draw the mask, the tiles it touches (full, partial, skipped), and what one query sees.

    Of a pattern of branches it is what some branch lets see, or the branch that --branch names. With --plan
    it is what some heads of a plan list, from --head on, beside the static mask.

    The picture depends on neither --head-dim nor --dtype, which all commands take.
    """
    whole = bind(pattern, shape, heads, kv_heads, key_shape, settings)
    is_plan_of_groups = plan is not None and any(each.members == branch for each in whole.bound.ir.groups)
    problem = whole if is_plan_of_groups else whole.of_branch(branch)
    path = output or Path(f"{problem.bound.name}.png")
    if plan is not None:
        if query or q_tile or kv_tile:
            raise typer.BadParameter("pictures of plans have neither tiles nor a query", param_hint="--plan")
        save_plan_picture(whole, plan, branch, head, path)
        console().print(f"wrote {path}", markup=False, soft_wrap=True)
        return
    from attndsl.show.encode import check_suffix
    from attndsl.show.picture import picture_of_schedule

    check_suffix(path)  # before anything is drawn
    inputs = problem.checked_inputs()
    picture_of_schedule(problem.bound.joined.schedule(q_tile, kv_tile), query, head, inputs).save(path)
    console().print(f"wrote {path}", markup=False, soft_wrap=True)


def save_plan_picture(problem: Problem, file: Path, branch: str | None, head: int, path: Path) -> None:
    """Draw the plan in a file, or that of one branch; nothing is drawn when the path names no picture."""
    from attndsl.show.encode import check_suffix
    from attndsl.show.picture import check_head, picture_of_plan

    check_suffix(path)
    plans = problem.bound.load_plan(file)
    bound = problem.bound.for_plan(plans)
    check_head(head, bound.ir.heads)
    if branch is not None:
        plans = {name: each for name, each in plans.items() if name == branch}
        if not plans:
            raise AttnFileError(
                "A0855", f"`{file}` holds no plan of the branch `{branch}`",
                help="leave out --branch, or name a branch with a route",
            )  # fmt: skip
    picture_of_plan(bound.ir, plans, head).save(path)
