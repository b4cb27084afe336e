"""How models arrange the tokens of an image or a video, from what they are called with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from attndsl.diagnostics import AttnCallError

Grid = Callable[[nn.Module, tuple[Any, ...], dict[str, Any]], tuple[int, ...]]
"""From a model, and the arguments and keywords of a call, to the extents of its tokens."""


def _video(model: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[int, ...]:
    """Latents [batch, channels, frames, height, width], cut into patches."""
    latents = _argument("hidden_states", 0, args, kwargs)
    patch = model.config.patch_size
    if isinstance(patch, int):
        patch = (model.config.patch_size_t, patch, patch)
    return tuple(int(size) // step for size, step in zip(latents.shape[2:], patch, strict=True))


def _flux(model: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[int, ...]:
    """Places [tokens, 3] of the tokens of an image, as row and column in the last two."""
    places = _argument("img_ids", 4, args, kwargs)
    rows, columns = (int(size) + 1 for size in places.reshape(-1, places.shape[-1])[:, 1:3].amax(0).tolist())
    tokens = places.shape[-2]
    if rows * columns != tokens:
        raise AttnCallError(
            "A0654", f"{tokens} image tokens are no grid of {rows} rows and {columns} columns",
            help="use the pattern for one image at a time, or pass shape= to use_pattern",
        )  # fmt: skip
    return rows, columns


def _argument(name: str, place: int, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
    found: Tensor = kwargs[name] if name in kwargs else args[place]
    return found


GRIDS: dict[str, Grid] = {
    "FluxTransformer2DModel": _flux,
    "HunyuanVideoTransformer3DModel": _video,
    "WanTransformer3DModel": _video,
}
"""By the name of the model's class."""
