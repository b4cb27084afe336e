"""The fenced blocks of the documentation's pages, and the files that they name.

A block of `.attn` may name the file that its page's other blocks read, as in "```attn near.attn"; without a
name the first one is `my.attn`, the next `my1.attn`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

BLOCK = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, the file name beside it if there is one, and what stands inside."""

    language: str
    file: str | None
    text: str


def blocks(page: str, language: str) -> list[Block]:
    """The blocks of one language, in order."""
    found = [Block(name, file or None, text) for name, file, text in BLOCK.findall(page)]
    return [each for each in found if each.language == language]


def write_patterns(page: str, folder: Path) -> None:
    """Write the page's `.attn` blocks as files."""
    for number, block in enumerate(blocks(page, "attn")):
        name = block.file or ("my.attn" if number == 0 else f"my{number}.attn")
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(block.text, encoding="utf-8")
