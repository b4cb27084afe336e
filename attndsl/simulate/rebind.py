"""Patterns near a bound one: the same pattern with other values of some integer parameters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from attndsl.diagnostics import AttnBindError, AttnScheduleError
from attndsl.ir.bound import BoundIR
from attndsl.ir.expr import Number
from attndsl.ir.pattern import Parameter
from attndsl.passes.bind import bind

Values = Mapping[str, tuple[Number, ...]]
"""The elements of parameters, one for a scalar."""


def rebound(ir: BoundIR, changes: Values) -> BoundIR | None:
    """The pattern with these elements of parameters; None where the pattern refuses them."""
    assert ir.pattern is not None
    scalars = {each.name for each in ir.pattern.parameters if not each.shape}
    values = {**ir.parameters, **changes}
    given: dict[str, object] = {
        name: elements[0] if name in scalars else elements for name, elements in values.items()
    }
    further = (*ir.query_space.segments[1:], *ir.key_space.segments[1:])
    given |= {segment.name: segment.extents for segment in further}
    key_shape = ir.key_space.segments[0].extents if ir.pattern.cross else None
    shape = ir.query_space.segments[0].extents
    try:
        return bind(ir.pattern, shape, ir.heads, ir.kv_heads, key_shape, given)
    except AttnBindError:
        return None


def searched_parameters(ir: BoundIR, names: Sequence[str] | None) -> list[Parameter]:
    """The parameters to vary: those named, by default `stride` where the pattern has it.

    Raises AttnScheduleError A0552 for a name that is no integer parameter.
    """
    integers = integer_parameters(ir)
    if names is None:
        return [each for each in integers if each.name == "stride"]
    known = {each.name: each for each in integers}
    for name in names:
        if name not in known:
            raise AttnScheduleError(
                "A0552",
                f"`{name}` is no integer parameter of this pattern",
                help=f"choose from: {', '.join(known) or 'it has none'}",
            )
    return [known[name] for name in dict.fromkeys(names)]


def integer_parameters(ir: BoundIR) -> list[Parameter]:
    """The integer parameters of the pattern: single ones and those with one value per axis."""
    parameters = ir.pattern.parameters if ir.pattern else ()
    return [each for each in parameters if each.kind == "int" and each.shape in ((), ("axes",))]


def nearby(name: str, value: int, extent: int, coarse: bool = False) -> list[int]:
    """Values worth trying in a parameter's place, in rising order, the value itself among them.

    Strides may become anything up to the axis: small multiples of powers of two. Others stay near:
    neighbours, and multiples of powers of two within a third. coarse: only values that tiles are likely
    to fit.
    """
    if name == "stride":
        found = _round_numbers(extent, (1,) if coarse else (1, 3, 5))
    else:
        margin = max(value // 3, int(value > 2))
        steps = [1 << power for power in range(2 if coarse else 0, extent.bit_length())]
        found = {number for step in steps for number in (value // step * step, -(-value // step) * step)}
        found |= set() if coarse else {value - 2, value - 1, value + 1, value + 2}
        found = {number for number in found if abs(number - value) <= margin}
    return sorted({value} | {number for number in found if 1 <= number <= extent})


def _round_numbers(largest: int, factors: Sequence[int]) -> set[int]:
    """Powers of two, times each of the factors."""
    return {factor << power for factor in factors for power in range(largest.bit_length())}


def with_element(elements: Iterable[Number], place: int, value: int) -> tuple[Number, ...]:
    """The elements with one of them replaced."""
    return tuple(value if number == place else each for number, each in enumerate(elements))
