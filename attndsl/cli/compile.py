"""`attndsl compile PATTERN`: what any stage of the compiler makes of a pattern, as text."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from attndsl.cli import options
from attndsl.cli.output import write_text
from attndsl.cli.problem import Problem, bind
from attndsl.diagnostics import AttnBackendError

Target = Annotated[
    Literal["cpp", "reference", "triton", "sm80", "sm90", "sm100", "gfx942"],
    typer.Option(help="What to compile for. cpp: C++ for this machine's CPU."),
]
Emit = Annotated[
    Literal["ast", "ir", "schedule", "tile-ir", "source", "asm"],
    typer.Option(help="The stage whose result is written. ast, ir: also without numbers."),
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
    dtype: options.DataType = "fp32",
) -> None:
    """Compile a pattern to a kernel source that stands alone, or print an earlier stage."""
    refuse_target(target, emit)
    if emit == "ast":
        text = _syntax_tree(pattern)
    elif emit == "ir" and shape is None and not settings:
        text = _pattern_ir(pattern)
    else:
        problem = bind(pattern, shape, heads, kv_heads, key_shape, settings)
        text = _bound_stage(problem, emit, head_dim, options.LONG_NAMES[dtype])
    write_text(output, text)


def refuse_target(target: str, emit: str) -> None:
    """Raises AttnBackendError for targets and stages that do not exist, or not yet."""
    if target not in ("cpp", "reference"):
        raise AttnBackendError(
            "A0720",
            f"the target {target} is not compiled yet",
            help="use --target cpp, or --target reference",
        )
    if target == "reference" and emit in ("tile-ir", "source", "asm"):
        raise AttnBackendError(
            "A0721",
            f"the reference backend has no {emit}: it evaluates the pattern itself, in torch",
            help="use --emit ir to read what it evaluates, or --target cpp",
        )


def _syntax_tree(name: str) -> str:
    from attndsl import library
    from attndsl.cli.tree import tree_text
    from attndsl.named_pattern import split_name
    from attndsl.syntax.files import read_source
    from attndsl.syntax.parser import parse

    path, _ = split_name(name)
    return tree_text(parse(library.source(name) if path is None else read_source(path)))


def _pattern_ir(name: str) -> str:
    from attndsl.ir.text import pattern_text
    from attndsl.named_pattern import find_pattern

    return pattern_text(find_pattern(name).ir)


def _bound_stage(problem: Problem, emit: str, head_dim: int, dtype: str) -> str:
    from attndsl.cli.schedule_text import schedule_text
    from attndsl.ir.text import bound_text

    if emit == "ir":
        return bound_text(problem.bound.ir)
    if emit == "schedule":
        return schedule_text(problem.bound.schedule())
    return _kernel(problem, emit, head_dim, dtype)


def _kernel(problem: Problem, emit: str, head_dim: int, dtype: str) -> str:
    from attndsl.codegen.cpp import ELEMENTS, print_kernel
    from attndsl.codegen.forward import forward
    from attndsl.codegen.listing import print_program
    from attndsl.codegen.standalone import standalone

    program = forward()
    if emit == "tile-ir":
        return print_program(program)
    if dtype not in ELEMENTS:
        raise AttnBackendError(
            "A0704",
            f"C++ kernels compute {', '.join(ELEMENTS)}, not {dtype}",
            help="use --dtype fp32, bf16 or fp16",
        )
    source = standalone(print_kernel(program, problem.bound.schedule(), head_dim, head_dim, dtype))
    return source if emit == "source" else _assembly(source)


def _assembly(source: str) -> str:
    """The machine code of a kernel as the system's compiler prints it."""
    import tempfile
    from dataclasses import replace

    from attndsl.runtime.compiler import find_compiler

    compiler = find_compiler()
    with tempfile.TemporaryDirectory() as folder:
        text, result = Path(folder, "kernel.cpp"), Path(folder, "kernel.s")
        text.write_text(source, encoding="utf-8")
        replace(compiler, command=(*compiler.command, "-S")).compile(text, result)
        return result.read_text(encoding="utf-8")
