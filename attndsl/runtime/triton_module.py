"""From a printed Triton kernel to a function: the source becomes a readable file in the cache, and a module.

Triton reads a kernel's source from its file and keeps compiled kernels in a cache of its own
(`TRITON_CACHE_DIR`).
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
import tempfile
import threading
from pathlib import Path
from types import ModuleType
from typing import Any

from attndsl.codegen.triton import PrintedKernel
from attndsl.diagnostics import AttnBackendError, AttnFileError
from attndsl.runtime.triton_interpreter import interprets, repair_interpreter
from attndsl.settings import settings

_lock = threading.Lock()
_modules: dict[str, ModuleType] = {}


def load_function(kernel: PrintedKernel) -> Any:
    """The Triton function of a kernel. Kernels that differ in their docstring only share one.

    Raises AttnBackendError A0710 without Triton, AttnFileError A0806 if the cache folder cannot be written.
    """
    require_triton()
    if interprets():
        repair_interpreter()
    mode = "interpreted" if interprets() else "compiled"
    key = hashlib.sha256(f"{mode}\0{_code(kernel.source)}".encode()).hexdigest()[:32]
    with _lock:
        if key not in _modules:
            _modules[key] = _import(f"attndsl_kernel_{key}", _write(kernel.source, key))
    return getattr(_modules[key], kernel.program.name)


def require_triton() -> Any:
    """The module `triton`. Raises AttnBackendError A0710 where it cannot be imported."""
    try:
        import triton
    except ImportError as error:
        raise AttnBackendError(
            "A0710", f"Triton cannot be imported: {error}",
            help="install it (pip install triton), or use backend='cpu' or 'reference'",
        ) from error  # fmt: skip
    return triton


def _code(source: str) -> str:
    """A source without its docstring, if it has one: that names the numbers that the pattern was bound to."""
    _, end, code = source.partition('\n"""\n')
    return code if end and source.startswith('"""') else source


def _write(source: str, key: str) -> Path:
    """The file of a source, written anew unless its code is there to the letter."""
    path = settings().cache_dir / "triton" / key / "kernel.py"
    try:
        if not path.exists() or _code(path.read_text(encoding="utf-8", errors="replace")) != _code(source):
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=path.parent) as work:
                text = Path(work) / "kernel.py"
                text.write_text(source, encoding="utf-8")
                os.replace(text, path)
    except OSError as error:
        raise AttnFileError(
            "A0806", f"the cache folder {path.parent} cannot be used: {error.strerror}",
            help="set ATTNDSL_CACHE_DIR to a folder that can be written",
        ) from error  # fmt: skip
    return path


def _import(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
