"""Prints the terms of scores as C++: functions of the pairs, queries or head of the tiles at work."""

from __future__ import annotations

from collections.abc import Iterator

from attndsl.codegen.cpp_visible import PairFunction
from attndsl.codegen.levels import Level
from attndsl.codegen.scores import regions_with_tokens, term_level
from attndsl.ir.bound import Region
from attndsl.schedule.schedule import Schedule

RESULTS: dict[Level, str] = {
    "head": "",
    "query": "float (&term)[Tq], ",
    "key": "Tile<float, Tq, Tk>& term, ",
    "pair": "Tile<float, Tq, Tk>& term, ",
}
"""Where the function of a term stores its values; that of a head's term returns it."""


def print_term(schedule: Schedule, number: int) -> str:
    """The C++ function `find_term_<number>`, and one for each region where these differ."""
    level, regions = term_level(schedule.ir, number), regions_with_tokens(schedule.ir)
    if len({region.terms[number] for region in regions}) == 1 or level != "pair":
        return _function(schedule, number, regions[0], level, f"find_term_{number}")
    names = [f"find_term_{number}_in_{place}" for place in range(len(regions))]
    parts = [
        _function(schedule, number, region, level, name) for region, name in zip(regions, names, strict=True)
    ]
    return "\n".join([*parts, *_choice(schedule, number, regions, names)])


def _function(schedule: Schedule, number: int, region: Region, level: Level, name: str) -> str:
    function = PairFunction(schedule.ir, region.terms[number], (region.query, region.key), exact=False)
    kind = "float" if level == "head" else "void"
    body = _body(function, level)
    return "\n".join(
        function.lines(f"Term {number}: {function.in_words()}", f"{kind} {name}", RESULTS[level], body)
    )


def _body(function: PairFunction, level: Level) -> Iterator[str]:
    if level == "head":
        yield from function.of_head()
        yield f"return float({function.value('head')});"
    elif level == "query":
        yield from function.on_queries("term[i] = float({});")
    else:
        yield from function.on_pairs("float* row = term.row(i);", "row[j] = float({});")


def _choice(schedule: Schedule, number: int, regions: list[Region], names: list[str]) -> Iterator[str]:
    """The function that asks which region the tiles lie in."""
    q, kv = schedule.q_tiling.first_tile, schedule.kv_tiling.first_tile
    yield f"inline void find_term_{number}({RESULTS['pair']}const Call& call, int64_t batch, int64_t head,"
    yield f"{' ' * len(f'inline void find_term_{number}(')}int64_t q_tile, int64_t kv_tile) {{"
    for region, name in zip(regions, names, strict=True):
        test = f"q_tile < {q[region.query + 1]} && kv_tile < {kv[region.key + 1]}"
        yield f"    if ({test}) return {name}(term, call, batch, head, q_tile, kv_tile);"
    yield "}"
