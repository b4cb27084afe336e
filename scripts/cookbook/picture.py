"""The picture of a library pattern: its small setting, with tiles small enough to see how they fall."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import isqrt
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from attndsl import library
from attndsl.cli.problem import Problem, examples
from attndsl.diagnostics import AttnError
from attndsl.ir.evaluate import check_inputs
from attndsl.schedule.build import schedule_with
from attndsl.show import Subject, draw, encode
from attndsl.simulate.devices import device
from attndsl.simulate.tiles import best_tiles
from scripts.cookbook.setting import DEVICE, problem

DOTS_PER_INCH = 130
COLOURS = 96
"""The pictures have few colours: a palette of so many makes small files, and no colour moves visibly."""


def picture(name: str) -> bytes:
    """A PNG of the pattern; the first and the last head one above the other where heads differ."""
    drawn = [
        Image.open(io.BytesIO(encode(draw(each), Path(f"{name}.png"), DOTS_PER_INCH)))
        for each in subjects(name)
    ]
    page = Image.new("RGB", (max(each.width for each in drawn), sum(each.height for each in drawn)), "white")
    for number, each in enumerate(drawn):
        page.paste(each, (0, sum(above.height for above in drawn[:number])))
    buffer = io.BytesIO()
    page.quantize(COLOURS, Image.Quantize.MAXCOVERAGE).save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def undrawn(name: str) -> str | None:
    """Why the pattern has no picture, None where it has one."""
    try:
        subjects(name)
    except AttnError as error:
        return error.message
    return None


def subjects(name: str) -> Sequence[Subject]:
    """The branches and heads to draw. Raises AttnError where there is no schedule or no small setting."""
    small = problem(name, examples(library.load(name).documentation)["small"])
    branches = small.bound.branches
    parts = [small.of_branch(each) for each in branches] if branches else [small]
    return [subject for part in parts for subject in heads(part)]


def heads(part: Problem) -> Sequence[Subject]:
    """The heads to draw of a pattern or a branch of it."""
    ir = part.bound.ir
    tokens = tile_tokens(ir.query_space.segments[0].size)
    tiles = best_tiles(ir, replace(device(DEVICE), q_tokens=tokens, kv_tokens=tokens))
    schedule = schedule_with(ir, tiles.q_tile, tiles.kv_tile, tiles.q_step, tiles.kv_step)
    inputs = check_inputs(ir, sample_inputs(part))
    schedule = schedule.refine(inputs) if inputs else schedule
    first = Subject(ir, schedule, 0, inputs)
    return [first, replace(first, head=ir.heads - 1)] if first.heads_differ else [first]


def tile_tokens(tokens: int) -> int:
    """Tokens of a tile, a power of two: with about as many tiles as a tile has tokens, both can be seen."""
    return 1 << (isqrt(tokens).bit_length() - 1)


def sample_inputs(small: Problem) -> Mapping[str, NDArray[Any]]:
    """Inputs with one value per token: five runs of equal values, as of five packed documents."""
    sizes = {"query": small.bound.ir.query_space.size, "key": small.bound.ir.key_space.size}
    sizes["tokens"] = sizes["query"]
    return {
        each.name: (np.arange(sizes[each.shape[0]]) * 5 // sizes[each.shape[0]]).astype(kind_of(each.kind))
        for each in small.bound.ir.inputs
        if len(each.shape) == 1 and each.shape[0] in sizes
    }


def kind_of(kind: str) -> type[Any]:
    """The NumPy type of a declared input."""
    return {"int": np.int64, "real": np.float64, "bool": np.bool_}.get(kind, np.float64)
