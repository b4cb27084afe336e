"""The largest and deepest texts: an answer in seconds, in less than a gigabyte, by threads too."""

from __future__ import annotations

import resource
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from attndsl.diagnostics import AttnSyntaxError
from attndsl.source import Source
from attndsl.syntax.build_expressions import DEEPEST_EXPRESSION, WIDEST_EXPRESSION
from attndsl.syntax.parser import parse
from attndsl.syntax.whole_text import LARGEST_SOURCE

HEAD = "pattern p:\n    attend "
ROOM = LARGEST_SOURCE - len(HEAD) - 20


def answer(text: str) -> str:
    """'tree', or the code of the error."""
    try:
        parse(Source("large.attn", text))
    except AttnSyntaxError as error:
        error.render()
        return error.code
    return "tree"


NESTED = {
    "signs": lambda n: "-" * (n - 1) + "a",
    "negations": lambda n: "not " * (n - 1) + "a",
    "sums": lambda n: "a + " * (n - 1) + "a",
    "powers": lambda n: "a ** " * (n - 1) + "a",
    "choices": lambda n: "a if b else " * (n - 1) + "a",
    "quantifiers": lambda n: "all axis x: " * (n - 1) + "a",
    "calls": lambda n: "f(" * (n - 1) + "a" + ")" * (n - 1),
    "indices": lambda n: "x[" * (n - 1) + "a" + "]" * (n - 1),
}


@pytest.mark.parametrize("kind", NESTED)
def test_the_depth_of_expressions_is_limited(kind: str) -> None:
    assert answer(HEAD + NESTED[kind](DEEPEST_EXPRESSION)) == "tree"
    assert answer(HEAD + NESTED[kind](DEEPEST_EXPRESSION + 1)) == "A0129"


@pytest.mark.parametrize("text", ["f({}a)", "x[{}a]"])
def test_the_width_of_expressions_is_limited(text: str) -> None:
    assert answer(HEAD + text.format("a, " * (WIDEST_EXPRESSION - 1))) == "tree"
    assert answer(HEAD + text.format("a, " * WIDEST_EXPRESSION)) == "A0130"


def test_parentheses_alone_have_no_depth() -> None:
    assert answer(HEAD + "(" * 10_000 + "a" + ")" * 10_000) == "tree"


def test_the_length_of_a_text_is_limited() -> None:
    comment = "#" * (LARGEST_SOURCE - len(HEAD) - 5)
    assert answer(HEAD + "true" + comment) == "tree"
    assert answer(HEAD + "true" + comment + "###") == "A0112"


def test_a_lone_surrogate_is_a_strange_character() -> None:
    assert answer(HEAD + "\ud800") == "A0102"


def test_threads_share_the_parser() -> None:
    texts = [f"pattern p:\n    attend f(\n{'a,' * n}\n  b{n})\n" for n in range(1, 60)]
    alone = [parse(Source("my.attn", text)) for text in texts]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda text: parse(Source("my.attn", text)), texts))
    assert together == alone


LARGE = {
    "opening parentheses": ("(", "", "A0114"),
    "parentheses": ("(", ")", "tree"),
    "signs": ("-", "", "A0129"),
    "negations": ("not ", "", "A0129"),
    "halves of choices": ("a if ", "", "A0140"),
    "choices": ("a if b else ", "", "A0129"),
    "sums": ("a + ", "", "A0129"),
    "powers": ("a ** ", "", "A0129"),
    "comparisons": ("a < ", "", "A0130"),
    "arguments": ("f(a, ", ")", "A0129"),
    "calls": ("f(", ")", "A0129"),
    "indices": ("x[", "]", "A0129"),
    "dots": ("a . ", "", "A0129"),
    "digits": ("1", "", "A0103"),
    "letters": ("a", "", "tree"),
    "quotes": ('"', "", "A0145"),
    "line breaks": ("\n", "", "A0136"),
    "comments": ("#", "", "A0136"),
    "clauses": ("true\n    attend ", "", "tree"),
    "definitions": ("true\npattern p:\n    attend ", "", "tree"),
    "steps": ("\n ", "", "A0136"),
}
"""What a text begins with, ends with, and how it is answered."""


@pytest.mark.slow
@pytest.mark.parametrize("kind", LARGE)
def test_a_large_text_takes_seconds_and_little_memory(kind: str) -> None:
    left, right, expected = LARGE[kind]
    count = ROOM // len(left + right)
    text = f"{HEAD}{left * count}a{right * count}"
    code = "import sys; from tests.syntax.test_limits import answer; print(answer(sys.stdin.read()))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=text,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30)),
    )
    assert done.stdout.strip() == expected
