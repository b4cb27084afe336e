"""Splits tile IR into the steps that processors without tile instructions take.

Products of matrices and movements of tiles are steps of their own; everything between them works on each row
by itself, so that one loop over rows can execute it. Printers for such processors (C++) work on steps.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from attndsl.codegen import tile_ir as tile


@dataclass(frozen=True)
class Gather:
    """Reads the owner tile's rows of a tensor."""

    target: str
    tensor: tile.Tensor


@dataclass(frozen=True)
class Scatter:
    """Writes the owner tile's rows of a tensor."""

    tensor: tile.Tensor
    source: tile.Variable


@dataclass(frozen=True)
class Product:
    """target = left . right, or target * rescale + left . right if `rescale` (a row vector) is given."""

    target: tile.Variable
    dot: tile.Dot
    rescale: tile.Variable | None
    comment: str = ""


@dataclass(frozen=True)
class RowLoop:
    """Assignments executed row by row: elementwise values of tiles and rows, and reductions of tiles."""

    assignments: tuple[tile.Assign, ...]

    @property
    def masks(self) -> bool:
        """Whether an assignment depends on which pairs are visible."""
        return any(_mentions_visible(statement.value) for statement in self.assignments)

    @property
    def blocks(self) -> list[tuple[tile.Assign, ...]]:
        """Neighbouring assignments that work on columns, or on whole row vectors, in turn."""
        return [tuple(block) for _, block in groupby(self.assignments, works_on_columns)]

    def when_all_visible(self) -> RowLoop:
        """The loop on FULL tiles: what is selected by visibility is always the first choice."""
        return RowLoop(tuple(replace(s, value=_assume_visible(s.value)) for s in self.assignments))


@dataclass(frozen=True)
class Visit:
    """The steps for every visited tile."""

    steps: tuple[Step, ...]
    comment: str = ""


Step = Gather | Scatter | Product | RowLoop | Visit


def split(program: tile.Program) -> tuple[Step, ...]:
    """The steps of a program, in order."""
    return tuple(_merge_rows(part for statement in program.body for part in _separate(statement)))


def _merge_rows(parts: Iterable[Step | tile.Assign]) -> Iterator[Step]:
    """Joins neighbouring row-local assignments over the same rows into loops."""
    pending: list[tile.Assign] = []
    for part in parts:
        if isinstance(part, tile.Assign) and (not pending or _rows(part) == _rows(pending[0])):
            pending.append(part)
            continue
        if pending:
            yield from _split_after_masking(pending)
        pending = [part] if isinstance(part, tile.Assign) else []
        if not isinstance(part, tile.Assign):
            yield part
    if pending:
        yield from _split_after_masking(pending)


def _split_after_masking(assignments: Sequence[tile.Assign]) -> Iterator[RowLoop]:
    """Only the block that masks has a second form for FULL tiles, so it becomes a loop of its own."""
    masks = RowLoop(tuple(assignments)).masks
    end = 0
    for block in RowLoop(tuple(assignments)).blocks if masks else []:
        end += len(block)
        if RowLoop(block).masks:
            break
    yield from (RowLoop(part) for part in (tuple(assignments[:end]), tuple(assignments[end:])) if part)


def works_on_columns(statement: tile.Assign) -> bool:
    """Whether the statement computes a tile or reduces one."""
    return statement.value.shape.columns is not None or isinstance(statement.value, tile.Reduce)


def _rows(statement: tile.Assign) -> tile.Dimension | None:
    return statement.value.shape.rows


def _separate(statement: tile.Statement) -> Iterator[Step | tile.Assign]:
    """Gives every product and reduction inside a statement a name of its own."""
    match statement:
        case tile.ForVisited(body):
            parts = (part for inner in body for part in _separate(inner))
            yield Visit(tuple(_merge_rows(parts)), statement.comment)
        case tile.Store(tensor, value):
            yield tile.Assign(f"{tensor.name}_rows", value, comment=statement.comment, span=statement.span)
            yield Scatter(tensor, tile.Variable(f"{tensor.name}_rows", value.shape))
        case tile.Assign(name, tile.Load(tensor)):
            yield Gather(name, tensor)
        case tile.Assign():
            yield from _separate_assignment(statement)


def _separate_assignment(statement: tile.Assign) -> Iterator[Step | tile.Assign]:
    target = tile.Variable(statement.name, statement.value.shape)
    match statement.value:
        case tile.Dot() as dot:
            yield Product(target, dot, None, statement.comment)
        case tile.Elementwise(
            "add",
            (
                tile.Elementwise("mul", (tile.Variable() as old, tile.Variable() as rescale)),
                tile.Dot() as dot,
            ),
        ) if old == target:
            yield Product(target, dot, rescale, statement.comment)
        case value:
            parts: list[Step | tile.Assign] = []
            rest = _extract(value, statement.name, parts)
            yield from parts
            yield replace(statement, value=rest)


def _extract(value: tile.Expression, name: str, parts: list[Step | tile.Assign]) -> tile.Expression:
    """`value` with variables in place of its products and reductions, which are appended to `parts`."""
    match value:
        case tile.Elementwise(op, arguments):
            return tile.Elementwise(op, tuple(_extract(argument, name, parts) for argument in arguments))
        case tile.Reduce(kind, operand):
            reduced = tile.Variable(f"{name}_of_tile", value.shape)
            parts.append(tile.Assign(reduced.name, tile.Reduce(kind, _extract(operand, name, parts))))
            return reduced
        case tile.Dot() as dot:
            product = tile.Variable(f"{name}_product", value.shape)
            parts.append(Product(product, dot, None))
            return product
    return value


def _mentions_visible(value: tile.Expression) -> bool:
    return isinstance(value, tile.Visible) or any(map(_mentions_visible, value.operands))


def _assume_visible(value: tile.Expression) -> tile.Expression:
    match value:
        case tile.Elementwise("select", (tile.Visible(), chosen, _)):
            return _assume_visible(chosen)
        case tile.Elementwise(op, arguments):
            return tile.Elementwise(op, tuple(map(_assume_visible, arguments)))
        case tile.Reduce(kind, operand):
            return tile.Reduce(kind, _assume_visible(operand))
    return value


def variables(value: tile.Expression) -> Iterator[tile.Variable]:
    """All variables that a value reads."""
    if isinstance(value, tile.Variable):
        yield value
    for operand in value.operands:
        yield from variables(operand)


def reads(step: Step) -> set[str]:
    """Names of the variables that a step reads."""
    match step:
        case Scatter(_, source):
            return {source.name}
        case Product(target, dot, rescale):
            accumulated = {rescale.name, target.name} if rescale else set()
            return {variable.name for variable in variables(dot)} | accumulated
        case RowLoop(assignments):
            return {variable.name for statement in assignments for variable in variables(statement.value)}
        case Visit(steps):
            return set().union(*map(reads, steps))
    return set()


def targets(steps: Iterable[Step]) -> Iterator[tile.Variable]:
    """The variables that steps give a value, with repetitions, in order."""
    for step in steps:
        match step:
            case Gather(name, tensor):
                yield tile.Variable(name, tile.Load(tensor).shape)
            case Product(target):
                yield target
            case RowLoop(assignments):
                yield from (tile.Variable(s.name, s.value.shape) for s in assignments)
            case Visit(inner):
                yield from targets(inner)
