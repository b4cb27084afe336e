"""Reading `.attn` files: from a path to a Source, or to an error that says why not."""

from __future__ import annotations

from difflib import get_close_matches
from os import fspath
from pathlib import Path

from attndsl.diagnostics import AttnFileError
from attndsl.source import Source

LARGEST_FILE = 256 * 1024
"""The largest file that is read, in bytes."""


def read_source(path: str | Path) -> Source:
    """The text of the file at `path`, named by its path as the user gave it.

    Errors: A0801 no such file, A0802 a directory, A0803 not readable, A0804 not UTF-8, A0805 too large.
    """
    return source_of(read_bytes(path), path)


def read_bytes(path: str | Path) -> bytes:
    """The contents of the file at `path`, of what is too large a little more than is allowed.

    Errors: A0801 no such file, A0802 a directory, A0803 not readable.
    """
    try:
        with open(fspath(path), "rb") as file:  # not Path.open: an empty path is no folder
            return file.read(LARGEST_FILE + 1)
    except FileNotFoundError:
        raise AttnFileError("A0801", f"there is no file `{path}`", help=_advice(Path(path))) from None
    except IsADirectoryError:
        raise AttnFileError(
            "A0802", f"`{path}` is a directory", help="give the path of one `.attn` file"
        ) from None
    except (OSError, ValueError) as error:
        raise AttnFileError(
            "A0803", f"`{path}` cannot be read: {error}", help="check the path and its permissions"
        ) from None


def source_of(data: bytes, path: str | Path) -> Source:
    """The source with these contents. Errors: A0804 not UTF-8, A0805 too large."""
    if len(data) > LARGEST_FILE:
        raise AttnFileError(
            "A0805",
            f"`{path}` is larger than {LARGEST_FILE // 1024} KiB",
            help="check that it is an `.attn` file, or split it",
        )
    try:
        return Source(str(path), data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise AttnFileError(
            "A0804",
            f"`{path}` is not UTF-8 text",
            note=f"the first byte that cannot be read is on line {line}",
            help="save the file with the encoding UTF-8",
        ) from None


def _advice(path: Path) -> str:
    """The `.attn` file beside a missing one that has a similar name, where there is one."""
    try:
        beside = [each.stem for each in path.parent.glob("*.attn")]
    except OSError:
        beside = []
    close = get_close_matches(path.stem, beside, n=1)
    return f"did you mean `{path.with_name(close[0] + '.attn')}`?" if close else "check the path"
