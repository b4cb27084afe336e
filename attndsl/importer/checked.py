"""A `.attn` file that was read, parsed and checked: from its text, or from the cache if it was so before.

Parsing needs Lark and its tables, which take longer to make than a whole library of patterns takes to read
back; so what a text means is kept in the cache, under a key made of the text and of this compiler. An entry
begins with a SHA-256 of the rest: a truncated or foreign file is ignored and written anew, and reading one
only ever builds nodes of the pattern IR.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from attndsl import __version__, library
from attndsl.files import write_whole
from attndsl.importer import LOADED_AT
from attndsl.ir.pattern import PatternIR
from attndsl.ir.stored import from_json, to_json
from attndsl.settings import settings
from attndsl.source import Source

STAGES = ("grammar", "syntax", "ir", "passes", "patterns")
"""The folders that decide what a text means."""


@dataclass(frozen=True)
class CheckedFile:
    """The patterns of a file, in order, and its docstring."""

    documentation: str
    patterns: tuple[PatternIR, ...]


def check(source: Source) -> CheckedFile:
    """The patterns of a source, resolved and type-checked. Raises AttnError for a mistake in it."""
    entry = settings().cache_dir / "imports" / f"{_key(source)}.json"
    sources = (source, _prelude())
    return _read(entry, sources) or _check_and_keep(entry, sources)


def _check_and_keep(entry: Path, sources: tuple[Source, Source]) -> CheckedFile:
    from attndsl.syntax.parser import parse

    tree = parse(sources[0])
    checked = CheckedFile(tree.documentation, tuple(library.resolve_tree(tree)))
    if _is_settled():
        _write(entry, checked, sources)
    return checked


def _read(entry: Path, sources: tuple[Source, Source]) -> CheckedFile | None:
    try:
        digest, text = entry.read_bytes().split(b"\n", 1)
        if digest != _digest(entry, text):
            return None
        documentation, patterns = from_json(text.decode("ascii"), sources)
        known = isinstance(documentation, str) and all(isinstance(each, PatternIR) for each in patterns)
        return CheckedFile(documentation, patterns) if known else None
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None


def _write(entry: Path, checked: CheckedFile, sources: tuple[Source, Source]) -> None:
    """Keep a result; what cannot be kept costs time and nothing else."""
    try:
        text = to_json((checked.documentation, checked.patterns), sources).encode("ascii")
        entry.parent.mkdir(parents=True, exist_ok=True)
        write_whole(entry, _digest(entry, text) + b"\n" + text)
    except (OSError, ValueError):
        return


def _digest(entry: Path, text: bytes) -> bytes:
    """The first line of an entry: of the text and of its key, so that no entry stands for another."""
    return hashlib.sha256(entry.stem.encode() + text).hexdigest().encode("ascii")


def _key(source: Source) -> str:
    """Equal only for equal texts under equal compilers; the name of the file does not count."""
    compiler = f"{__version__} {_stage_files()}"
    return hashlib.sha256(f"{compiler}\0{source.text}".encode()).hexdigest()[:32]


@cache
def _stage_files() -> list[tuple[str, int, int]]:
    """Name, size and time of change of the stages' files: in a checkout they change, and the version not."""
    package = Path(__file__).parents[1]
    try:
        entries = [entry for stage in STAGES for entry in os.scandir(package / stage) if entry.is_file()]
        return sorted((each.name, each.stat().st_size, each.stat().st_mtime_ns) for each in entries)
    except OSError:  # installed as a zip file: nobody edits that
        return []


def _is_settled() -> bool:
    """Whether this process runs the files as they are, none having been edited since it started."""
    return all(changed < LOADED_AT for _, _, changed in _stage_files())


@cache
def _prelude() -> Source:
    return library.source(library.PRELUDE)
