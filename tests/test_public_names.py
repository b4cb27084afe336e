"""The names that `import attndsl` promises."""

from __future__ import annotations

import importlib.resources
import subprocess
import sys
from importlib.metadata import version

import pytest

import attndsl


@pytest.mark.parametrize("name", attndsl.__all__)
def test_every_promised_name_exists(name: str) -> None:
    assert getattr(attndsl, name) is not None
    assert name in dir(attndsl)


def test_errors_are_attn_errors() -> None:
    kinds = [getattr(attndsl, name) for name in attndsl.__all__ if name.endswith("Error")]
    assert all(issubclass(kind, attndsl.AttnError) for kind in kinds)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'flash'"):
        attndsl.flash  # noqa: B018


def test_patterns_stays_a_function_after_its_folder_is_imported() -> None:
    importlib.resources.files("attndsl.patterns")
    assert callable(attndsl.patterns)


def test_the_version_is_that_of_the_installed_package() -> None:
    assert attndsl.__version__ == version("attndsl")


def test_the_package_runs_as_a_module() -> None:
    result = subprocess.run([sys.executable, "-m", "attndsl", "--help"], capture_output=True, text=True)
    assert result.returncode == 0
    assert "simulate" in result.stdout
