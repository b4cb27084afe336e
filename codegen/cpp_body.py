"""Prints the body of a kernel as C++: the steps of a tile IR program for one tile of its owner."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from attndsl.codegen import tile_ir as tile
from attndsl.codegen.cpp_loops import SIZES, print_row_loop
from attndsl.codegen.steps import Gather, Product, RowLoop, Scatter, Step, Visit, reads, targets


def print_scratch(steps: Sequence[Step]) -> Iterator[str]:
    """The struct of all variables: what one thread works on. Large tiles would not fit on its stack."""
    shared = _shared_buffers(steps)
    gathered = {step.target for step in steps if isinstance(step, Gather)}
    yield "struct Scratch {  // the variables of one thread"
    for variable in _owners(steps, shared):
        yield f"    {_declaration(variable, variable.name in gathered)}"
    yield "    Mask visible;"
    yield "};"


def print_body(steps: Sequence[Step]) -> Iterator[str]:
    """The steps, after names for the scratch variables."""
    shared = _shared_buffers(steps)
    names = ", ".join(variable.name for variable in _owners(steps, shared))
    yield f"auto& [{names}, visible] = scratch;"
    yield from (f"auto& {name} = {owner};" for name, owner in shared.items())
    flat = [inner for step in steps for inner in (step.steps if isinstance(step, Visit) else (step,))]
    for step in steps:
        yield from _print_step(step, flat)


def rows_of(tensor: tile.Tensor, element: str, number: str) -> str:
    """The rows of a tensor that are tokens of tile `number`."""
    tiling = "queries" if tensor.side == "q" else "keys"
    return f"rows_of<{element}>(call.tensors[{tensor.name}], batch, head, call.{tiling}, {number})"


def _owners(steps: Sequence[Step], shared: Collection[str]) -> list[tile.Variable]:
    """The variables that have memory of their own."""
    return [variable for variable in dict.fromkeys(targets(steps)) if variable.name not in shared]


def _declaration(variable: tile.Variable, gathered: bool) -> str:
    rows, columns = SIZES[variable.shape.rows], SIZES.get(variable.shape.columns)
    if not columns:
        return f"alignas(64) float {variable.name}[{rows}];"
    kind = f"QueryTile<Factor, {rows}, {columns}>" if gathered else f"Tile<float, {rows}, {columns}>"
    return f"{kind} {variable.name};"


def _print_step(step: Step, flat: Sequence[Step]) -> Iterator[str]:
    match step:
        case Gather(target, tensor):
            yield f"gather_rows({target}, {rows_of(tensor, 'const Element', 'q_tile')});"
        case Scatter(tensor, source) if tensor.columns:
            yield f"store_rows({rows_of(tensor, 'Element', 'q_tile')}, {source.name});"
        case Scatter(tensor, source):
            yield f"store_column({rows_of(tensor, 'float', 'q_tile')}, {source.name});"
        case Product():
            yield _print_product(step)
        case RowLoop():
            yield from print_row_loop(step, _kept(step, flat))
        case Visit(inner, comment):
            yield from _print_visit(inner, comment, flat)


def _print_visit(steps: Sequence[Step], comment: str, flat: Sequence[Step]) -> Iterator[str]:
    yield f"// {comment}"
    yield "for (int64_t run = map.row_start[q_tile]; run < map.row_start[q_tile + 1]; ++run) {"
    yield "    for (int64_t kv_tile = map.begin[run]; kv_tile < map.end[run]; ++kv_tile) {"
    yield "        const Packed& kv = packed[kv_tile];"
    yield "        const bool full = map.residual[run] == 0 && call.keys.counts[kv_tile] == Tk;"
    for step in steps:
        yield from ("        " + line for line in _print_variants(step, flat))
    yield "    }"
    yield "}"


def _print_variants(step: Step, flat: Sequence[Step]) -> Iterator[str]:
    """A loop that depends on visibility twice: for FULL tiles without masking, and for the others."""
    if not (isinstance(step, RowLoop) and step.masks):
        yield from _print_step(step, flat)
        return
    kept = _kept(step, flat)
    yield "if (full) {"
    yield from ("    " + line for line in print_row_loop(step.when_all_visible(), kept))
    yield "} else {"
    yield "    fill(visible, call, map.residual[run], batch, head, q_tile, kv_tile);"
    yield from ("    " + line for line in print_row_loop(step, kept))
    yield "}"


def _print_product(step: Product) -> str:
    left, right = (_factor(operand) for operand in step.dot.operands)
    if step.rescale:
        return f"dot_accumulate({step.target.name}, {step.rescale.name}, {left}, {right});"
    return f"dot({step.target.name}, {left}, {right});"


def _factor(operand: tile.Expression) -> str:
    match operand:
        case tile.Variable(name):
            return name
        case tile.Load(tensor):
            return f"kv.{tensor.name}"
    raise TypeError(f"{type(operand).__name__} cannot be a factor")


def _kept(loop: RowLoop, flat: Sequence[Step]) -> set[str]:
    """Names that other steps read, so that the loop must store them."""
    return set().union(*(reads(step) for step in flat if step is not loop))


def _shared_buffers(steps: Sequence[Step]) -> dict[str, str]:
    """Tiles that may overwrite a tile of the same shape which nothing reads afterwards, with that tile."""
    shared: dict[str, str] = {}
    _share(steps, set(), shared)
    return shared


def _share(steps: Sequence[Step], outside: set[str], shared: dict[str, str]) -> None:
    for number, step in enumerate(steps):
        later = outside.union(*map(reads, steps[number + 1 :]))
        if isinstance(step, RowLoop):
            _share_in_loop(step, later, shared)
        elif isinstance(step, Visit):
            carried = {target.name for target in targets(steps[:number])}
            _share(step.steps, later | carried, shared)


def _share_in_loop(loop: RowLoop, later: set[str], shared: dict[str, str]) -> None:
    for number, statement in enumerate(loop.assignments):
        after = later | reads(RowLoop(loop.assignments[number + 1 :]))
        for operand in _tiles(statement.value):
            if operand.shape == statement.value.shape and operand.name not in after | {statement.name}:
                shared[statement.name] = shared.get(operand.name, operand.name)
                break


def _tiles(value: tile.Expression) -> Iterator[tile.Variable]:
    if isinstance(value, tile.Variable) and value.shape.columns:
        yield value
    for operand in value.operands:
        yield from _tiles(operand)
