"""What was recorded of a model's attention becomes a file of samples."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from attndsl.runtime.record_attention import Recorded, Recorder


def tensors_of(recorder: Recorder) -> dict[str, torch.Tensor]:
    """The samples by the names that `attndsl.fitting.samples` reads."""
    named: dict[str, torch.Tensor] = {}
    for number, layer in enumerate(recorder.layers):
        parts = {"q": torch.cat(layer.q), "k": torch.cat(layer.k), "queries": layer.queries}
        parts |= {"scale": torch.tensor([layer.scale]), "causal": torch.tensor([layer.causal])}
        if any(mask is not None for mask in layer.masks):
            parts["mask"] = _joined_masks(layer)
        named |= {f"layers.{number}.{name}": tensor.contiguous() for name, tensor in parts.items()}
    return named


def _joined_masks(layer: Recorded) -> torch.Tensor:
    """The masks of all passes; a pass without one hides nothing."""
    heads = max(1 if mask is None else mask.shape[1] for mask in layer.masks)
    shapes = [(len(q), heads, len(layer.queries), layer.shape[2]) for q in layer.q]
    masks = [torch.ones((), dtype=torch.bool) if mask is None else mask for mask in layer.masks]
    return torch.cat([mask.expand(shape) for mask, shape in zip(masks, shapes, strict=True)])


def write_tensors(tensors: dict[str, torch.Tensor], path: Path) -> None:
    """Write npz (bfloat16 becomes float32) or, for any other suffix, safetensors."""
    if path.suffix.lower() == ".npz":
        with path.open("wb") as file:
            np.savez(file, **{name: _array(each) for name, each in tensors.items()})
    else:
        from safetensors.torch import save_file

        save_file(tensors, path)


def _array(tensor: torch.Tensor) -> Any:
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
