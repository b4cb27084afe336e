"""Functions whose text Python cannot find: the same IR, and errors that still know the line."""

from __future__ import annotations

import subprocess
import sys

import pytest

import attndsl
from tests.trace.python_functions import pattern, run

SHARED = "@attndsl.jit\ndef p(q, k, *, stripe: int):\n    require(heads % 2 == 0, 'even')\n"
SHARED += "    rows = same_block(q.n, k.n, stripe)\n    return where(head < 1, rows, 0 <= k.n)\n"


def test_the_ir_does_not_depend_on_the_text() -> None:
    known, unknown = run(SHARED)["p"], run(SHARED, known=False)["p"]
    assert known.ir == unknown.ir
    assert known.to_attn() == unknown.to_attn()
    assert "let rows = " in known.to_attn()


def test_an_error_names_the_line() -> None:
    with pytest.raises(attndsl.AttnTraceError) as caught:
        pattern("k.n <= q.n and q.n < 3", known=False)
    assert "--> my.py:8:1" in str(caught.value)
    assert "the text of this line is not known" in str(caught.value)


def test_an_error_at_bind_names_the_line() -> None:
    with pytest.raises(attndsl.AttnBindError) as caught:
        pattern("sliding(left=-1)", known=False).bind(shape=4)
    assert "--> my.py:8:1" in str(caught.value)


def test_lambdas_are_patterns() -> None:
    past, future = attndsl.jit(lambda q, k: k.n <= q.n), attndsl.jit(lambda q, k: k.n >= q.n)
    assert past.bind(shape=4).mask().sum() == future.bind(shape=4).mask().sum() == 10


def test_an_interactive_session_prints_the_error() -> None:
    lines = "import attndsl\n@attndsl.jit\ndef p(q, k):\n    return k.n <= q.n and q.n < 3\n\n"
    shown = subprocess.run([sys.executable, "-i"], input=lines, capture_output=True, text=True).stderr
    assert "A1005" in shown
    assert "<stdin>" in shown or "python-input" in shown


def test_a_text_that_is_no_longer_python_does_no_harm(tmp_path: object) -> None:
    import linecache

    namespace = run("def p(q, k):\n    return k.n <= q.n\n", "changed.py")
    linecache.cache["changed.py"] = (3, None, ["def (((\n"], "changed.py")
    assert attndsl.jit(namespace["p"]).bind(shape=4).mask().sum() == 10
