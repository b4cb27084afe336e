"""attndsl compiles short declarative descriptions of attention into exact, fast kernels.

This file is the public face of the package. Every name is imported when it is first used, so that
`import attndsl` costs milliseconds and loads neither torch nor sympy; `attndsl/pipeline.py` shows what
stands behind the names.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

from attndsl.importer import install

if TYPE_CHECKING:
    from attndsl.diagnostics import (
        AttnBackendError,
        AttnBindError,
        AttnCallError,
        AttnError,
        AttnFileError,
        AttnImportError,
        AttnNameError,
        AttnScheduleError,
        AttnSyntaxError,
        AttnTypeError,
        AttnUnsupportedError,
    )
    from attndsl.fitting.capture import capture
    from attndsl.fitting.fit import fit
    from attndsl.pipeline import Pattern, load, parse, pattern, patterns

__version__ = "0.1.0"

__all__ = [
    "AttnBackendError",
    "AttnBindError",
    "AttnCallError",
    "AttnError",
    "AttnFileError",
    "AttnImportError",
    "AttnNameError",
    "AttnScheduleError",
    "AttnSyntaxError",
    "AttnTypeError",
    "AttnUnsupportedError",
    "Pattern",
    "__version__",
    "capture",
    "fit",
    "load",
    "parse",
    "pattern",
    "patterns",
]


HOMES = {"capture": "fitting.capture", "fit": "fitting.fit"}
"""Where names live that are neither errors nor in `pipeline`."""


class _Package(ModuleType):
    """This package's module: `attndsl.patterns` stays the function that lists the library.

    The library's files lie in a folder of the same name. Importing that folder, as
    `importlib.resources.files("attndsl.patterns")` does, would put it in the function's place.
    """

    def __setattr__(self, name: str, value: object) -> None:
        if name == "patterns" and isinstance(value, ModuleType):
            return
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
install()


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'attndsl' has no attribute {name!r}")
    home = "diagnostics" if name.endswith("Error") else HOMES.get(name, "pipeline")
    value: object = getattr(import_module(f"attndsl.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
