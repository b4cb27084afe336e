"""What Python asks of a value that a traced value cannot answer, refused with the spelling to use instead.

A traced value stands for all pairs of tokens at once: it has no truth value, is no number, and has no
elements to iterate over.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any, NoReturn

from attndsl.diagnostics import AttnTraceError
from attndsl.trace.place import here
from attndsl.trace.truth_value import truth_value_error

DATA = "declared as `doc: attndsl.Input[int]` and read as `doc[q]`"
NO_MEANING = {
    "lshift": ("<<", "write `x * 2 ** n`"),
    "rshift": (">>", "write `x // 2 ** n`"),
    "xor": ("^", "write `a != b`"),
    "divmod": ("divmod", "write `x // y` and `x % y`"),
}


def refuse_number(function: str, help: str) -> Callable[[Any], NoReturn]:
    """A method that refuses to be one Python number."""

    def method(self: object) -> NoReturn:
        raise AttnTraceError(
            "A1006",
            f"Python needs one number here, as {function} does, and a traced value is not one yet",
            span=here().span,
            help=help,
        )

    return method


def refuse_container(problem: str, help: str) -> Callable[..., NoReturn]:
    """A method that refuses to be a container or a key of one."""

    def method(self: object, *_: object) -> NoReturn:
        raise AttnTraceError("A1007", f"a traced value {problem}", span=here().span, help=help)

    return method


def refuse_operator(spelling: str, help: str) -> Callable[[Any, object], NoReturn]:
    """A method that refuses an operator of Python that the language does not have."""

    def method(self: object, other: object) -> NoReturn:
        raise AttnTraceError(
            "A1010", f"`{spelling}` has no meaning for traced values", span=here().span, help=help
        )

    return method


class Refusals:
    """The methods that Python calls for what traced values cannot do."""

    __slots__ = ()

    def __bool__(self) -> bool:
        raise truth_value_error(here())

    __int__ = refuse_number("`int`", "write `attndsl.lang.int(x)`, which rounds towards zero")
    __float__ = refuse_number("`float`", "write `attndsl.lang.real(x)`; `attndsl.lang` has functions, too")
    __complex__ = refuse_number("`complex`", "use real numbers")

    def __index__(self) -> NoReturn:
        place = here()
        if isinstance(place.node, ast.Subscript):
            refuse_number("an index", f"data by token is {DATA}")(self)
        refuse_number("a `range`", "use constants, or state the condition without a loop")(self)

    __len__ = refuse_container("has no length", "write `attndsl.lang.extent(axis)` for the length of an axis")
    __contains__ = refuse_container("has no members", "join comparisons with `|`")
    __hash__ = refuse_container(
        "cannot be a key, nor an argument of a cached function", "keep traced values in lists or tuples"
    )

    def __array_ufunc__(self, function: Any, method: str, *operands: Any, **_: Any) -> Any:
        """Functions of NumPy; operators of NumPy's numbers come here too."""
        from attndsl.trace.numpy_numbers import apply_operator

        return apply_operator(function.__name__, operands)

    def __array__(self, *_: object, **__: object) -> NoReturn:
        raise AttnTraceError(
            "A1010", "a traced value cannot be an array", span=here().span,
            help="functions of arrays are in `attndsl.lang`, such as `attndsl.lang.exp`",
        )  # fmt: skip

    @classmethod
    def __torch_function__(cls, function: Any, *_: object, **__: object) -> NoReturn:
        """Functions of torch, and operators between a tensor and a traced value."""
        name = getattr(function, "__name__", "").strip("_")
        functions = "functions are in `attndsl.lang`; write `tensor.item()` for a number in a tensor"
        raise AttnTraceError(
            "A1010", f"`{name}` of torch cannot take traced values", span=here().span,
            help=f"data by token is {DATA}" if name == "getitem" else functions,
        )  # fmt: skip


for _name, (_spelling, _help) in NO_MEANING.items():
    for _prefix in ("", "r"):
        setattr(Refusals, f"__{_prefix}{_name}__", refuse_operator(_spelling, _help))
