"""From C++ source to a loaded kernel: compiled once per machine, kept in the cache, verified before use.

An entry of the cache is a folder named by the key, with the source, the shared library and the library's
SHA-256. All are written beside their place and renamed, under a lock per key, so that many processes may
start at once; a library that does not have the recorded hash is built anew, never loaded.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from attndsl import __version__
from attndsl.diagnostics import AttnFileError
from attndsl.runtime.compiler import Compiler, find_compiler
from attndsl.settings import settings
from attndsl.stages import dump, report

Function = Callable[[int], int]


def load_kernel(source: str, name: str, function: str) -> Function:
    """The C function of a source file, which takes the address of a `Call` and returns 0 when it succeeded.

    name: what the pattern is called, for readable file names. Raises AttnBackendError A0702 or A0703 without
    a working compiler, AttnFileError A0806 if the cache folder cannot be written.
    """
    compiler = find_compiler()
    library = _library(source, name, compiler)
    loaded = getattr(ctypes.CDLL(str(library)), function)
    loaded.argtypes, loaded.restype = [ctypes.c_void_p], ctypes.c_int
    return loaded  # type: ignore[no-any-return]


def _library(source: str, name: str, compiler: Compiler) -> Path:
    """The verified shared library of a source, from the cache or new."""
    folder = settings().cache_dir / "kernels" / _key(source, compiler)
    library = folder / "kernel.so"
    dump(f"{name}.cpp", lambda: source)
    report("kernel", name, lambda: f"{source.count(chr(10)):,} lines of C++")
    try:
        is_new = not _is_intact(library)
        if is_new:
            folder.mkdir(parents=True, exist_ok=True)
            _build_once(source, library, compiler)
        report("cache", name, lambda: f"{'compiled into' if is_new else 'found in'} {folder}")
    except OSError as error:
        raise AttnFileError(
            "A0806", f"the cache folder {folder.parent} cannot be used: {error.strerror}",
            help="set ATTNDSL_CACHE_DIR to a folder that can be written",
        ) from error  # fmt: skip
    return library


def _key(source: str, compiler: Compiler) -> str:
    """Equal for equal machine code: comments, which name the pattern and its extents, do not count."""
    code = "\n".join(line.partition("//")[0].rstrip() for line in source.splitlines())
    return hashlib.sha256("\0".join((code, compiler.identity, __version__)).encode()).hexdigest()[:32]


def _build_once(source: str, library: Path, compiler: Compiler) -> None:
    from filelock import FileLock  # here, because a cached kernel does not need it

    with FileLock(library.with_suffix(".lock")):
        if _is_intact(library):  # another process was faster
            return
        with tempfile.TemporaryDirectory(dir=library.parent) as work:
            text, built, digest = (Path(work) / file for file in ("kernel.cpp", "kernel.so", "kernel.sha256"))
            text.write_text(source, encoding="utf-8")
            compiler.compile(text, built)
            digest.write_text(_digest(built), encoding="ascii")
            for file in (text, digest, built):
                os.replace(file, library.parent / file.name)


def _is_intact(library: Path) -> bool:
    try:
        return library.with_suffix(".sha256").read_text(encoding="ascii") == _digest(library)
    except (OSError, UnicodeDecodeError):
        return False


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
