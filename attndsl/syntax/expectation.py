"""Expectation: what the grammar would have allowed at the place of a syntax error, in words that users know.

Terminals are first joined to classes (all that may begin an expression is OPERAND, ...), so that a mistake is
recognised wherever it happens, then to a phrase.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lark import Lark, Token
from lark.exceptions import UnexpectedInput
from lark.parsers.lalr_analysis import Shift
from lark.parsers.lalr_parser_state import ParserState

from attndsl.syntax.terminals import CLASSES, CLAUSES, PHRASES, RESERVED

_CONTEXTS = CLAUSES | {"_PATTERN", "_DEF", "_RETURN"}


@dataclass(frozen=True)
class Expectation:
    """What was allowed, as classes, what came instead, and the keyword of the innermost clause."""

    classes: frozenset[str]
    found: str
    inside: str


def expectation(error: UnexpectedInput) -> Expectation:
    """What was expected and found at an error of the parser or the lexer."""
    state = error.state
    assert isinstance(state, ParserState)
    token = getattr(error, "token", None)
    found = _found_class(token) if isinstance(token, Token) else "CHARACTER"
    return Expectation(_classes(_accepted(state)), found, _innermost(state.value_stack))


def in_words(classes: Iterable[str], lark: Lark) -> str:
    """The classes as a phrase: "`:`, a name or the end of the line"."""
    known = [phrase for name, phrase in PHRASES.items() if name in classes]
    exact = [f"`{_spelling(name, lark)}`" for name in sorted(set(classes) - PHRASES.keys())]
    words = exact + known
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _spelling(terminal: str, lark: Lark) -> str:
    """The text of a terminal that has only one."""
    return lark.get_terminal(terminal).pattern.value.removesuffix(r"\b")


def _found_class(token: Token) -> str:
    """The token's type. Words that may also be names count as names."""
    return "NAME" if token.isidentifier() and token.type not in RESERVED else token.type


def _classes(terminals: set[str]) -> frozenset[str]:
    classes = set(terminals)
    for name, (told_by, members) in CLASSES.items():
        if told_by <= terminals:
            classes = (classes - members) | {name}
    return frozenset(classes)


def _innermost(parsed: list[object]) -> str:
    """The keyword of the innermost clause or definition that is not finished yet."""
    keywords = (part.type for part in reversed(parsed) if isinstance(part, Token))
    return next((keyword for keyword in keywords if keyword in _CONTEXTS), "")


def _accepted(state: ParserState[int]) -> set[str]:
    """The terminals with which the parser could go on from here."""
    terminals = [name for name in state.parse_conf.states[state.position] if name.isupper()]
    return {name for name in terminals if _accepts(state, name)}


def _accepts(state: ParserState[int], terminal: str) -> bool:
    """Whether the reductions before `terminal` end in a shift, played on a copy of the stack of states."""
    states = state.parse_conf.states
    stack = list(state.state_stack)
    while stack[-1] != state.parse_conf.end_state:
        action, argument = states[stack[-1]].get(terminal, (None, None))
        if action is None or action is Shift:
            return action is Shift
        del stack[len(stack) - len(argument.expansion) :]
        stack.append(states[stack[-1]][argument.origin.name][1])
    return True
