"""Characters that no token begins with: what to write in their place."""

from __future__ import annotations

import unicodedata

_MEANT = {
    "≤": "<=",
    "≥": ">=",
    "≠": "!=",
    "\N{MINUS SIGN}": "-",
    "\N{EN DASH}": "-",
    "\N{MULTIPLICATION SIGN}": "*",
    "·": "*",
    "⋅": "*",
    "÷": "/",
    "∧": "and",
    "\N{LOGICAL OR}": "or",
    "¬": "not",
    "→": "->",
    "∀": "all axis a:",
    "∃": "any axis a:",
    "“": '"',
    "”": '"',
    "„": '"',
    "…": "...",
}


def unknown_character(character: str) -> tuple[str, str]:
    """Message and help for a character that stands where no token can begin."""
    if character in _MEANT:
        return f"`{character}` has no meaning here", f"write `{_MEANT[character]}`"
    if character == "@":
        return "`@` has no meaning here", "write products of vectors, in routes, as `q . k`"
    if character.isspace():
        return f"this blank is a {_name(character)}", "write an ordinary blank"
    if character.isalpha():
        return f"`{character}` cannot be part of a name", "names are letters a to z, A to Z, digits and `_`"
    if not character.isprintable():
        return f"an invisible character stands here: {_name(character)}", "remove it"
    return f"`{character}` has no meaning here", "remove it"


def _name(character: str) -> str:
    return unicodedata.name(character, "").lower() or f"U+{ord(character):04X}"
