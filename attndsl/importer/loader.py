"""From a `.attn` file that the finder found to a module with one Pattern per `pattern` in the file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.abc import InspectLoader
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from attndsl.diagnostics import AttnError, AttnImportError, AttnNameError
from attndsl.importer.checked import CheckedFile, check
from attndsl.importer.notebook import watch
from attndsl.ir.pattern import PatternIR
from attndsl.pipeline import Pattern
from attndsl.source import Source
from attndsl.syntax.files import read_bytes, source_of


def spec_of(fullname: str, location: str, archive: Any) -> ModuleSpec | None:
    """What Python's import machinery wants to know of a file. archive: what reads it, if it is in one."""
    if archive is None:
        location = os.path.abspath(location)
    return spec_from_file_location(fullname, location, loader=AttnLoader(fullname, location, archive))


class AttnLoader(InspectLoader):
    """Fills the module of one `.attn` file, and gives tracebacks and `inspect` its text."""

    def __init__(self, fullname: str, path: str, archive: Any = None) -> None:
        self.name = fullname
        self.path = path
        self.archive = archive
        self.loaded_at: int | None = None
        """When the file had last been changed before it was read; None where no clock tells."""

    def exec_module(self, module: ModuleType) -> None:
        """Check the file and put its patterns into the module, also a second time (importlib.reload).

        Raises AttnImportError for a file with a mistake; the module is then as it was before.
        """
        self.loaded_at = self.changed_at()
        try:
            file = check(self._source())
            _refuse_what_is_no_module(file, self.path)
        except AttnError as error:
            raise AttnImportError.of(error, self.name, self.path) from None
        _publish(module, file)
        watch(self.name)

    def changed_at(self) -> int | None:
        """When the file was last changed, in nanoseconds, if it is a file of its own."""
        try:
            return os.stat(self.path).st_mtime_ns
        except OSError:
            return None

    def get_source(self, fullname: str) -> str:
        """The text of the file, for `inspect` and tracebacks."""
        try:
            return self._source().text
        except AttnError as error:
            raise AttnImportError.of(error, self.name, self.path) from None

    def get_filename(self, fullname: str) -> str:
        """The path of the file."""
        return self.path

    def get_code(self, fullname: str) -> None:
        """No bytecode: a `.attn` file is not a Python program."""

    def is_package(self, fullname: str) -> bool:
        """A file has no modules below it."""
        return False

    def get_data(self, path: str) -> bytes:
        """The bytes of a file beside the module, as `pkgutil.get_data` asks for them."""
        data: bytes = Path(path).read_bytes() if self.archive is None else self.archive.get_data(path)
        return data

    def _source(self) -> Source:
        data = read_bytes(self.path) if self.archive is None else self.get_data(self.path)
        return source_of(data, self.path)


def _refuse_what_is_no_module(file: CheckedFile, path: str) -> None:
    if not file.patterns:
        raise AttnNameError("A0216", f"`{path}` defines no pattern", help="add `pattern name: ...`")
    for name in _by_name(file):
        if name.startswith("__") and name.endswith("__"):
            raise AttnNameError(
                "A0207", f"`{name}` has a meaning of its own in a module", help="choose another name"
            )


def _publish(module: ModuleType, file: CheckedFile) -> None:
    """One attribute per pattern; those of an earlier text of the file go."""
    patterns = _by_name(file)
    for name in set(getattr(module, "__all__", ())) - set(patterns):
        vars(module).pop(name, None)
    module.__doc__ = file.documentation or None
    module.__all__ = list(patterns)  # type: ignore[attr-defined]
    vars(module).update({name: Pattern(ir) for name, ir in patterns.items()})


def _by_name(file: CheckedFile) -> Mapping[str, PatternIR]:
    return {each.name: each for each in file.patterns}
