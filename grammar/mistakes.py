"""Typical mistakes in `.attn` files and what to tell about them: the table behind the syntax errors.

A syntax error is compared with the entries from top to bottom; the first that fits gives the message.
"""

from __future__ import annotations

from attndsl.grammar.mistakes_of_clauses import CLAUSES
from attndsl.grammar.mistakes_of_expressions import EXPRESSIONS
from attndsl.grammar.mistakes_of_habit import OTHER_LANGUAGES, QUOTES
from attndsl.grammar.mistakes_of_layout import DEFINITIONS, LINES

TABLE = (*QUOTES, *OTHER_LANGUAGES, *LINES, *DEFINITIONS, *CLAUSES, *EXPRESSIONS)
