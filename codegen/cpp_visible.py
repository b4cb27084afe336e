"""Prints residual predicates as C++: functions that fill in which queries of a PARTIAL tile see which keys.

`PairFunction` prints any expression over the pairs of a tile; `cpp_terms.py` does so for scores. What only
the query, only the key or only the head decides is computed once per query, key or head of the tile; the loop
over pairs keeps the rest.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence

from attndsl.codegen.cpp_expression import STORED_TYPES, CppType, Text, cpp_type, print_node
from attndsl.codegen.levels import Level, level_of
from attndsl.codegen.ranges import Places, node_ranges
from attndsl.ir.bound import BoundIR, Region, input_sizes
from attndsl.ir.expr import Const, Expr, Head, InputAt, InputElement, Position, Table, topological
from attndsl.ir.intervals import Strided
from attndsl.ir.text import expression, region_axis_names


def print_visible(ir: BoundIR, number: int, residual: Expr, places: Places) -> str:
    """The C++ function `visible_<number>` of one residual predicate. places: the segments it belongs to."""
    function = PairFunction(ir, residual, places)
    store = "row[j] = -int32_t({});"
    body = function.on_pairs("int32_t* row = visible.row(i);", store)
    title = f"Residual {number} of PARTIAL tiles: {function.in_words()}"
    return "\n".join(function.lines(title, f"void visible_{number}", "Mask& visible, ", body))


class PairFunction:
    """The text of one function: which sub-expressions get a name, and at which level they are computed.

    exact: whether reals must agree with the interpreter to the last bit, as those that masks compare must.
    """

    def __init__(self, ir: BoundIR, root: Expr, places: Places, exact: bool = True) -> None:
        self.exact = exact
        self.ir = ir
        self.root = root
        self.places = places
        self.nodes = list(topological(root))
        self.ranges = node_ranges(ir, root, places)
        self.axis_names = region_axis_names(ir, Region(*(places or (0, 0)), root))
        self.levels = {node: level_of(node) for node in self.nodes}
        self.names = self._choose_names()

    def lines(self, title: str, name: str, result: str, body: Iterable[str]) -> Iterator[str]:
        """The function. result: its first parameter, where it stores what it computes."""
        yield from wrap_comment(title)
        yield f"inline {name}({result}const Call& call, int64_t batch, int64_t head,"
        yield f"{' ' * len(f'inline {name}(')}int64_t q_tile, int64_t kv_tile) {{"
        yield from ("    " + line for line in body)
        yield "}"

    def in_words(self) -> str:
        """The expression in the language's spelling, and the segments it holds for."""
        if self.places is None:
            return expression(self.root)
        query, key = self.ir.query_space.segments[self.places[0]], self.ir.key_space.segments[self.places[1]]
        return f"{query.name} -> {key.name}: {expression(self.root, self.axis_names)}"

    def of_head(self) -> Iterator[str]:
        """The body of a function whose value the head alone decides."""
        yield from self._leaves()
        yield from (f"const {self._type(n)} {self.names[n]} = {self._spell(n)};" for n in self._named("head"))

    def on_pairs(self, row: str, store: str) -> Iterator[str]:
        """The body of a function of all pairs. row: names the row to write; store: writes the value {}."""
        yield from self.of_head()
        yield from self._features("query", "Tq", "i")
        yield from self._features("key", "Tk", "j")
        yield "for (int i = 0; i < Tq; ++i) {"
        yield f"    {row}"
        for node in self._at_boundary("query"):
            yield f"    const {self._type(node)} {self._local(node)} = {self._element(node, 'i')};"
        yield "    #pragma omp simd"
        yield "    for (int j = 0; j < Tk; ++j) {"
        yield from (
            f"        const {self._type(n)} {self.names[n]} = {self._spell(n)};" for n in self._named("pair")
        )
        yield f"        {store.format(self.value('pair'))}"
        yield "    }"
        yield "}"

    def on_queries(self, store: str) -> Iterator[str]:
        """The body of a function of all queries. store: writes the value {}."""
        yield from self.of_head()
        yield "for (int i = 0; i < Tq; ++i) {"
        yield from (
            f"    const {self._type(n)} {self.names[n]} = {self._spell(n)};" for n in self._named("query")
        )
        yield f"    {store.format(self.value('query'))}"
        yield "}"

    def value(self, level: Level) -> str:
        """The text of the whole expression, as read at `level`."""
        return self._reference(self.root, level).text

    def _leaves(self) -> Iterator[str]:
        """Tables, and pointers to the coordinates and inputs of both tiles."""
        for name, values, kind in sorted(
            {(n.name, n.values, n.type) for n in self.nodes if isinstance(n, Table)}
        ):
            numbers = ", ".join(print_node(Const(value), (), "int64_t", False).text for value in values)
            yield f"static constexpr {STORED_TYPES[kind]} table_{name}[] = {{{numbers}}};"
        for node in self.nodes:
            match node:
                case Position(side, axis):
                    tiling, tile = ("queries", "q_tile") if side == "q" else ("keys", "kv_tile")
                    name = self._local(node)
                    yield f"const int32_t* {name}_of = call.{tiling}.coordinate({axis}, {tile});"
        names = [declaration.name for declaration in self.ir.kernel_inputs]
        reads = (n for n in self.nodes if isinstance(n, InputAt | InputElement))
        for name, kind in sorted({(n.name, n.kind) for n in reads}):
            stored, argument = STORED_TYPES[kind], f"call.inputs[{names.index(name)}]"
            yield f"const {stored}* input_{name} = input_of<{stored}>({argument}, batch);"
        for side in sorted({n.side for n in self.nodes if isinstance(n, InputAt)}):
            tiling, tile = ("queries", "q_tile") if side == "q" else ("keys", "kv_tile")
            yield f"const int32_t* {side}_tokens = call.{tiling}.tokens + {tile} * call.{tiling}.capacity;"

    def _features(self, level: Level, extent: str, index: str) -> Iterator[str]:
        """The loop that computes what each query (or key) of the tile decides alone."""
        kept = [node for node in self._at_boundary(level) if not isinstance(node, Position)]
        if not kept:
            return
        yield from (f"{self._type(node)} {self.names[node]}_of[{extent}];" for node in kept)
        yield "#pragma omp simd"
        yield f"for (int {index} = 0; {index} < {extent}; ++{index}) {{"
        for node in self._named(level):
            name, origin = self.names[node], self._origin(node)
            yield f"    const {self._type(node)} {name} = {self._spell(node)};{origin}"
            if node in kept:
                yield f"    {self.names[node]}_of[{index}] = {self.names[node]};"
        yield "}"

    def _origin(self, node: Expr) -> str:
        span = self.ir.spans.get(node)
        return f"  // {span}: {' '.join(span.text.split())}" if span else ""

    def _choose_names(self) -> dict[Expr, str]:
        """Names for values that another level reads, and for those used more than once."""
        uses: dict[Expr, list[Level]] = {node: [] for node in self.nodes}
        for node in self.nodes:
            for child in node.children:
                uses[child].append(self.levels[node])
        uses[self.root].append("pair")
        names: dict[Expr, str] = {}
        for node in self.nodes:
            crosses = any(level != self.levels[node] for level in uses[node])
            shared = len(uses[node]) > 1 and bool(node.children)
            if not isinstance(node, Const | Position | Head) and (crosses or shared):
                names[node] = f"{self.levels[node]}_{sum(self.levels[n] == self.levels[node] for n in names)}"
        return names

    def _named(self, level: Level) -> list[Expr]:
        return [node for node in self.names if self.levels[node] == level]

    def _at_boundary(self, level: Level) -> list[Expr]:
        """Nodes of one level that the pair level reads, in order of computation."""
        read = {child for node in self.nodes if self.levels[node] == "pair" for child in node.children} | {
            self.root
        }
        return [node for node in self.nodes if node in read and self.levels[node] == level]

    def _type(self, node: Expr) -> CppType:
        if isinstance(node, InputAt | InputElement):
            return STORED_TYPES[node.kind]
        return cpp_type(node, self.ranges[node])

    def _spell(self, node: Expr) -> str:
        """The node computed at its own level."""
        return self._compute(node).text

    def _compute(self, node: Expr) -> Text:
        level = self.levels[node]
        match node:
            case InputAt(name, side):
                return Text(f"input_{name}[{side}_tokens[{'i' if side == 'q' else 'j'}]]", self._type(node))
            case InputElement(name, indices):
                place = self._place_in(name, [self._reference(index, level).text for index in indices])
                return Text(f"input_{name}[{place}]", self._type(node))
            case Position(side):
                return Text(self._element(node, "i" if side == "q" else "j"), "int32_t")
            case Head():
                return Text("int32_t(head)", "int32_t")
        operands = [self._reference(child, level) for child in node.children]
        return print_node(node, operands, self._type(node), self._nonnegative(node), self.exact)

    def _place_in(self, name: str, indices: Sequence[str]) -> str:
        """The place of an element in an input that lies in memory row by row."""
        place = ""
        for index, size in zip(indices, input_sizes(self.ir, name), strict=True):
            place = f"({place}) * {size} + {index}" if place else f"static_cast<int64_t>({index})"
        return place

    def _reference(self, node: Expr, level: Level) -> Text:
        """The node as an operand of a value at `level`."""
        own = self.levels[node]
        if isinstance(node, Const) or (node not in self.names and (own == level or isinstance(node, Head))):
            return self._compute(node)
        if own == level or own == "head":
            return Text(self.names[node], self._type(node))
        if own == "query":
            return Text(self._local(node), self._type(node))
        return Text(self._element(node, "j"), self._type(node))

    def _local(self, node: Expr) -> str:
        """What a query's or key's value is called: `query_h` for a coordinate, `query_0` for a feature."""
        if not isinstance(node, Position):
            return self.names[node]
        return f"{'query' if node.side == 'q' else 'key'}_{self.axis_names(node)}"

    def _element(self, node: Expr, index: str) -> str:
        return f"{self._local(node)}_of[{index}]"

    def _nonnegative(self, node: Expr) -> bool:
        operands = [self.ranges[child] for child in node.children]
        return all(isinstance(value, Strided) and bool(value.lo.min() >= 0) for value in operands)


def wrap_comment(text: str) -> Iterator[str]:
    """A C++ comment of any length, at most 110 columns wide where it can be broken."""
    yield from textwrap.wrap(
        text, 110, initial_indent="// ", subsequent_indent="//     ", break_long_words=False
    )
