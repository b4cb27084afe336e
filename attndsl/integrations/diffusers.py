"""Patterns in the transformers of Hugging Face diffusers: FLUX, Wan, HunyuanVideo and others like them.

    use_pattern(pipeline.transformer, "gna", window=(18, 24, 24), stride=(16, 8, 8))

Every self-attention of the model computes the pattern from then on. Where the model joins text to its image
or video, text sees and is seen by all, unless the pattern has a segment of its own for it. What the pattern
declares as inputs comes with each call of the model, as `model(latents, ..., doc=documents)`.
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from diffusers.models.attention_dispatch import AttentionBackendName, _AttentionBackendRegistry
from torch import Tensor, nn

from attndsl.diagnostics import AttnCallError
from attndsl.integrations.grids import GRIDS, Grid
from attndsl.integrations.joint import JointLayer
from attndsl.pipeline import Pattern
from attndsl.plans import LayerPlan, Plan

TEXT_FIRST = ("FluxTransformer2DModel", "Flux2Transformer2DModel")
"""Models whose tokens begin with the text; in others it comes last."""

KEYWORDS = ("attention_kwargs", "joint_attention_kwargs")
"""What pipelines hand on to their models, and so to patterns."""

_numbers = itertools.count()


def use_pattern(
    model: nn.Module,
    pattern: str | Path | Pattern | LayerPlan | Plan,
    *,
    shape: int | Sequence[int] | None = None,
    text_first: bool | None = None,
    **parameters: Any,
) -> UsedPattern:
    """Let the self-attentions of a diffusers transformer compute a pattern.

    pattern: a library name, the path of a `.attn` file, a Pattern, or a plan with one entry per
    self-attention, None for the model's own. shape: tokens of the image (rows, columns) or video (frames,
    rows, columns) after patches are made; known from each call for FLUX, Wan and HunyuanVideo. text_first:
    whether text comes before the image, by default as in the model. parameters: of the pattern. The inputs
    that it declares are keywords of the model's calls, or entries of their `attention_kwargs`. Returns what
    `remove` undoes, also at the end of a `with`. Raises AttnError.
    """
    attentions = self_attentions(model)
    name = type(model).__name__
    if not attentions:
        raise AttnCallError(
            "A0650", f"{name} has no self-attention that diffusers dispatches",
            help="pass the transformer of a pipeline, as `pipeline.transformer`",
        )  # fmt: skip
    if isinstance(pattern, Plan) and len(pattern.layers) != len(attentions):
        raise AttnCallError(
            "A0651", f"`{pattern.name}` has {len(pattern.layers)} layers, {name} has {len(attentions)}",
            help="a plan has one entry per self-attention, null for the model's own",
        )  # fmt: skip
    if shape is None and name not in GRIDS:
        raise AttnCallError(
            "A0652", f"how {name} arranges its tokens is not known",
            help="pass shape=(rows, columns) or shape=(frames, rows, columns)",
        )  # fmt: skip
    one = pattern if isinstance(pattern, LayerPlan) else LayerPlan(pattern, parameters)  # type: ignore[arg-type]
    layers = pattern.layers if isinstance(pattern, Plan) else (one,) * len(attentions)
    first = name in TEXT_FIRST if text_first is None else text_first
    extents = (shape,) if isinstance(shape, int) else shape
    return UsedPattern(model, list(zip(attentions, layers, strict=True)), extents, first)


def self_attentions(model: nn.Module) -> list[nn.Module]:
    """The self-attentions of a model's blocks, in the order of the model."""
    return [
        module
        for name, module in model.named_modules()
        if hasattr(getattr(module, "processor", None), "_attention_backend")
        and not getattr(module, "is_cross_attention", False)
        and "blocks." in name
        and "embedder" not in name
    ]


