"""Mistakes in the syntax that are right in other languages: quotes, operators, statements."""

from __future__ import annotations

from attndsl.grammar.mistake import IN_PARENTHESES, LINE_START, Mistake

QUOTES = (
    Mistake(
        "A0141",
        "`,` is missing before the message",
        'write `require condition, "message"`',
        text=r'"[^"\n]*"',
        inside=("_REQUIRE",),
        expected=("COMMA",),
    ),
    Mistake("A0106", "this docstring is never closed", 'end it with `"""`', text=r'"""(?![\s\S]*?""")'),
    Mistake(
        "A0107",
        "this text is never closed",
        'end it with `"` on the same line',
        text=r'"(?!"")(?:[^"\\\n]|\\.)*\\?(?=\n|\Z)',
    ),
    Mistake(
        "A0146",
        "texts are written in double quotes",
        'write `"..."`, or `"""..."""` for a docstring',
        text="'+",
    ),
    Mistake(
        "A0145",
        "a docstring does not belong here",
        "put it first in its file, pattern or function, or write a comment with `#`",
        text=r'"""',
    ),
    Mistake(
        "A0138",
        "a text in quotes does not belong here",
        'texts are the messages of `require`: `require window >= 1, "window must be at least 1"`',
        text=r'"(?:[^"\\\n]|\\.)*"',
    ),
)

OTHER_LANGUAGES = (
    Mistake("A0117", "`{found}` is not an operator", "write `and`", text="&&?"),
    Mistake("A0117", "`{found}` is not an operator", "write `or`", text=r"\|\|?"),
    Mistake("A0117", "`{found}` is not an operator", "write `not`", text="[!~]"),
    Mistake("A0117", "`^` is not an operator", "write `**` for a power, `!=` for exclusive or", text=r"\^"),
    Mistake("A0117", "`<>` is not an operator", "write `!=`", text="(?<=<)>"),
    Mistake("A0117", "`=>` is not an operator", "write `>=`", text="=>"),
    Mistake("A0117", "`?` is not an operator", "write `value if condition else other`", text=r"\?"),
    Mistake("A0118", "`True` is written in lower case", "write `true`", text=r"True\b"),
    Mistake("A0118", "`False` is written in lower case", "write `false`", text=r"False\b"),
    Mistake("A0118", "there is no `None`", "leave it out, or give a number such as 0", text=r"None\b"),
    Mistake(
        "A0119",
        "there is no `lambda`",
        "define a function: `def name(x):`, and below it `return ...`",
        text=r"lambda\b",
    ),
    Mistake("A0119", "there is no operator `is`", "write `==`", text=r"is\b", expected=("OPERATOR",)),
    Mistake(
        "A0119",
        "there is no operator `{found}`",
        "compare with each value: `x == a or x == b`",
        text=r"in\b|not\s+in\b",
        expected=("OPERATOR", "_NEWLINE", "_ELSE", "COMMA", "RPAR", "RSQB"),
    ),
    Mistake(
        "A0119",
        "there are no loops",
        "write `all axis a: ...` or `any axis a: ...` to go over the axes of a space",
        text=r"(?:for|while)\b",
        expected=(*LINE_START, "OPERATOR"),
    ),
    Mistake(
        "A0119",
        "there are no imports",
        "the functions of the prelude are always there; write others into this file",
        text=r"(?:import|from)\b",
        expected=LINE_START,
    ),
    Mistake(
        "A0119",
        "there is no statement `{found}`",
        "choose inside an expression: `value if condition else other`",
        text=r"(?:if|elif|else)\b",
        expected=LINE_START,
    ),
    Mistake(
        "A0119",
        "there is no statement `{found}`",
        "a file holds definitions with `pattern` and `def`; a precondition is a `require`",
        text=r"(?:class|try|with|assert|raise|print|pass)\b(?!\s*=)",
        expected=LINE_START,
    ),
    Mistake(
        "A0156", "comments begin with `#`", "write `#`", text=r"//|/\*|--", expected=(*LINE_START, "_DEDENT")
    ),
    Mistake("A0157", "`;` does not end anything here", "start a new line", text=";"),
    Mistake("A0157", "`\\` does not continue a line", IN_PARENTHESES, text=r"\\"),
    Mistake("A0157", "`{found}` does not mark a block", "indent the lines of a block", text="[{}]"),
)
