"""How every operator of `ops.OPS` acts on strided ranges and three-valued truth.

Each rule is sound: the result contains the operator's value for every choice of members of the operands.
It is also exact (its bounds are taken) where the operator is monotone and its operands are independent.
Congruences follow P. Granger, Static analysis of arithmetical congruences, 1989: they keep `x % d` and `x
// d` exact on the tokens of one residue class. Floating-point bounds are computed by the operator itself,
whose rounding is monotone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from attndsl.ir.domain import LIMIT, Array, Strided, Truth, Value
from attndsl.ir.ops import OPS


def gcd(first: Array, second: Array) -> Array:
    """The greatest common divisor; a constant has stride 0 and leaves the other stride as it is."""
    if first.size and second.size and max(first.max(), second.max()) <= 1:
        return np.maximum(first, second)  # np.gcd is slow, and strides are mostly 0 or 1
    result: Array = np.gcd(first, second)
    return result


def real(x: Strided) -> Strided:
    """The same bounds in float64, as NumPy converts an integer that meets a real."""
    if x.stride is None:
        return x
    return Strided(_float(x.lo), _float(x.hi), None)


def _float(bound: Array) -> Array:
    if bound.dtype == object:  # Python integers may exceed what float64 can hold
        bound = np.clip(bound, -(2**1000), 2**1000)
    return bound.astype(np.float64)


def _cleaned(lo: Array, hi: Array) -> Strided:
    """A real range; a bound that is not a number (infinity minus infinity, say) means: unbounded."""
    broken = np.isnan(lo) | np.isnan(hi)
    return Strided(np.where(broken, -np.inf, lo), np.where(broken, np.inf, hi), None)


def _where_defined(defined: Array, x: Strided) -> Strided:
    """`x` where it is defined for all members of the operands, unbounded elsewhere."""
    if np.all(defined):
        return x
    x = real(x)
    return Strided(np.where(defined, x.lo, -np.inf), np.where(defined, x.hi, np.inf), None)


def _same_kind(x: Strided, y: Strided) -> tuple[Strided, Strided]:
    return (real(x), real(y)) if x.stride is None or y.stride is None else (x, y)


def _hull(*corners: Array) -> tuple[Array, Array]:
    lo, hi = corners[0], corners[0]
    for corner in corners[1:]:
        lo, hi = np.minimum(lo, corner), np.maximum(hi, corner)
    return lo, hi


def _corners(function: Callable[..., Any], x: Strided, y: Strided) -> tuple[Array, Array]:
    """Bounds of a function that is monotone in each operand while the other one stands still."""
    return _hull(*(np.asarray(function(a, b)) for a in (x.lo, x.hi) for b in (y.lo, y.hi)))


def _integers(lo: Array, hi: Array, stride: Array | int) -> Strided:
    return Strided(lo, hi, np.where(lo == hi, 0, stride))


def _add(x: Strided, y: Strided) -> Strided:
    x, y = _same_kind(x, y)
    if x.stride is None or y.stride is None:
        return _cleaned(x.lo + y.lo, x.hi + y.hi)
    return Strided(x.lo + y.lo, x.hi + y.hi, gcd(x.stride, y.stride))


def _negative(x: Strided) -> Strided:
    return Strided(-x.hi, -x.lo, x.stride)


def _subtract(x: Strided, y: Strided) -> Strided:
    return _add(x, _negative(y))


def _multiply(x: Strided, y: Strided) -> Strided:
    x, y = _same_kind(x, y)
    lo, hi = _corners(np.multiply, x, y)
    if x.stride is None or y.stride is None:
        return _cleaned(lo, hi)
    # (a + s i) (b + t j) = a b + (b s) i + (a t) j + (s t) i j
    across = gcd(np.abs(y.lo * x.stride), np.abs(x.lo * y.stride))
    return _integers(lo, hi, gcd(across, x.stride * y.stride))


def _divide(x: Strided, y: Strided) -> Strided:
    x, y = real(x), real(y)
    defined = (y.lo > 0) | (y.hi < 0)
    safe = Strided(np.where(defined, y.lo, 1.0), np.where(defined, y.hi, 1.0), None)
    return _where_defined(defined, _cleaned(*_corners(np.true_divide, x, safe)))


def _floor_divide(x: Strided, y: Strided) -> Strided:
    x, y = _same_kind(x, y)
    defined = (y.lo > 0) | (y.hi < 0)
    low, high = np.where(defined, y.lo, 1), np.where(defined, y.hi, 1)
    lo, hi = _corners(np.floor_divide, x, Strided(low, high, y.stride))
    if x.stride is None:
        return _where_defined(defined, _cleaned(lo, hi))
    # a constant divisor that divides the stride keeps the values evenly spaced
    even = (low == high) & (x.stride % low == 0)
    return _where_defined(defined, _integers(lo, hi, np.where(even, np.abs(x.stride // low), 1)))


def _modulo(x: Strided, y: Strided) -> Strided:
    """`x % y` has the sign of y, and x % -d = -(-x % d): a negative divisor is turned into a positive one."""
    x, y = _same_kind(x, y)
    defined, turned = (y.lo > 0) | (y.hi < 0), y.hi < 0
    low = np.where(defined, np.where(turned, -y.hi, y.lo), 1)
    high = np.where(defined, np.where(turned, -y.lo, y.hi), 1)
    lo, hi = np.where(turned, -x.hi, x.lo), np.where(turned, -x.lo, x.hi)
    upright = _positive_modulo(Strided(lo, hi, x.stride), low, high)
    lo = np.where(turned, -upright.hi, upright.lo)
    hi = np.where(turned, -upright.lo, upright.hi)
    return _where_defined(defined, Strided(lo, hi, upright.stride))


def _positive_modulo(x: Strided, low: Array, high: Array) -> Strided:
    """Remainders of x by divisors from `low` to `high`, all positive."""
    constant = low == high
    with np.errstate(invalid="ignore"):  # unbounded reals
        one_period = constant & (np.floor_divide(x.lo, low) == np.floor_divide(x.hi, low))
        first, last = np.mod(x.lo, low), np.mod(x.hi, low)
    untouched = (x.lo >= 0) & (x.hi < low)
    if x.stride is None:
        lo = np.where(untouched, x.lo, np.where(one_period, first, 0.0))
        return _cleaned(lo, np.where(untouched, x.hi, np.where(one_period, last, high)))
    # a divisor that divides the stride leaves one remainder, others leave equal ones modulo the gcd
    single = constant & (x.stride % low == 0)
    common = np.where(constant, gcd(x.stride, low), 1)
    base = x.lo % common
    largest = np.where(x.lo >= 0, np.minimum(x.hi, high - 1), high - 1)
    highest = np.where(constant, low - common + base, largest)
    kept = single | one_period
    lo = np.where(untouched, x.lo, np.where(kept, first, base))
    hi = np.where(untouched, x.hi, np.where(single, first, np.where(one_period, last, highest)))
    return _integers(lo, hi, np.where(kept | untouched, x.stride, common))


def _power(x: Strided, y: Strided) -> Strided:
    if x.stride is None or y.stride is None:
        return _real_power(real(x), real(y))
    # no 64-bit result needs a larger exponent; the parity decides the sign
    low, high = (np.where(e > 64, 64 + e % 2, np.maximum(e, 0)) for e in (y.lo, y.hi))
    lo, hi = _corners(OPS["pow"].evaluate, x, Strided(low, high, y.stride))
    magnitude = np.maximum(np.abs(x.lo), np.abs(x.hi)) ** high
    signed, even = x.lo < 0, (low == high) & (low % 2 == 0) & (low > 0)
    around_zero = signed & (x.hi >= 0) & even
    changing = signed & (low != high)
    lo = np.where(around_zero, 0, np.where(changing, -magnitude, lo))
    return _integers(lo, np.where(changing, magnitude, hi), 1)


def _real_power(x: Strided, y: Strided) -> Strided:
    lo, hi = _corners(np.power, x, y)
    constant, whole = y.lo == y.hi, (y.lo == np.floor(y.lo)) & (y.hi == np.floor(y.hi))
    square = constant & whole & (y.lo % 2 == 0) & (y.lo > 0)
    lo = np.where(square & (x.lo < 0) & (x.hi > 0), 0.0, lo)
    power_of_two = (x.lo == x.hi) & (np.frexp(x.lo)[0] == 0.5) & whole
    power = _widened(_cleaned(lo, hi), ~power_of_two)
    return _where_defined((x.lo > 0) | (constant & whole & (y.lo >= 0)), power)


def _widened(x: Strided, inexact: Array | bool = True) -> Strided:
    """A library function may be off in the last places, so a range of several numbers grows a little."""
    ranged = (x.lo < x.hi) & inexact
    lo = np.where(ranged & np.isfinite(x.lo), x.lo - 4 * np.spacing(np.abs(x.lo)), x.lo)
    hi = np.where(ranged & np.isfinite(x.hi), x.hi + 4 * np.spacing(np.abs(x.hi)), x.hi)
    return Strided(lo, hi, None)


def _increasing(op: str) -> Callable[[Strided], Strided]:
    """A real function that grows with its operand; unbounded where a member has no real value."""

    def rule(x: Strided) -> Strided:
        lo, hi = (np.asarray(OPS[op].evaluate(bound)) for bound in (real(x).lo, real(x).hi))
        return _cleaned(lo, hi) if op == "sqrt" else _widened(_cleaned(lo, hi))

    return rule


_ROUND: dict[str, Callable[..., Any]] = {
    "floor": np.floor,
    "ceil": np.ceil,
    "round": np.round,
    "int": np.trunc,
}


def _rounding(op: str) -> Callable[[Strided], Strided]:
    """Rounding to an integer keeps order; bounds that do not fit into 64 bits stay real."""

    def rule(x: Strided) -> Strided:
        if x.stride is not None:
            return x
        if np.all((x.lo > -LIMIT) & (x.hi < LIMIT)):
            return _integers(OPS[op].evaluate(x.lo), OPS[op].evaluate(x.hi), 1)
        return Strided(_ROUND[op](x.lo), _ROUND[op](x.hi), None)

    return rule


def _bit_length(x: Strided) -> Strided:
    magnitude = _absolute(x)
    lo, hi = (OPS["bit_length"].evaluate(np.clip(bound, 0, LIMIT)) for bound in (magnitude.lo, magnitude.hi))
    return _integers(lo, hi, 1)


def _absolute(x: Strided) -> Strided:
    lo, hi = np.abs(x.lo), np.abs(x.hi)
    crosses, least, most = (x.lo < 0) & (x.hi > 0), np.minimum(lo, hi), np.maximum(lo, hi)
    if x.stride is None:
        return Strided(np.where(crosses, 0.0, least), most, None)
    above = x.lo % np.maximum(x.stride, 1)  # the smallest member that is not negative, if the range crosses 0
    nearest = np.minimum(above, x.stride - above)
    stride = np.where(crosses, gcd(x.stride, 2 * above), x.stride)
    return _integers(np.where(crosses, nearest, least), most, stride)


def _minimum(x: Strided, y: Strided) -> Strided:
    x, y = _same_kind(x, y)
    lo, hi = np.minimum(x.lo, y.lo), np.minimum(x.hi, y.hi)
    if x.stride is None or y.stride is None:
        return Strided(lo, hi, None)
    either = gcd(gcd(x.stride, y.stride), np.abs(x.lo - y.lo))
    stride = np.where(x.hi <= y.lo, x.stride, np.where(y.hi <= x.lo, y.stride, either))
    return _integers(lo, hi, stride)


def _maximum(x: Strided, y: Strided) -> Strided:
    return _negative(_minimum(_negative(x), _negative(y)))


def _less(x: Strided, y: Strided) -> Truth:
    return Truth(np.asarray(x.lo < y.hi), np.asarray(x.hi >= y.lo))


def _less_equal(x: Strided, y: Strided) -> Truth:
    return Truth(np.asarray(x.lo <= y.hi), np.asarray(x.hi > y.lo))


def _equal(x: Value, y: Value) -> Truth:
    if isinstance(x, Truth) and isinstance(y, Truth):
        return _or(_and(x, y), _and(_not(x), _not(y)))
    assert isinstance(x, Strided)
    assert isinstance(y, Strided)
    single = (x.lo == x.hi) & (y.lo == y.hi)
    lo, hi = np.maximum(x.lo, y.lo), np.minimum(x.hi, y.hi)
    may_hold = lo <= hi
    if x.stride is not None and y.stride is not None:
        common, distance = gcd(x.stride, y.stride), x.lo - y.lo
        congruent = np.where(common == 0, distance == 0, distance % np.maximum(common, 1) == 0)
        may_hold = may_hold & congruent & _has_member(x, lo, hi) & _has_member(y, lo, hi)
    return Truth(np.asarray(may_hold), np.asarray(~(single & (x.lo == y.lo))))


def _has_member(x: Strided, lo: Array, hi: Array) -> Array:
    """Whether the range has a member from `lo` to `hi`; `lo` is not below its first one."""
    assert x.stride is not None
    result: Array = lo + (x.lo - lo) % np.maximum(x.stride, 1) <= hi
    return result


def _and(x: Truth, y: Truth) -> Truth:
    return Truth(x.may_hold & y.may_hold, x.may_fail | y.may_fail)


def _or(x: Truth, y: Truth) -> Truth:
    return Truth(x.may_hold | y.may_hold, x.may_fail & y.may_fail)


def _not(x: Truth) -> Truth:
    return Truth(x.may_fail, x.may_hold)


def _select(condition: Truth, value: Value, other: Value) -> Value:
    first, second = condition.may_hold, condition.may_fail
    if isinstance(value, Truth) and isinstance(other, Truth):
        may_hold = (first & value.may_hold) | (second & other.may_hold)
        return Truth(may_hold, (first & value.may_fail) | (second & other.may_fail))
    assert isinstance(value, Strided)
    assert isinstance(other, Strided)
    x, y = _same_kind(value, other)
    lo = np.where(first & second, np.minimum(x.lo, y.lo), np.where(first, x.lo, y.lo))
    hi = np.where(first & second, np.maximum(x.hi, y.hi), np.where(first, x.hi, y.hi))
    if x.stride is None or y.stride is None:
        return Strided(lo, hi, None)
    either = gcd(gcd(x.stride, y.stride), np.abs(x.lo - y.lo))
    return _integers(lo, hi, np.where(first & second, either, np.where(first, x.stride, y.stride)))


RULES: dict[str, Callable[..., Value]] = {
    "add": _add,
    "sub": _subtract,
    "mul": _multiply,
    "div": _divide,
    "floordiv": _floor_divide,
    "mod": _modulo,
    "pow": _power,
    "neg": _negative,
    "abs": _absolute,
    "min": _minimum,
    "max": _maximum,
    "real": real,
    "bit_length": _bit_length,
    "lt": _less,
    "le": _less_equal,
    "gt": lambda x, y: _less(y, x),
    "ge": lambda x, y: _less_equal(y, x),
    "eq": _equal,
    "ne": lambda x, y: _not(_equal(x, y)),
    "and": _and,
    "or": _or,
    "not": _not,
    "select": _select,
    **{op: _rounding(op) for op in _ROUND},
    **{op: _increasing(op) for op in ("exp", "log2", "sqrt", "tanh", "erf")},
}
"""One rule per operator: abstract operands in, abstract value out."""
