"""`attndsl simulate PATTERN`: density, tile and end-to-end speedup, predicted without running anything."""

from __future__ import annotations

from typing import Annotated

import typer

from attndsl.cli import options
from attndsl.cli.output import console, print_json
from attndsl.cli.problem import Problem, bind


def simulate(
    pattern: options.PatternName,
    shape: options.Shape = None,
    heads: options.Heads = None,
    kv_heads: options.KvHeads = None,
    key_shape: options.KeyShape = None,
    settings: options.Settings = None,
    device: Annotated[str, typer.Option(help="h100, h200, b200, a100, ...")] = "b200",
    q_tile: options.QueryTile = None,
    kv_tile: options.KeyTile = None,
    attention_share: Annotated[
        float | None, typer.Option(help="Share of the model's time that dense attention takes: 0.607.")
    ] = None,
    optimize: Annotated[bool, typer.Option(help="Search tiles and strides near the request.")] = False,
    json: options.Json = False,
) -> None:
    """Predict the speedup of a pattern: tiles visited, and what that means end to end."""
    problem = bind(pattern, shape, heads, kv_heads, key_shape, settings)
    if optimize:
        _optimize(problem, device, q_tile, kv_tile, attention_share, json)
        return
    report = problem.bound.simulate(device, q_tile, kv_tile, attention_share)
    if json:
        print_json(report.to_dict())
    else:
        console().print(str(report), markup=False)
