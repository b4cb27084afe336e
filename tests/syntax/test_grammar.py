"""The grammar file itself: its only conflicts, its reserved words, and what it costs to load and to use."""

from __future__ import annotations

import io
import json
import logging
import re
import time
from collections.abc import Callable
from importlib.resources import files

import lark
import pytest

from attndsl.diagnostics import AttnSyntaxError
from attndsl.source import Source
from attndsl.syntax.layout import Layout
from attndsl.syntax.parser import lark_parser, parse

GRAMMAR = files("attndsl.grammar").joinpath("attention.lark").read_text(encoding="utf-8")
RESERVED = (
    "pattern def return let require attend if else and or not all any in true false True False None lambda"
)
FREE = (
    "space query key value input score weight gate decay per step of normalize blocks groups by "
    "route queries keys among select prefer always branch combine axis "
    "stride block frame token window axes top head n s"
)


def test_only_the_body_of_a_quantifier_is_a_conflict() -> None:
    log = io.StringIO()
    handler = logging.StreamHandler(log)
    lark.logger.addHandler(handler)
    level = lark.logger.level
    lark.logger.setLevel(logging.DEBUG)
    try:
        lark.Lark(GRAMMAR, start="file", parser="lalr", postlex=Layout(), debug=True)
    finally:
        lark.logger.setLevel(level)
        lark.logger.removeHandler(handler)
    conflicts = set(re.findall(r"Shift/Reduce conflict for terminal (\w+)", log.getvalue()))
    assert conflicts == {"_IF", "AND", "OR"}


@pytest.mark.parametrize("word", FREE.split())
def test_a_word_of_clauses_is_a_name_elsewhere(word: str) -> None:
    parse(
        Source(
            "my.attn",
            f"def {word}({word}: {word}[{word}] = {word}({word} = {word}[{word}])):\n"
            f"    let {word} = all axis {word}: {word} if {word} else q.{word} < {word}\n"
            f'    require {word} + {word}, "m"\n'
            f"    return {word}\n"
            f"pattern {word}({word}: int):\n"
            f"    space {word}({word}, {word}) ++ {word}({word}...)\n"
            f"    attend\n        {word} -> {word}: {word}\n        else: {word}\n"
            f"    score {word}\n    decay {word} per step of {word}\n    blocks {word} of {word} by {word}\n"
            f"    route score {word} . {word}\n          select {word} per {word}, {word}\n"
            f"    groups {word} of {word}\n"
            f"    route queries score {word} . {word}\n                  select {word} per {word}, {word}\n"
            f"    query ({word})\n    key ({word} + {word})\n    value {word}({word} in {word})\n"
            f"    branch {word}:\n        input {word}: {word}\n        normalize {word}\n",
        )
    )


@pytest.mark.parametrize("word", RESERVED.split())
def test_a_reserved_word_is_no_name(word: str) -> None:
    with pytest.raises(AttnSyntaxError):
        parse(Source("my.attn", f"pattern p:\n    let {word} = 1\n"))


def test_the_parser_is_built_once() -> None:
    assert lark_parser() is lark_parser()


def shortest(work: Callable[[], object]) -> float:
    """Processor time of the quickest of five runs: what others do on the machine makes some longer."""
    times = []
    for _ in range(5):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


def test_building_the_parser_takes_less_than_half_a_second() -> None:
    assert shortest(lark_parser.__wrapped__) < 0.5


def test_parsing_the_prelude_takes_milliseconds() -> None:
    text = files("attndsl.patterns").joinpath("prelude.attn").read_text(encoding="utf-8")
    source = Source("prelude.attn", text)
    parse(source)
    assert shortest(lambda: parse(source)) < 0.2


def test_the_highlighting_knows_every_word() -> None:
    highlighting = files("attndsl.grammar").joinpath("attention.tmLanguage.json").read_text(encoding="utf-8")
    keywords = set(re.findall(r"^_?[A-Z_]+\.2: /(\w+)\\b/", GRAMMAR, re.MULTILINE))
    coloured = " ".join(rule["match"] for rule in _rules(json.loads(highlighting))).replace(r"\b", " ")
    assert keywords <= set(re.findall(r"\w+", coloured))


def _rules(tree: object) -> list[dict[str, str]]:
    """All parts of a TextMate grammar that match something."""
    if isinstance(tree, dict):
        below = [rule for value in tree.values() for rule in _rules(value)]
        return [tree, *below] if "match" in tree else below
    return [rule for part in tree for rule in _rules(part)] if isinstance(tree, list) else []
