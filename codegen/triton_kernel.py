"""Prints one tile IR program over one schedule as the body of a Triton kernel.

A program of the grid owns one tile of one head and loops over the tiles that the block map lists for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from numpy.typing import NDArray

from attndsl.codegen import tile_ir as tile
from attndsl.codegen.triton_configuration import Configuration
from attndsl.codegen.triton_descriptors import TileBox, tile_box
from attndsl.codegen.triton_layout import comment_lines, commented, indented
from attndsl.codegen.triton_loops import COMMENTS, Loops, Part
from attndsl.codegen.triton_mask import Masks
from attndsl.codegen.triton_tensors import Tensors, padded_channels
from attndsl.codegen.triton_terms import Terms
from attndsl.codegen.triton_tokens import Sides, TileTokens
from attndsl.codegen.triton_values import Values
from attndsl.codegen.triton_visits import Visits
from attndsl.schedule.schedule import Schedule


class Kernel:
    """The text of a kernel's body.

    sizes: head and value dimension as the tensors have them. places: see `print_kernel`.
    """

    def __init__(
        self,
        program: tile.Program,
        schedule: Schedule,
        sizes: dict[tile.Dimension, int],
        dtype: str,
        configuration: Configuration,
        visits: Visits,
        places: Mapping[tile.Side, str],
    ) -> None:
        self.program = program
        self.ir = schedule.ir
        self.visits = visits
        q = TileTokens("q", schedule.q_tiling, places.get("q", ""))
        kv = TileTokens("kv", schedule.kv_tiling, places.get("kv", ""))
        self.sides = Sides(q, kv, program.owner)
        boxes = described(program, self.sides) if configuration.loads == "descriptors" else {}
        self.loops = Loops(visits, configuration, f"{self.sides.visited.side}_tile")
        if configuration.specialize and not self._can_specialize(boxes):
            self.loops = replace(self.loops, configuration=replace(configuration, specialize=False))
        self.masks = Masks(schedule, self.sides, self.loops.residuals)
        self.group = self.ir.heads // self.ir.kv_heads
        self.terms = Terms(schedule, self.sides, tile.terms(program.body))
        differs = self.masks.differs_by_head or self.terms.differs_by_head
        if program.owner == "kv" and len(schedule.maps) == 1 and not differs:
            self.loops = replace(self.loops, members=self.group)
        heads: dict[tile.Side, int] = {"q": self.ir.heads, "kv": self.ir.kv_heads}
        columns = {dimension: padded_channels(size, dtype) for dimension, size in sizes.items()}
        self.tensors = Tensors(program, self.sides, sizes, columns, heads, boxes)
        self.tensors.members = self.loops.members > 1
        lanes: dict[tile.Dimension, int] = {"q": q.lanes, "kv": kv.lanes}
        self.values = Values(
            program.owner,
            {dimension: str(size) for dimension, size in (lanes | columns).items()},
            tensors=dtype,
            products="float16" if dtype.startswith("float8") else dtype,
            precision=configuration.precision if dtype == "float32" else "",
            load=self.tensors.load,
            term=self.terms.text,
        )

    @property
    def reads_inputs(self) -> bool:
        """Whether the kernel reads declared inputs."""
        return self.masks.reads_inputs or self.terms.reads_inputs

    @property
    def exact_reals(self) -> bool:
        """Whether products and sums of reals must not be fused."""
        return self.masks.exact_reals

    @property
    def arrays(self) -> dict[str, NDArray[Any]]:
        """Numbers that the kernel reads for masks and scores, by the name of its parameter."""
        return self.masks.arrays | self.terms.arrays

    def lines(self) -> Iterator[str]:
        """The statements of the kernel."""
        yield from self._place()
        yield from self._owner_tokens()
        yield from self.tensors.channel_lines()
        yield ""
        for statement in self.program.body:
            match statement:
                case tile.ForHeads(body):
                    yield from self._for_heads(statement, body)
                case tile.ForVisited():
                    yield ""
                    yield from self._for_visited(statement)
                    yield ""
                case tile.Assign() | tile.Store():
                    yield from self._statement(statement)

    def _can_specialize(self, boxes: dict[tile.Tensor, TileBox]) -> bool:
        """Whether Triton's warp specialisation takes the kernel: see `Configuration`."""
        own = [boxes.get(tensor) for tensor in self.program.inputs if tensor.side == self.program.owner]
        all_described = all(tensor in boxes for tensor in self.program.inputs)
        return len(self.loops.parts) == 1 and all_described and all(box and box.kind == "run" for box in own)

    # ------------------------------------------------------------ which tile of which head

    def _place(self) -> Iterator[str]:
        own_heads = self.ir.heads
        yield "# Groups of heads share the L2 cache; in a group the heaviest tiles come first."
        yield "program = tl.program_id(0)"
        yield "first_head = program // (heads_together * owner_tiles) * heads_together"
        yield "width = tl.minimum(batch_heads - first_head, heads_together)"
        yield "place = program - first_head * owner_tiles"
        yield "batch_head = first_head + place % width"
        group = self.group
        if self.program.owner == "q":
            yield f"head = batch_head % {own_heads}"
            yield f"kv_head = {'head' if group == 1 else f'head // {group}'}"
        else:
            own_heads = self.ir.kv_heads
            yield f"kv_head = batch_head % {own_heads}"
            yield f"head = {'kv_head' if group == 1 else f'kv_head * {group}'}"
        yield f"batch = tl.cast(batch_head // {own_heads}, tl.int64)"
        yield f"{self.program.owner}_tile = tl.load(order + {self._in_map('place // width')})"
        for declared in self.ir.kernel_inputs if self.reads_inputs else ():
            yield f"{declared.name}_values += batch * {declared.name}_batch_stride"
        yield from self.tensors.head_lines(self.program.owner)
        if self.program.owner == "q":
            yield from self._visited_head()

    def _visited_head(self) -> Iterator[str]:
        """What belongs to the head of visited tiles, and the record of the owner's tile in its block map."""
        yield from self.tensors.head_lines(self.sides.visited.side)
        if any(isinstance(statement, tile.ForVisited | tile.ForHeads) for statement in self.program.body):
            batched = "tl.cast(batch, tl.int32) * map_batch_stride" if self.ir.mask_inputs else ""
            place = self._in_map(f"{self.program.owner}_tile", batched)
            place = place if place.isidentifier() else f"({place})"
            yield f"record = records + {place} * {len(self.visits.fields)}"
            yield from self.loops.record_lines()

    def _in_map(self, number: str, first_map: str = "") -> str:
        """The place of an owner tile among those of all maps. first_map: the number of the batch's first."""
        several = len(self.visits.records) > 1
        maps = [text for text in (first_map, "tl.load(map_of_head + head)" if several else "") if text]
        if not maps:
            return number
        chosen = maps[0] if len(maps) == 1 else f"({' + '.join(maps)})"
        return f"{chosen} * owner_tiles + {number}"

    def _owner_tokens(self) -> Iterator[str]:
        own = self.sides.own
        yield ""
        yield from comment_lines(f"The {own.comment()}")
        yield f"{own.lane} = tl.arange(0, {own.lanes})"
        yield from own.base_lines()
        yield from own.inside_lines()
        yield f"{own.side}_token = {own.side}_base + {own.side}_inside"
        yield from own.exists_lines()
        yield from own.place_lines()

    # ------------------------------------------------------------ statements

    def _statement(self, statement: tile.Assign | tile.Store | tile.Add) -> Iterator[str]:
        if isinstance(statement, tile.Add):
            raise TypeError("programs on a GPU cannot add to what others own: they run at the same time")
        if isinstance(statement, tile.Store):
            text = self.tensors.store(statement.tensor, self.values.text(statement.value))
        elif isinstance(statement.value, tile.Load) and statement.value.tensor.columns:
            self.values.stored.add(statement.name)
            text = f"{statement.name} = {self.tensors.load(statement.value.tensor)}"
        else:
            text = f"{statement.name} = {self.values.text(statement.value)}"
        yield from self.tensors.waiting
        self.tensors.waiting.clear()
        yield from commented(text, statement.comment)

    def _for_heads(self, loop: tile.ForHeads, body: tuple[tile.ForVisited, ...]) -> Iterator[str]:
        lines = [*self._visited_head(), *(line for visit in body for line in self._for_visited(visit))]
        yield ""
        if self.group == self.loops.members:
            yield from lines
        else:
            yield f"# {loop.comment[:1].upper()}{loop.comment[1:]}"
            yield f"for head in tl.range(head, head + {self.group}):"
            yield from indented(lines)
        yield ""

    def _for_visited(self, loop: tile.ForVisited) -> Iterator[str]:
        visited = self.sides.visited
        yield f"# {loop.comment[:1].upper()}{loop.comment[1:]}"
        yield from comment_lines(f"The {visited.comment()}")
        yield f"{visited.lane} = tl.arange(0, {visited.lanes})"
        if visited.loop_invariant:
            yield from visited.inside_lines()
            yield from self.tensors.row_lines()
        yield from self.terms.owner_lines()
        for part in self.loops.parts:
            yield from self._loop(loop, part)

    def _loop(self, loop: tile.ForVisited, part: Part) -> Iterator[str]:
        masked = part != "full"
        self.values.masked = masked
        self.tensors.start_loop(masked)
        body = [*self.loops.tile_lines(part, self.masks.needs_residual), *self._visited_tokens(masked)]
        body += self.masks.visible_lines() if masked else ()
        body += self.terms.visited_lines()
        for statement in loop.body:
            body += self._statement(statement)
        yield from self.masks.owner_lines() if masked else ()
        yield f"# {COMMENTS[part]}"
        yield self.loops.head(part)
        yield from indented(body)

    def _visited_tokens(self, masked: bool) -> Iterator[str]:
        visited, side = self.sides.visited, self.sides.visited.side
        yield from visited.base_lines()
        if not visited.loop_invariant:
            yield from visited.inside_lines()
        if not visited.loop_invariant or visited.places or (masked and self.masks.reads_inputs):
            yield f"{side}_token = {side}_base + {side}_inside"
        if visited.loop_invariant and not visited.places:
            yield f"{side}_offset = tl.cast({side}_base, tl.int64)"
        yield from visited.place_lines()
        if masked:
            yield from visited.exists_lines()


def described(program: tile.Program, sides: Sides) -> dict[tile.Tensor, TileBox]:
    """The inputs whose tiles descriptors can load, and how."""
    boxes = {side: tile_box(sides.of(side)) for side in ("q", "kv")}
    found = ((tensor, boxes[tensor.side]) for tensor in program.inputs if tensor.columns)
    return {tensor: box for tensor, box in found if box is not None}
