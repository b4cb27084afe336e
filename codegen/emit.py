"""What `attndsl compile` shows of code generation: listings and sources; nothing is built or run."""

from __future__ import annotations

from typing import Literal

from attndsl.codegen.cpp import print_kernel
from attndsl.codegen.listing import print_program
from attndsl.codegen.programs import program_of
from attndsl.codegen.standalone import standalone
from attndsl.schedule.schedule import Schedule

Target = Literal["tile-ir", "cpp"]


def emit(
    schedule: Schedule,
    target: Target,
    *,
    head_dim: int,
    value_dim: int | None = None,
    dtype: str = "float32",
    alone: bool = False,
) -> str:
    """The forward pass as text. target: 'tile-ir' (a listing) or 'cpp' (C++ source).

    dtype: 'float32', 'bfloat16' or 'float16'. alone: with the tile runtime inside, so that the file needs
    nothing but a C++17 compiler.
    """
    if target == "tile-ir":
        return print_program(program_of(schedule.ir, "forward"))
    source = print_kernel(
        program_of(schedule.ir, "forward"), schedule, head_dim, value_dim or head_dim, dtype
    )
    return standalone(source) if alone else source
