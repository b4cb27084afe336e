"""Places: which expression of the user's Python code is being executed."""

from __future__ import annotations

import ast
import dis
import sys
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import CodeType, FrameType

from attndsl.source import Span
from attndsl.trace.python_source import PythonSource, source_of

STORES = ("STORE_FAST", "STORE_NAME", "STORE_GLOBAL", "STORE_DEREF")
IN_PLACE = ("+=", "-=", "*=", "/=", "//=", "%=", "**=", "&=", "|=")
OWN_MODULES = ("attndsl.trace", "attndsl.lang", "attndsl.decorator")


@dataclass(frozen=True)
class Place:
    """A place in Python code that is being executed.

    node: its syntax node, if the text is known. operator: how a comparison is spelled there, such as "<=".
    variable: the variable that its value is assigned to, or nothing.
    """

    python: PythonSource
    span: Span
    node: ast.AST | None
    operator: str
    variable: str

    @property
    def name(self) -> str:
        """What the value is called in `x, y = ...`, or its variable, if it is called anything."""
        if self.variable or self.node is None:
            return self.variable
        values = self.python.parents.get(self.node)
        assignment = self.python.parents.get(values) if values else None
        match values, assignment:
            case ast.Tuple(elements), ast.Assign([ast.Tuple(targets)]) if len(elements) == len(targets):
                target = next(t for v, t in zip(elements, targets, strict=True) if v is self.node)
                return target.id if isinstance(target, ast.Name) else ""
        return ""

    def operator_spans(self, count: int) -> list[Span]:
        """The places of an operator's operands; that of the whole where they are not known."""
        match self.node:
            case ast.BinOp(left, _, right):
                return self._spans([left, right], count)
            case ast.AugAssign(target, _, value):
                return self._spans([target, value], count)
            case ast.UnaryOp(_, operand):
                return self._spans([operand], count)
            case ast.Compare(left, [_], [right]):
                return self._spans([left, right], count)
        return [self.span] * count

    def index_spans(self, count: int) -> list[Span]:
        """The places of what is subscripted and of the indices."""
        match self.node:
            case ast.Subscript(value, ast.Tuple(indices)):
                return self._spans([value, *indices], count)
            case ast.Subscript(value, index):
                return self._spans([value, index], count)
        return [self.span] * count

    def argument_spans(self, count: int) -> list[Span]:
        """The places of the positional arguments of a call."""
        arguments = self.node.args if isinstance(self.node, ast.Call) else []
        return self._spans(arguments, count)

    def argument_span(self, name: str) -> Span:
        """The place of an argument that is given by name."""
        if isinstance(self.node, ast.Call):
            for keyword in self.node.keywords:
                if keyword.arg == name:
                    return self.python.span(keyword.value) or self.span
        return self.span

    @property
    def begins_with_literal(self) -> bool:
        """Whether a literal is compared with something here: `3 == x`."""
        return isinstance(self.node, ast.Compare) and isinstance(self.node.left, ast.Constant)

    def _spans(self, nodes: Sequence[ast.expr], count: int) -> list[Span]:
        if len(nodes) != count or any(isinstance(each, ast.Starred) for each in nodes):
            return [self.span] * count
        return [self.python.span(each) or self.span for each in nodes]


def here() -> Place:
    """The place in the nearest frame that is not part of the tracer."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_back is not None and _is_own(frame):
        frame = frame.f_back
    assert frame is not None
    return place_in(frame)


def place_in(frame: FrameType) -> Place:
    """The place that a frame is executing. Before Python 3.11 that is a whole line."""
    python = source_of(frame.f_code, frame.f_globals)
    instructions = _instructions(frame.f_code)
    # A frame that waits for a call may stand inside the caches that follow the instruction.
    number = bisect_right(instructions, frame.f_lasti, key=lambda each: each.offset) - 1
    instruction = instructions[number]
    operator = str(instruction.argval) if instruction.opname == "COMPARE_OP" else ""
    variable = _variable(instruction, instructions[number + 1 : number + 3])
    found = getattr(instruction, "positions", None)
    if found is None or None in found:
        return Place(python, python.whole_line(frame.f_lineno), None, operator, variable)
    position = found.lineno, found.col_offset, found.end_lineno, found.end_col_offset
    return Place(python, python.span_at(position), python.at(position), operator, variable)


def _variable(instruction: dis.Instruction, following: list[dis.Instruction]) -> str:
    """The variable that the next instruction stores to; nothing for `x += 1`, which keeps its name."""
    in_place = instruction.opname.startswith("INPLACE_") or instruction.argrepr in IN_PLACE
    stores = [each.opname.startswith(STORES) for each in following]
    if in_place or stores[:1] != [True] or stores == [True, True] or "STORE_FAST_S" in following[0].opname:
        return ""  # two stores in a row are the end of `x, y = ...`
    names = following[0].argval  # Python 3.13 may store and load in one instruction
    return str(names[0] if isinstance(names, tuple) else names)


def _is_own(frame: FrameType) -> bool:
    name = str(frame.f_globals.get("__name__", ""))
    return name in OWN_MODULES or name.startswith("attndsl.trace.")


@lru_cache(maxsize=64)
def _instructions(code: CodeType) -> list[dis.Instruction]:
    return list(dis.get_instructions(code))
