"""Readable text of the IR: expressions in the language's spelling, bound patterns as listings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import singledispatch

from attndsl.ir.blocks import Blocks
from attndsl.ir.bound import BoundIR, InputDeclaration, Region, Space
from attndsl.ir.combine import BranchOutput, Identity, Joint, Projected
from attndsl.ir.derived import Derivation, Derived
from attndsl.ir.expr import (
    PRODUCT,
    Apply,
    AxisVariable,
    Channel,
    ChannelSoftmax,
    Const,
    Element,
    Expr,
    Extent,
    FlatIndex,
    Head,
    HeadDim,
    InputAt,
    InputElement,
    LowRank,
    Number,
    Position,
    Product,
    Quantified,
    Symbol,
    Table,
    Term,
    WholeInput,
)
from attndsl.ir.factors import LogOfFactor
from attndsl.ir.ops import COMPARISONS, OPS
from attndsl.ir.pattern import Decay, Input, Weighting
from attndsl.ir.route import RouteNode
from attndsl.ir.text_groups import bound_group_lines
from attndsl.ir.text_route import route_lines, route_node

AxisNames = Callable[[Position], str]
Print = Callable[[Expr], str]
PRECEDENCE = {
    "quantifier": 0, "select": 1, "or": 2, "and": 3, "not": 4, **dict.fromkeys(COMPARISONS, 5),
    "add": 6, "sub": 6, "mul": 7, "div": 7, "floordiv": 7, "mod": 7, "neg": 8, "pow": 9, "atom": 10,
}  # fmt: skip
"""Binding strength of each operator; functions are atoms."""


def expression(
    expr: Expr, axis_name: AxisNames | None = None, names: Mapping[Expr, str] | None = None
) -> str:
    """An expression as `.attn` text. axis_name: names a bound coordinate's axis (default: its number).

    names: texts for nodes that are called otherwise.
    """
    return Printer(axis_name or numbered, names or {}).print(expr, 0)


def numbered(position: Position) -> str:
    """A coordinate by its name, or by the number of its axis."""
    axis = position.axis
    if isinstance(axis, AxisVariable):
        return _variable(axis)
    return f"axis{axis}" if isinstance(axis, int) else axis


class Printer:
    """Prints expressions; subclasses spell some nodes otherwise."""

    def __init__(self, axis_name: AxisNames, names: Mapping[Expr, str]) -> None:
        self.axis_name, self.names = axis_name, names

    def print(self, node: Expr, least: int) -> str:
        """The text of a node, in parentheses where it binds less tightly than `least`."""
        strength, text = self.node(node)
        return f"({text})" if strength < least else text

    def node(self, node: Expr) -> tuple[int, str]:
        """The strength and text of a node."""
        atom = PRECEDENCE["atom"]
        if node in self.names:
            return atom, self.names[node]
        match node:
            case Const(value):
                negative = not isinstance(value, bool) and value < 0
                return PRECEDENCE["neg"] if negative else atom, number(value)
            case Position(side):
                return atom, f"{side}.{self.axis_name(node)}"
            case Apply():
                return self.apply(node)
            case Table(name, _, index) | Element(name, index):
                return atom, f"{name}[{self.print(index, 0)}]"
            case InputElement(name, indices):
                return atom, f"{name}[{', '.join(self.print(index, 0) for index in indices)}]"
            case RouteNode():
                return route_node(node, self.print)
            case Quantified(kind, variable, body):
                return 0, f"{kind} axis {_variable(variable)}: {self.print(body, 0)}"
        return atom, leaf(node)

    def apply(self, node: Apply) -> tuple[int, str]:
        """The strength and text of an operator and its operands."""
        op, args = node.op, node.args
        if op == "select":
            condition, value, other = args
            parts = self.print(value, 2), self.print(condition, 2), self.print(other, 1)
            return 1, "{} if {} else {}".format(*parts)
        spelling = OPS[op].spelling
        if not spelling:
            return PRECEDENCE["atom"], f"{op}({', '.join(self.print(arg, 0) for arg in args)})"
        strength = PRECEDENCE[op]
        if len(args) == 1:
            gap = " " if op == "not" else ""
            return strength, f"{spelling}{gap}{self.print(args[0], strength)}"
        # a comparison of comparisons and the base of a power need parentheses on the left, the others on the
        # right
        left = strength + (op in COMPARISONS or op == "pow")
        right = strength + (op not in ("pow", "and", "or"))
        return strength, f"{self.print(args[0], left)} {spelling} {self.print(args[1], right)}"


def number(value: Number) -> str:
    """A literal of the language."""
    return str(value).lower() if isinstance(value, bool) else repr(value)


def _variable(variable: AxisVariable) -> str:
    return variable.name.replace("#", "a")


@singledispatch
def leaf(node: Expr) -> str:
    """The text of a node without operands."""
    raise TypeError(f"no text for {type(node).__name__}")


@leaf.register
def _(node: Symbol) -> str:
    return node.name


@leaf.register
def _(node: AxisVariable) -> str:
    return _variable(node)


@leaf.register
def _(node: Extent) -> str:
    return f"extent({node.axis if isinstance(node.axis, str) else _variable(node.axis)})"


@leaf.register
def _(node: FlatIndex) -> str:
    return f"{node.side}.index"


@leaf.register
def _(node: Head) -> str:
    return "head"


@leaf.register
def _(node: InputAt) -> str:
    return f"{node.name}[{node.side}]"


@leaf.register
def _(node: Product) -> str:
    return "s"


@leaf.register(WholeInput)
@leaf.register(BranchOutput)
def _(node: WholeInput | BranchOutput) -> str:
    return node.name


@leaf.register
def _(node: Joint) -> str:
    return f"joint({', '.join(node.names)})"


@leaf.register
def _(node: Identity) -> str:
    return "identity"


@leaf.register
def _(node: Projected) -> str:
    return f"project({', '.join([expression(node.value), node.weight, *filter(None, [node.bias])])})"


@leaf.register
def _(node: Channel) -> str:
    return "channel"


@leaf.register
def _(node: ChannelSoftmax) -> str:
    return "softmax(channels)"


@leaf.register
def _(node: HeadDim) -> str:
    return "dim"


@leaf.register
def _(node: LowRank) -> str:
    return f"dot({node.query}, {node.key})"


@leaf.register
def _(node: Term) -> str:
    return f"term{node.number}"


# ---------------------------------------------------------------- listings


def blocks_line(blocks: Blocks, print_: Print = expression) -> str:
    """The clause of blocks."""
    axes, sizes = ", ".join(blocks.axes), ", ".join(map(print_, blocks.sizes))
    several = len(blocks.axes) > 1
    return f"blocks {blocks.name} of {f'({axes}) by ({sizes})' if several else f'{axes} by {sizes}'}"


def derived_line(derived: Derived) -> str:
    """The clause of a derived tensor."""
    match derived.kind:
        case "branch":
            return f"{derived.role} {derived.of}"
        case "transposed":
            return f"{derived.role} transposed({derived.of})"
    return f"{derived.role} {derived.kind}({derived.of} in {derived.blocks})"


def weighting_lines(given: Weighting, print_: Print = expression) -> list[str]:
    """The clauses between the mask and the output, indented."""
    lines = [f"    scale {print_(given.scale)}"] if given.scale is not None else []
    lines += [f"    feature {print_(given.feature)}"] if given.feature is not None else []
    lines += [f"    score {print_(given.score)}"] if given.score is not PRODUCT else []
    lines += [f"    weight {print_(given.weight)}"] if given.weight is not None else []
    lines += [_decay(given.decay, print_)] if given.decay is not None else []
    sink = f" + exp({print_(given.sink)})" if given.sink is not None else ""
    lines += [f"    normalize {given.normalize}{sink}"] if given.normalize != "sum" or sink else []
    return lines + ([f"    gate {print_(given.gate)}"] if given.gate is not None else [])


def _decay(decay: Decay, print_: Print) -> str:
    axis = decay.axis if isinstance(decay.axis, str) else f"axis{decay.axis}"
    return f"    decay {_factor(decay.log, print_)} per step of {axis}"


def _factor(log: Expr, print_: Print) -> str:
    """The factor with this logarithm. What is no exponential is a factor of its own, as it was written."""
    if any(isinstance(node, LogOfFactor) for node in log.mentioned):
        match log:
            case LogOfFactor(factor):
                return print_(factor)
            case Apply("add", (first, second)):
                return " * ".join(f"({_factor(each, print_)})" for each in (first, second))
    return f"exp({print_(log)})"


def input_line(each: Input | InputDeclaration, print_: Print = expression) -> str:
    """An input's declaration."""
    sizes = (print_(size) if isinstance(size, Expr) else str(size) for size in each.shape)
    return f"{each.name}: {each.kind}[{', '.join(sizes)}]"


