"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from attndsl.diagnostics import AttnFileError


def write_whole(path: Path, data: bytes) -> None:
    """Write a file beside its place and rename it; on failure nothing is left behind. Raises OSError."""
    partial = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.partial")
    try:
        partial.write_bytes(data)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_file(path: Path, data: bytes) -> None:
    """Write what a user asked for; on failure nothing is left behind. Raises AttnFileError A0810."""
    try:
        if path.is_symlink() or (path.exists() and not path.is_file()):
            path.write_bytes(data)  # a link stays one; a device or a pipe takes the bytes as they come
        else:
            write_whole(path, data)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise AttnFileError(
            "A0810",
            f"`{path}` cannot be written: {reason}",
            help="check the path, its permissions and free space",
        ) from None
