"""`attndsl.lang`: the whole language, for editors and readers too; and what it costs to load."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

from attndsl import lang
from attndsl.library import prelude
from attndsl.passes.scope import BUILTIN_FUNCTIONS, BUILTIN_SYMBOLS


@pytest.mark.parametrize("name", [*BUILTIN_FUNCTIONS, *BUILTIN_SYMBOLS, *prelude()])
def test_everything_that_a_text_can_call_is_there(name: str) -> None:
    assert getattr(lang, name) is not None
    assert name in dir(lang)


def test_functions_of_the_prelude_have_their_signature_and_documentation() -> None:
    assert str(inspect.signature(lang.sliding)) == "(left, right=0)"
    assert lang.sliding.__name__ == "sliding"
    assert (lang.sliding.__doc__ or "").startswith("A band around the diagonal")


def test_an_unknown_name_has_a_suggestion() -> None:
    with pytest.raises(AttributeError, match="did you mean 'sliding'"):
        lang.slding  # noqa: B018


def test_importing_all_names_leaves_pythons_own_alone() -> None:
    assert not {"min", "max", "abs", "int", "round"} & set(lang.__all__)


def test_a_pattern_is_traced_without_the_heavy_libraries() -> None:
    code = "import sys, attndsl; attndsl.jit(lambda q, k: k.n <= q.n); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not {"torch", "triton", "sympy", "matplotlib"} & set(loaded.split())


def test_the_tensors_of_torch_are_refused() -> None:
    torch = pytest.importorskip("torch")
    from tests.trace.python_functions import pattern

    for condition in ("torch.exp(q.n) < 3", "torch.tensor(3) < q.n", "torch.arange(9)[q.n] < 3"):
        with pytest.raises(Exception, match=r"A1010.*of torch cannot take traced values"):
            pattern(
                condition,
                "",
                f"import torch\nassert torch.__version__ == {str(torch.__version__)!r}\n@attndsl.jit",
            )
