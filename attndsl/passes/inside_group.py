"""Patterns inside of groups: some queries and some keys of a pattern, anywhere in its space, as data.

A group of any tokens is computed by the kernels of one pattern, to which positions are inputs, as in
`passes/placed.py`. Each group of each head is an element of a batch there, so that the head, and the element
of the caller's batch that inputs of several dimensions are read at, are data too.
"""

from __future__ import annotations

from dataclasses import replace

from attndsl.ir.bound import BoundIR, InputDeclaration, input_sizes, pairs_only
from attndsl.ir.expr import Apply, Const, Expr, Head, InputAt, InputElement
from attndsl.passes.placed import placed_pairs
from attndsl.passes.rewrite import rewrite

POSITIONS = {"query": "query_position", "key": "key_position"}
"""The inputs that say where the queries and keys of each group stand, -1 for filling."""

HEAD, ELEMENT = "query_head", "query_element"
"""The inputs that say which head each group is of, and which element of the caller's batch."""

LONGEST = 2**31
"""Tokens of an axis at most; positions fit into 32 bits."""

FILLED = 16
"""Members that groups are filled up to a multiple of, so that few kernels serve groups of any size."""

OF_PAIR = "_of_pair"
"""What the names of inputs of several dimensions end in; those of one end in `_of_query` or `_of_key`."""


def inside_group(ir: BoundIR, queries: int, keys: int) -> BoundIR:
    """The pairs of a pattern among so many queries and keys of one group, for one head.

    Inputs of several dimensions, called `.._of_pair`, have one more before these, the caller's batch. Kernels
    read no more inputs than there are.
    """
    placed = placed_pairs(pairs_only(ir), queries, keys, LONGEST)
    regions = tuple(
        replace(each, visible=_as_data(each.visible, ir), terms=tuple(_as_data(t, ir) for t in each.terms))
        for each in placed.regions
    )
    by_index = {each.name: each for each in ir.kernel_inputs if len(each.shape) > 1}
    inputs = [_with_batch(each, ir) if each.name in by_index else each for each in placed.inputs]
    added = [InputDeclaration(name, "int", ("query",)) for name in (HEAD, ELEMENT)]
    found = replace(
        placed, name=f"{ir.name}_group", heads=1, kv_heads=1, regions=regions, inputs=(*inputs, *added)
    )
    return replace(found, inputs=found.kernel_inputs)


def filled(members: int) -> int:
    """Members of groups with what fills them up."""
    return max(-(-members // FILLED), 1) * FILLED


def _with_batch(declared: InputDeclaration, ir: BoundIR) -> InputDeclaration:
    sizes = input_sizes(ir, declared.name)
    return InputDeclaration(declared.name + OF_PAIR, declared.kind, ("batch", *sizes))


def _as_data(root: Expr, ir: BoundIR) -> Expr:
    """An expression with the head read from an input, and elements at the element of the batch."""
    last = Const(ir.heads - 1)
    head = Apply("max", (Apply("min", (InputAt(HEAD, "q", "int"), last)), Const(0)))
    element = InputAt(ELEMENT, "q", "int")

    def rule(node: Expr) -> Expr:
        match node:
            case Head():
                return head if ir.heads > 1 else Const(0)
            case InputElement(name, indices, kind):
                return InputElement(name + OF_PAIR, (element, *indices), kind)
        return node

    return rewrite(root, rule)