def bound_text(ir: BoundIR) -> str:
    """A pattern after bind: its spaces with extents, and one mask per pair of segments."""
    lines = [f"bound {ir.name}: heads {ir.heads}, kv_heads {ir.kv_heads}"]
    lines += [f"    queries {_space(ir.query_space)}", f"    keys    {_space(ir.key_space)}"]
    lines += [f"    input {input_line(each)}" for each in ir.inputs]
    lines += [f"    {_region(ir, region)}" for region in ir.regions]
    lines += weighting_lines(ir.weighting)
    lines += [f"        + dot({query}, {key})" for query, key in ir.low_rank]
    for region in ir.regions:
        names = region_axis_names(ir, region)
        lines += [
            f"        term{number} {_pair(ir, region)}: {expression(term, names)}"
            for number, term in enumerate(region.terms)
        ]
    lines += [f"    {blocks_line(each)}" for each in ir.route.blocks] if ir.route else []
    lines += [f"    {line}" for line in route_lines(ir.route, expression)] if ir.route else []
    lines += [f"    {line}" for line in bound_group_lines(ir.groups, expression)] if ir.groups else []
    lines += _derivation(ir.derived) if ir.derived else []
    for branch in ir.branches:
        lines.append(f"    branch {branch.branch}:")
        lines += [f"        {line}" for line in bound_text(branch).splitlines()]
    lines += [f"    combine {expression(ir.combine)}"] if ir.combine is not None else []
    return "\n".join(lines)


