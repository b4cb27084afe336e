"""Terminals: the names of the grammar's tokens, joined to classes and put into words for error messages."""

from __future__ import annotations

CLAUSES = frozenset(
    {
        "_SPACE",
        "QUERY",
        "KEY",
        "VALUE",
        "_LET",
        "_REQUIRE",
        "_INPUT",
        "_ATTEND",
        "_SCORE",
        "_WEIGHT",
        "_GATE",
        "_DECAY",
    }
    | {"_NORMALIZE", "_BLOCKS", "_GROUPS", "_ROUTE", "_COMBINE", "_BRANCH"}
)
"""Keywords that begin a clause."""

RESERVED = frozenset(
    {"_PATTERN", "_DEF", "_RETURN", "_LET", "_REQUIRE", "_ATTEND", "_IF", "_ELSE"}
    | {"AND", "OR", "NOT", "ALL", "ANY", "IN", "TRUE", "FALSE"}
)
"""Keywords that are never names."""

_COMPARISONS = {"EQUAL", "NOT_EQUAL", "LESS", "LESS_EQUAL", "GREATER", "GREATER_EQUAL"}
_ARITHMETIC = {"PLUS", "MINUS", "STAR", "SLASH", "FLOOR_DIVIDE", "PERCENT", "POWER", "DOT"}
_AFTER_NAMES = {"LPAR", "LSQB", "ASSIGN", "IN"}
_OPERANDS = {"NUMBER", "TRUE", "FALSE", "FIELD", "NAME", "LPAR", "MINUS", "NOT", "ALL", "ANY"}

CLASSES: dict[str, tuple[set[str], set[str]]] = {
    "ARM": ({"_ELSE", "NAME"}, {"_ELSE", "NAME"}),
    "OPERAND": ({"NUMBER", "LPAR"}, _OPERANDS),
    "CLAUSE": ({"_ATTEND"}, {*CLAUSES, "DOCSTRING"}),
    "STATEMENT": ({"_RETURN"}, {"_RETURN", "_LET", "_REQUIRE", "DOCSTRING"}),
    "PHRASE": ({"AMONG"}, {"SCORE_STEP", "AMONG", "SELECT", "PREFER", "ALWAYS"}),
    "DEFINITION": ({"_DEF"}, {"_DEF", "_PATTERN", "DOCSTRING"}),
    "OPERATOR": ({"PLUS"}, _COMPARISONS | _ARITHMETIC | _AFTER_NAMES | {"AND", "OR", "_IF"}),
}
"""For each class the terminals that tell that it is expected, and the terminals that it stands for."""

PHRASES = {
    "OPERAND": "an expression",
    "ARM": "an arm such as `else: true`",
    "CLAUSE": "a clause such as `space`, `let` or `attend`",
    "STATEMENT": "`let`, `require` or `return`",
    "PHRASE": "`score`, `among`, `select`, `prefer` or `always`",
    "DEFINITION": "a definition",
    "NAME": "a name",
    "NUMBER": "a number",
    "STRING": "a text in double quotes",
    "_NEWLINE": "the end of the line",
    "_INDENT": "an indented line",
    "_DEDENT": "the end of the block",
    "$END": "the end of the file",
    "OPERATOR": "an operator",
}
"""Classes and terminals without one spelling, in words."""
