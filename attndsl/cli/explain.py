"""`attndsl explain PATTERN`: what a pattern costs, what makes its tiles partial, and what would avoid it."""

from __future__ import annotations

from attndsl.cli import options
from attndsl.cli.output import print_json, print_report
from attndsl.cli.problem import bind


def explain(
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
    json: options.Json = False,
) -> None:
    """Explain the cost: as formulas, the clauses behind partial tiles, and the change that avoids them.

    Nothing here depends on --dtype, which all commands take.
    """
    problem = bind(pattern, shape, heads, kv_heads, key_shape, settings)
    result = problem.bound.explain(device, q_tile, kv_tile, head_dim)
    if json:
        print_json(result.to_dict())
    else:
        print_report(str(result))
