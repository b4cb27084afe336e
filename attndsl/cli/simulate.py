"""`attndsl simulate PATTERN`: density, tile and end-to-end speedup, predicted without running anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from attndsl.cli import options
from attndsl.cli.output import print_json, print_report
from attndsl.cli.problem import Problem, bind

if TYPE_CHECKING:
    from attndsl.simulate.optimize import Optimization
    from attndsl.simulate.report import Report

ROUTES = "Random plans of a route"


def simulate(
    pattern: options.PatternName,
    shape: options.Shape = None,
    heads: options.Heads = None,
    kv_heads: options.KvHeads = None,
    key_shape: options.KeyShape = None,
    settings: options.Settings = None,
    head_dim: options.HeadDim = 128,
    dtype: options.DataType = "fp32",
    device: options.Device = "b200",
    q_tile: options.QueryTile = None,
    kv_tile: options.KeyTile = None,
    attention_share: Annotated[
        float | None, typer.Option(help="Share of the model's time that dense attention takes: 0.607.")
    ] = None,
    batch: Annotated[
        int, typer.Option(min=1, help="Batch entries, for the times of linear weights and routes.")
    ] = 1,
    plan: options.PlanFile = None,
    draws: Annotated[int, typer.Option(rich_help_panel=ROUTES, help="Random plans to draw.")] = 20,
    seed: Annotated[int, typer.Option(rich_help_panel=ROUTES, help="Of the random numbers.")] = 0,
    skew: Annotated[
        float, typer.Option(rich_help_panel=ROUTES, help="How unequal blocks of keys are, from 0 on.")
    ] = 1.0,
    locality: Annotated[
        float, typer.Option(rich_help_panel=ROUTES, help="How much near blocks are preferred, from 0 on.")
    ] = 4.0,
    kept: Annotated[
        float, typer.Option(rich_help_panel=ROUTES, help="The part kept by rules that data decide.")
    ] = 0.25,
    optimize: Annotated[
        bool, typer.Option("--optimize", help="Search tiles and strides near the request.")
    ] = False,
    vary: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="With --optimize: an integer parameter to vary. Default: stride."),
    ] = None,
    json: options.Json = False,
) -> None:
    """Predict the speedup of a pattern: tiles visited, and what that means end to end.

    Of patterns with a route the figures are means over random plans, or those of the plan in a file.
    Tile counts depend on neither --head-dim nor --dtype, which all commands take; times are for bfloat16.
    """
    problem = bind(pattern, shape, heads, kv_heads, key_shape, settings)
    if vary and not optimize:
        raise typer.BadParameter("it belongs to --optimize", param_hint="--vary")
    if plan is not None and optimize:
        raise typer.BadParameter("a plan is not searched", param_hint="--optimize")
    request: dict[str, Any] = {
        "device": device,
        "q_tile": q_tile,
        "kv_tile": kv_tile,
        "attention_share": attention_share,
    }
    if optimize:
        result: Optimization | Report = _optimize(problem, request, vary)
    else:
        if plan is not None:
            request["plan"] = problem.bound.load_plan(plan)
        request |= {"draws": draws, "seed": seed, "skew": skew, "locality": locality, "kept": kept}
        result = problem.bound.simulate(**request, head_dim=head_dim, batch=batch)
    if json:
        print_json(result.to_dict())
    else:
        print_report(str(result))


def _optimize(problem: Problem, request: dict[str, Any], vary: list[str] | None) -> Optimization:
    from attndsl.simulate.optimize import optimize

    return optimize(problem.bound.ir, **request, parameters=vary)
