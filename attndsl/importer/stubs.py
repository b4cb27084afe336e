"""Stub text (`.pyi`) of a `.attn` file: what editors and type checkers know of the module it is imported as.

Each pattern gets a class of its own, whose `bind` takes that pattern's parameters by name and type.
"""

from __future__ import annotations

from collections.abc import Iterator
from inspect import cleandoc
from keyword import iskeyword
from textwrap import indent

from attndsl.importer.checked import CheckedFile
from attndsl.ir.expr import Const
from attndsl.ir.pattern import Parameter, PatternIR, SegmentShape
from attndsl.pipeline import Pattern

MARK = "# Written by `attndsl stubs` from "
"""How every stub begins."""

HEAD = """{mark}{file}; edit that instead.
{documentation}
from collections.abc import Sequence as _Sequence
from typing import Any as _Any{literal}

from attndsl.importer.arrays import Array as _Array
from attndsl.pipeline import Bound as _Bound
from attndsl.pipeline import Pattern as _Pattern

__all__ = [{names}]
"""
CLASS = """
class _{name}_pattern(_Pattern):
{documentation}
    def bind(  # type: ignore[override]
        self,
{parameters}
    ) -> _Bound: ...

{name}: _{name}_pattern
"""
UNSPEAKABLE = """
def __getattr__(name: str) -> _Pattern: ...  # a pattern whose name Python cannot spell
"""
TYPES = {"int": "int", "real": "float", "bool": "bool"}


def stub(file: CheckedFile, name: str) -> str:
    """The text of the stub. name: the name of the `.attn` file."""
    spoken = [each for each in file.patterns if not iskeyword(each.name)]
    names = ", ".join(f'"{each.name}"' for each in spoken)
    chooses = any(parameter.choices for each in spoken for parameter in each.parameters)
    literal = "\nfrom typing import Literal as _Literal" if chooses else ""
    documentation = _quoted(file.documentation)
    parts = [HEAD.format(mark=MARK, file=name, documentation=documentation, names=names, literal=literal)]
    parts += [_class(each) for each in spoken]
    if len(spoken) < len(file.patterns):
        parts.append(UNSPEAKABLE)
    return "".join(parts)


def _class(pattern: PatternIR) -> str:
    documentation = indent(_quoted(pattern.documentation), "    ", lambda line: bool(line.strip()))
    parameters = "\n".join(f"        {each}," for each in _parameters(pattern))
    return CLASS.format(name=pattern.name, documentation=documentation, parameters=parameters)


def _parameters(pattern: PatternIR) -> Iterator[str]:
    """The parameters of `bind` as Python declares them."""
    count = "int" if Pattern(pattern).depends_on_heads else "int | None = ..."
    yield f"shape: {_extents(pattern.query_space[0])}"
    yield f"heads: {count}"
    yield "kv_heads: int | None = ..."
    named = {each.name: _parameter(each) for each in pattern.parameters}
    for segment in (*pattern.query_space[1:], *pattern.key_space[1:]):
        named.setdefault(segment.name, f"{segment.name}: {_extents(segment)} = ...")
    spoken = [text for name, text in named.items() if not (iskeyword(name) or name == "self")]
    if pattern.cross:
        spoken.insert(0, f"key_shape: {_extents(pattern.key_space[0])}")
    if spoken:
        yield "*"
    yield from spoken
    if len(spoken) < len(named) + pattern.cross:
        yield "**others: _Any"


def _extents(segment: SegmentShape) -> str:
    """The type of a segment's extents: one axis takes a single integer too."""
    return "int | _Sequence[int]" if segment.variadic or len(segment.axes) == 1 else "_Sequence[int]"


def _parameter(parameter: Parameter) -> str:
    if parameter.choices:
        return _choice(parameter)
    one = TYPES[parameter.kind]
    declared = f"{one} | _Sequence[{one}] | _Array" if parameter.shape else one
    match parameter.default:
        case None:
            return f"{parameter.name}: {declared}"
        case Const(value):
            return f"{parameter.name}: {declared} = {value!r}"
    return f"{parameter.name}: {declared} = ..."


def _choice(parameter: Parameter) -> str:
    names = ", ".join(f'"{name}"' for name in parameter.choices)
    default = ""
    if isinstance(parameter.default, Const):
        default = f' = "{parameter.choices[int(parameter.default.value)]}"'
    return f"{parameter.name}: _Literal[{names}]{default}"


def _quoted(documentation: str) -> str:
    """A docstring as Python writes it, followed by a line break; nothing for none."""
    if not documentation.strip():
        return ""
    text = cleandoc(documentation).replace("\\", "\\\\")
    if "\n" in text:
        return f'"""{text}\n"""\n'
    return f'"""{text} """\n' if text.endswith('"') else f'"""{text}"""\n'
