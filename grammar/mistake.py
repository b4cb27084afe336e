"""One entry in the table of typical mistakes, and the words that several entries need.

A syntax error is compared with the entries from top to bottom; the first that fits gives the message. An
entry fits by conditions or by examples:

- conditions: `text` (a regular expression at the place of the error), `before` (one for the whole token
  before it), `expected` (one of these terminals, or classes of terminals, would have been allowed), `inside`
  (the keyword of the innermost clause) and `found` (the type of what came instead; without it an entry fits
  anything but a line break or a change of indentation);
- examples: files with this mistake. The entry fits when the same was expected, and found, inside the same
  clause.

In messages and helps `{found}` stands for the text at the place, `{name}` for its first word and `{before}`
for the token before it. attndsl/syntax/terminals.py names the classes.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Mistake:
    """One typical mistake. `at_before` puts the place on the token before the unexpected one."""

    code: str
    message: str
    help: str
    note: str = ""
    text: str = ""
    before: str = ""
    expected: tuple[str, ...] = ()
    inside: tuple[str, ...] = ()
    found: tuple[str, ...] = ()
    examples: tuple[str, ...] = ()
    at_before: bool = False


ANYTHING = ("ANYTHING",)
LINE_START = ("CLAUSE", "STATEMENT", "DEFINITION")
CLAUSE_WORD = (
    r"(?:space|let|require|input|attend|score|scale|feature|weight|gate|decay|normalize|blocks|groups|route|branch"
    r"|combine)\b"
)
RESERVED_WORD = (
    r"(?:pattern|def|return|let|require|attend|if|else|and|or|not|all|any|in|true|false"
    r"|True|False|None|lambda)\b"
)
IN_PARENTHESES = "put parentheses around an expression that goes on over several lines"
