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
    from attndsl import lang, nn
    from attndsl.decorator import TracedPattern, jit
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
        AttnTraceError,
        AttnTypeError,
        AttnUnsupportedError,
    )
    from attndsl.fitting.capture import capture
    from attndsl.fitting.fit import fit
    from attndsl.functional import attention
    from attndsl.lang import where
    from attndsl.pipeline import Pattern, load, parse, pattern, patterns
    from attndsl.plans import load_plan
    from attndsl.trace.annotations import Input, PerAxis, PerHead
    from attndsl.trace.positions import Position
    from attndsl.trace.result import Attention
    from attndsl.trace.result_route import Route
    from attndsl.trace.value import Traced

__version__ = "0.1.0"

__all__ = [
    "Attention",
    "AttnBackendError",
    "AttnBindError",
    "AttnCallError",
    "AttnError",
    "AttnFileError",
    "AttnImportError",
    "AttnNameError",
    "AttnScheduleError",
    "AttnSyntaxError",
    "AttnTraceError",
    "AttnTypeError",
    "AttnUnsupportedError",
    "Input",
    "Pattern",
    "PerAxis",
    "PerHead",
    "Position",
    "Route",
    "Traced",
    "TracedPattern",
    "__version__",
    "attention",
    "capture",
    "fit",
    "jit",
    "lang",
    "load",
    "load_plan",
    "nn",
    "parse",
    "pattern",
    "patterns",
    "where",
]


HOMES = {
    "Attention": "trace.result",
    "Input": "trace.annotations",
    "PerAxis": "trace.annotations",
    "PerHead": "trace.annotations",
    "Position": "trace.positions",
    "Route": "trace.result_route",
    "Traced": "trace.value",
    "TracedPattern": "decorator",
    "attention": "functional",
    "capture": "fitting.capture",
    "fit": "fitting.fit",
    "jit": "decorator",
    "load_plan": "plans",
    "where": "lang",
}
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
    if name in ("lang", "nn"):
        return import_module(f"attndsl.{name}")
    home = "diagnostics" if name.endswith("Error") else HOMES.get(name, "pipeline")
    value: object = getattr(import_module(f"attndsl.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
