"""Block maps as GPU kernels read them: what the records and lists say is what the block map says."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from attndsl.codegen.triton_visits import LIST, RANGES, RESIDUAL_SHIFT, Form, Visits, visits
from attndsl.schedule.block_map import BlockMap, block_map

EDGE = 9


@st.composite
def maps(draw: st.DrawFn) -> BlockMap:
    """A random block map, often with neighbouring tiles."""
    rows, columns = draw(st.integers(1, 5)), draw(st.integers(1, 7))
    if draw(st.booleans()):
        table = np.array(draw(st.lists(st.integers(-1, 2), min_size=rows * columns, max_size=rows * columns)))
        table = table.reshape(rows, columns)
    else:
        table = np.full((rows, columns), -1)
        for row in table:
            a, b, c, d = sorted(draw(st.tuples(*[st.integers(0, columns)] * 4)))
            row[a:b], row[b:c], row[c:d] = 1, 0, draw(st.integers(1, 2))
    row, column = np.nonzero(table >= 0)
    return block_map(row, column, column + 1, table[row, column], rows, columns)


def listed(found: Visits, map_number: int, row: int) -> dict[int, int]:
    """The residual of every tile that a kernel visits for a row."""
    record = dict(zip(found.fields, found.records[map_number, row].tolist(), strict=True))
    if found.form == "list":
        entries = found.tiles[record["first"] : record["end"]]
        full = found.tiles[record["first"] : record["full_end"]]
        assert (full < 2**RESIDUAL_SHIFT).all()
        assert (found.tiles[record["full_end"] : record["end"]] >= 2**RESIDUAL_SHIFT).all()
        return {int(entry) % 2**RESIDUAL_SHIFT: int(entry) >> RESIDUAL_SHIFT for entry in entries}
    tiles = dict.fromkeys(range(record["full_first"], record["full_end"]), 0)
    tiles |= dict.fromkeys(range(record["first"], record["full_first"]), record["left_residual"])
    return tiles | dict.fromkeys(range(record["full_end"], record["end"]), record["right_residual"])


def expected(each: BlockMap, cut: list[bool]) -> list[dict[int, int]]:
    rows: list[dict[int, int]] = [{} for _ in range(each.rows)]
    for row, column, residual in zip(*each.entries(), strict=True):
        rows[row][int(column)] = EDGE if residual == 0 and cut[column] else int(residual)
    return rows


@settings(max_examples=300, deadline=None)
@given(st.lists(maps(), min_size=1, max_size=2), st.data())
def test_every_tile_is_visited_once_with_its_residual(
    found_maps: list[BlockMap], data: st.DataObject
) -> None:
    first = found_maps[0]
    same = [each for each in found_maps if (each.rows, each.columns) == (first.rows, first.columns)]
    cut = data.draw(st.lists(st.booleans(), min_size=first.columns, max_size=first.columns))
    counts = np.where(cut, 3, 4)
    form: Form | None = data.draw(st.sampled_from([None, "list"]))
    found = visits(same, np.full(first.rows, 4), counts, 4, EDGE, form)
    for number, each in enumerate(same):
        assert [listed(found, number, row) for row in range(each.rows)] == expected(each, cut)
        assert sorted(found.order[number].tolist()) == list(range(each.rows))
    numbers = {residual for each in same for row in expected(each, cut) for residual in row.values()}
    assert found.full == (0 in numbers)
    assert set(found.residuals) == numbers - {0}
    assert found.fields == (LIST if found.form == "list" else RANGES)


def test_a_causal_map_needs_no_list() -> None:
    rows = np.arange(1000)
    row, begin = np.concatenate([rows, rows]), np.concatenate([0 * rows, rows])
    end, residual = np.concatenate([rows, rows + 1]), np.repeat([0, 1], 1000)
    kept = begin < end
    each = block_map(row[kept], begin[kept], end[kept], residual[kept], 1000, 1000)
    found = visits([each], np.full(1000, 64), np.full(1000, 64), 64, EDGE)
    assert found.form == "ranges"
    assert found.tiles.size == 1
    assert found.order[0, 0] == 999  # the last q tile has the most work, and starts first
