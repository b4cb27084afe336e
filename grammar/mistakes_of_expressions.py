"""Mistakes inside an expression."""

from __future__ import annotations

from attndsl.grammar.mistake import ANYTHING, Mistake

EXPRESSIONS = (
    Mistake(
        "A0140",
        "a choice has no `else`",
        "write `value if condition else other`",
        expected=("_ELSE",),
        found=ANYTHING,
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
        found=ANYTHING,
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
        found=ANYTHING,
    ),
    Mistake(
        "A0136",
        "an expression is missing after `{before}`",
        "write it on the same line, or on the next one, indented",
        before="attend",
        expected=("_INDENT",),
        found=ANYTHING,
    ),
)
