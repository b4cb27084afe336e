"""Translates the weighting of a pattern into tile IR: scores and weights of tiles, and their derivatives.

What depends on `s` becomes elementwise operations on tiles; what does not are terms, which printers compute
from positions, heads and inputs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from attndsl.codegen import tile_ir as tile
from attndsl.codegen.levels import Level, level_of
from attndsl.ir.bound import BoundIR, Region
from attndsl.ir.derivative import derivative
from attndsl.ir.expr import PRODUCT, Apply, Const, Expr, Product, Term
from attndsl.ir.pattern import PLAIN as PLAIN_WEIGHTING
from attndsl.ir.pattern import Weighting

SHAPES: dict[Level, tile.Shape] = {
    "head": tile.SCALAR,
    "query": tile.Shape("q"),
    "key": tile.Shape("q", "kv"),
    "pair": tile.Shape("q", "kv"),
}
"""The shape of a term by what decides its value; tile IR has no vectors of keys."""

LOG2_E = 1.4426950408889634


@dataclass(frozen=True)
class Scores:
    """How a program turns scaled products into scores and weights. shapes: of the terms, by number."""

    weighting: Weighting = PLAIN_WEIGHTING
    shapes: tuple[tile.Shape, ...] = ()

    @property
    def is_product(self) -> bool:
        """Whether scores are the scaled products themselves."""
        return self.weighting.score is PRODUCT

    @property
    def is_softmax(self) -> bool:
        """Whether weights are exponentials divided by their sum."""
        return self.weighting.is_softmax

    def score(self, products: tile.Expression) -> tile.Expression:
        """Scores, from scaled products [q, kv]."""
        return self._translate(self.weighting.score, products)

    def score_derivative(self, products: tile.Expression) -> tile.Expression:
        """Derivative of scores with respect to products."""
        return self._translate(derivative(self.weighting.score, PRODUCT), products)

    def weight(self, products: tile.Expression) -> tile.Expression:
        """Weights before normalisation, from scaled products."""
        return self._translate(self.weighting.of_product, products)

    def weight_derivative(self, products: tile.Expression) -> tile.Expression:
        """Derivative of weights with respect to products."""
        return self._translate(derivative(self.weighting.of_product, PRODUCT), products)

    def _translate(self, root: Expr, products: tile.Expression) -> tile.Expression:
        match root:
            case Product():
                return products
            case Const(value):
                return tile.Number(float(value))
            case Term(number):
                return tile.Term(number, self.shapes[number])
            case Apply(op, args):
                operands = [self._translate(arg, products) for arg in args]
                return SPELLINGS[op](*operands) if op in SPELLINGS else tile.Elementwise(op, tuple(operands))
        raise TypeError(f"{type(root).__name__} does not belong into a bound weighting")


PLAIN = Scores()
"""Softmax of the scaled products."""


def scores_of(ir: BoundIR) -> Scores:
    """How the programs of a pattern compute its scores."""
    terms = range(max((len(region.terms) for region in ir.regions), default=0))
    return Scores(ir.weighting, tuple(SHAPES[term_level(ir, number)] for number in terms))


def term_level(ir: BoundIR, number: int) -> Level:
    """What decides the value of a term, over all regions."""
    levels = {level_of(region.terms[number]) for region in ir.regions}
    if len(ir.regions) > 1 and len({region.terms[number] for region in ir.regions}) > 1:
        return "pair"
    return levels.pop()


def regions_with_tokens(ir: BoundIR) -> list[Region]:
    """The regions that have pairs of tokens, so that tiles lie in them."""
    q, k = ir.query_space.segments, ir.key_space.segments
    return [region for region in ir.regions if q[region.query].size and k[region.key].size]


def _apply(op: str, *operands: tile.Expression) -> tile.Expression:
    return tile.Elementwise(op, operands)


def _power(base: tile.Expression, exponent: tile.Expression) -> tile.Expression:
    """Small whole powers by multiplication, others by logarithms, which need a positive base."""
    if isinstance(exponent, tile.Number) and exponent.value in (0.0, 1.0, 2.0, 3.0):
        result: tile.Expression = tile.Number(1.0)
        for _ in range(int(exponent.value)):
            result = base if result == tile.Number(1.0) else _apply("mul", result, base)
        return result
    return _apply("exp2", _apply("mul", exponent, _apply("log2", base)))


SPELLINGS: dict[str, Callable[..., tile.Expression]] = {
    "exp": lambda x: _apply("exp2", _apply("mul", x, tile.Number(LOG2_E))),
    "neg": lambda x: _apply("mul", x, tile.Number(-1.0)),
    "real": lambda x: x,
    "pow": _power,
}
"""Operators of the language that tile IR spells differently."""
