"""Typical mistakes in `.attn` files and what to tell about them: the table behind the syntax errors.

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


_ANYTHING = ("ANYTHING",)
_LINE_START = ("CLAUSE", "STATEMENT", "DEFINITION")
_CLAUSE_WORD = (
    r"(?:space|let|require|input|attend|score|weight|gate|decay|normalize|blocks|route|branch|combine)\b"
)
_RESERVED_WORD = (
    r"(?:pattern|def|return|let|require|attend|if|else|and|or|not|all|any|in|true|false"
    r"|True|False|None|lambda)\b"
)
_IN_PARENTHESES = "put parentheses around an expression that goes on over several lines"

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
        expected=("OPERATOR",),
    ),
    Mistake(
        "A0119",
        "there are no loops",
        "write `all axis a: ...` or `any axis a: ...` to go over the axes of a space",
        text=r"(?:for|while)\b",
        expected=(*_LINE_START, "OPERATOR"),
    ),
    Mistake(
        "A0119",
        "there are no imports",
        "the functions of the prelude are always there; write others into this file",
        text=r"(?:import|from)\b",
        expected=_LINE_START,
    ),
    Mistake(
        "A0119",
        "there is no statement `{found}`",
        "choose inside an expression: `value if condition else other`",
        text=r"(?:if|elif|else)\b",
        expected=_LINE_START,
    ),
    Mistake(
        "A0119",
        "there is no statement `{found}`",
        "a file holds definitions with `pattern` and `def`; a precondition is a `require`",
        text=r"(?:class|try|with|assert|raise|print|pass)\b(?!\s*=)",
        expected=_LINE_START,
    ),
    Mistake(
        "A0156", "comments begin with `#`", "write `#`", text=r"//|/\*|--", expected=(*_LINE_START, "_DEDENT")
    ),
    Mistake("A0157", "`;` does not end anything here", "start a new line", text=";"),
    Mistake("A0157", "`\\` does not continue a line", _IN_PARENTHESES, text=r"\\"),
    Mistake("A0157", "`{found}` does not mark a block", "indent the lines of a block", text="[{}]"),
)

LINES = (
    Mistake(
        "A0135",
        "the line ends inside an expression",
        _IN_PARENTHESES,
        note="nothing follows this on its line",
        before=r"and|or|not|if|else|==|!=|<=?|>=?|\+|-|\*\*?|//?|%|\.",
        expected=("OPERAND",),
        found=("_NEWLINE", "$END"),
        at_before=True,
    ),
    Mistake(
        "A0135",
        "a line cannot begin with `{found}`",
        _IN_PARENTHESES,
        text=r"(?:and|or)\b|==|!=|<=?|>=?|\+|-(?!>)|\*\*?|//?|%|\.",
        expected=(*_LINE_START, "_DEDENT"),
        found=_ANYTHING,
    ),
    Mistake(
        "A0111",
        "this line is indented more than the one before",
        "align it with the lines of its block; " + _IN_PARENTHESES,
        found=("_INDENT",),
    ),
    Mistake(
        "A0155",
        "a block begins on a line of its own",
        "start a new line after `:` and indent it",
        before=":",
        expected=("_NEWLINE",),
    ),
    Mistake(
        "A0132",
        "this block is empty",
        "write its lines below, indented by four blanks",
        before=":",
        expected=("_INDENT",),
        found=_ANYTHING,
        at_before=True,
    ),
    Mistake(
        "A0132",
        "a docstring is not a body",
        "write clauses below it, at least `attend true`",
        before=r'"""[\s\S]*"""',
        expected=("CLAUSE",),
        found=("_DEDENT", "$END"),
    ),
)

DEFINITIONS = (
    Mistake(
        "A0133",
        "a clause stands outside of a pattern",
        "indent it under a `pattern name:`",
        text=_CLAUSE_WORD,
        expected=("DEFINITION",),
    ),
    Mistake(
        "A0133",
        "`return` stands outside of a function",
        "indent it under a `def name(...):`",
        text=r"return\b",
        expected=("DEFINITION",),
    ),
    Mistake(
        "A0150",
        "`{found}` stands inside of another definition",
        "start it in the first column",
        text=r"(?:pattern|def)\b",
        expected=("CLAUSE", "STATEMENT", "_DEDENT"),
    ),
    Mistake(
        "A0122",
        "a pattern returns nothing",
        "write `attend` in place of `return`",
        text=r"return\b",
        expected=("CLAUSE",),
    ),
    Mistake(
        "A0123",
        "a function has no `return`",
        "end it with a line `return ...`",
        expected=("STATEMENT",),
        found=("_DEDENT", "$END"),
    ),
    Mistake(
        "A0124",
        "a line after `return` has no effect",
        "move it before `return`, or remove it",
        expected=("_DEDENT",),
        inside=("_DEF",),
    ),
    Mistake(
        "A0127",
        "a name gets a value without `let`",
        "write `let {name} = ...`",
        text=r"(?!" + _RESERVED_WORD + r")[A-Za-z_]\w*\s*:?=(?!=)",
        expected=("CLAUSE", "STATEMENT"),
    ),
    Mistake(
        "A0127",
        "a value stands outside of a definition",
        "make `{name}` a parameter of the pattern, or a `let` in it",
        text=r"(?!" + _RESERVED_WORD + r")[A-Za-z_]\w*\s*:?=(?!=)",
        expected=("DEFINITION",),
    ),
    Mistake(
        "A0134",
        "a function has no clause `{found}`",
        "a function is lines of `let` and `require`, then one `return`; clauses belong in a pattern",
        text=_CLAUSE_WORD,
        expected=("STATEMENT",),
    ),
    Mistake(
        "A0128",
        "the type of a function's result is not written",
        "remove `->` and the type",
        text="->",
        inside=("_DEF",),
        expected=("COLON",),
    ),
    Mistake(
        "A0131",
        "`:` is missing at the end of the line",
        "write `:` here",
        expected=("COLON",),
        inside=("_PATTERN", "_DEF", "_BRANCH"),
        found=("_NEWLINE", "$END"),
    ),
    Mistake(
        "A0139",
        "`{found}` is a word of the language and cannot be a name",
        "choose another name",
        text=_RESERVED_WORD,
        expected=("NAME",),
    ),
    Mistake(
        "A0159",
        "a name is missing after `{before}`",
        "write a name of letters, digits and `_`",
        before=r"pattern|def|let|input|branch|axis|of|blocks|normalize|space",
        expected=("NAME",),
        found=_ANYTHING,
    ),
)

CLAUSES = (
    Mistake(
        "A0128",
        "the arms of `attend` stand in a block",
        "write `attend` on a line of its own and the arms below it, indented",
        text=r"[A-Za-z_]\w*\s*->|(?<=-)>|->",
        expected=("CLAUSE", "OPERAND", "OPERATOR"),
        inside=("_ATTEND", "_PATTERN"),
    ),
    Mistake(
        "A0126",
        "a block of arms holds a line that is not an arm",
        "write `query_segment -> key_segment: condition` or `else: condition`",
        inside=("_ATTEND",),
        expected=("ARROW",),
        found=_ANYTHING,
        at_before=True,
    ),
    Mistake(
        "A0126",
        "a block of arms holds a line that is not an arm",
        "write `query_segment -> key_segment: condition` or `else: condition`",
        inside=("_ATTEND",),
        examples=(
            "pattern p:\n    attend\n        a -> b: true\n        not causal\n",
            "pattern p:\n    attend\n        a -> b: true\n        (causal)\n",
            "pattern p:\n    attend\n        a -> b: true\n        true\n",
            "pattern p:\n    attend\n        a -> b: true\n        all axis a: true\n",
            "pattern p:\n    attend\n        a -> b: true\n        q.n == k.n\n",
        ),
    ),
    Mistake(
        "A0126",
        "`attend` has one expression, or a block of arms",
        "join the lines with `and` or `or` inside parentheses, or write each as an arm",
        inside=("_ATTEND",),
        examples=(
            "pattern p:\n    attend\n        causal\n        sliding(2)\n",
            "pattern p:\n    attend\n        causal\n        else: true\n",
            "pattern p:\n    attend\n        causal\n        not true\n",
            "pattern p:\n    attend\n        causal\n        (true)\n",
            "pattern p:\n    attend\n        causal\n        all axis a: true\n",
        ),
    ),
    Mistake(
        "A0127",
        "`==` compares; a value is given with `=`",
        "write `=`",
        text="=",
        before="==",
        inside=("_LET",),
        expected=("OPERAND",),
        at_before=True,
    ),
    Mistake("A0127", "a value is given with `=`", "write `=`", text=":=?", expected=("ASSIGN",)),
    Mistake(
        "A0127",
        "`=` and a value are missing",
        "write `let name = value`",
        expected=("ASSIGN",),
        inside=("_LET",),
        found=_ANYTHING,
    ),
    Mistake(
        "A0141",
        "`require` has no message",
        'add what the user should know: `require window >= 1, "window must be at least 1"`',
        inside=("_REQUIRE",),
        expected=("COMMA", "STRING"),
        found=("_NEWLINE", "$END"),
        before=r"(?!require).*",
    ),
    Mistake(
        "A0142",
        "a space names its axes",
        "write `space tokens(n)`, `space video(t, h, w)`, or `space tokens(axes...)` for any number of axes",
        inside=("_SPACE",),
        examples=(
            "pattern p:\n    space tokens\n",
            "pattern p:\n    space tokens()\n",
            "pattern p:\n    space tokens ++ text(n)\n",
            "pattern p:\n    space tokens:\n",
            "pattern p:\n    space tokens[n]\n",
            "pattern p:\n    space tokens = 3\n",
            "pattern p:\n    space tokens(3)\n",
            "pattern p:\n    space a(n) ++ text()\n",
        ),
    ),
    Mistake("A0142", "segments are joined by `++`", "write `++`", text=r"\+|,", expected=("JOIN",)),
    Mistake(
        "A0147",
        "the form is `input name: type`",
        "write `input doc: int[tokens]`, or another kind and shape",
        inside=("_INPUT",),
        expected=("COLON",),
        found=_ANYTHING,
    ),
    Mistake(
        "A0149",
        "the form is `decay factor per step of axis`",
        "write `per step of` and an axis after the factor",
        inside=("_DECAY",),
        expected=("_PER", "_STEP", "_OF"),
        found=_ANYTHING,
    ),
    Mistake(
        "A0149",
        "the form is `blocks name of axis by size`",
        "write for example `blocks b of n by 64`",
        inside=("_BLOCKS",),
        expected=("_OF", "_BY"),
        found=_ANYTHING,
    ),
    Mistake(
        "A0149",
        "a route has no phrase `{found}`",
        "its phrases begin with `score`, `among`, `select` or `always`",
        text=r"[A-Za-z_]\w*",
        expected=("PHRASE",),
    ),
)

EXPRESSIONS = (
    Mistake(
        "A0140",
        "a choice has no `else`",
        "write `value if condition else other`",
        expected=("_ELSE",),
        found=_ANYTHING,
    ),
    Mistake(
        "A0140",
        "there is no `if` before this `else`",
        "write `value if condition else other`",
        text=r"else\b",
        expected=("_NEWLINE", "RPAR", "RSQB", "COMMA"),
    ),
    Mistake(
        "A0144",
        "a quantifier names an axis",
        "write `all axis a: condition` or `any axis a: condition`",
        expected=("_AXIS",),
        found=_ANYTHING,
    ),
    Mistake(
        "A0116",
        "`=` does not compare",
        "write `==`",
        text="=(?!=)",
        expected=("OPERATOR",),
    ),
    Mistake(
        "A0116",
        "`===` is not an operator",
        "write `==`",
        text="(?<===)=",
    ),
    Mistake(
        "A0152",
        "there are no slices",
        "give one index, such as `alpha[head]`",
        text=":",
        before=r"(?!\().*",
        expected=("RSQB",),
    ),
    Mistake(
        "A0151",
        "only a name can be called",
        "write an operator such as `*` before `(`",
        text=r"\(",
        expected=("OPERATOR",),
    ),
    Mistake(
        "A0151",
        "only a name can have an index",
        "give the value a name with `let`, or write an operator before `[`",
        text=r"\[",
        expected=("OPERATOR",),
    ),
    Mistake(
        "A0154",
        "`{found}` needs parentheses here",
        "write `({found} ...)`",
        text=r"(?:not|all|any)\b",
        expected=("OPERAND",),
    ),
    Mistake("A0151", "there are no lists", "write the values out", text=r"\[", expected=("OPERAND",)),
    Mistake("A0148", "there is no `+` as a sign", "remove it", text=r"\+", expected=("OPERAND",)),
    Mistake("A0103", "a number begins with a digit", "write `0.5`", text=r"\.[0-9]", expected=("OPERAND",)),
    Mistake(
        "A0136",
        "an expression is missing after `{before}`",
        "write a value there",
        expected=("OPERAND",),
        found=_ANYTHING,
    ),
    Mistake(
        "A0136",
        "an expression is missing after `{before}`",
        "write it on the same line, or on the next one, indented",
        before="attend",
        expected=("_INDENT",),
        found=_ANYTHING,
    ),
)

TABLE = (*QUOTES, *OTHER_LANGUAGES, *LINES, *DEFINITIONS, *CLAUSES, *EXPRESSIONS)