class UsedPattern:
    """A pattern at work in a model; `remove` gives the model its own attention back."""

    def __init__(
        self,
        model: nn.Module,
        attentions: Sequence[tuple[nn.Module, LayerPlan | None]],
        shape: Sequence[int] | None,
        text_first: bool,
    ) -> None:
        seen = _Call(shape)
        self._before: list[tuple[Any, Any]] = []
        self._backends: dict[int, AttentionBackendName] = {}
        for module, layer in attentions:
            if layer is not None:
                if id(layer) not in self._backends:
                    joint = JointLayer(layer, text_first)
                    seen.inputs |= dict.fromkeys(each.name for each in joint.pattern.ir.inputs)
                    self._backends[id(layer)] = _backend(joint, seen)
                processor: Any = module.processor
                self._before.append((processor, processor._attention_backend))
                processor._attention_backend = self._backends[id(layer)]
        needed = not shape or seen.inputs
        self._hooks = [model.register_forward_pre_hook(seen.see, with_kwargs=True)] if needed else []

    def remove(self) -> None:
        """Give the model back the attention it had."""
        for hook in self._hooks:
            hook.remove()
        for processor, backend in self._before:
            processor._attention_backend = backend
        for name in self._backends.values():
            _AttentionBackendRegistry._backends.pop(name, None)
            AttentionBackendName._value2member_map_.pop(name.value, None)
        self._hooks, self._before, self._backends = [], [], {}

    def __enter__(self) -> UsedPattern:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()


class _Call:
    """What is seen at each call of a model: the extents, unless given, and the inputs by name.

    Inputs that are missing are None. It is read by whatever thread computes attention: autograd's, where
    activations are computed again. Copies of a model share it.
    """

    def __init__(self, shape: Sequence[int] | None) -> None:
        self.reads_shape, self.extents = shape is None, tuple(shape or ())
        self.inputs: dict[str, Any] = {}

    def __deepcopy__(self, memo: object) -> _Call:
        return self

    def see(
        self, model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Before a model's call: its arguments without the pattern's inputs."""
        if self.reads_shape:
            grid: Grid = GRIDS[type(model).__name__]
            self.extents = grid(model, args, kwargs)
        own = inspect.signature(model.forward).parameters if self.inputs else {}
        found, kwargs = _taken(kwargs, self.inputs.keys() - own.keys())
        for word in KEYWORDS:
            if kwargs.get(word):
                inner, rest = _taken(kwargs[word], self.inputs)
                found, kwargs = found | inner, {**kwargs, word: rest}
        self.inputs = {name: found.get(name) for name in self.inputs}
        return args, kwargs


def _taken(given: Mapping[str, Any], names: Collection[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The entries of these names, and the others."""
    found = {name: value for name, value in given.items() if name in names}
    return found, {name: value for name, value in given.items() if name not in names}


def _backend(layer: JointLayer, seen: _Call) -> AttentionBackendName:
    """A backend of diffusers for one pattern, as `dispatch_attention_fn` takes it."""

    def attend(
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_mask: Tensor | None = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        scale: float | None = None,
        enable_gqa: bool = False,
        _parallel_config: Any = None,
    ) -> Tensor:
        if dropout_p or is_causal or _parallel_config is not None:
            raise AttnCallError(
                "A0653", "the model asks for dropout, causality or parallel contexts besides the pattern",
                help="switch it off in the model, or remove the pattern",
            )  # fmt: skip
        return layer(query, key, value, attn_mask, scale, seen.extents, seen.inputs)

    name = _new_name(f"attndsl_{next(_numbers)}")
    register: Callable[[Any], Any] = _AttentionBackendRegistry.register(name)
    register(attend)
    return name


def _new_name(value: str) -> AttentionBackendName:
    """A further value of the closed list of backends, which copies of a model find by its text."""
    name = str.__new__(AttentionBackendName, value)
    name._name_, name._value_ = value.upper(), value
    AttentionBackendName._value2member_map_[value] = name
    return name


__all__ = ["UsedPattern", "self_attentions", "use_pattern"]
