"""All nodes of a syntax tree, for tests that say something about each of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from attndsl.syntax import ast


def nodes(root: ast.Node) -> Iterator[ast.Node]:
    """The node and everything below it, in the order of the text."""
    yield root
    for field in dataclasses.fields(root):
        value = getattr(root, field.name)
        for part in value if isinstance(value, tuple) else (value,):
            if isinstance(part, ast.Node):
                yield from nodes(part)
