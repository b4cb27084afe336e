"""The system's C++ compiler: which one, with which options, and what identifies its results."""

from __future__ import annotations

import ctypes
import platform
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from attndsl.diagnostics import AttnBackendError
from attndsl.settings import settings

CANDIDATES = ("g++", "clang++", "c++")
FLAGS = (
    "-std=c++17",
    "-O2",
    "-fopenmp",
    "-fPIC",
    "-shared",
    "-fwrapv",
    "-fno-math-errno",
    "-fno-trapping-math",
)


@dataclass(frozen=True)
class Compiler:
    """A C++ compiler. command: the program and the user's options. version: what it says of itself."""

    command: tuple[str, ...]
    version: str

    @property
    def flags(self) -> tuple[str, ...]:
        """The options for kernels on this machine."""
        wide = ("-mprefer-vector-width=512",) if platform.machine() in ("x86_64", "AMD64") else ()
        target = "-march=native" if wide else "-mcpu=native"
        unit = ("-DATTN_MATRIX_UNIT",) if _has_matrix_unit() else ()
        return (*FLAGS, target, *wide, *unit)

    @property
    def identity(self) -> str:
        """Everything besides the source that decides what a kernel's machine code is."""
        return "\n".join((*self.command, self.version, *self.flags, _processor()))

    def compile(self, source: Path, library: Path) -> None:
        """Turn a source into a shared library. Raises AttnBackendError A0703 with the compiler's words."""
        command = [*self.command, *self.flags, str(source), "-o", str(library)]
        result = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        if result.returncode:
            raise AttnBackendError(
                "A0703",
                f"`{shlex.join(self.command)}` could not compile the kernel {source.name}",
                note=_first_errors(result.stderr),
                help="set CXX to g++ 9 or clang++ 10 or newer with OpenMP, or use backend='reference'",
            )


def find_compiler() -> Compiler:
    """The compiler that CXX names, else the first one on the path.

    Raises AttnBackendError A0702 if there is none.
    """
    wanted = settings().compiler
    for command in [shlex.split(wanted)] if wanted else [[name] for name in CANDIDATES]:
        path = shutil.which(command[0])
        if path:
            return Compiler((path, *command[1:]), _version(path))
    what = f"CXX is `{wanted}`, which is no program" if wanted else "there is no C++ compiler on the path"
    raise AttnBackendError(
        "A0702", what, help="install g++ or clang++ (Debian: apt install g++), or set CXX to a C++17 compiler"
    )


@cache
def _version(path: str) -> str:
    result = subprocess.run(
        [path, "--version"], capture_output=True, text=True, errors="replace", check=False
    )
    return result.stdout.partition("\n")[0]


@cache
def _processor() -> str:
    """What `-march=native` depends on."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            first = file.read(8192).partition("\n\n")[0]
    except OSError:
        return f"{platform.machine()} {platform.processor()}"
    kept = ("model name", "flags", "Features", "CPU implementer", "CPU part")
    return "\n".join(line for line in first.splitlines() if line.startswith(kept))


@cache
def _has_matrix_unit() -> bool:
    """Whether the processor multiplies bfloat16 matrices (AMX) and the system lets this process use that."""
    needed = {"amx_bf16", "amx_tile", "avx512_bf16"}
    if platform.machine() != "x86_64" or not needed <= set(_processor().split()):
        return False
    arch_prctl, request_permission, tile_data = 158, 0x1023, 18
    return bool(ctypes.CDLL(None).syscall(arch_prctl, request_permission, tile_data) == 0)


def _first_errors(output: str) -> str:
    lines = [line for line in output.splitlines() if "error" in line] or output.splitlines()
    return "\n".join(lines[:5])
