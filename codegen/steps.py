"""Splits tile IR into the steps that processors without tile instructions take.

Products of matrices and movements of tiles are steps of their own; everything between them works on each row
by itself, so that one loop over rows can execute it. Printers for such processors (C++) work on steps.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Literal

from attndsl.codegen import tile_ir as tile


@dataclass(frozen=True)
class Gather:
    """Reads a tile's rows of a tensor: of the owner tile, or of the visited one where that is its side."""

    target: str
    tensor: tile.Tensor


@dataclass(frozen=True)
class FillTerm:
    """Computes a term of the pattern's weighting for the current tiles."""

    target: tile.Variable
    number: int


@dataclass(frozen=True)
class Scatter:
    """Writes the owner tile's rows of a tensor."""

    tensor: tile.Tensor
    source: tile.Variable


@dataclass(frozen=True)
class Product:
    """target = left . right, or target + left . right if `accumulates`.

    rescale: a row vector by which the rows of the old target are multiplied first, if given.
    """

    target: tile.Variable
    dot: tile.Dot
    accumulates: bool = False
    rescale: tile.Variable | None = None
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
        """Neighbouring assignments that work on the same columns, or on whole row vectors, in turn."""
        return [tuple(block) for _, block in groupby(self.assignments, columns_of)]

    def when_all_visible(self) -> RowLoop:
        """The loop on FULL tiles: what is selected by visibility is always the first choice."""
        return RowLoop(tuple(replace(s, value=_assume_visible(s.value)) for s in self.assignments))


@dataclass(frozen=True)
class Visit:
    """The steps for every visited tile."""

    steps: tuple[Step, ...]
    comment: str = ""


@dataclass(frozen=True)
class Heads:
    """The steps for every query head of the owner's kv head."""

    steps: tuple[Step, ...]
    comment: str = ""


@dataclass(frozen=True)
class LoadState:
    """Reads a tensor whose rows are no tokens, such as the state of a recurrence."""

    target: tile.Variable
    tensor: tile.Tensor


@dataclass(frozen=True)
class Sweep:
    """Sums over the rows of a chunk's tile or row vector, column by column: `Scan`, or `Total`."""

    target: tile.Variable
    source: tile.Variable
    kind: Literal["through", "after", "total"]
    block: int = 0


@dataclass(frozen=True)
class Chunks:
    """The steps for every chunk of the tokens, one after the other."""

    steps: tuple[Step, ...]
    reverse: bool = False
    comment: str = ""


Step = Gather | FillTerm | Scatter | Product | RowLoop | Visit | Heads | LoadState | Sweep | Chunks


def split(program: tile.Program) -> tuple[Step, ...]:
    """The steps of a program, in order."""
    return _steps(program.body)


def inner_steps(steps: Iterable[Step]) -> Iterator[Step]:
    """All steps that are no loops over heads or visited tiles, in order."""
    for step in steps:
        if isinstance(step, Visit | Heads | Chunks):
            yield from inner_steps(step.steps)
        else:
            yield step


def _steps(body: Iterable[tile.Statement]) -> tuple[Step, ...]:
    parts = [part for statement in body for part in _separate(statement)]
    first = dict.fromkeys(part for part in parts if isinstance(part, Gather | FillTerm))
    rest = (part for part in parts if not isinstance(part, Gather | FillTerm))
    return (*first, *_merge_rows(rest))  # nothing in a body changes what these read


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


def columns_of(statement: tile.Assign) -> tile.Dimension | None:
    """The columns of the tile that the statement computes or reduces; None if it works on row vectors."""
    value = statement.value
    return value.tile.shape.columns if isinstance(value, tile.Reduce) else value.shape.columns


def _rows(statement: tile.Assign) -> tile.Dimension | None:
    return statement.value.shape.rows


def _separate(statement: tile.Statement) -> Iterator[Step | tile.Assign]:
    """Gives every product and reduction inside a statement a name of its own."""
    match statement:
        case tile.ForVisited(body):
            yield Visit(_steps(body), statement.comment)
        case tile.ForHeads(body):
            yield Heads(_steps(body), statement.comment)
        case tile.ForChunks(body, reverse):
            yield Chunks(_steps(body), reverse, statement.comment)
        case tile.Store(tensor, tile.Variable() as source):
            yield Scatter(tensor, source)
        case tile.Store(tensor, value):
            name = f"{tensor.name}_rows"
            rows = tile.Assign(name, value, comment=statement.comment, span=statement.span)
            yield from _separate_assignment(rows)
            yield Scatter(tensor, tile.Variable(name, value.shape))
        case tile.Assign(name, tile.Load(tensor) as value) if tensor.rows:
            yield LoadState(tile.Variable(name, value.shape), tensor)
        case tile.Assign(name, tile.Load(tensor)):
            yield Gather(name, tensor)
        case tile.Add(tensor, value):
            yield from _separate_addition(sum_of(tensor), value, statement.comment)
        case tile.Assign():
            yield from _separate_assignment(statement)


