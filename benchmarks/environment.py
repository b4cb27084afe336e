"""Where a measurement was made: versions, processor and commit."""

from __future__ import annotations

import platform
import subprocess
from datetime import date
from pathlib import Path

import torch

import attndsl

ROOT = Path(__file__).parents[1]


def environment() -> dict[str, str]:
    """Everything a reader needs to judge the numbers, as text."""
    return {
        "date": date.today().isoformat(),
        "commit": _output("git", "describe", "--always", "--dirty"),
        "attndsl": attndsl.__version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "compiler": _output("c++", "--version").split("\n")[0],
        "processor": _processor(),
        "instructions": _instructions(),
        "threads": str(torch.get_num_threads()),
    }


def _output(*command: str) -> str:
    try:
        result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return result.stdout.strip()


def _processor() -> str:
    facts = _processor_facts()
    name = facts.get("model name") or platform.processor() or platform.machine()
    return f"{name} (family {facts['cpu family']} model {facts['model']})" if "cpu family" in facts else name


def _instructions() -> str:
    """The widest instructions that torch uses, and whether there are matrix instructions for bfloat16."""
    matrix = " with AMX" if "amx_bf16" in _processor_facts().get("flags", "").split() else ""
    return torch.backends.cpu.get_cpu_capability() + matrix


def _processor_facts() -> dict[str, str]:
    """What Linux says about the last core; empty elsewhere."""
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.exists() else []
    pairs = (line.split(":", 1) for line in lines if ":" in line)
    return {name.strip(): value.strip() for name, value in pairs}
