"""What a pattern's score says of positions alone: the score of pairs whose product is 0."""

from __future__ import annotations

from typing import Any

import numpy as np

from attndsl.ir.bound import Region, Segment
from attndsl.ir.evaluate import coordinates, evaluate
from attndsl.ir.expr import Expr, Head, InputAt, InputElement, Position, Product, Term
from attndsl.show.subject import Array, Subject


def positional_score(subject: Subject) -> Array | None:
    """The score of a product of 0 for every pair, float [Nq, Nk].

    None where the score says nothing of positions, or reads data.
    """
    terms = [term for region in subject.ir.regions for term in region.terms]
    nodes = frozenset[Expr]().union(*(term.mentioned for term in terms))
    kinds = {type(node) for node in nodes}
    if Position not in kinds or kinds & {InputAt, InputElement}:
        return None
    queries, keys = subject.ir.query_space, subject.ir.key_space
    score = np.zeros((queries.size, keys.size))
    for region in subject.ir.regions:
        query, key = queries.segments[region.query], keys.segments[region.key]
        score[_tokens(query), _tokens(key)] = _of_region(subject, region, query, key)
    return score


def _tokens(segment: Segment) -> slice:
    return slice(segment.offset, segment.offset + segment.size)


def _of_region(subject: Subject, region: Region, query: Segment, key: Segment) -> Any:
    rows, columns = (np.arange(each.offset, each.offset + each.size) for each in (query, key))
    places = {"q": coordinates(query, rows[:, None]), "k": coordinates(key, columns[None, :])}

    def position(node: Expr) -> Any:
        match node:
            case Position(side, int(axis)):
                return places[side][axis]
            case Head():
                return subject.head
        raise TypeError(f"{type(node).__name__} does not belong into the terms of a score")

    def part(node: Expr) -> Any:
        match node:
            case Product():
                return 0.0
            case Term(number):
                return evaluate(region.terms[number], position)
        raise TypeError(f"{type(node).__name__} does not belong into a bound score")

    return evaluate(subject.ir.weighting.score, part)
