"""Resolution of expressions: names get their meaning, functions are inlined, types are checked.

`Resolver` carries what one pattern knows (functions, axes, inputs) and collects what expressions bring
along: spans and the requirements of the functions they call. Local names live in `Scope`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, cast

from attndsl.diagnostics import AttnNameError, AttnTypeError
from attndsl.ir.expr import (
    AxisVariable,
    Const,
    Element,
    Expr,
    Extent,
    FlatIndex,
    Head,
    InputAt,
    InputElement,
    LowRank,
    Position,
    Quantified,
    Side,
    Symbol,
    topological,
)
from attndsl.ir.pattern import Input, Requirement, SegmentShape
from attndsl.ir.text import expression
from attndsl.passes import calls, types
from attndsl.passes.measures import Measures
from attndsl.passes.scope import BUILTIN_FUNCTIONS, BUILTIN_SYMBOLS, Scope, Value, Vector, unknown_name
from attndsl.source import Span
from attndsl.syntax import ast

BINARY = {
    "+": "add",
    "-": "sub",
    "*": "mul",
    "/": "div",
    "//": "floordiv",
    "%": "mod",
    "**": "pow",
    "and": "and",
    "or": "or",
}
COMPARE = {"<": "lt", "<=": "le", ">": "gt", ">=": "ge", "==": "eq", "!=": "ne"}
MISUSED = {
    "q": "`q` is a position, not a number",
    "k": "`k` is a position, not a number",
    "s": "`s` has a meaning only in `score` and `weight`",
}
TOKENS = ("tokens", "query", "key")
"""Dimensions of inputs that run over tokens."""
MOST_STEPS = 50_000
DEEPEST = 250


@dataclass(frozen=True)
class Definition:
    """A user function together with the functions that its own file can see."""

    function: ast.Function
    visible: Mapping[str, Definition]


@dataclass
class Resolver:
    """What expressions of one pattern may refer to, and what they leave behind."""

    functions: Mapping[str, Definition]
    spaces: Mapping[Side, tuple[SegmentShape, ...]]
    inputs: dict[str, Input]
    choices: dict[str, tuple[str, ...]] = field(default_factory=dict)
    spans: dict[Expr, Span] = field(default_factory=dict)
    requirements: list[Requirement] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    other_axes: tuple[str, ...] = ()
    """Names that only `extent` speaks of: blocks, and the axes of the tokens that they are made of."""
    steps: int = 0
    measures: Measures | None = None
    """What coordinates count, where some count blocks."""

    def expr(self, node: ast.Expr, scope: Scope) -> Value:
        """The meaning of an expression; its span is remembered."""
        self.steps += 1
        value = self._resolve(node, scope)
        if isinstance(value, Expr):
            if value.depth > DEEPEST or self.steps > MOST_STEPS:
                raise AttnTypeError(
                    "A0308",
                    "this expression grows too large when its lets and functions are written out",
                    span=node.span,
                    help="use fewer nested functions and lets",
                )
            if node.span is not None:
                self.spans.setdefault(value, node.span)
            if self.measures is not None:
                self.measures.check(value, scope.call_span or node.span)
        return value

    def _resolve(self, node: ast.Expr, scope: Scope) -> Value:
        match node:
            case ast.Number(value) | ast.Boolean(value):
                return Const(value)
            case ast.Name():
                return self._name(node, scope)
            case ast.Field():
                return self._field(node, scope)
            case ast.Subscript():
                return self._subscript(node, scope)
            case ast.Call():
                return self._call(node, scope)
            case ast.Unary(operator, operand):
                op = "not" if operator == "not" else "neg"
                return self._apply(op, operator, (operand,), scope, node.span)
            case ast.Binary("." | "in" as operator):
                raise AttnTypeError(
                    "A0375", f"`{operator}` has a meaning in routes only", span=node.span,
                    note="this function is called from elsewhere", help="call it in a `route`",
                )  # fmt: skip
            case ast.Binary(operator, left, right):
                return self._apply(BINARY[operator], operator, (left, right), scope, node.span)
            case ast.Compare():
                return self._compare(node, scope)
            case ast.IfElse(condition, value, other):
                return self._apply("select", "if", (condition, value, other), scope, node.span)
            case ast.Quantified():
                return self._quantified(node, scope)
        raise TypeError(f"no meaning for {type(node).__name__}")

    def _apply(
        self, op: str, spelling: str, operands: tuple[ast.Expr, ...], scope: Scope, span: Span | None
    ) -> Value:
        return types.apply(op, spelling, [(self.expr(each, scope), each.span) for each in operands], span)

    def _compare(self, node: ast.Compare, scope: Scope) -> Value:
        operands = [(self.expr(each, scope), each.span) for each in node.operands]
        links = [
            (types.apply(COMPARE[operator], operator, operands[i : i + 2], node.span), node.span)
            for i, operator in enumerate(node.operators)
        ]
        result = links[0]
        for link in links[1:]:
            result = types.apply("and", "and", [result, link], node.span), node.span
        return result[0]

    def _quantified(self, node: ast.Quantified, scope: Scope) -> Value:
        # Variables are numbered by nesting, so that patterns differing in the variable's name are equal.
        variable = AxisVariable(f"#{scope.enclosing + len(scope.axis_variables)}")
        inner = replace(scope, axis_variables={**scope.axis_variables, node.variable: variable})
        body = types.truth(self.expr(node.body, inner), f"`{node.kind} axis`", node.body.span)
        return Quantified(cast(Literal["all", "any"], node.kind), variable, body)

    # ------------------------------------------------------------ names

    def _name(self, node: ast.Name, scope: Scope) -> Value:
        name = node.name
        if name in scope.values:
            return scope.values[name]
        if name in scope.lets:
            return self.let(scope.lets[name], scope)
        if name in BUILTIN_SYMBOLS:
            return builtin_symbol(name)
        if name in self.functions:
            return self._inline(self.functions[name], ast.Call(name, (), span=node.span), scope)
        raise self._misused_name(node, scope)

    def _misused_name(self, node: ast.Name, scope: Scope) -> AttnNameError:
        misuse = MISUSED.get(node.name)
        if node.name in self.inputs:
            misuse = f"input `{node.name}` must be read at a token"
            return AttnNameError(
                "A0202", misuse, span=node.span, help=f"write `{node.name}[q]` or `{node.name}[k]`"
            )
        if node.name in self.choices:
            return AttnNameError(
                "A0202", f"`{node.name}` is a choice of names, not a number", span=node.span,
                help=f"choices name feature maps: `feature {node.name}`",
            )  # fmt: skip
        if node.name in scope.axis_variables:
            misuse = f"`{node.name}` is an axis, not a number"
        if misuse:
            return AttnNameError(
                "A0202", misuse, span=node.span, help="read a coordinate, such as `q.n`, or `extent(axis)`"
            )
        known = [*scope.names(), *BUILTIN_SYMBOLS, *self.functions]
        return unknown_name("name", node.name, known, node.span)

    def let(self, let: ast.Let, scope: Scope) -> Value:
        """The value of a let, resolved once; a let that needs itself is an error."""
        if let.name in scope.pending:
            cycle = " -> ".join([*scope.pending[scope.pending.index(let.name) :], let.name])
            raise AttnNameError(
                "A0208", f"`{let.name}` is defined by itself: {cycle}", span=let.span, help="break the cycle"
            )
        scope.pending.append(let.name)
        # A let is the same wherever it is used, so it cannot see the axis variables of the use.
        scope.values[let.name] = self.expr(let.value, replace(scope, axis_variables={}))
        scope.pending.pop()
        return scope.values[let.name]

    def _field(self, node: ast.Field, scope: Scope) -> Value:
        side = cast(Side, node.side)
        if node.name in scope.axis_variables:
            return Position(side, scope.axis_variables[node.name])
        if node.name in self.axes(side):
            return Position(side, node.name)
        if node.name == "index":
            return FlatIndex(side)
        known = [*self.axes(side), *scope.axis_variables, "index"]
        raise unknown_name(
            "axis", f"{side}.{node.name}", [f"{side}.{each}" for each in known], node.span, "A0203"
        )

    def axes(self, side: Side) -> list[str]:
        """All axis names of one side's space."""
        return [axis for segment in self.spaces[side] if not segment.variadic for axis in segment.axes]

    def _subscript(self, node: ast.Subscript, scope: Scope) -> Value:
        if node.name in self.inputs:
            return self._read_input(self.inputs[node.name], node, scope)
        if len(node.indices) != 1:
            raise AttnTypeError(
                "A0309", f"`{node.name}` takes one index", span=node.span, help=f"write `{node.name}[i]`"
            )
        value = self._name(ast.Name(node.name, span=node.span), scope)
        if not isinstance(value, Vector):
            raise AttnTypeError(
                "A0310",
                f"`{node.name}` is a single value and has no elements",
                span=node.span,
                help=f"write `{node.name}` alone, or declare it with a shape, such as `int[axes]`",
            )
        return value.element(self._element_index(value, node.indices[0], scope))

    def _element_index(self, vector: Vector, node: ast.Expr, scope: Scope) -> Expr:
        if vector.shape != "heads" and isinstance(node, ast.Name):
            if node.name in scope.axis_variables:
                return scope.axis_variables[node.name]
            if node.name in self.axes("q"):
                return AxisVariable(node.name)
        index = types.scalar(self.expr(node, scope), "an index", node.span)
        if index.type != "int":
            raise AttnTypeError(
                "A0311", "an index must be an integer", span=node.span, help="write `floor(x)`"
            )
        return index

    def _read_input(self, declared: Input, node: ast.Subscript, scope: Scope) -> Expr:
        if len(node.indices) != len(declared.shape):
            raise AttnTypeError(
                "A0309", f"input `{declared.name}` takes {len(declared.shape)} indices", span=node.span,
                note=f"{len(node.indices)} given here",
                help=f"it is declared as `{declared.name}[{', '.join(map(_spelled, declared.shape))}]`",
            )  # fmt: skip
        if len(declared.shape) == 1 and declared.shape[0] in TOKENS:
            return InputAt(declared.name, self._token(declared, 0, node.indices[0]), declared.kind)
        indices = (self._input_index(declared, n, each, scope) for n, each in enumerate(node.indices))
        return InputElement(declared.name, tuple(indices), declared.kind)

    def _input_index(self, declared: Input, place: int, node: ast.Expr, scope: Scope) -> Expr:
        """The index into one dimension of an input; tokens are counted in the flattened space."""
        size = declared.shape[place]
        if size in TOKENS:
            return FlatIndex(self._token(declared, place, node))
        if isinstance(size, str) and size not in ("heads", "kv_heads"):
            raise AttnTypeError(
                "A0326", f"the size `{size}` of `{declared.name}` is not known at bind", span=node.span,
                help="declare it with a number or a parameter; sizes of the caller's choice are for `dot`",
            )  # fmt: skip
        index = types.scalar(self.expr(node, scope), "an index", node.span)
        if index.type != "int":
            raise AttnTypeError(
                "A0311", "an index must be an integer", span=node.span, help="write `floor(x)`"
            )
        return index

    def _token(self, declared: Input, place: int, index: ast.Expr) -> Side:
        if not (isinstance(index, ast.Name) and index.name in ("q", "k")):
            raise AttnTypeError(
                "A0312",
                f"input `{declared.name}` is read at the query or the key",
                span=index.span,
                help=f"write `{declared.name}[q]` or `{declared.name}[k]`",
            )
        if (declared.shape[place], index.name) in (("query", "k"), ("key", "q")):
            raise AttnTypeError(
                "A0313",
                f"input `{declared.name}` runs over the {declared.shape[place]} tokens",
                span=index.span,
                help=f"read it at `{'q' if index.name == 'k' else 'k'}`, or declare it over `tokens`",
            )
        return cast(Side, index.name)

    # ------------------------------------------------------------ calls

    def _call(self, node: ast.Call, scope: Scope) -> Value:
        if node.function in self.functions:
            return self._inline(self.functions[node.function], node, scope)
        if node.function in BUILTIN_FUNCTIONS:
            return self._builtin(node, scope)
        known = [*self.functions, *BUILTIN_FUNCTIONS]
        raise unknown_name("function", node.function, known, node.span)

    def _builtin(self, node: ast.Call, scope: Scope) -> Value:
        least, most = BUILTIN_FUNCTIONS[node.function]
        if not least <= len(node.arguments) <= most or any(each.name for each in node.arguments):
            count = str(least) if least == most else f"at least {least}"
            raise AttnTypeError(
                "A0314",
                f"`{node.function}` takes {count} positional arguments",
                span=node.span,
                note=f"{len(node.arguments)} given here",
                help=f"call it as `{node.function}({', '.join('xyz'[:least])})`",
            )
        if node.function == "extent":
            return self._extent(node.arguments[0].value, scope)
        if node.function == "dot":
            return self._dot(node)
        operands = [(self.expr(each.value, scope), each.span) for each in node.arguments]
        return calls.builtin(node.function, operands, node.span)

    def _extent(self, node: ast.Expr, scope: Scope) -> Expr:
        if isinstance(node, ast.Name):
            if node.name in scope.axis_variables:
                return Extent(scope.axis_variables[node.name])
            known = [*self.axes("q"), *self.axes("k"), *self.other_axes]
            if node.name in known:
                return Extent(node.name)
            raise unknown_name("axis", node.name, [*known, *scope.axis_variables], node.span, "A0203")
        raise AttnTypeError(
            "A0315", "`extent` takes the name of an axis", span=node.span, help="write `extent(n)`"
        )

    def _dot(self, call: ast.Call) -> Expr:
        """`dot(bq, bk)` of two inputs that end in the same dimension."""
        names = [each.value.name for each in call.arguments if isinstance(each.value, ast.Name)]
        shapes = [self.inputs[name].shape for name in names if name in self.inputs]
        if [shape[-2:-1] for shape in shapes] != [("query",), ("key",)] or shapes[0][-1] != shapes[1][-1]:
            raise AttnTypeError(
                "A0327",
                "`dot` takes an input of the queries and one of the keys",
                span=call.span,
                help="declare `bq: real[heads, query, r]` and `bk: real[heads, key, r]`",
            )
        return LowRank(*names)

    def _inline(self, definition: Definition, call: ast.Call, scope: Scope) -> Value:
        function = definition.function
        if function.name in self.calls:
            cycle = " -> ".join([*self.calls[self.calls.index(function.name) :], function.name])
            raise AttnNameError(
                "A0209",
                f"function `{function.name}` calls itself: {cycle}",
                span=call.span,
                help="functions cannot recurse",
            )
        inner = self._arguments(function, call, scope)
        outer_functions, self.functions = self.functions, definition.visible
        self.calls.append(function.name)
        try:
            for clause in function.clauses:
                if isinstance(clause, ast.Require):
                    self.require(clause, inner)
            return self.expr(function.result, inner)
        finally:
            self.calls.pop()
            self.functions = outer_functions

    def _arguments(self, function: ast.Function, call: ast.Call, scope: Scope) -> Scope:
        given = calls.match_arguments(function, call)
        lets = {clause.name: clause for clause in function.clauses if isinstance(clause, ast.Let)}
        inner = Scope(
            {},
            lets,
            enclosing=scope.enclosing + len(scope.axis_variables),
            call_span=scope.call_span or call.span,
        )
        inner.argument_spans = {name: blame(each, scope) for name, each in given.items()}
        for parameter in function.parameters:
            argument = given.get(parameter.name)
            if argument is not None:
                value = self.expr(argument, scope)
            else:
                assert parameter.default is not None
                value = self.expr(parameter.default, inner)
            place = inner.argument_spans.get(parameter.name, inner.call_span)
            inner.values[parameter.name] = calls.fit(parameter, value, place)
        return inner

    # ------------------------------------------------------------ requirements

    def require(self, clause: ast.Require, scope: Scope) -> None:
        """Collect a requirement; inside a function the blame goes to the argument that it speaks of."""
        condition = types.truth(self.expr(clause.condition, scope), "`require`", clause.condition.span)
        for node in topological(condition):
            if isinstance(node, Position | FlatIndex | InputAt):
                raise AttnTypeError(
                    "A0316",
                    "`require` speaks about numbers known at bind, not about tokens",
                    span=self.spans.get(node, clause.span),
                    help="put conditions on tokens into `attend`",
                )
        for variable in _variables(condition):
            condition = Quantified("all", variable, condition)
        place = blame(clause.condition, scope) if scope.call_span else clause.span
        text = clause.condition.span.text if clause.condition.span else ""
        self.requirements.append(Requirement(condition, clause.message, place, " ".join(text.split())))


