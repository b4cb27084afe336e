"""Errors of later stages in the spelling of Python: their advice is written for texts of the language."""

from __future__ import annotations

import re

from attndsl.diagnostics import AttnError, AttnTypeError

SPELLINGS = (
    ("`space tokens(n)`", '`space="tokens(n)"`'),
    ("`query space`", "`query_space=`"),
    ("`key space`", "`key_space=`"),
    ("`normalize sum + exp(logit[head])`", "`sink=logit[head]`"),
    ("`normalize sum + exp(...)`", "`sink=...`"),
    ("`normalize sum`", '`normalize="sum"`'),
    ("`normalize none`", '`normalize="none"`'),
    ("`1.0 if condition else 0.0`", "`attndsl.where(condition, 1.0, 0.0)`"),
    ("is for `attend` to say", "is for `attend=` to say"),
    ("`.`", "`@`"),
    ("`in` has a meaning in routes only", "`within=` has a meaning in routes only"),
    ("call it in a `route`", "write it in `route=`; products of numbers are written with `*`"),
    ("`and`", "`&`"),
    ("`or`", "`|`"),
    ("`not`", "`~`"),
    ("`if`", "`where`"),
    ("`1 if condition else 0`", "`attndsl.where(condition, 1, 0)`"),
    ("`floor(x)` or `int(x)`", "`attndsl.lang.floor(x)` or `attndsl.lang.int(x)`"),
    ("write `floor(x)`", "write `attndsl.lang.floor(x)`"),
    ("`all axis a: ...`", "`attndsl.lang.all_axes(lambda a: ...)`"),
    ("such as `int[axes]`", "such as `attndsl.PerAxis[int]`"),
    ("when its lets and functions are written out", "when its variables and functions are written out"),
    ("use fewer nested functions and lets", "use fewer nested functions and variables"),
    ("or `else: true`", 'or `"else": True`'),
    ("into `attend`", "into what the function returns"),
    ("`attend`", "the result"),
    ("`extent(n)`", '`attndsl.lang.extent("n")`'),
    ("`require`", "`attndsl.lang.require`"),
)
"""What a text writes, and what Python writes."""

POOL = re.compile(r"`per (\w+)`")
UNKNOWN = re.compile(
    r"unknown (?:function|name) `(mean|sum|stack|stack_reversed|similarity|softmax|top|scale|v)`"
)
"""What routes alone can speak of."""
PRODUCT = re.compile(r"`(\w+) \. (\w+)`")

ARM = re.compile(r"`(\w+ -> \w+): \.\.\.`")
PRECEDENCE = "`&`, `|` and `~` bind tighter than comparisons: write `(q.n >= 4) & (k.n >= 4)`"


def in_python(error: AttnError) -> AttnError:
    """The same error with messages and help that speak of Python."""
    message, help = error.message, error.help
    if found := UNKNOWN.match(message):
        message, help = f"`attndsl.lang.{found[1]}` has a meaning in routes only", "write it in `route=`"
        return AttnTypeError("A0375", message, span=error.span, help=help)
    for text, python in SPELLINGS:
        message, help = message.replace(text, python), help.replace(text, python)
    help = ARM.sub(r'`"\1": ...`', help)
    help = PRODUCT.sub(r"`\1 @ \2`", help)
    message, help = (POOL.sub(r'`per="\1"`', each) for each in (message, help))
    if error.code == "A0302" and message.startswith(("`&`", "`|`", "`~`")):
        help = PRECEDENCE
    note = "" if error.code == "A0375" else error.note  # no function of the language was called
    return type(error)(error.code, message, span=error.span, note=note, help=help)
