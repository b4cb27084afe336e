"""What the stages of the compiler tell of their work, where the settings ask for it.

`report` writes a line to standard error (`ATTNDSL_LOGS`), `dump` a readable file (`ATTNDSL_DUMP_DIR`). Both
take a function, so that a text that nobody asked for is never made.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache

from attndsl.diagnostics import AttnFileError
from attndsl.settings import dump_dir, logs

STAGES = ("bind", "schedule", "kernel", "cache")
"""The stages that report: what `ATTNDSL_LOGS` may name, besides `all`."""


def report(stage: str, name: str, text: Callable[[], str]) -> None:
    """Say on standard error what a stage did with the pattern or kernel of that name."""
    wanted = logs()
    if wanted:
        _warn_of_unknown(wanted)
    if stage in wanted or "all" in wanted:
        print(f"attndsl {stage}: {name}: {text()}", file=sys.stderr)


def dump(file_name: str, text: Callable[[], str]) -> None:
    """Write a stage's result. Raises AttnFileError A0815 where the folder cannot be written."""
    folder = dump_dir()
    if folder is None:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / file_name).write_text(text(), encoding="utf-8")
    except OSError as error:
        raise AttnFileError(
            "A0815",
            f"`{folder / file_name}` cannot be written: {error.strerror}",
            help="set ATTNDSL_DUMP_DIR to a folder that can be written, or unset it",
        ) from None


@cache
def _warn_of_unknown(wanted: frozenset[str]) -> None:
    """Name the words that are no stages, once."""
    for word in sorted(wanted - {*STAGES, "all"}):
        known = ", ".join((*STAGES, "all"))
        print(f"attndsl: ATTNDSL_LOGS names no stage `{word}`; it may name {known}", file=sys.stderr)
