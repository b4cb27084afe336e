"""The arithmetic that finds the tokens of a tile, executed in NumPy, against the tiling's own table."""

from __future__ import annotations

from math import prod
from types import SimpleNamespace
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from attndsl.codegen.triton_descriptors import tile_box
from attndsl.codegen.triton_tokens import TileTokens
from attndsl.ir.bound import Segment, Space
from attndsl.ir.evaluate import coordinates
from attndsl.schedule.tiling import AxisTiling, SegmentTiling, Tiling

TL = SimpleNamespace(where=np.where, minimum=np.minimum, maximum=np.maximum)


def tiling_of(*segments: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]) -> Tiling:
    """A space of segments, each (extents, tile, step)."""
    offset, parts = 0, []
    for number, (extents, tile, step) in enumerate(segments):
        segment = Segment(f"s{number}", tuple(f"a{i}" for i in range(len(extents))), extents, offset)
        parts.append(SegmentTiling(segment, tuple(map(AxisTiling, extents, tile, step))))
        offset += segment.size
    return Tiling(Space(tuple(part.segment for part in parts)), tuple(parts))


@st.composite
def tilings(draw: st.DrawFn) -> Tiling:
    count = draw(st.integers(1, 3))
    segments = []
    for _ in range(count):
        rank = draw(st.integers(1, 3))
        sizes = st.tuples(*[st.integers(1, {1: 40, 2: 9, 3: 5}[rank])] * rank)
        steps = st.tuples(*[st.integers(1, 4)] * rank)
        segments.append((draw(sizes), draw(st.tuples(*[st.integers(1, 9)] * rank)), draw(steps)))
    return tiling_of(*segments)


def execute(lines: list[str], tokens: TileTokens, tile: int) -> dict[str, Any]:
    """The variables after printed lines, with NumPy in Triton's place."""
    names: dict[str, Any] = {
        "tl": TL,
        f"{tokens.side}_tokens": tokens.tiling.space.size,
        f"{tokens.side}_tile": np.int32(tile),
        tokens.lane: np.arange(tokens.lanes),
    }
    exec("\n".join(lines), names)
    return names


@settings(max_examples=150, deadline=None)
@given(tilings())
def test_tokens_of_every_tile(tiling: Tiling) -> None:
    tokens = TileTokens("q", tiling)
    table, counts = tiling.tokens()
    lines = [*tokens.base_lines(), *tokens.inside_lines(), *tokens.exists_lines()]
    for tile, count in enumerate(counts):
        found = execute(lines, tokens, tile)
        places = np.broadcast_to(found["q_base"] + found["q_inside"], tokens.lanes)
        exists = np.broadcast_to(found["q_exists"] if tokens.cut else True, tokens.lanes)
        assert places[exists].tolist() == table[tile, :count].tolist()


@settings(max_examples=100, deadline=None)
@given(tilings())
def test_coordinates_of_existing_tokens(tiling: Tiling) -> None:
    tokens = TileTokens("kv", tiling)
    table, counts = tiling.tokens()
    for number, part in enumerate(tiling.segments):
        lines = [*tokens.base_lines(), *tokens.inside_lines(), *tokens.exists_lines()]
        for axis in range(len(part.axes)):
            lines += tokens.coordinate_lines(number, axis, clamped=False)
        for tile in range(tiling.first_tile[number], tiling.first_tile[number + 1]):
            found = execute(lines, tokens, tile)
            exists = np.broadcast_to(found["kv_exists"] if tokens.cut else True, tokens.lanes)
            wanted = coordinates(part.segment, table[tile, : counts[tile]])
            for axis, values in enumerate(wanted):
                assert found[tokens.coordinate_name(number, axis)][exists].tolist() == values.tolist()


@settings(max_examples=60, deadline=None)
@given(tilings())
def test_clamped_coordinates_belong_to_tokens_in_all_tiles(tiling: Tiling) -> None:
    tokens = TileTokens("q", tiling)
    for number, part in enumerate(tiling.segments):
        for axis, extent in enumerate(part.segment.extents):
            lines = [*tokens.base_lines(), *tokens.coordinate_lines(number, axis, clamped=True)]
            for tile in range(tiling.tiles):
                values = execute(lines, tokens, tile)[tokens.coordinate_name(number, axis)]
                assert values.min() >= 0
                assert values.max() < extent


@settings(max_examples=100, deadline=None)
@given(tilings())
def test_descriptors_address_the_same_tokens(tiling: Tiling) -> None:
    tokens = TileTokens("q", tiling)
    described = tile_box(tokens)
    if described is None:
        return
    table, counts = tiling.tokens()
    assert prod(described.sizes) == tokens.lanes
    for tile in range(tiling.tiles):
        found = execute(list(tokens.base_lines()), tokens, tile)
        starts = [int(eval(place, dict(found))) for place in described.place]
        axes = [start + np.arange(size) for start, size in zip(starts, described.sizes, strict=True)]
        grid = np.meshgrid(*axes, indexing="ij")
        inside = np.all([g < extent for g, extent in zip(grid, described.extents, strict=True)], axis=0)
        places = np.ravel_multi_index([g[inside] for g in grid], described.extents)
        assert set(table[tile, : counts[tile]]) <= set(places.tolist())
        assert len(places) == counts[tile]


def test_places_in_a_tile_are_shared_by_all_tiles_of_one_shape() -> None:
    assert TileTokens("q", tiling_of(((8, 8), (4, 4), (1, 1)))).loop_invariant
    assert not TileTokens("q", tiling_of(((8, 8), (4, 4), (1, 1)), ((20,), (16,), (1,)))).loop_invariant


def test_rows_of_neighbours_need_no_arithmetic_on_lanes() -> None:
    tokens = TileTokens("kv", tiling_of(((4, 32), (2, 32), (1, 1)), ((64,), (64,), (1,))))
    assert list(tokens.inside_lines()) == ["kv_inside = kv_lane"]
