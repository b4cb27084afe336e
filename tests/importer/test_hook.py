"""A `.attn` file is imported wherever a Python file would be, and Python's own files come first."""

from __future__ import annotations

import importlib.util
import inspect
import pickle
import runpy
import sys
import zipfile
from importlib import import_module, invalidate_caches
from importlib.resources import files
from pathlib import Path

import pytest

import attndsl
from attndsl import importer
from tests.importer.texts import LOCAL, TWO, Write


def test_a_file_in_a_folder_of_the_path(write: Write) -> None:
    file = write("local_attention.attn", LOCAL)
    module = import_module("local_attention")
    assert module.__file__ == str(file)
    assert module.__doc__ == "Patterns of a test."
    assert module.__all__ == ["local"]
    assert module.local == attndsl.load(file)


@pytest.mark.parametrize("name", ["lizard", "linear", "nsa", "sla"])
def test_branches_choices_and_routes_come_from_the_cache_as_from_the_text(write: Write, name: str) -> None:
    source = files("attndsl.patterns").joinpath(f"{name}.attn")
    file = write(f"own_{name}.attn", source.read_text(encoding="utf-8"))
    for _ in range(2):
        assert getattr(import_module(f"own_{name}"), name).ir == attndsl.load(file).ir
        del sys.modules[f"own_{name}"]


def test_a_file_in_a_package(write: Write) -> None:
    write("pkg/__init__.py", "")
    write("pkg/patterns/__init__.py", "from .local_attention import local\n")
    write("pkg/patterns/local_attention.attn", LOCAL)
    module = import_module("pkg.patterns")
    assert module.local.name == "local"
    assert module.local_attention.__package__ == "pkg.patterns"


def test_a_file_in_a_package_without_init(write: Write) -> None:
    write("spread/patterns/local_attention.attn", LOCAL)
    assert import_module("spread.patterns.local_attention").local.name == "local"


@pytest.mark.parametrize("base", ["", "pkg/", "spread/patterns/"])
def test_a_file_in_a_zip_file(folder: Path, monkeypatch: pytest.MonkeyPatch, base: str) -> None:
    archive = folder / "wheel.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("pkg/__init__.py", "")
        file.writestr(f"{base}zipped.attn", LOCAL)
        for name in ("spread/", "spread/patterns/"):
            file.writestr(name, "")  # without a folder's own entry Python finds no package there
    monkeypatch.syspath_prepend(archive)
    module = import_module(f"{base.replace('/', '.')}zipped")
    assert module.local.name == "local"
    assert module.__file__ == str(archive / base / "zipped.attn")
    assert inspect.getsource(module) == LOCAL


def test_several_patterns_and_a_star(write: Write) -> None:
    write("two.attn", TWO)
    namespace: dict[str, object] = {}
    exec("from two import *", namespace)
    assert {"past", "future"} <= set(namespace)
    assert import_module("two").__doc__ is None


def test_a_python_module_of_the_same_name_wins(write: Write) -> None:
    write("same.attn", LOCAL)
    write("same.py", "kind = 'python'\n")
    assert import_module("same").kind == "python"


def test_a_package_of_the_same_name_wins(write: Write) -> None:
    write("same.attn", LOCAL)
    write("same/__init__.py", "kind = 'package'\n")
    assert import_module("same").kind == "package"


def test_the_standard_library_wins(write: Write) -> None:
    write("colorsys.attn", LOCAL)
    assert import_module("colorsys").__file__ != str(write("colorsys.attn", LOCAL))


def test_the_case_of_the_name_counts_on_every_system(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write("Local_attention.attn", LOCAL)
    monkeypatch.setattr("os.path.isfile", lambda path: str(path).lower() == str(file).lower())
    with pytest.raises(ModuleNotFoundError):
        import_module("local_attention")


def test_a_reload_reads_the_file_anew(write: Write) -> None:
    write("changing.attn", TWO)
    module = import_module("changing")
    write("changing.attn", TWO.replace("future", "later"))
    assert importlib.reload(module) is module
    assert module.__all__ == ["past", "later"]
    assert not hasattr(module, "future")


def test_the_source_is_there_for_tracebacks_and_inspect(write: Write) -> None:
    file = write("local_attention.attn", LOCAL)
    module = import_module("local_attention")
    loader = module.__loader__
    assert isinstance(loader, importlib.abc.InspectLoader)
    assert loader.get_source("local_attention") == LOCAL
    assert inspect.getsource(module) == LOCAL
    assert inspect.getsourcefile(module) == str(file)


def test_a_pattern_is_pickled_by_its_meaning(write: Write) -> None:
    write("local_attention.attn", LOCAL)
    local = import_module("local_attention").local
    copy = pickle.loads(pickle.dumps(local))
    assert copy == local
    assert copy.documentation == local.documentation


def test_a_file_is_no_program(write: Write) -> None:
    write("local_attention.attn", LOCAL)
    with pytest.raises(ImportError, match="No code object"):
        runpy.run_module("local_attention")


def test_a_missing_module_is_missing(folder: Path) -> None:
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        import_module("no_such_module")


def test_path_entries_of_any_kind_are_survived(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    write("local_attention.attn", LOCAL)
    monkeypatch.setattr(sys, "path", ["", b"bytes", 3, "/no/such/folder", *sys.path])
    assert import_module("local_attention").local.name == "local"


def test_a_file_in_the_working_folder(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write("below/here.attn", TWO)
    monkeypatch.chdir(file.parent)
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    invalidate_caches()
    assert import_module("here").__file__ == str(file)


def test_the_hook_comes_with_attndsl_and_can_be_taken_away(write: Write) -> None:
    write("local_attention.attn", LOCAL)
    assert sys.meta_path.count(importer.AttnFinder) == 1
    importer.uninstall()
    try:
        importer.uninstall()  # as often as one likes
        with pytest.raises(ModuleNotFoundError):
            import_module("local_attention")
    finally:
        importer.install()
    importer.install()
    assert sys.meta_path.count(importer.AttnFinder) == 1
    assert import_module("local_attention").local.name == "local"


def test_the_hook_stands_behind_all_others() -> None:
    found = importlib.util.find_spec("attndsl.patterns.gna")
    assert found is not None
    assert found.origin is not None
    assert found.origin.endswith("gna.attn")
    assert sys.meta_path.index(importer.AttnFinder) > 0


def test_the_library_is_imported_by_the_hook_as_well() -> None:
    module = import_module("attndsl.patterns.gna")
    assert module.gna == attndsl.pattern("gna")
