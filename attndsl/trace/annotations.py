"""Annotations of parameters: `int`, `PerAxis[int]`, `PerHead[float]`, `tuple[int, int]`, `Input[int]`, ..."""

from __future__ import annotations

import types
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, get_args, get_origin

from attndsl.source import Source
from attndsl.syntax import ast as syntax
from attndsl.syntax.parser import parse
from attndsl.trace.value import Traced, operand

if TYPE_CHECKING:
    from typing_extensions import TypeVarTuple, Unpack

    Sizes = TypeVarTuple("Sizes")

Element = TypeVar("Element", int, float, bool)
SCALARS = {int: "int", float: "real", bool: "bool"}


class PerAxis(Traced, Generic[Element]):
    """A parameter with one number per axis: `window: PerAxis[int]`, read as `window[a]` or `window["t"]`.

    `PerAxis(1)` is a default that type checkers accept; a plain 1 means the same.
    """

    __slots__ = ()

    def __init__(self, every: Element) -> None:
        super().__init__(operand(every, None).node)


class PerHead(Traced, Generic[Element]):
    """A parameter with one number per query head: `alpha: PerHead[float]`, read as `alpha[head]`."""

    __slots__ = ()

    def __init__(self, every: Element) -> None:
        super().__init__(operand(every, None).node)


if TYPE_CHECKING:

    class Input(Traced, Generic[Element, Unpack[Sizes]]):
        """Data that is given at the call: `doc: Input[int]` has a value for each token, read as `doc[q]`.

        Other sizes follow the type, spelled as in a text: `Input[float, Literal["heads, key"]]`.
        """

else:

    class Input(Traced):
        """Data that is given at the call: `doc: Input[int]` has a value for each token, read as `doc[q]`.

        Other sizes follow the type, spelled as in a text: `Input[float, Literal["heads, key"]]`.
        """

        __slots__ = ()

        def __class_getitem__(cls, arguments: Any) -> Any:
            return types.GenericAlias(cls, arguments)


def parameter_type(annotation: object) -> tuple[str, str | int | None] | None:
    """Kind and shape of a pattern parameter with this annotation; None if it is no such annotation."""
    if isinstance(annotation, type) and annotation in SCALARS:
        return SCALARS[annotation], None
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (PerAxis, PerHead) and arguments[0] in SCALARS:
        return SCALARS[arguments[0]], "axes" if origin is PerAxis else "heads"
    if origin is tuple and len(set(arguments)) == 1 and arguments[0] in SCALARS:
        return SCALARS[arguments[0]], len(arguments)
    return None


def choices(annotation: object) -> tuple[str, ...]:
    """The names of `Literal["elu1", "relu"]`, which a parameter chooses from; none for other annotations."""
    names = get_args(annotation) if get_origin(annotation) is Literal else ()
    return names if all(isinstance(name, str) for name in names) else ()


def input_type(annotation: object) -> syntax.Type | None:
    """The type of an input with this annotation, read by the parser of the language; None if it is none."""
    if annotation is Input or get_origin(annotation) is not Input:
        return None
    kind, *rest = get_args(annotation)
    sizes = [str(size) for each in rest for size in _literals(each)] or ["tokens"]
    text = f"pattern p:\n    input x: {SCALARS.get(kind, kind)}[{', '.join(sizes)}]\n    attend true\n"
    pattern = parse(Source("Input[...]", text)).definitions[0]
    assert isinstance(pattern, syntax.Pattern)
    declared = pattern.clauses[0]
    assert isinstance(declared, syntax.Input)
    return declared.type


def _literals(argument: object) -> tuple[object, ...]:
    return get_args(argument) if get_origin(argument) is Literal else (argument,)
