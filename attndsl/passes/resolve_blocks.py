"""Resolution of `blocks b of n by size`."""

from __future__ import annotations

from collections.abc import Sequence

from attndsl.diagnostics import AttnNameError, AttnTypeError
from attndsl.ir.blocks import Blocks
from attndsl.ir.expr import FlatIndex, Head, InputAt, InputElement, Position
from attndsl.passes import types
from attndsl.passes.resolve_expr import Resolver
from attndsl.passes.scope import Scope, unknown_name
from attndsl.syntax import ast

_TOKENS = (Position, FlatIndex, InputAt, InputElement, Head)


def resolve_blocks(clauses: Sequence[ast.Clause], resolver: Resolver, scope: Scope) -> tuple[Blocks, ...]:
    """The blocks that clauses declare, in order."""
    return tuple(_blocks(each, resolver, scope) for each in clauses if isinstance(each, ast.Blocks))


def _blocks(clause: ast.Blocks, resolver: Resolver, scope: Scope) -> Blocks:
    _check_axes(clause, resolver)
    sizes = []
    for node in clause.sizes:
        size = types.scalar(resolver.expr(node, scope), "the size of a block", node.span)
        if size.type != "int" or any(isinstance(leaf, _TOKENS) for leaf in size.mentioned):
            raise AttnTypeError(
                "A0340", "the size of a block is an integer known at bind", span=node.span,
                help="use numbers, parameters and `extent(axis)`",
            )  # fmt: skip
        sizes.append(size)
    return Blocks(clause.name, clause.axes, tuple(sizes), clause.span)


def _check_axes(clause: ast.Blocks, resolver: Resolver) -> None:
    """All axes must be those of one segment."""
    known = [*resolver.axes("q"), *resolver.axes("k")]
    for axis in clause.axes:
        if axis not in known:
            raise unknown_name("axis", axis, known, clause.span, "A0203")
    if clause.name in known or len(set(clause.axes)) < len(clause.axes):
        problem = f"`{clause.name}` is an axis already" if clause.name in known else "an axis stands twice"
        raise AttnNameError(
            "A0205", problem, span=clause.span,
            help="name each axis once, and give the blocks a name of their own",
        )  # fmt: skip
    spaces = {id(segment): segment for side in resolver.spaces.values() for segment in side}.values()
    holders = {segment for segment in spaces if set(clause.axes) & set(segment.axes)}
    if len(holders) != 1 or not set(clause.axes) <= set(next(iter(holders)).axes):
        raise AttnNameError(
            "A0230", f"the axes of blocks `{clause.name}` are not those of one segment", span=clause.span,
            help="name axes of one segment, which only queries or only keys have where these differ",
        )  # fmt: skip
