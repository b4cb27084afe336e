"""A pattern before bind as `.attn` text, which reads back as the same IR: functions are written out.

Feature maps are functions by name in the language, and expressions in the IR: they get definitions of their
own before the pattern.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from attndsl.ir.blocks import Blocks
from attndsl.ir.combine import Projected
from attndsl.ir.expr import CHANNEL_SOFTMAX, Apply, Const, Expr, FlatIndex, InputElement, Symbol
from attndsl.ir.ops import COMPARISONS, OPS
from attndsl.ir.pattern import Arm, Input, Parameter, PatternIR, SegmentShape
from attndsl.ir.text import (
    PRECEDENCE,
    Printer,
    blocks_line,
    derived_line,
    expression,
    input_line,
    numbered,
    weighting_lines,
)
from attndsl.ir.text_groups import group_lines
from attndsl.ir.text_route import route_lines

TOKENS = ("tokens", "query", "key")
FEATURE = "feature_map"
"""The name of a feature map that no parameter chooses."""


def pattern_text(ir: PatternIR) -> str:
    """A pattern before bind: parameters, spaces, requirements and the mask, with functions written out."""
    lines = [f"pattern {signature(ir)}:"]
    if ir.cross:
        lines += [f"    query space {_shapes(ir.query_space)}", f"    key space {_shapes(ir.key_space)}"]
    else:
        lines.append(f"    space {_shapes(ir.query_space)}")
    writer = _Writer({each.name: each for each in ir.inputs}, _named_features(ir))
    lines += [f"    input {input_line(each, writer)}" for each in ir.inputs]
    return "\n".join([*_definitions(ir), *lines, *_body(ir, _own_blocks(ir, ()), writer)])


@dataclass(frozen=True)
class _Writer:
    """Prints expressions so that they read back as the same. features: the names of feature maps."""

    inputs: Mapping[str, Input]
    features: Mapping[Expr, str] = field(default_factory=dict)

    def __call__(self, expr: Expr, *, names: Mapping[Expr, str] | None = None) -> str:
        return _Exact(self.inputs, {**self.features, **(names or {})}).print(expr, 0)


class _Exact(Printer):
    """Parentheses and chains as the parser takes them; inputs are read at the tokens `q` and `k`."""

    def __init__(self, inputs: Mapping[str, Input], names: Mapping[Expr, str]) -> None:
        super().__init__(numbered, names)
        self.inputs = inputs

    def node(self, node: Expr) -> tuple[int, str]:
        """See `Printer`."""
        if node not in self.names:
            match node:
                case InputElement(name, indices):
                    sizes = self.inputs[name].shape
                    return PRECEDENCE["atom"], f"{name}[{', '.join(map(self._index, indices, sizes))}]"
                case Projected(value, weight, bias):
                    operands = [self.print(value, 0), weight, *filter(None, [bias])]
                    return PRECEDENCE["atom"], f"project({', '.join(operands)})"
        return super().node(node)

    def _index(self, index: Expr, size: str | Expr) -> str:
        if size in TOKENS and isinstance(index, FlatIndex):
            return index.side
        return self.print(index, 0)

    def apply(self, node: Apply) -> tuple[int, str]:
        """See `Printer`."""
        chain = _chain(node)
        if len(chain) > 1:
            strength = PRECEDENCE[chain[0].op]
            links = (f"{OPS[each.op].spelling} {self.print(each.args[1], strength + 1)}" for each in chain)
            return strength, " ".join([self.print(chain[0].args[0], strength + 1), *links])
        if node.op in ("and", "or"):
            strength = PRECEDENCE[node.op]
            left, right = self.print(node.args[0], strength), self.print(node.args[1], strength + 1)
            return strength, f"{left} {node.op} {right}"
        return super().apply(node)


def _chain(node: Expr) -> list[Apply]:
    """The links of a chain of comparisons, `a <= b < c`, each over the operand of the one before."""
    match node:
        case Apply(op) if op in COMPARISONS:
            return [node]
        case Apply("and", (first, Apply(op, (operand, _)) as link)) if op in COMPARISONS:
            links = _chain(first)
            return [*links, link] if links and links[-1].args[1] is operand else []
    return []


# ---------------------------------------------------------------- clauses


def _own_blocks(ir: PatternIR, shared: Sequence[Blocks]) -> list[Blocks]:
    return [each for each in ir.blocks if each not in shared]


def _body(ir: PatternIR, blocks: Sequence[Blocks], print_: _Writer) -> list[str]:
    """What a pattern says beside its parameters, inputs and spaces, or a branch of it."""
    lines = [f"    {blocks_line(each, print_)}" for each in blocks]
    lines += [f"    {derived_line(each)}" for each in ir.derived]
    lines += [f"    require {print_(each.condition)}, {_quoted(each.message)}" for each in ir.requirements]
    lines += _arms(ir.arms, print_)
    lines += [f"    {line}" for line in route_lines(ir.route, print_)] if ir.route else []
    lines += [f"    {line}" for line in group_lines(ir.groups, print_)] if ir.groups else []
    lines += weighting_lines(ir.weighting, print_)
    for branch in ir.branches:
        lines.append(f"    branch {branch.name}:")
        lines += [f"    {line}" for line in _body(branch, _own_blocks(branch, ir.blocks), print_)]
    return lines + ([f"    combine {print_(ir.combine)}"] if ir.combine is not None else [])


def _quoted(message: str) -> str:
    return json.dumps(message, ensure_ascii=False)


def _arms(arms: Sequence[Arm], print_: _Writer) -> list[str]:
    if all(arm.query is None for arm in arms):
        return [f"    attend {print_(arm.visible)}" for arm in arms]
    heads = (f"{arm.query} -> {arm.key}" if arm.query is not None else "else" for arm in arms)
    lines = (f"        {head}: {print_(arm.visible)}" for head, arm in zip(heads, arms, strict=True))
    return ["    attend", *lines]


def signature(ir: PatternIR) -> str:
    """The name with the parameters: `sliding_window(left: int, right: int = 0)`."""
    return f"{ir.name}({', '.join(map(_parameter, ir.parameters))})"


def _parameter(parameter: Parameter) -> str:
    shape = f"[{parameter.shape[0]}]" if parameter.shape else ""
    default = f" = {_default(parameter)}" if parameter.default is not None else ""
    if parameter.choices:
        return f"{parameter.name}: {' | '.join(parameter.choices)}{default}"
    return f"{parameter.name}: {parameter.kind}{shape}{default}"


def _default(parameter: Parameter) -> str:
    if parameter.choices and isinstance(parameter.default, Const):
        return parameter.choices[int(parameter.default.value)]
    return expression(parameter.default) if parameter.default is not None else ""


def _shapes(segments: Sequence[SegmentShape]) -> str:
    return " ++ ".join(
        f"{each.name}({', '.join(each.axes)}{'...' if each.variadic else ''})" for each in segments
    )


# ---------------------------------------------------------------- feature maps


def _features(ir: PatternIR) -> list[Expr]:
    """The feature maps of the pattern and its branches, each once."""
    found = (each.weighting.feature for each in (ir, *ir.branches))
    return list(dict.fromkeys(each for each in found if each is not None))


def _chosen_by(feature: Expr, ir: PatternIR) -> Parameter | None:
    """The parameter that has names of feature maps to choose from."""
    symbols = {leaf.name for leaf in feature.leaves if isinstance(leaf, Symbol)}
    return next((each for each in ir.parameters if each.choices and each.name in symbols), None)


def _named_features(ir: PatternIR) -> dict[Expr, str]:
    """What the text calls each feature map."""
    names: dict[Expr, str] = {}
    for feature in _features(ir):
        parameter = _chosen_by(feature, ir)
        own = "softmax" if feature is CHANNEL_SOFTMAX else f"{FEATURE}{'_' * len(names)}"
        names[feature] = parameter.name if parameter else own
    return names


def _definitions(ir: PatternIR) -> list[str]:
    """The feature maps as functions, but `softmax`, which is none."""
    maps: dict[str, Expr] = {}
    for feature, name in _named_features(ir).items():
        parameter = _chosen_by(feature, ir)
        maps |= dict(_choices(feature, parameter)) if parameter else {name: feature}
    return [
        f"def {name}(channel):\n    return {_Writer({})(value)}\n"
        for name, value in maps.items()
        if value is not CHANNEL_SOFTMAX
    ]


def _choices(feature: Expr, parameter: Parameter) -> Iterator[tuple[str, Expr]]:
    """The feature map of each name: the operand of the selection that compares with its number."""
    for number, name in enumerate(parameter.choices):
        value = feature
        while isinstance(value, Apply) and value.op == "select":
            condition, then, other = value.args
            if not (isinstance(condition, Apply) and Symbol(parameter.name, "int") in condition.args):
                break
            value = then if condition.args[1] is Const(number) else other
        yield name, value
