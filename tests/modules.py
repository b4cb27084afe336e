"""Modules that a test imported from a folder of its own, which nothing after it may find."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path


def forget_modules_below(folder: Path) -> None:
    """Take the modules of a folder out of `sys.modules`."""
    modules = list(sys.modules.items())
    below = [
        name for name, module in modules if any(each.startswith(str(folder)) for each in _places(module))
    ]
    for name in below:
        del sys.modules[name]


def _places(module: object) -> Iterator[str]:
    """The file of a module, and the folders of a package."""
    about = getattr(module, "__dict__", {})
    yield str(about.get("__file__"))
    yield from map(str, about.get("__path__") or ())
