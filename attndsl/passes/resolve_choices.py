"""Resolution of parameters that choose among names: `feature: elu1 | relu = elu1`."""

from __future__ import annotations

from attndsl.diagnostics import AttnNameError, AttnTypeError
from attndsl.ir.expr import Const
from attndsl.ir.pattern import Parameter
from attndsl.passes.scope import unknown_name
from attndsl.syntax import ast


def check_choices(parameter: ast.Parameter) -> tuple[str, ...]:
    """The names that a parameter chooses from, each once."""
    assert parameter.type is not None
    choices = parameter.type.choices
    if len(set(choices)) < len(choices):
        raise AttnNameError(
            "A0205", f"`{parameter.name}` has a choice twice", span=parameter.type.span, help="keep one"
        )
    return choices


def chosen(parameter: ast.Parameter) -> Parameter:
    """The parameter; its value is the place of the chosen name."""
    choices, default = check_choices(parameter), None
    if parameter.default is not None:
        if not isinstance(parameter.default, ast.Name):
            raise AttnTypeError(
                "A0320", f"the default of `{parameter.name}` must be one of its names",
                span=parameter.default.span, help=f"write `= {choices[0]}`",
            )  # fmt: skip
        if parameter.default.name not in choices:
            raise unknown_name("choice", parameter.default.name, choices, parameter.default.span, "A0219")
        default = Const(choices.index(parameter.default.name))
    return Parameter(parameter.name, "int", (), default, parameter.span, choices)
