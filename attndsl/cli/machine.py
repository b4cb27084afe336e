"""Facts about this machine that decide what attndsl can do on it: for `doctor` and the demo."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attndsl.diagnostics import AttnError

if TYPE_CHECKING:
    from attndsl.runtime.compiler import Compiler

VECTORS = (
    ("__AVX512F__", "AVX-512"),
    ("__AVX2__", "AVX2"),
    ("__ARM_FEATURE_SVE", "SVE"),
    ("__ARM_NEON", "NEON"),
)
"""Macros that a compiler defines for the machine it runs on, widest vectors first."""


def facts() -> dict[str, Any]:
    """Everything `doctor --json` prints. A part that is missing is None, with what to do under `advice`."""
    import attndsl

    found: dict[str, Any] = {
        "attndsl": attndsl.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(terse=True),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "compiler": compiler(),
        "vectors": vectors(),
        "torch": torch(),
        "triton": version("triton"),
        "gpus": gpus(),
        "cache": cache(),
    }
    return {**found, "advice": advice(found)}


def advice(found: dict[str, Any]) -> list[str]:
    """What would make attndsl work better here, most important first."""
    lines = []
    if found["torch"] is None:
        lines.append("install torch: without it patterns can be checked, drawn and simulated, but not run")
    if found["compiler"] is None:
        lines.append(
            "install g++ or clang++ (Debian: apt install g++): without it the slow reference backend runs"
        )
    elif found["compiler"]["problem"]:
        lines.append(
            f"the compiler cannot build kernels, set CXX to another one: {found['compiler']['problem']}"
        )
    elif found["vectors"] is None:
        lines.append("the compiler knows no vector instructions of this machine: kernels will be slow")
    if not found["cache"]["writable"]:
        lines.append("set ATTNDSL_CACHE_DIR to a folder that can be written: kernels are kept there")
    return lines


def compiler() -> dict[str, Any] | None:
    """The C++ compiler that kernels are built with, its version, and what keeps it from building them."""
    from attndsl.runtime.compiler import find_compiler

    try:
        found = find_compiler()
    except AttnError:
        return None
    return {"command": " ".join(found.command), "version": found.version, "problem": _trial(found)}


def _trial(found: Compiler) -> str | None:
    """Compiles three lines with the options of kernels; what went wrong, or None."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "trial.cpp")
        source.write_text('#include <omp.h>\nextern "C" int threads() { return omp_get_max_threads(); }\n')
        try:
            found.compile(source, Path(folder, "trial.so"))
        except AttnError as error:
            return error.note or error.message
    return None


def vectors() -> dict[str, Any] | None:
    """The widest vector instructions that the compiler uses on this machine, and their width in bits."""
    macros = _macros()
    name = next((name for macro, name in VECTORS if macro in macros), None)
    if name is None:
        return None
    bits = {"AVX-512": 512, "AVX2": 256, "NEON": 128, "SVE": 128}[name]
    return {"name": name, "bits": bits, "matrix": "AMX" if "__AMX_BF16__" in macros else None}


def _macros() -> set[str]:
    from attndsl.runtime.compiler import find_compiler

    try:
        found = find_compiler()
    except AttnError:
        return set()
    target = [flag for flag in found.flags if flag.startswith(("-march", "-mcpu"))]
    words = _output(*found.command, *target, "-dM", "-E", "-x", "c++", os.devnull).split()
    return set(words)


def torch() -> dict[str, Any] | None:
    """Version and threads of torch; None where it is missing or broken."""
    if find_spec("torch") is None:
        return None
    try:
        from attndsl.runtime.rivals import torch_facts
    except (ImportError, OSError):
        return None
    return torch_facts()


def gpus() -> list[str]:
    """Names of the GPUs that the drivers see, also where torch has no GPU build."""
    nvidia = _output("nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader")
    amd = _output("rocm-smi", "--showproductname", "--csv")
    return [line.strip() for line in nvidia.splitlines() if line.strip()] + [
        line.split(",")[1].strip() for line in amd.splitlines()[1:] if "," in line
    ]


def version(package: str) -> str | None:
    """The version of an installed package, without importing it."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    try:
        return installed(package)
    except PackageNotFoundError:
        return None


def cache() -> dict[str, Any]:
    """The cache folder: where, whether it can be written, how many kernels and bytes are in it."""
    from attndsl.settings import settings

    folder = settings().cache_dir
    kernels = list(folder.glob("kernels/*/kernel.so"))
    return {
        "folder": str(folder),
        "writable": _is_writable(folder),
        "kernels": len(kernels),
        "bytes": sum(each.stat().st_size for each in kernels),
    }


def _is_writable(folder: Path) -> bool:
    """Whether the folder can be written, or made if it does not exist yet."""
    existing = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    return existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)


def _output(*command: str) -> str:
    """What a program prints; empty where it is missing, fails or hangs."""
    if shutil.which(command[0]) is None:
        return ""
    try:
        result = subprocess.run(
            command, capture_output=True, text=True, errors="replace", check=True, timeout=20
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return result.stdout
