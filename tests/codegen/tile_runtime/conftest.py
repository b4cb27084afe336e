"""The C++ tile runtime, compiled for every kind of vector that this processor has.

`harness.cpp` gives Python access to the functions of the runtime.
"""

from __future__ import annotations

import ctypes
import subprocess
from importlib.resources import files
from pathlib import Path

import pytest
from filelock import FileLock

from attndsl.runtime.compiler import find_compiler
from tests.codegen.tile_runtime.arrays import Array, Call

TARGETS: dict[str, tuple[tuple[str, ...], set[str]]] = {
    "portable": ((), set()),
    "avx2": (("-march=haswell",), {"avx2", "fma", "f16c", "bmi2"}),
    "avx512": (("-march=skylake-avx512",), {"avx512f", "avx512dq", "avx512bw", "avx512vl"}),
    "avx512 bfloat16": (("-march=cooperlake",), {"avx512_bf16", "avx512_vnni"}),
    "matrix unit": (("-march=native", "-DATTN_MATRIX_UNIT"), {"amx_bf16", "amx_tile", "avx512_bf16"}),
}
"""Per kind of target, the compiler's options and what the processor must have."""


@pytest.fixture(scope="session", params=TARGETS)
def runtime(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Call:
    """The functions of the harness, by name."""
    options, needed = TARGETS[request.param]
    missing = needed - _processor_features()
    if missing:
        pytest.skip(f"this processor lacks {', '.join(sorted(missing))}")
    library = _build(request.param, options, tmp_path_factory.getbasetemp())
    if not library.matrix_unit_allowed():
        pytest.skip("the system does not let programs use the matrix unit")

    def call(name: str, *arguments: Array | int | None) -> int:
        return int(library[name](*map(_passed, arguments)))

    return call


def _passed(argument: Array | int | None) -> ctypes.c_void_p | ctypes.c_int64:
    if isinstance(argument, int):
        return ctypes.c_int64(argument)
    return ctypes.c_void_p(None if argument is None else argument.ctypes.data)


def _processor_features() -> set[str]:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    return set(next((line.split(":")[1].split() for line in lines if line.startswith("flags")), []))


def _build(name: str, options: tuple[str, ...], folder: Path) -> ctypes.CDLL:
    if folder.name.startswith("popen-"):  # one of several processes; they share the library
        folder = folder.parent
    library = folder / f"tile_runtime_{name.replace(' ', '_')}.so"
    with FileLock(library.with_suffix(".lock")):
        if not library.exists():
            _compile(options, library)
    return ctypes.CDLL(str(library))


def _compile(options: tuple[str, ...], library: Path) -> None:
    strict = ("-std=c++17", "-O1", "-Wall", "-Wextra", "-Werror", "-fopenmp", "-fPIC", "-shared")
    sources = (f"-I{files('attndsl.codegen')}", str(Path(__file__).with_name("harness.cpp")))
    command = (*find_compiler().command, *strict, *options, *sources, "-o", str(library))
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
