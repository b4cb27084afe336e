"""How linear weights are computed, as text for people: in predictions, and as a section of explanations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from attndsl.simulate.units import duration, large

if TYPE_CHECKING:
    from attndsl.simulate.linear import LinearFigures
    from attndsl.simulate.linear_work import Work
    from attndsl.source import Span

DECAYS = {
    "none": "nothing decays",
    "head": "the decay is separable, one number per head",
    "token": "the decay is separable, one number per head and token",
    "channel": "the decay is separable, channel by channel",
}
ROUTED = "how long tiles would take depends on the plan: `attndsl simulate` predicts it"
CHANNELS = "tiles cannot compute decays of channels"
LONG_CALLS = "long calls are refused unless they ask for it: using('tiles') (A0672)"


def algorithm_lines(found: LinearFigures) -> Iterator[str]:
    """For predictions: what is used, the work of both algorithms, and the crossover."""
    yield f"  algorithm         {_headline(found)}"
    if found.linear:
        chunks = f" in chunks of {found.chunk} tokens" if found.chunk else ""
        yield f"    {found.proven:<15} {_work(found.linear)}{chunks}"
    if found.quadratic:
        yield f"    {'tiles':<15} {_work(found.quadratic)}"
    if found.linear and found.quadratic:
        yield f"    {'crossover':<15} {_crossover(found)}"
    yield f"    {'for':<15} batch {found.batch}, head_dim {found.head_dim}, bfloat16, forward"


def _headline(found: LinearFigures) -> str:
    if found.algorithm == "tiles":
        return f"tiles: {_why_tiles(found)}"
    if not (found.linear and found.quadratic):
        return f"{found.algorithm}: {ROUTED if found.blocks else CHANNELS}"
    ratio = found.quadratic.seconds / found.linear.seconds
    compared = f"{ratio:.3g}x as fast as" if ratio >= 1 else f"{1 / ratio:.3g}x slower than"
    return f"{found.algorithm}, predicted {compared} tiles"


def _why_tiles(found: LinearFigures) -> str:
    if found.obstacle:
        return f"{found.obstacle}{_at(found.obstacle_place)}"
    possible = {"recurrence": "; a recurrence is possible", "sums": "; sums are possible"}
    return f"asked for{possible.get(found.proven or '', '')}"


def _work(work: Work) -> str:
    return f"{duration(work.seconds)}, {large(work.flops)}FLOP, {large(work.bytes)}B"


def _crossover(found: LinearFigures) -> str:
    if found.crossover_tokens is None:
        return "tiles are faster at every length"
    return f"linear time is faster from {found.crossover_tokens:,} tokens on"


def algorithm_summary(found: LinearFigures, device: str) -> str:
    """One sentence, without its full stop."""
    if found.algorithm == "tiles" or not (found.linear and found.quadratic):
        return _headline(found)
    where = f"on {device} with batch {found.batch} and head_dim {found.head_dim}"
    return f"{_headline(found)} {where}; {_crossover(found)}"


def algorithm_section(found: LinearFigures, device: str) -> Iterator[str]:
    """For explanations: what was proven, or what prevents it."""
    yield "algorithm"
    if found.algorithm == "tiles":
        yield "  tiles: every visible pair is computed, although the weights are linear"
        yield f"    {'' if not found.obstacle else 'no linear time: '}{_why_tiles(found)}"
        yield from _refused(found)
        return
    rows, columns = found.state or (0, 0)
    size = f"{rows} x {columns} per head, {(found.state_bytes_per_head or 0) / 1024:,.4g} KiB"
    yield f"  {found.algorithm}: {_growth(found)} of {size}"
    yield from (f"    {line}" for line in _proof(found))
    yield from (f"  {line}" for line in _compared(found, device))


def _growth(found: LinearFigures) -> str:
    """What work grows with, and what is kept."""
    if found.blocks:
        queries, keys = found.blocks
        return f"blocks of {queries} queries add the sums over the blocks of {keys} keys that they list, each"
    return f"linear in tokens, {'a state' if found.algorithm == 'recurrence' else 'a sum over keys'}"


def _refused(found: LinearFigures) -> Iterator[str]:
    if found.quadratic is None and found.decay == "channel":
        yield f"    {CHANNELS}: calls are refused (A0673)"
    elif found.obstacle and found.quadratic:  # routes choose few pairs of long calls
        yield f"    {LONG_CALLS}"


def _proof(found: LinearFigures) -> Iterator[str]:
    """What the algorithm rests on."""
    causal = found.algorithm == "recurrence"
    mask = "causal: no query sees a later key" if causal else "every query sees every key"
    mask = "a listed block is seen as a whole" if found.blocks else mask
    yield f"{mask}{_at(found.mask_place)}"
    yield f"{DECAYS[found.decay]}{_at(found.decay_place)}"
    if found.documents:
        yield f"documents: a change of `{found.documents}` from one token to the next resets the state"


def _compared(found: LinearFigures, device: str) -> Iterator[str]:
    """Both algorithms in numbers."""
    assert found.linear is not None
    chunks = f" in chunks of {found.chunk} tokens" if found.chunk else ""
    yield f"{large(found.linear.flops)}FLOP forward{chunks}: {duration(found.linear.seconds)} on {device}"
    if found.quadratic is None:
        yield ROUTED if found.blocks else CHANNELS
        return
    yield f"tiles would take {large(found.quadratic.flops)}FLOP: {duration(found.quadratic.seconds)}"
    yield f"crossover: {_crossover(found)}"


def _at(place: Span | None) -> str:
    return f" ({place})" if place else ""
