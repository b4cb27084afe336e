"""The functions that printed Triton kernels call besides Triton's own: each kernel's file gets those it uses.

They give operators of the language their exact meaning where Triton has another one, or none. They are text
here, because only the runtime may import Triton.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

FUNCTIONS: dict[str, str] = {
    "floor_divide": '''
def floor_divide(number, divisor):
    """Integer division that rounds to minus infinity; Triton's rounds to zero."""
    quotient = number // divisor
    remainder = number - quotient * divisor
    return tl.where((remainder != 0) & ((remainder < 0) != (divisor < 0)), quotient - 1, quotient)
''',
    "floor_modulo": '''
def floor_modulo(number, divisor):
    """The remainder of `floor_divide`: it has the sign of the divisor."""
    remainder = number % divisor
    return tl.where((remainder != 0) & ((remainder < 0) != (divisor < 0)), remainder + divisor, remainder)
''',
    "floor_modulo_reals": '''
def floor_modulo_reals(number, divisor):
    """The remainder of `floor_divide_reals`: it has the sign of the divisor."""
    remainder = number % divisor
    return tl.where((remainder != 0) & ((remainder < 0) != (divisor < 0)), remainder + divisor, remainder)
''',
    "floor_divide_reals": '''
def floor_divide_reals(number, divisor):
    """Division of reals that rounds to minus infinity, as NumPy rounds it."""
    quotient = (number - floor_modulo_reals(number, divisor)) / divisor
    floor = tl.floor(quotient)
    return tl.where(quotient - floor > 0.5, floor + 1, floor)
''',
    "round_half_even": '''
def round_half_even(number):
    """The nearest integer, the even one of two that are as near."""
    floor = tl.floor(number)
    rest = number - floor
    odd = floor - 2 * tl.floor(floor / 2) == 1
    return tl.where((rest > 0.5) | ((rest == 0.5) & odd), floor + 1, floor)
''',
    "bit_length": '''
def bit_length(number):
    """The number of binary digits of the absolute value; 0 for 0."""
    rest = tl.abs(number.to(tl.int64))
    length = (rest > 0).to(tl.int32)
    for power in tl.static_range(5, -1, -1):
        wide = (rest >> (1 << power)) > 0
        length += tl.where(wide, 1 << power, 0)
        rest = tl.where(wide, rest >> (1 << power), rest)
    return length
''',
    "power_of_two": '''
def power_of_two(exponent):
    """2.0**exponent, exact: the exponent goes into the exponent's bits."""
    return ((exponent.to(tl.int64) + 1023) << 52).to(tl.float64, bitcast=True)
''',
    "integer_power": '''
def integer_power(base, exponent, BITS: tl.constexpr):
    """base**exponent by squaring, for exponents from 0 to 2**BITS - 1."""
    result = base * 0 + 1
    for _ in tl.static_range(BITS):
        result = tl.where((exponent & 1) > 0, result * base, result)
        base = base * base
        exponent = exponent >> 1
    return result
''',
    "real_power": '''
def real_power(base, exponent):
    """base**exponent for a base that is not negative; accurate to a few units in the last place."""
    power = tl.exp2(exponent * tl.log2(base))
    return tl.where(exponent == 0, 1.0, power)
''',
    "hyperbolic_tangent": '''
def hyperbolic_tangent(number):
    """tanh, accurate to a few units in the last place of 1."""
    size = tl.abs(number)
    result = 1 - 2 / (tl.exp(2 * size) + 1)
    return tl.where(number < 0, -result, result)
''',
    "tanh_of_scores": '''
def tanh_of_scores(number):
    """tanh in float32, accurate to a few units in the last place: by powers near 0."""
    size = tl.abs(number)
    large = 1 - 2 / (tl.exp(2 * size) + 1)
    square = number * number
    near_0 = ((0.0218694885 * square - 0.0539682540) * square + 0.1333333333) * square - 0.3333333333
    small = number + number * square * near_0
    return tl.where(size < 0.25, small, tl.where(number < 0, -large, large))
''',
    "steps_between": '''
def steps_between(steps):
    """[i, j]: the sum of the steps after row j up to row i, for i > j; -8192 stands for all below it.

    A difference of running sums, which would cancel: steps are split into multiples of 1/16, whose sums and
    differences are exact, and small rests.
    """
    steps = tl.maximum(steps, -8192.0)
    coarse = tl.floor(steps * 16.0 + 0.5) * 0.0625
    rest = tl.cumsum(steps - coarse, axis=0)
    coarse = tl.cumsum(coarse, axis=0)
    return (coarse[:, None] - coarse[None, :]) + (rest[:, None] - rest[None, :])
''',
    "sum_through_in_blocks": '''
def sum_through_in_blocks(steps, BLOCK: tl.constexpr):
    """Running sums down the rows, which start anew every BLOCK rows."""
    blocks = tl.reshape(steps, [steps.shape[0] // BLOCK, BLOCK, steps.shape[1]])
    return tl.reshape(tl.cumsum(blocks, axis=1), steps.shape)
''',
    "sum_after_in_blocks": '''
def sum_after_in_blocks(next_steps, BLOCK: tl.constexpr):
    """Sums of the later rows of each block of BLOCK rows, of rows that are moved up by one."""
    row = tl.arange(0, next_steps.shape[0])[:, None]
    steps = tl.where(row % BLOCK < BLOCK - 1, next_steps, 0.0)
    blocks = tl.reshape(steps, [steps.shape[0] // BLOCK, BLOCK, steps.shape[1]])
    return tl.reshape(tl.cumsum(blocks, axis=1, reverse=True), steps.shape)
''',
}
"""Text by name, in an order in which each stands before those that call it."""


def functions_for(text: str) -> Iterator[str]:
    """The text of every function that `text` calls, and of those that these call, each once and in order."""
    needed = _called(text)
    for name in reversed(FUNCTIONS):
        if name in needed:
            needed |= _called(FUNCTIONS[name])
    yield from (f"@triton.jit{FUNCTIONS[name]}" for name in FUNCTIONS if name in needed)


def _called(text: str) -> set[str]:
    return {name for name in FUNCTIONS if re.search(rf"\b{name}\(", text)}
