"""`attndsl plan PATTERN`: what a route selects, as a file and in figures."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from attndsl.cli import options
from attndsl.cli.output import console, print_json, print_report, require_torch
from attndsl.cli.problem import Problem, bind
from attndsl.diagnostics import AttnFileError

if TYPE_CHECKING:
    from attndsl.fitting.sample_file import SampleFile
    from attndsl.ir.plan import Plan

TENSORS = "The tensors"


def plan(
    pattern: options.PatternName,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write the plan to this file (npz).")
    ] = None,
    tensors: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            rich_help_panel=TENSORS,
            help="Safetensors or npz with q, k and what else the route reads. Default: random tensors.",
        ),
    ] = None,
    layer: Annotated[
        int | None,
        typer.Option(
            min=0,
            rich_help_panel=TENSORS,
            help="The layer of a file of samples, as attndsl.capture writes it.",
        ),
    ] = None,
    plan_file: options.PlanFile = None,
    shape: options.Shape = None,
    heads: options.Heads = None,
    kv_heads: options.KvHeads = None,
    key_shape: options.KeyShape = None,
    settings: options.Settings = None,
    head_dim: options.HeadDim = 128,
    dtype: options.DataType = "fp32",
    json: options.Json = False,
) -> None:
    """Select by a pattern's route, and summarize or save the plan: from tensors in a file, or random ones.

    With --plan nothing is selected: the plan in that file is summarized.
    """
    if plan_file is not None and tensors is not None:
        raise typer.BadParameter("a plan is read or selected, not both", param_hint="--plan")
    if layer is not None and tensors is None:
        raise typer.BadParameter("it belongs to --tensors", param_hint="--layer")
    problem = bind(pattern, shape, heads, kv_heads, key_shape, settings)
    if plan_file is not None:
        found = problem.bound.load_plan(plan_file)
    else:
        found = _select(problem, tensors, layer, head_dim, options.LONG_NAMES[dtype])
    if output is not None:
        problem.bound.save_plan(found, output)
    _print(found if isinstance(found, dict) else {"": found}, json)
    if output is not None:
        console(error=json).print(f"wrote {output}", markup=False, soft_wrap=True)


def _print(plans: Mapping[str, Plan], json: bool) -> None:
    summaries = {name: each.summary() for name, each in plans.items()}
    if json:
        data = {name: each.to_dict() for name, each in summaries.items()}
        print_json(data.get("", data))
        return
    for name, each in summaries.items():
        label = name if plans[name].kinds[0] == "group" else f"branch {name}"
        print_report(f"{label}: {each}" if name else str(each))


def _select(problem: Problem, path: Path | None, layer: int | None, head_dim: int, dtype: str) -> Any:
    """The plan of the tensors in a file, or of random ones."""
    require_torch()
    from attndsl.ir.plan_checks import routed_branches
    from attndsl.runtime import rivals

    ir = problem.bound.ir
    routed_branches(ir)
    inputs = rivals.input_tensors(problem.inputs)
    given: dict[str, Any]
    if path is None:
        drawn = dict(zip("qkv", rivals.random_tensors(ir, head_dim, dtype), strict=True))
        given = {**drawn, **rivals.random_inputs(ir, head_dim), **inputs}
    else:
        prefix = "" if layer is None else f"layers.{layer}."
        names = ["q", "k", "v", *(each.name for each in ir.inputs)]
        given = {**rivals.input_tensors(_read(path, prefix, names)), **inputs}
    return problem.bound.plan(**given)


def _read(path: Path, prefix: str, wanted: list[str]) -> dict[str, Any]:
    """The arrays of a file. Raises AttnFileError A0820, A0821 and A0854."""
    from attndsl.fitting.sample_file import SampleFile

    file = SampleFile(path)
    for name in (f"{prefix}q", f"{prefix}k"):
        if name not in file.names:
            raise AttnFileError(
                "A0854", f"`{path}` has no array `{name}`",
                help="name the arrays q, k, v and as the pattern's inputs, or pass --layer for samples",
            )  # fmt: skip
    return {name: _numbers(file, prefix + name) for name in wanted if prefix + name in file.names}


def _numbers(file: SampleFile, name: str) -> Any:
    """An array of numbers that torch knows: bfloat16 becomes float32, in which scores are computed."""
    import numpy as np

    array = file.read(name)
    if array.dtype.name == "bfloat16":
        return array.astype(np.float32)
    if array.dtype.kind not in "fiub":
        raise AttnFileError(
            "A0854", f"`{name}` in `{file.path}` holds {array.dtype}, no numbers",
            help="store queries and keys as floating point [batch, heads, tokens, head_dim]",
        )  # fmt: skip
    return array
