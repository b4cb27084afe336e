"""`attndsl compile PATTERN`: what any stage of the compiler makes of a pattern, as text."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from attndsl.cli import options
from attndsl.cli.compile_branches import write_branches
from attndsl.cli.compile_kernel import Request, stage
from attndsl.cli.output import console, write_text
from attndsl.cli.problem import bind
from attndsl.diagnostics import AttnBackendError

if TYPE_CHECKING:
    from attndsl.pipeline import Bound

Target = Annotated[
    Literal["cpp", "reference", "triton", "sm80", "sm90", "sm100", "gfx942"],
    typer.Option(
        help="What to compile for. cpp: C++ for this machine's CPU. triton: a kernel for any GPU. "
        "sm80 to gfx942: with what suits that GPU, which need not be there."
    ),
]
Emit = Annotated[
    Literal["ast", "ir", "schedule", "tile-ir", "source", "asm", "resources"],
    typer.Option(
        help="The stage whose result is written. ast, ir: also without numbers. resources: registers, shared "
        "memory and spills of GPU kernels, as a table."
    ),
]
Kernel = Annotated[
    Literal["forward", "delta", "dq", "dk_dv"],
    typer.Option(help="Which kernel: the forward pass, or a part of the backward pass."),
]
Standalone = Annotated[
    bool,
    typer.Option(
        "--standalone",
        help="Write a Triton kernel with its schedule and a function to call; C++ always stands alone.",
    ),
]
DataType = Annotated[
    Literal["fp32", "bf16", "fp16", "fp64", "fp8"],
    typer.Option(
        "--dtype",
        rich_help_panel=options.NUMBERS,
        help="Type of queries, keys and values. fp8: e4m3, for Triton's forward kernel.",
    ),
]
Output = Annotated[
    Path | None, typer.Option("-o", "--output", help="File to write. Default: standard output.")
]


def compile_pattern(
    pattern: options.PatternName,
    output: Output = None,
    target: Target = "cpp",
    emit: Emit = "source",
    shape: options.Shape = None,
    heads: options.Heads = None,
    kv_heads: options.KvHeads = None,
    key_shape: options.KeyShape = None,
    settings: options.Settings = None,
    head_dim: options.HeadDim = 128,
    dtype: DataType = "fp32",
    kernel: Kernel = "forward",
    standalone: Standalone = False,
    branch: options.Branch = None,
) -> None:
    """Compile a pattern to a kernel source, or print an earlier stage."""
    refuse_target(target, emit)
    if emit == "ast":
        text = _syntax_tree(pattern)
    elif emit == "ir" and shape is None and not settings:
        text = _pattern_ir(pattern)
    else:
        problem = bind(pattern, shape, heads, kv_heads, key_shape, settings).of_branch(branch)
        element = "float8_e4m3fn" if dtype == "fp8" else options.LONG_NAMES[dtype]
        request = Request(target, emit, head_dim, element, kernel, standalone)
        if problem.bound.branches and emit != "ir":
            _write_branches(output, problem.bound, request)
            return
        text = stage(problem.bound, request)
    write_text(output, text)
    if output is not None and output.is_file():
        console().print(f"wrote {output}", markup=False, soft_wrap=True)


def _write_branches(output: Path | None, bound: Bound, request: Request) -> None:
    """A section or a file for every branch."""
    is_code = request.emit in ("source", "asm")
    comment = ("// " if request.on_cpu else "# ") if is_code else ""
    for line in write_branches(output, bound, lambda branch: stage(branch, request), comment):
        console().print(line, markup=False, soft_wrap=True)


def refuse_target(target: str, emit: str) -> None:
    """Raises AttnBackendError for stages that a target does not have."""
    if target == "triton" and emit == "asm":
        raise AttnBackendError(
            "A0720",
            "the target triton is any GPU, and machine code is for one",
            help="use --target sm80, sm90, sm100 or gfx942",
        )
    if target == "reference" and emit in ("tile-ir", "source", "asm"):
        raise AttnBackendError(
            "A0721",
            f"the reference backend has no {emit}: it evaluates the pattern itself, in torch",
            help="use --emit ir to read what it evaluates, or --target cpp",
        )
    if emit == "resources" and target in ("cpp", "reference"):
        raise AttnBackendError(
            "A0724",
            f"resources are reported for kernels of GPUs, not for {target}",
            help="use --target triton, sm80, sm90, sm100 or gfx942",
        )


def _syntax_tree(name: str) -> str:
    from attndsl import library
    from attndsl.cli.tree import tree_text
    from attndsl.named_pattern import find_pattern, split_name
    from attndsl.syntax.files import read_source
    from attndsl.syntax.parser import parse

    path, chosen = split_name(name)
    tree = parse(library.source(name) if path is None else read_source(path))
    if chosen is not None and chosen not in [each.name for each in tree.definitions]:
        find_pattern(name)  # refuses the name
    return tree_text(tree)


def _pattern_ir(name: str) -> str:
    from attndsl.ir.pattern_text import pattern_text
    from attndsl.named_pattern import find_pattern

    return pattern_text(find_pattern(name).ir)
