"""The tree as a checkout has it: the folders for readers, links inside the package, no stray paths."""

from __future__ import annotations

import re
import subprocess
from importlib.resources import files
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINKED = ("codegen", "grammar", "patterns")

in_checkout = pytest.mark.skipif(not (ROOT / ".git").exists(), reason="needs a git checkout")


def tracked_files() -> list[Path]:
    """All files that git tracks, without links to folders."""
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    paths = (ROOT / name for name in listing.stdout.split("\0") if name)
    return [path for path in paths if path.is_file()]


@in_checkout
@pytest.mark.parametrize("folder", LINKED)
def test_the_package_links_to_the_folder_at_the_top_level(folder: str) -> None:
    link = ROOT / "attndsl" / folder
    assert link.is_symlink()
    assert str(link.readlink()) == f"../{folder}"


@pytest.mark.parametrize("folder", LINKED)
def test_the_folder_is_part_of_the_package(folder: str) -> None:
    assert any(files("attndsl").joinpath(folder).iterdir())


@in_checkout
def test_no_file_names_a_path_of_the_machine_it_was_written_on() -> None:
    machine_path = re.compile(rf"(?<![\w.])/(?:{'|'.join(('work', 'farm', 'root', 'home', 'Users'))})/")
    named = [
        f"{path.relative_to(ROOT)}: {found.group()}"
        for path in tracked_files()
        if (found := machine_path.search(path.read_text(encoding="utf-8", errors="ignore")))
    ]
    assert named == []


@in_checkout
def test_every_python_file_says_what_it_is_for() -> None:
    code = [path for path in tracked_files() if path.suffix == ".py" and "golden" not in path.parts]
    silent = [str(path.relative_to(ROOT)) for path in code if not path.read_text().startswith(('"""', "#!"))]
    assert silent == []
