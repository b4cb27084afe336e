"""Files of named arrays, safetensors or npz, of which each array is read when it is asked for."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attndsl.diagnostics import AttnBackendError, AttnCallError, AttnFileError

Array = NDArray[Any]

SUFFIXES = (".safetensors", ".npz")
INSTALL = "pip install 'attndsl[fit]'"


class SampleFile:
    """The arrays of a file by name. Raises AttnFileError A0820 where it cannot be read."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.is_npz = check_suffix(self.path) == ".npz"
        try:
            with self._open() as file:
                self.names = frozenset(file.files if self.is_npz else file.keys())
        except AttnBackendError:
            raise
        except Exception as error:  # the parsers of both formats raise many kinds
            raise self._unreadable(error) from None

    def read(self, name: str) -> Array:
        """An array. Raises AttnFileError A0820 where the file is damaged."""
        try:
            with self._open() as file:
                array: Array = file[name] if self.is_npz else file.get_tensor(name)
        except Exception as error:
            raise self._unreadable(error) from None
        return array

    def _open(self) -> Any:
        if self.is_npz:
            if not zipfile.is_zipfile(self.path) and self.path.is_file():
                raise ValueError("it is no npz file")
            return np.load(self.path, allow_pickle=False)
        return require_safetensors().safe_open(self.path, framework="numpy")

    def _unreadable(self, error: Exception) -> AttnFileError:
        reason = getattr(error, "strerror", None) or ("it is a directory" if self.path.is_dir() else error)
        if isinstance(error, FileNotFoundError):
            reason = "there is no such file"
        return AttnFileError(
            "A0820",
            f"`{self.path}` cannot be read: {reason}",
            help="pass a safetensors or npz file, such as `attndsl.capture` writes",
        )


def check_suffix(path: Path) -> str:
    """The suffix of a file of samples. Raises AttnFileError A0821 for other formats."""
    if path.suffix.lower() in SUFFIXES:
        return path.suffix.lower()
    raise AttnFileError(
        "A0821",
        f"`{path}` does not name a format for samples",
        help=f"end the path with {' or '.join(SUFFIXES)}",
    )


def check_count(name: str, number: object, least: int = 1) -> None:
    """Raise AttnCallError A0640 unless a number that says how to sample is an integer of at least `least`."""
    if not isinstance(number, int) or isinstance(number, bool) or number < least:
        raise AttnCallError(
            "A0640",
            f"{name} must be an integer of at least {least}, {number!r} given",
            help=f"leave out {name} for the default",
        )


def require_safetensors() -> Any:
    """The package `safetensors`, able to read bfloat16. Raises AttnBackendError A0730 without it."""
    try:
        import ml_dtypes  # noqa: F401  - tells NumPy what bfloat16 is
        import safetensors
    except ImportError as error:
        raise AttnBackendError(
            "A0730", f"{error.name} is not installed, and safetensors files need it", help=INSTALL
        ) from None
    return safetensors
