"""Type rules: builds operator nodes and refuses operands that do not fit."""

from __future__ import annotations

from attndsl.diagnostics import AttnTypeError
from attndsl.ir.expr import Apply, Expr
from attndsl.ir.ops import OPS, Scalar
from attndsl.passes.scope import Value, Vector
from attndsl.source import Span

WORDS = {"int": "an integer", "real": "a real number", "bool": "a truth value"}
Operand = tuple[Value, Span | None]


def apply(op: str, spelling: str, operands: list[Operand], span: Span | None) -> Value:
    """`op` over the operands; vectors are taken element by element, scalars apply to every element."""
    shapes = {value.shape for value, _ in operands if isinstance(value, Vector)}
    if not shapes:
        return _apply_scalar(op, spelling, operands, span)
    if len(shapes) > 1:
        first, second = sorted(map(describe_shape, shapes))[:2]
        raise AttnTypeError(
            "A0305",
            f"`{spelling}` cannot combine a value {first} with a value {second}",
            span=span,
            help="read single elements, such as `alpha[head]`",
        )

    def element(index: Expr) -> Expr:
        scalars: list[Operand] = [
            (value.element(index) if isinstance(value, Vector) else value, place) for value, place in operands
        ]
        return _apply_scalar(op, spelling, scalars, span)

    kinds = tuple(value.kind if isinstance(value, Vector) else value.type for value, _ in operands)
    _check(op, spelling, kinds, [place for _, place in operands])
    return Vector(shapes.pop(), OPS[op].result(kinds), element)


def _apply_scalar(op: str, spelling: str, operands: list[Operand], span: Span | None) -> Expr:
    args = tuple(value for value, _ in operands if not isinstance(value, Vector))
    _check(op, spelling, tuple(arg.type for arg in args), [place for _, place in operands])
    return Apply(op, args)


def _check(op: str, spelling: str, kinds: tuple[Scalar, ...], spans: list[Span | None]) -> None:
    wanted = OPS[op].operands
    pairs = list(zip(kinds, spans, strict=True))
    if op == "select":
        _expect("bool", pairs[0], "the condition of `if`")
        pairs = pairs[1:]
    if wanted == "same":
        if ("bool" in {kind for kind, _ in pairs}) and len({kind for kind, _ in pairs}) > 1:
            raise AttnTypeError(
                "A0303",
                f"`{spelling}` mixes a truth value with a number",
                span=spans[-1],
                note=f"this is {WORDS[kinds[-1]]}",
                help="compare numbers with numbers, or truth values with truth values",
            )
        return
    for pair in pairs:
        if wanted == "number":
            _expect_number(pair, spelling)
        else:
            _expect(wanted, pair, f"`{spelling}`")


def _expect_number(pair: tuple[Scalar, Span | None], spelling: str) -> None:
    if pair[0] == "bool":
        raise AttnTypeError(
            "A0301",
            f"`{spelling}` needs numbers",
            span=pair[1],
            note="this is a truth value",
            help="write `1 if condition else 0` to count with a condition",
        )


def _expect(wanted: str, pair: tuple[Scalar, Span | None], what: str) -> None:
    if pair[0] != wanted:
        fix = {
            "bool": "compare it with something, for example `x > 0`",
            "int": "write `floor(x)` or `int(x)`",
        }[wanted]
        raise AttnTypeError(
            "A0302", f"{what} needs {WORDS[wanted]}", span=pair[1], note=f"this is {WORDS[pair[0]]}", help=fix
        )


def describe_shape(shape: str | int) -> str:
    """'per axis', 'per head' or 'of n elements'."""
    return {"axes": "per axis", "heads": "per head"}.get(str(shape), f"of {shape} elements")


def scalar(value: Value, what: str, span: Span | None) -> Expr:
    """The value itself, if it is a single one."""
    if isinstance(value, Vector):
        reading = {"axes": "`all axis a: ...` and `x[a]`", "heads": "`x[head]`"}.get(
            str(value.shape), "`x[0]`"
        )
        raise AttnTypeError(
            "A0304",
            f"{what} must be a single value",
            span=span,
            note=f"this has a value {describe_shape(value.shape)}",
            help=f"use {reading}",
        )
    return value


def truth(value: Value, what: str, span: Span | None) -> Expr:
    """The value itself, if it is a single truth value."""
    single = scalar(value, what, span)
    _expect("bool", (single.type, span), what)
    return single
