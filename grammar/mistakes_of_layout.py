"""Mistakes in the lines and definitions of a file: indentation, blocks, what stands where."""

from __future__ import annotations

from attndsl.grammar.mistake import ANYTHING, CLAUSE_WORD, IN_PARENTHESES, LINE_START, RESERVED_WORD, Mistake

LINES = (
    Mistake(
        "A0135",
        "the line ends inside an expression",
        IN_PARENTHESES,
        note="nothing follows this on its line",
        before=r"and|or|not|if|else|==|!=|<=?|>=?|\+|-|\*\*?|//?|%|\.",
        expected=("OPERAND",),
        found=("_NEWLINE", "$END"),
        at_before=True,
    ),
    Mistake(
        "A0135",
        "a line cannot begin with `{found}`",
        IN_PARENTHESES,
        text=r"(?:and|or)\b|==|!=|<=?|>=?|\+|-(?!>)|\*\*?|//?|%|\.",
        expected=(*LINE_START, "_DEDENT"),
        found=ANYTHING,
    ),
    Mistake(
        "A0111",
        "this line is indented more than the one before",
        "align it with the lines of its block; " + IN_PARENTHESES,
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
        found=ANYTHING,
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
        text=CLAUSE_WORD,
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
        text=r"(?!" + RESERVED_WORD + r")[A-Za-z_]\w*\s*:?=(?!=)",
        expected=("CLAUSE", "STATEMENT"),
    ),
    Mistake(
        "A0127",
        "a value stands outside of a definition",
        "make `{name}` a parameter of the pattern, or a `let` in it",
        text=r"(?!" + RESERVED_WORD + r")[A-Za-z_]\w*\s*:?=(?!=)",
        expected=("DEFINITION",),
    ),
    Mistake(
        "A0134",
        "a function has no clause `{found}`",
        "a function is lines of `let` and `require`, then one `return`; clauses belong in a pattern",
        text=CLAUSE_WORD,
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
        text=RESERVED_WORD,
        expected=("NAME",),
    ),
    Mistake(
        "A0159",
        "a name is missing after `{before}`",
        "write a name of letters, digits and `_`",
        before=r"pattern|def|let|input|branch|axis|of|blocks|normalize|space",
        expected=("NAME",),
        found=ANYTHING,
    ),
)
