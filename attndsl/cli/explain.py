"""`attndsl explain PATTERN`: what a pattern costs, what makes its tiles partial, and what would avoid it."""

from __future__ import annotations

from typing import Any

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
    from attndsl.simulate.branches import explain_branches
    from attndsl.simulate.explain import explain as explanation

    problem = bind(pattern, shape, heads, kv_heads, key_shape, settings)
    find: Any = explain_branches if problem.bound.branches else explanation
    result = find(problem.bound.ir, device=device, q_tile=q_tile, kv_tile=kv_tile, head_dim=head_dim)
    if json:
        print_json(result.to_dict())
    else:
        print_report(str(result))
