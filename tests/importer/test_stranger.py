"""A package of somebody else's, built as a wheel and installed in an environment of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

import attndsl
from tests.importer.stranger import FILES

pytest.importorskip("hatchling")

PROBE = """
import inspect, sys
import strangerkit
module = strangerkit.local_attention
print(sys.prefix in module.__file__, module.__doc__, module.__all__)
print(inspect.getsource(module).count("pattern"))
"""


class Environment:
    """A virtual environment: the libraries of this one, and the stranger's wheel."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.source = folder / "source"
        self.python = folder / "venv" / "bin" / "python"
        self.wheel = folder / "dist" / "strangerkit-1.0-py3-none-any.whl"

    def make(self) -> None:
        for name, text in FILES.items():
            (self.source / name).parent.mkdir(parents=True, exist_ok=True)
            (self.source / name).write_text(text)
        build = ("-m", "hatchling", "build", "-t", "wheel", "-d", str(self.wheel.parent))
        self.run(*build, cwd=self.source, by=sys.executable)
        venv.create(self.folder / "venv")
        home = str(Path(attndsl.__file__).parents[1])
        (site,) = (self.folder / "venv" / "lib").glob("python*/site-packages")
        (site / "libraries.pth").write_text("\n".join([home, *(p for p in sys.path if "site-packages" in p)]))
        options = ("--no-index", "--no-deps", "--quiet", "--disable-pip-version-check")
        install = ("-m", "pip", "--python", str(self.python), "install", *options, str(self.wheel))
        self.run(*install, by=sys.executable)

    def run(self, *words: str, cwd: Path | None = None, by: str = "", **variables: str) -> str:
        """What a Python program prints; it must succeed. by: the interpreter, if not the environment's."""
        result = subprocess.run(
            [by or str(self.python), *words],
            cwd=cwd or self.folder,
            env={**os.environ, "ATTNDSL_CACHE_DIR": str(self.folder / "cache"), **variables},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    made = Environment(tmp_path_factory.mktemp("stranger"))
    made.make()
    return made


def test_the_patterns_are_imported_from_the_installed_wheel(environment: Environment) -> None:
    assert environment.run("-c", PROBE) == "True Local attention. ['local', 'past']\n2\n"


def test_the_patterns_are_imported_from_the_wheel_as_a_zip_file(environment: Environment) -> None:
    printed = environment.run("-c", PROBE, PYTHONPATH=str(environment.wheel))
    assert printed == "False Local attention. ['local', 'past']\n2\n"


def test_patterns_travel_to_spawned_processes(environment: Environment) -> None:
    assert environment.run("-m", "strangerkit") == "[18, 21, 12]\n"


@pytest.mark.parametrize("mode", ["prepend", "importlib"])
def test_the_strangers_tests_pass(environment: Environment, mode: str) -> None:
    options = ("-q", "-p", "no:cacheprovider", f"--import-mode={mode}", "--attn", ".")
    assert "4 passed" in environment.run("-m", "pytest", *options, cwd=environment.source / "checks")


def test_the_command_line_runs_as_a_module(environment: Environment) -> None:
    file = environment.source / "checks" / "checked.attn"
    assert "2 patterns" in environment.run("-m", "attndsl", "check", str(file))
