"""The import hook: after `import attndsl`, a `.attn` file beside Python files is imported like one of them.

`from mypkg.patterns import local_attention` finds `local_attention.attn` wherever Python finds modules:
folders of sys.path, packages with or without `__init__.py`, and zip files. `import attndsl` calls `install`;
`uninstall` takes the hook away again. This file is loaded with every `import attndsl` and therefore holds
only the finder; `loader` is imported with the first `.attn` file.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

SUFFIX = ".attn"
LOADED_AT = time.time_ns()
"""When this process imported attndsl, in nanoseconds since 1970."""


def install() -> None:
    """Let Python import `.attn` files. A second call changes nothing."""
    if AttnFinder not in sys.meta_path:
        sys.meta_path.append(AttnFinder)


def uninstall() -> None:
    """Let Python import only what it did before. Modules that were imported already stay."""
    if AttnFinder in sys.meta_path:
        sys.meta_path.remove(AttnFinder)


class AttnFinder:
    """Finds `name.attn` for modules that no other finder has found.

    It stands last, so that imports of anything else never reach it and a Python module of the same name wins.
    """

    @classmethod
    def find_spec(
        cls, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec of a `.attn` module, or None. path: the folders of the package, sys.path for none."""
        file = fullname.rpartition(".")[2] + SUFFIX
        for entry in sys.path if path is None else path:
            if isinstance(entry, str):
                location = os.path.join(entry, file)
                archive = _archive(entry)
                if _is_file(location, file) if archive is None else _holds(archive, location):
                    from attndsl.importer.loader import spec_of

                    return spec_of(fullname, location, archive)
        return None


def _archive(entry: str) -> Any:
    """The importer of a path entry that is no folder, such as a zip file, if it can read files."""
    importer = sys.path_importer_cache.get(entry)
    return importer if hasattr(importer, "get_data") else None


def _is_file(location: str, file: str) -> bool:
    """Whether this very file exists: some systems would find `Local.attn` under the name `local.attn`."""
    try:
        return os.path.isfile(location) and file in os.listdir(os.path.dirname(location) or ".")
    except OSError:  # a folder that may not be listed: Python finds nothing there either
        return False


def _holds(archive: Any, location: str) -> bool:
    try:
        archive.get_data(location)
    except OSError:
        return False
    return True


__all__ = ["AttnFinder", "install", "uninstall"]
