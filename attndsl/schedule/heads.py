"""Head classes: heads whose masks are equal expressions share one block map."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attndsl.ir.bound import BoundIR
from attndsl.ir.expr import Const, Expr, Head
from attndsl.passes.simplify import simplify, substitute


@dataclass(frozen=True)
class HeadClass:
    """Heads with one mask: one of them, and the mask of each region without the head."""

    head: int
    masks: tuple[Expr, ...]


def head_classes(ir: BoundIR) -> tuple[list[HeadClass], NDArray[np.int64]]:
    """The classes, and the number of the class of each head."""
    masks = [region.visible for region in ir.regions]
    if not any(Head() in mask.leaves for mask in masks):
        return [HeadClass(0, tuple(map(simplify, masks)))], np.zeros(ir.heads, dtype=np.int64)
    number: dict[tuple[Expr, ...], int] = {}
    classes: list[HeadClass] = []
    class_of_head = np.zeros(ir.heads, dtype=np.int64)
    for head in range(ir.heads):
        own = tuple(for_head(mask, head) for mask in masks)
        if own not in number:
            number[own] = len(classes)
            classes.append(HeadClass(head, own))
        class_of_head[head] = number[own]
    return classes, class_of_head


def for_head(expr: Expr, head: int) -> Expr:
    """The expression with its head filled in."""
    return simplify(substitute(expr, {Head(): Const(head)}))
