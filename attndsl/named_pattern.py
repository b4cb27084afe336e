"""Patterns by the names that people write: of the library, `file.attn`, or `file.attn:name`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from attndsl.diagnostics import AttnFileError

if TYPE_CHECKING:
    from attndsl.pipeline import Pattern


def find_pattern(name: str) -> Pattern:
    """The pattern of that name. Raises AttnFileError A0807 where a file has several, or none of the name."""
    from attndsl.pipeline import pattern

    path, chosen = split_name(name)
    return pattern(name) if path is None else _in_file(path, chosen)


def split_name(name: str) -> tuple[str | None, str | None]:
    """Path and pattern name; no path for a library name."""
    path, found, chosen = name.rpartition(".attn:")
    if found:
        return path + ".attn", chosen
    looks_like_path = name.endswith(".attn") or "/" in name or Path(name).is_file()
    return (name, None) if looks_like_path else (None, None)


def _in_file(path: str, chosen: str | None) -> Pattern:
    from attndsl.pipeline import Pattern, load

    loaded = load(path)
    alone = isinstance(loaded, Pattern)
    found: dict[str, Pattern] = {loaded.name: loaded} if alone else dict(vars(loaded))
    name = next(iter(found)) if chosen is None and alone else chosen
    if name in found:
        return found[name]
    listing = ", ".join(f"{path}:{each}" for each in found)
    what = f"defines {len(found)} patterns" if chosen is None else f"has no pattern `{chosen}`"
    raise AttnFileError("A0807", f"`{path}` {what}", help=f"name one of them: {listing}")
