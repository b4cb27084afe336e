"""Random syntax trees: every node, every operator, names that are clause words, odd texts and numbers."""

from __future__ import annotations

from typing import TypeVar

from hypothesis import strategies as st

from attndsl.syntax import ast
from attndsl.syntax.literals import LARGEST_INTEGER, read_documentation

T = TypeVar("T")

CLAUSE_WORDS = (
    "space query key value input score weight gate decay per step of normalize blocks groups by "
    "route queries keys among select prefer always branch combine axis"
)
RESERVED = (
    "pattern def return let require attend if else and or not all any in true false True False None lambda"
)
PIECES = (
    "p x q k q.n k.n 1 0.5 1e3 12ab 99999999999999999999 ( ) [ ] , : = == != < <= > >= + - * / // % ** -> ++ "
    '. ... " \' """ "m" # \\ { } ; ! & | \ufeff é ∞'
)
TOKENS = st.sampled_from(
    [
        *f"{RESERVED} {CLAUSE_WORDS} {PIECES}".split(),
        *["\t", "\r", " ", "\n", "\n    ", "\n        ", "\n  ", "\r\n"],
        *["pattern p:\n    ", "def f(x):\n    ", "\n    attend "],
    ]
)
"""Pieces of text from which a random file is more likely to look like one."""

CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\0")

names = st.one_of(
    st.sampled_from(["n", "t", "window", "head", "q", "k", "_", "a1", "orders", "iffy"]),
    st.sampled_from(CLAUSE_WORDS.split()),
    st.from_regex(r"[A-Za-z_][A-Za-z_0-9]{0,5}", fullmatch=True).filter(
        lambda name: name not in RESERVED.split()
    ),
)
numbers = st.one_of(
    st.integers(0, LARGEST_INTEGER),
    st.floats(min_value=0.0, exclude_min=True, allow_nan=False, allow_infinity=False),
    st.just(0.0),
).map(ast.Number)
texts = st.text(CHARACTERS, max_size=12)
documentations = (
    st.lists(
        st.one_of(st.text(CHARACTERS, max_size=8), st.sampled_from(["", " a", "\tb", "  ", '"'])), max_size=4
    )
    .map("\n".join)
    .filter(lambda text: '"""' not in text and not text.endswith('"'))
    .map(lambda text: read_documentation(f'"""{text}"""'))
)


def tuples(elements: st.SearchStrategy[T], least: int = 0, most: int = 3) -> st.SearchStrategy[tuple[T, ...]]:
    """Short tuples of these elements."""
    return st.lists(elements, min_size=least, max_size=most).map(tuple)


def arguments(values: st.SearchStrategy[ast.Expr]) -> st.SearchStrategy[tuple[ast.Argument, ...]]:
    """Arguments of a call: positional, then named."""
    positional = tuples(st.builds(ast.Argument, st.none(), values))
    named = tuples(st.builds(ast.Argument, names, values), most=2)
    return st.builds(lambda first, second: first + second, positional, named)


def comparisons(operands: st.SearchStrategy[ast.Expr]) -> st.SearchStrategy[ast.Expr]:
    """Chains of one to three comparisons."""
    links = st.tuples(st.sampled_from(["==", "!=", "<", "<=", ">", ">="]), operands)
    return st.builds(
        lambda first, rest: ast.Compare(
            tuple(link[0] for link in rest), (first, *(link[1] for link in rest))
        ),
        operands,
        tuples(links, least=1),
    )


def composed(inner: st.SearchStrategy[ast.Expr]) -> st.SearchStrategy[ast.Expr]:
    """One expression node around others."""
    operators = st.sampled_from(["+", "-", "*", "/", "//", "%", "**", "and", "or"])
    return st.one_of(
        st.builds(ast.Binary, operators, inner, inner),
        st.builds(ast.Unary, st.sampled_from(["-", "not"]), inner),
        st.builds(ast.IfElse, inner, inner, inner),
        st.builds(ast.Quantified, st.sampled_from(["all", "any"]), names, inner),
        comparisons(inner),
        st.builds(ast.Call, names, arguments(inner)),
        st.builds(ast.Subscript, names, tuples(inner, least=1)),
    )


leaves = st.one_of(
    st.builds(ast.Name, names),
    numbers,
    st.builds(ast.Boolean, st.booleans()),
    st.builds(ast.Field, st.sampled_from("qk"), names),
)
expressions: st.SearchStrategy[ast.Expr] = st.recursive(leaves, composed, max_leaves=12)

groups = st.one_of(st.builds(ast.Name, names), st.builds(ast.Field, st.sampled_from("qk"), names))
members = st.builds(ast.Binary, st.just("in"), expressions, groups)
routing_expressions = st.one_of(
    expressions,
    st.builds(ast.Binary, st.just("."), expressions, expressions),
    st.builds(ast.Call, names, tuples(st.builds(ast.Argument, st.none(), members), least=1)),
)

pooling_expressions = st.one_of(
    expressions, st.builds(ast.Call, names, tuples(st.builds(ast.Argument, st.none(), members), least=1))
)

types = st.builds(ast.Type, names, tuples(st.one_of(names, st.integers(1, LARGEST_INTEGER))))
parameters = st.builds(ast.Parameter, names, types, st.none() | expressions)
untyped_parameters = st.builds(ast.Parameter, names, st.none() | types, st.none() | expressions)

segments = st.one_of(
    st.builds(ast.SpaceSegment, names, tuples(names, least=1)),
    st.builds(ast.SpaceSegment, names, st.tuples(names), variadic=st.just(True)),
)
arms = st.builds(ast.Arm, names, names, expressions)
only_arms = st.builds(ast.Arm, st.none(), st.none(), expressions)
steps = st.one_of(
    st.builds(ast.RouteStep, st.sampled_from(["score", "among", "prefer", "always"]), routing_expressions),
    st.builds(ast.RouteStep, st.just("select"), routing_expressions, tuples(names)),
)
lets = st.builds(ast.Let, names, expressions)
requires = st.builds(ast.Require, expressions, texts)
clauses: st.SearchStrategy[ast.Clause] = st.one_of(
    st.builds(ast.Space, st.sampled_from(["both", "query", "key"]), tuples(segments, least=1)),
    lets,
    requires,
    st.builds(ast.Derived, st.sampled_from(["query", "key", "value"]), pooling_expressions),
    st.builds(ast.Input, names, types),
    st.builds(ast.Attend, st.tuples(only_arms)),
    st.builds(lambda first, rest: ast.Attend(first + rest), tuples(arms, least=1), tuples(only_arms, most=1)),
    st.builds(ast.Score, expressions),
    st.builds(ast.Weight, expressions),
    st.builds(ast.Gate, expressions),
    st.builds(ast.Decay, expressions, names),
    st.builds(ast.Normalize, names),
    st.integers(1, 3).flatmap(
        lambda rank: st.builds(
            ast.Blocks, names, st.tuples(*[names] * rank), st.tuples(*[expressions] * rank)
        )
    ),
    st.builds(ast.Groups, names, expressions),
    st.builds(ast.Route, tuples(steps, least=1), st.sampled_from(["", "queries", "keys"])),
    st.builds(ast.Combine, expressions),
)
branches = st.builds(ast.Branch, names, tuples(clauses, least=1))
patterns = st.builds(
    ast.Pattern, names, tuples(parameters), documentations, tuples(clauses | branches, least=1, most=4)
)
functions = st.builds(
    ast.Function, names, tuples(untyped_parameters), documentations, tuples(lets | requires), expressions
)
files = st.builds(ast.File, documentations, tuples(patterns | functions))
