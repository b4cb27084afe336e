"""The attention of a model's layers: which pattern each layer uses, bound once and kept."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from attndsl.diagnostics import AttnCallError
from attndsl.passes.open_length import causally
from attndsl.pipeline import Pattern
from attndsl.plans import LayerPlan, Plan
from attndsl.runtime.any_length import AnyLength

FULL = LayerPlan("full")


class TextLayers:
    """Attention over texts by a plan.

    pattern_alone: whether causal layers, too, see later tokens where the pattern shows them. Raises AttnError
    where the plan names a pattern that there is none of.
    """

    def __init__(self, plan: Plan | LayerPlan, pattern_alone: bool = False) -> None:
        self.plan, self.pattern_alone = plan, pattern_alone
        for layer in plan.layers if isinstance(plan, Plan) else (plan,):
            if layer is not None:
                layer.resolve()
        self._known: dict[tuple[object, ...], tuple[AnyLength, frozenset[str]]] = {}

    def attention(
        self, layer: int | None, causal: bool, q: Tensor, k: Tensor
    ) -> tuple[AnyLength, frozenset[str]]:
        """The attention of a layer, at any length, and the names of the inputs that its pattern declares.

        causal: whether the model hides what comes later.
        """
        heads = q.shape[1], k.shape[1]
        key = self.number(layer), causal, *heads
        if key not in self._known:
            self._known[key] = self._make(self.layer(layer), causal, *heads)
        return self._known[key]

    def number(self, layer: int | None) -> int | None:
        """What tells layers apart: nothing where one pattern serves all."""
        return layer if isinstance(self.plan, Plan) else None

    def layer(self, layer: int | None) -> LayerPlan:
        """The plan of a layer. Raises AttnCallError A0661 for a layer that the plan does not have."""
        if isinstance(self.plan, LayerPlan):
            return self.plan
        if layer is None or layer >= len(self.plan.layers):
            raise AttnCallError(
                "A0661", f"`{self.plan.name}` has {len(self.plan.layers)} layers, none for layer {layer}",
                help="a plan has one entry per layer of the model, null for the model's own attention",
            )  # fmt: skip
        return self.plan.layers[layer] or FULL

    def _make(
        self, layer: LayerPlan, causal: bool, heads: int, kv_heads: int
    ) -> tuple[AnyLength, frozenset[str]]:
        pattern = layer.resolve()
        if causal and not self.pattern_alone:
            pattern = replace(pattern, ir=causally(pattern.ir))
        counts = (heads, kv_heads) if pattern.depends_on_heads else (None, None)
        attention = Pattern(pattern.ir).at_any_length(*counts, **layer.parameters)
        return attention, frozenset(each.name for each in pattern.ir.inputs)
