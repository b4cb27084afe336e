"""`--emit ast`: a syntax tree as indented text, a node per line, with the line it came from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

from attndsl.syntax import ast


def tree_text(file: ast.File) -> str:
    """The whole tree. Numbers, names and operators stand behind their node, child nodes below it."""
    return "\n".join(_lines(file, "", 0)) + "\n"


def _lines(node: ast.Node, label: str, depth: int) -> Iterator[str]:
    values = {each.name: getattr(node, each.name) for each in fields(node) if each.name != "span"}
    plain = {
        name: value
        for name, value in values.items()
        if not _holds_nodes(value) and value not in ("", None, ())
    }
    words = " ".join(f"{name}={_plain(value)}" for name, value in plain.items())
    place = f"  @{node.span.line}:{node.span.column}" if node.span else ""
    yield f"{'  ' * depth}{label}{type(node).__name__} {words}".rstrip() + place
    for name, value in values.items():
        if isinstance(value, ast.Node):
            yield from _lines(value, f"{name}: ", depth + 1)
        elif _holds_nodes(value):
            for item in value:
                yield from _lines(item, "", depth + 1)


def _holds_nodes(value: object) -> bool:
    if isinstance(value, tuple):
        return bool(value) and all(isinstance(item, ast.Node) for item in value)
    return isinstance(value, ast.Node)


def _plain(value: object) -> str:
    if isinstance(value, str) and "\n" in value:
        return repr(value.strip().split("\n")[0] + " ...")
    return repr(value) if isinstance(value, str) else str(value)
