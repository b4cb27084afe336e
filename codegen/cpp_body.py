"""Prints the body of a kernel as C++: the steps of a tile IR program for one tile of its owner."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from attndsl.codegen import tile_ir as tile
from attndsl.codegen.cpp_loops import print_row_loop
from attndsl.codegen.cpp_sparse import sparse_products
from attndsl.codegen.cpp_tiles import SIZES, Buffers, rows_of
from attndsl.codegen.steps import (
    Chunks,
    FillTerm,
    Gather,
    Heads,
    Product,
    RowLoop,
    Scatter,
    Step,
    Visit,
    columns_of,
    inner_steps,
    reads,
    sum_of,
    targets,
)

TILINGS: dict[tile.Side, str] = {"q": "queries", "kv": "keys"}
"""The members of `Call` that describe the tiles of each side."""


class Body:
    """The text of one program's steps. visited: the side that the owner's tiles visit.

    hidden: the sides whose missing tokens must be hidden, because they would be summed over. Queries that do
    not exist need such care only where terms add to scores: elsewhere their rows of tensors are 0, so their
    weights are finite, and summed with 0.
    """

    def __init__(self, program: tile.Program, steps: Sequence[Step]) -> None:
        self.steps = steps
        self.visited: tile.Side = "kv" if program.owner == "q" else "q"
        self.buffers = Buffers(steps)
        self.flat = list(inner_steps(steps))
        self.shared = shared_buffers(steps)
        self.additions = list(tile.additions(program.body))
        self.sums = [sum_of(addition.tensor) for addition in self.additions]
        elsewhere = {step.target for step in self.flat if isinstance(step, Gather)}
        elsewhere |= {each.name for each in self.sums} | self.shared.keys()
        self.variables = [
            each
            for each in dict.fromkeys(targets(steps))
            if each.name not in elsewhere and each.shape != tile.SCALAR
        ]
        self.terms = sorted({step.number for step in self.flat if isinstance(step, FillTerm)})
        self.hidden = [
            side
            for side in _SIDES
            if (side == "kv" or self.terms) and any(_sums_over(step, side) for step in self.flat)
        ]
        self.masks = any(isinstance(step, RowLoop) and step.masks for step in self.flat)
        self.sparse = sparse_products(self.flat) if self.masks else set()

    def scratch(self) -> Iterator[str]:
        """The struct of all variables: what one thread works on. Large tiles would not fit on its stack."""
        yield "struct Scratch {  // the variables of one thread"
        yield from (f"    {buffer.declaration}" for buffer in self.buffers.own)
        yield from (f"    {declaration(variable)}" for variable in self.variables)
        if self.masks:
            yield "    Mask visible;"
        yield "};"

    def lines(self) -> Iterator[str]:
        """The steps, after names for the scratch variables."""
        names = [*(buffer.name for buffer in self.buffers.own), *(each.name for each in self.variables)]
        yield f"auto& [{', '.join([*names, *(['visible'] if self.masks else [])])}] = scratch;"
        yield from (f"auto& {name} = {owner};" for name, owner in self.shared.items())
        yield from (buffer.gather() for buffer in self.buffers.own)
        yield from self._block(self.steps)

    def _block(self, steps: Sequence[Step]) -> Iterator[str]:
        for step in steps:
            if isinstance(step, RowLoop) and step.masks:
                yield from self._masking_loop(step)
            else:
                yield from self._step(step)

    def _step(self, step: Step) -> Iterator[str]:
        match step:
            case Scatter(tensor, source) if tensor.columns:
                element = "float" if tensor.slotted else "Element"
                yield f"store_rows({rows_of(tensor, element)}, {source.name});"
            case Scatter(tensor, source):
                yield f"store_column({rows_of(tensor, 'float')}, {source.name});"
            case FillTerm(target, number):
                yield _fill_term(target, number)
            case Product() if step in self.sparse:
                yield f"if (full) {self._product(step)}"
                yield f"else {self._product(step, 'visible.spans')}"
            case Product():
                yield self._product(step)
            case RowLoop():
                yield from print_row_loop(step, self._kept(step))
            case Heads():
                yield from self._heads(step)
            case Visit():
                yield from self._visit(step)

    def _product(self, step: Product, *spans: str) -> str:
        dot = step.dot
        rescale = [step.rescale.name] if step.rescale else []
        factors = [self.buffers.left(dot.left), self.buffers.right(dot.right, dot.transpose_right)]
        function = f"dot{'_transposed' * dot.transpose_left}{'_accumulate' * step.accumulates}"
        return f"{function}({', '.join([step.target.name, *rescale, *factors, *spans])});"

    def _heads(self, step: Heads) -> Iterator[str]:
        yield f"// {step.comment}"
        yield "const int64_t group = call.heads / call.kv_heads;"
        yield "for (int64_t head = kv_head * group; head < (kv_head + 1) * group; ++head) {"
        yield from ("    " + line for line in self._block(step.steps))
        yield f"    packed += call.{TILINGS[self.visited]}.tiles;"
        yield "}"

    def _visit(self, step: Visit) -> Iterator[str]:
        owner, other = ("q_tile", "kv_tile") if self.visited == "kv" else ("kv_tile", "q_tile")
        names = [*(buffer.name for buffer in self.buffers.visited), *(each.name for each in self.sums)]
        members = ", ".join(names)
        constant = "" if self.sums else "const "
        whole = [f"call.{TILINGS[side]}.counts[{side}_tile] == {SIZES[side]}" for side in self.hidden]
        yield f"// {step.comment}"
        yield "const BlockMap& map = map_of(call, batch, head);"
        yield f"for (int64_t run = map.row_start[{owner}]; run < map.row_start[{owner} + 1]; ++run) {{"
        yield f"    for (int64_t {other} = map.begin[run]; {other} < map.end[run]; ++{other}) {{"
        yield f"        {constant}auto& [{members}] = packed[{other}];"
        yield f"        const bool full = {' && '.join(['map.residual[run] == 0', *whole])};"
        if self.masks:
            yield "        if (!full) fill(visible, call, map.residual[run], batch, head, q_tile, kv_tile);"
        yield from ("        " + line for line in self._block(step.steps))
        yield "    }"
        yield "}"

    def _masking_loop(self, step: RowLoop) -> Iterator[str]:
        """A loop that depends on visibility, twice: for FULL tiles without masking, and for the others."""
        kept = self._kept(step)
        yield "if (full) {"
        yield from ("    " + line for line in print_row_loop(step.when_all_visible(), kept))
        yield "} else {"
        yield from ("    " + line for line in print_row_loop(step, kept))
        yield "}"

    def _kept(self, loop: RowLoop) -> set[str]:
        """Names that other steps read, so that the loop must store them."""
        return set().union(*(reads(step) for step in self.flat if step is not loop))


def _fill_term(target: tile.Variable, number: int) -> str:
    place = "call, batch, head, q_tile, kv_tile)"
    if target.shape == tile.SCALAR:
        return f"const float {target.name} = find_term_{number}({place};"
    return f"find_term_{number}({target.name}, {place};"


_SIDES: tuple[tile.Side, ...] = ("q", "kv")


def _sums_over(step: Step, side: tile.Side) -> bool:
    match step:
        case Product(_, dot):
            left = dot.left.shape
            return (left.rows if dot.transpose_left else left.columns) == side
        case RowLoop(assignments):
            return any(isinstance(s.value, tile.Reduce) and columns_of(s) == side for s in assignments)
    return False


def declaration(variable: tile.Variable) -> str:
    """The member of a struct that holds a variable."""
    rows, columns = SIZES[variable.shape.rows], SIZES.get(variable.shape.columns)
    return (
        f"Tile<float, {rows}, {columns}> {variable.name};"
        if columns
        else f"alignas(64) float {variable.name}[{rows}];"
    )


def shared_buffers(steps: Sequence[Step]) -> dict[str, str]:
    """Tiles that may overwrite a tile of the same shape which nothing uses afterwards, with that tile.

    A tile that is computed in several steps has a place of its own.
    """
    shared: dict[str, str] = {}
    gathered = {step.target for step in inner_steps(steps) if isinstance(step, Gather)}
    counts = Counter(target.name for target in targets(steps))
    _share(steps, gathered, shared)
    return {name: owner for name, owner in shared.items() if counts[name] == 1}


def _share(steps: Sequence[Step], outside: set[str], shared: dict[str, str]) -> None:
    for number, step in enumerate(steps):
        after = steps[number + 1 :]
        later = outside.union(*map(reads, after), (target.name for target in targets(after)))
        if isinstance(step, RowLoop):
            _share_in_loop(step, later, shared)
        elif isinstance(step, Visit | Heads | Chunks):
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
