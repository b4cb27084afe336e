"""The settings of attndsl: every environment variable that it reads, with its default and its help.

All stages get their settings here, through `settings()`. The variables are read at each call and
never at import, so a program may set them at any time before it compiles. `docs/settings.md` holds
the same table; a test keeps the two equal. (Triton's own `TRITON_INTERPRET` and `TRITON_CACHE_DIR`
work as ever: Triton reads them, not attndsl.)
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, fields
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """The values of all settings at one moment. An empty variable counts as unset."""

    cache_dir: Path = field(
        metadata={
            "variable": "ATTNDSL_CACHE_DIR",
            "default": "`$XDG_CACHE_HOME/attndsl`, else `~/.cache/attndsl`",
            "help": "Folder of compiled kernels and of checked `.attn` modules. Safe to delete.",
        }
    )
    dump_dir: Path | None = field(
        metadata={
            "variable": "ATTNDSL_DUMP_DIR",
            "default": "unset: nothing is written",
            "help": "Folder that gets a readable copy of every stage's result for each compiled pattern: "
            "bound IR, schedule, tile IR, kernel.",
        }
    )
    logs: frozenset[str] = field(
        metadata={
            "variable": "ATTNDSL_LOGS",
            "default": "unset: silent",
            "help": "Stages that report what they do on standard error, as `cache,schedule`: of `bind`, "
            "`schedule`, `kernel`, `cache`, or `all`.",
        }
    )
    compiler: str | None = field(
        metadata={
            "variable": "CXX",
            "default": "the first of `g++`, `clang++`, `c++` on the path",
            "help": "C++ compiler of CPU kernels, with options if need be.",
        }
    )


def settings() -> Settings:
    """The settings as the environment has them now. Reads no file and makes no folder."""
    return Settings(
        cache_dir=_cache_dir(),
        dump_dir=dump_dir(),
        logs=logs(),
        compiler=os.environ.get("CXX") or None,
    )


def dump_dir() -> Path | None:
    """`Settings.dump_dir` alone."""
    chosen = os.environ.get("ATTNDSL_DUMP_DIR")
    return Path(chosen).expanduser() if chosen else None


def logs() -> frozenset[str]:
    """`Settings.logs` alone."""
    stages = os.environ.get("ATTNDSL_LOGS", "").split(",")
    return frozenset(stage.strip() for stage in stages if stage.strip())


def table() -> str:
    """The settings as a Markdown table: variable, default, meaning."""
    rows = [
        (f"`{f.metadata['variable']}`", f.metadata["default"], f.metadata["help"]) for f in fields(Settings)
    ]
    header = ("Variable", "Default", "Meaning")
    return "\n".join(f"| {' | '.join(row)} |" for row in (header, ("---",) * 3, *rows))


def _cache_dir() -> Path:
    chosen = os.environ.get("ATTNDSL_CACHE_DIR")
    if chosen:
        return Path(chosen).expanduser()
    from platformdirs import user_cache_path  # here, because it is slow to load

    return user_cache_path("attndsl", appauthor=False)
