"""The command line, `attndsl`: one file per command, each a thin face of a stage of the pipeline.

`main` is the entry point. Nothing heavy is imported before a command needs it, so that `attndsl --help`
is quick.
"""

from __future__ import annotations

import sys


def main() -> int:
    """Run the command line on `sys.argv`; always ends in SystemExit with the exit code.

    0: fine. 1: the pattern or its data is wrong. 2: wrong usage. 130: interrupted.
    """
    try:
        from attndsl.cli.app import app
    except KeyboardInterrupt:  # later ones are the app's own affair
        raise SystemExit(130) from None
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal without Unicode gets `?`, not a traceback
    app(prog_name="attndsl")
    return 0
