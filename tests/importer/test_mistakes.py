"""A `.attn` file with a mistake raises an ImportError that is the diagnostic."""

from __future__ import annotations

import importlib
import pickle
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import attndsl
from tests.importer.texts import BROKEN, LOCAL, Write

MESSAGE = """error[A0201]: unknown function `neighbourhood`
  --> {file}:6:12
  |
6 |     attend neighbourhood(window, stride)
  |            ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ not defined
help: did you mean `neighborhood`?"""


def mistake_in(module: str) -> attndsl.AttnImportError:
    with pytest.raises(attndsl.AttnImportError) as caught:
        import_module(module)
    assert isinstance(caught.value, ImportError)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    return caught.value


def test_the_message_is_the_diagnostic(write: Write) -> None:
    file = write("broken.attn", BROKEN)
    error = mistake_in("broken")
    assert str(error) == MESSAGE.format(file=file)
    assert (error.code, error.help) == ("A0201", "did you mean `neighborhood`?")
    assert (error.name, error.path) == ("broken", str(file))
    assert "broken" not in sys.modules


def test_the_error_survives_pickling(write: Write) -> None:
    write("broken.attn", BROKEN)
    error = mistake_in("broken")
    copy = pickle.loads(pickle.dumps(error))
    assert (str(copy), copy.name, copy.path) == (str(error), error.name, error.path)


def test_a_traceback_shows_the_import_one_frame_and_the_diagnostic(write: Write, folder: Path) -> None:
    file = write("broken.attn", BROKEN)
    program = write("program.py", "import attndsl\nimport broken\n")
    result = subprocess.run([sys.executable, str(program)], capture_output=True, text=True, cwd=folder)
    traceback, _, message = result.stderr.partition("attndsl.diagnostics.AttnImportError: ")
    assert message.strip() == MESSAGE.format(file=file)
    assert traceback.count('  File "') == 2
    assert "import broken" in traceback


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"pattern p", "A0131"),
        (b"", "A0216"),
        (b"\xff\xfe", "A0804"),
        (b"#" * 300_000, "A0805"),
        (LOCAL.replace("pattern local", "pattern __spec__").encode(), "A0207"),
    ],
    ids=["syntax", "empty", "encoding", "size", "name of a module's own"],
)
def test_other_mistakes(write: Write, content: bytes, code: str) -> None:
    write("broken.attn", "").write_bytes(content)
    assert mistake_in("broken").code == code


def test_a_failed_reload_leaves_the_module_as_it_was(write: Write) -> None:
    write("changing.attn", LOCAL)
    module = import_module("changing")
    local = module.local
    write("changing.attn", BROKEN)
    with pytest.raises(attndsl.AttnImportError):
        importlib.reload(module)
    assert module.local is local
    write("changing.attn", LOCAL)
    assert importlib.reload(module).local == local