def _derivation(derivation: Derivation) -> list[str]:
    lines = [f"    {blocks_line(each)}" for each in derivation.blocks]
    spaces = _space(derivation.query_space), _space(derivation.key_space)
    lines += [f"    made of queries {spaces[0]}, keys {spaces[1]}"]
    return lines + [f"    {derived_line(each)}" for each in derivation.tensors]


def _space(space: Space) -> str:
    def extents(axes: tuple[str, ...], sizes: tuple[int, ...]) -> str:
        return ", ".join(f"{axis} = {size}" for axis, size in zip(axes, sizes, strict=True))

    return " ++ ".join(f"{each.name}({extents(each.axes, each.extents)})" for each in space.segments)


def _region(ir: BoundIR, region: Region) -> str:
    return f"attend {_pair(ir, region)}: {expression(region.visible, region_axis_names(ir, region))}"


def _pair(ir: BoundIR, region: Region) -> str:
    query, key = ir.query_space.segments[region.query], ir.key_space.segments[region.key]
    return f"{query.name} -> {key.name}"


def region_axis_names(ir: BoundIR, region: Region) -> AxisNames:
    """How coordinates are called in a region: by the axes of its two segments."""
    axes = {"q": ir.query_space.segments[region.query].axes, "k": ir.key_space.segments[region.key].axes}

    def name(position: Position) -> str:
        return axes[position.side][position.axis] if isinstance(position.axis, int) else numbered(position)

    return name