def blame(node: ast.Expr, scope: Scope) -> Span | None:
    """The place in the pattern's own text that an expression inside functions speaks of."""
    for name in _names(node):
        if name in scope.argument_spans:
            return scope.argument_spans[name]
    return scope.call_span or node.span


def _variables(condition: Expr) -> list[AxisVariable]:
    """The quantified variables that the condition mentions and does not bind itself."""
    axes = {leaf.axis if isinstance(leaf, Extent) else leaf for leaf in condition.leaves}
    found = {each for each in axes if isinstance(each, AxisVariable) and each.name.startswith("#")}
    bound = {node.variable for node in topological(condition) if isinstance(node, Quantified)}
    return sorted(found - bound, key=lambda variable: variable.name)


def _names(node: ast.Expr) -> list[str]:
    """Names in source order."""
    own = [node.name] if isinstance(node, ast.Name | ast.Subscript) else []
    return own + [name for child in node.children for name in _names(child)]


def _spelled(size: str | Expr) -> str:
    return size if isinstance(size, str) else expression(size)


def builtin_symbol(name: str) -> Expr:
    """`head`, `heads`, `kv_head`, `kv_heads`, `rank`."""
    if name == "head":
        return Head()
    return Symbol(name, "int")


def parameter_vector(name: str, kind: str, shape: str | int) -> Vector:
    """The value of a pattern's array parameter."""
    scalar_kind = cast(Literal["int", "real", "bool"], kind)
    return Vector(shape, scalar_kind, lambda index: Element(name, index, scalar_kind))