def sum_of(tensor: tile.Tensor) -> tile.Variable:
    """The sum that `Add` adds to, of one visited tile and without its factor."""
    return tile.Variable(f"{tensor.name}_sum", tile.Load(tensor).shape)


def _separate_addition(target: tile.Variable, dot: tile.Dot, comment: str) -> Iterator[Step | tile.Assign]:
    parts: list[Step | tile.Assign] = []
    parts.append(Product(target, _factors(dot, parts), True, comment=comment))
    yield from parts


def _separate_assignment(statement: tile.Assign) -> Iterator[Step | tile.Assign]:
    target = tile.Variable(statement.name, statement.value.shape)
    parts: list[Step | tile.Assign] = []
    match statement.value:
        case tile.Dot() as dot:
            parts.append(Product(target, _factors(dot, parts), comment=statement.comment))
        case tile.Elementwise("add", (tile.Variable() as old, tile.Dot() as dot)) if old == target:
            parts.append(Product(target, _factors(dot, parts), True, comment=statement.comment))
        case tile.Elementwise(
            "add",
            (
                tile.Elementwise("mul", (tile.Variable() as old, tile.Variable() as rescale)),
                tile.Dot() as dot,
            ),
        ) if old == target:
            parts.append(Product(target, _factors(dot, parts), True, rescale, statement.comment))
        case value:
            parts.append(replace(statement, value=_extract(value, statement.name, parts)))
    yield from parts


def _factors(dot: tile.Dot, parts: list[Step | tile.Assign]) -> tile.Dot:
    """The product of variables: tiles that are read get a name."""
    left, right = (_extract(operand, "factor", parts) for operand in dot.operands)
    return replace(dot, left=left, right=right)


def _extract(value: tile.Expression, name: str, parts: list[Step | tile.Assign]) -> tile.Expression:
    """`value` with variables in place of reads, products and reductions, which are appended to `parts`."""
    match value:
        case tile.Elementwise(op, arguments):
            return tile.Elementwise(op, tuple(_extract(argument, name, parts) for argument in arguments))
        case tile.Load(tensor):
            parts.append(Gather(f"{tensor.name}_rows", tensor))
            return tile.Variable(f"{tensor.name}_rows", value.shape)
        case tile.Term(number, shape):
            parts.append(FillTerm(tile.Variable(f"term_{number}", shape), number))
            return tile.Variable(f"term_{number}", shape)
        case tile.Scan() | tile.Total():
            return _sweep(value, name, parts)
        case tile.Relabel(inner):
            whole = _name(_extract(inner, name, parts), f"{name}_relabelled", parts)
            return tile.Variable(whole.name, value.shape)
        case tile.Reduce(kind, operand):
            reduced = tile.Variable(f"{name}_of_tile", value.shape)
            rest = _extract(operand, name, parts)
            parts.append(tile.Assign(reduced.name, tile.Reduce(kind, rest)))
            return reduced
        case tile.Dot() as dot:
            product = tile.Variable(f"{name}_product", value.shape)
            parts.append(Product(product, _factors(dot, parts)))
            return product
    return value


def _sweep(value: tile.Scan | tile.Total, name: str, parts: list[Step | tile.Assign]) -> tile.Variable:
    source = _name(_extract(value.value, name, parts), f"{name}_terms", parts)
    target = tile.Variable(f"{name}_sums", value.shape)
    if isinstance(value, tile.Total):
        parts.append(Sweep(target, source, "total"))
    else:
        parts.append(Sweep(target, source, value.kind, value.block))
    return target


def _name(value: tile.Expression, name: str, parts: list[Step | tile.Assign]) -> tile.Variable:
    """The value as a variable, which is assigned in `parts` if it is none yet."""
    if isinstance(value, tile.Variable):
        return value
    parts.append(tile.Assign(name, value))
    return tile.Variable(name, value.shape)


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
        case Product(target, dot, accumulates, rescale):
            accumulated = {target.name} if accumulates else set()
            rescaled = {rescale.name} if rescale else set()
            return {variable.name for variable in variables(dot)} | accumulated | rescaled
        case RowLoop(assignments):
            return {variable.name for statement in assignments for variable in variables(statement.value)}
        case Sweep(_, source):
            return {source.name}
        case Visit(steps) | Heads(steps) | Chunks(steps):
            return set().union(*map(reads, steps))
    return set()


def targets(steps: Iterable[Step]) -> Iterator[tile.Variable]:
    """The variables that steps give a value, with repetitions, in order."""
    for step in steps:
        match step:
            case Gather(name, tensor):
                yield tile.Variable(name, tile.Load(tensor).shape)
            case Product(target) | FillTerm(target) | LoadState(target) | Sweep(target):
                yield target
            case RowLoop(assignments):
                yield from (tile.Variable(s.name, s.value.shape) for s in assignments)
            case Visit(inner) | Heads(inner) | Chunks(inner):
                yield from targets(inner)
