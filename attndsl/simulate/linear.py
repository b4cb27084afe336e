"""Linear weights: the algorithm that is used, why, what the other one would cost, and where they cross."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import prod
from typing import Any, Literal

from attndsl.ir.bound import BoundIR, LinearForm, decays_by_channel
from attndsl.ir.plan import unit_count
from attndsl.ir.route_units import block_tokens, route_table
from attndsl.passes.linear_form import linear_form
from attndsl.schedule.schedule import Schedule
from attndsl.simulate.devices import Device
from attndsl.simulate.linear_work import (
    DecayKind,
    Problem,
    Work,
    configuration,
    decay_of,
    recurrence,
    sums,
    sums_of_blocks,
    tiles,
    visits,
)
from attndsl.source import Span

LONGEST, STEP = 2**24, 2**0.25
"""Tokens up to which the crossover is looked for, and the factor between lengths that are tried first."""

SINGLE = 4
"""Bytes of a number of the state."""


@dataclass(frozen=True)
class LinearFigures:
    """How linear weights are computed. algorithm: what is used. proven: what is possible in linear time.

    decay: what it depends on. documents: the input whose changes reset the state. obstacle: what prevents
    linear time. Places are those in the text. chunk: tokens. blocks: tokens of the blocks of queries and keys
    of a route that adds up their states. state: rows and columns, of one head. linear, quadratic: the work of
    both algorithms, None where there is none, or where it depends on plans. crossover_tokens: the least
    length from which on linear time is faster on the device; None where it never is, or one of the two is
    missing.
    """

    algorithm: Literal["recurrence", "sums", "tiles"]
    proven: Literal["recurrence", "sums"] | None
    decay: DecayKind
    documents: str | None
    obstacle: str
    obstacle_place: Span | None
    mask_place: Span | None
    decay_place: Span | None
    batch: int
    heads: int
    head_dim: int
    chunk: int | None
    blocks: tuple[int, int] | None
    state: tuple[int, int] | None
    linear: Work | None
    quadratic: Work | None
    crossover_tokens: int | None

    @property
    def state_bytes_per_head(self) -> int | None:
        """Of the state, which is float32."""
        return SINGLE * prod(self.state) if self.state else None

    @property
    def state_bytes(self) -> int | None:
        """Of all heads and batch entries."""
        own = self.state_bytes_per_head
        return None if own is None else self.batch * self.heads * own

    def to_dict(self) -> dict[str, Any]:
        """Numbers and texts only."""
        data = dict(vars(self))
        for name in ("obstacle_place", "mask_place", "decay_place"):
            data[name] = str(data[name]) if data[name] else None
        data |= {name: work.to_dict() if work else None for name, work in self._works.items()}
        return data | {
            "state_bytes": self.state_bytes,
            "state_bytes_per_head": self.state_bytes_per_head,
        }

    @property
    def _works(self) -> dict[str, Work | None]:
        return {"linear": self.linear, "quadratic": self.quadratic}


def linear_figures(schedule: Schedule, target: Device, head_dim: int, batch: int) -> LinearFigures | None:
    """The figures of a pattern with linear weights; None for all others."""
    ir = schedule.ir
    if ir.linear is None:
        return None
    form, problem = _proven(ir, ir.linear), _problem(schedule, target, head_dim, batch)
    linear = _linear(form, ir) if form else None
    by_pairs = not decays_by_channel(ir) and ir.route is None
    return LinearFigures(
        algorithm=ir.linear.algorithm,
        proven=form.algorithm if form and form.algorithm != "tiles" else None,
        decay=decay_of(ir),
        documents=form.documents if form else None,
        obstacle=ir.linear.obstacle,
        obstacle_place=ir.linear.span,
        mask_place=ir.regions[0].span,
        decay_place=ir.weighting.decay.span if ir.weighting.decay else None,
        batch=batch,
        heads=ir.heads,
        head_dim=head_dim,
        chunk=_chunk(problem, form),
        blocks=(block_tokens(ir, "q"), block_tokens(ir, "k")) if form and ir.route else None,
        state=(head_dim, problem.value_dim) if form else None,
        linear=linear(problem) if linear else None,
        quadratic=_quadratic(schedule, problem) if by_pairs else None,
        crossover_tokens=_crossover(problem, form, linear) if form and linear and by_pairs else None,
    )


def _proven(ir: BoundIR, form: LinearForm) -> LinearForm | None:
    """The linear form that is used or, where tiles were asked for, would be; None where there is none."""
    if form.algorithm == "tiles" and not form.obstacle and ir.pattern is not None:
        form = linear_form(ir.pattern.weighting, ir) or form
    return None if form.algorithm == "tiles" else form


def _problem(schedule: Schedule, target: Device, head_dim: int, batch: int) -> Problem:
    q_tokens, kv_tokens = prod(schedule.q_tile), prod(schedule.kv_tile)
    queries, keys = schedule.ir.query_space.size, schedule.ir.key_space.size
    return Problem(schedule.ir, target, batch, head_dim, queries, keys, q_tokens, kv_tokens)


def _linear(form: LinearForm, ir: BoundIR) -> Callable[[Problem], Work]:
    if ir.route is not None:
        (queries, q_block), (keys, kv_block) = route_table(ir, "q"), route_table(ir, "k")
        counts = (
            unit_count(ir.query_space.size, q_block, queries), unit_count(ir.key_space.size, kv_block, keys)
        )  # fmt: skip
        return lambda problem: sums_of_blocks(problem, counts)
    if form.algorithm == "sums":
        return sums
    return lambda problem: recurrence(problem, form.documents)


def _chunk(problem: Problem, form: LinearForm | None) -> int | None:
    if form is None or form.algorithm != "recurrence":
        return None
    return configuration(problem, form.documents).chunk


def _quadratic(schedule: Schedule, problem: Problem) -> Work:
    """Of the tiles that the schedule visits."""
    visited = sum(schedule.maps[number].visited_tiles for number in schedule.map_of_head)
    return tiles(problem, visited, schedule.worst_q_tile_visits)


def _crossover(problem: Problem, form: LinearForm, linear: Callable[[Problem], Work]) -> int | None:
    """The least length from which on linear time is faster: by steps downwards, then by bisection."""

    def is_faster(tokens: int) -> bool:
        other = at_length(problem, tokens)
        pairs = tiles(other, *visits(other, causal=form.algorithm == "recurrence"))
        return linear(other).seconds < pairs.seconds

    if not is_faster(LONGEST):
        return None
    longer = LONGEST
    while (shorter := int(longer / STEP)) > 0 and is_faster(shorter):
        longer = shorter
    while longer - shorter > 1:
        middle = (shorter + longer) // 2
        shorter, longer = (shorter, middle) if is_faster(middle) else (middle, longer)
    return longer


def at_length(problem: Problem, tokens: int) -> Problem:
    """The problem with so many queries, and keys in proportion; tiles are those of the device's kernel."""
    keys = max(1, round(tokens * problem.keys / problem.queries))
    q_tile = _tile(problem.q_tile, problem.queries, problem.device.q_tokens, tokens)
    kv_tile = _tile(problem.kv_tile, problem.keys, problem.device.kv_tokens, keys)
    return replace(problem, queries=tokens, keys=keys, q_tile=q_tile, kv_tile=kv_tile)


def _tile(tile: int, tokens: int, of_device: int, other_tokens: int) -> int:
    """The tokens of a tile at another length: a tile that holds all tokens is small for want of them."""
    whole = max(tile, of_device) if tile >= tokens else tile
    return min(whole, 1 << (other_tokens - 1).bit_length())
