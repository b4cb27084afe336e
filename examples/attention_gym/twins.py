"""Every published example of FlexAttention beside its `.attn` twin, at a small size."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import attndsl
from attndsl.ir.plan import Plan
from attndsl.pipeline import Pattern
from examples.attention_gym import mask_mods, score_mods, video_mods
from examples.attention_gym.mask_mods import MaskMod
from examples.attention_gym.score_mods import ScoreMod

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Twin:
    """An example of FlexAttention and the pattern that means the same.

    name: of a file in this folder, or of a pattern of the library. flex: what FlexAttention's collection
    calls it. inputs: the pattern's inputs; those that require gradients are what `score_mod` reads too.
    without_softmax: what FlexAttention's caller makes of its output, LSE and value, where the weight is no
    exponential. plan: what the example was given as the choice of a route.
    """

    name: str
    flex: str
    bind: Mapping[str, Any]
    mask_mod: MaskMod = mask_mods.everything
    score_mod: ScoreMod = score_mods.unchanged
    inputs: Mapping[str, Tensor] = field(default_factory=dict)
    without_softmax: Callable[[Tensor, Tensor, Tensor], Tensor] | None = None
    plan: Plan | None = None
    remark: str = ""

    @property
    def path(self) -> Path | None:
        """The twin's file; None where the library has it."""
        path = FOLDER / f"{self.name}.attn"
        return path if path.exists() else None

    @property
    def pattern(self) -> Pattern:
        """The twin."""
        found: Pattern = attndsl.load(self.path) if self.path else attndsl.pattern(self.name)
        return found


def _numbers(*shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, requires_grad=True)


def _tokens(**of_documents: list[int]) -> dict[str, Tensor]:
    """One value per token from one per document."""
    return {
        name: torch.tensor(values).repeat_interleave(torch.tensor(LENGTHS))
        for name, values in of_documents.items()
    }


LENGTHS = [5, 3, 9, 7]
"""Tokens of four documents, 24 in all."""
DOCUMENTS = _tokens(doc=[0, 1, 2, 3], start=[0, 5, 8, 17], prompt=[0, 0, 2, 2])


def scores() -> list[Twin]:
    """The score modifications."""
    bias, table, edge_bias = score_mods.sandwich_bias(24), _numbers(4, 5), _numbers(2, 3, 4)
    hops = torch.randint(0, 5, (2, 20, 20))
    edges, length = torch.randint(0, 4, (2, 20, 20, 3)), torch.randint(0, 4, (2, 20, 20))
    query_rope, key_rope = _numbers(2, 4, 24, 6), _numbers(2, 1, 24, 6)
    return [
        Twin("full", "noop", {"shape": 24, "heads": 2}),
        Twin("checkerboard", "checkerboard", {"shape": 24, "heads": 2}, score_mod=score_mods.checkerboard),
        Twin("relative", "relative_positional", {"shape": 24, "heads": 2}, score_mod=score_mods.relative),
        Twin(
            "anti_window", "anti_window_mod", {"shape": 24, "heads": 2, "window": 4},
            score_mod=score_mods.anti_window(4),
        ),
        Twin("linear_bias", "generate_alibi_bias", {"shape": 24, "heads": 3}, score_mod=score_mods.alibi(3)),
        Twin(
            "alibi", "generate_alibi_bias, causal_mask", {"shape": 24, "heads": 4}, mask_mods.causal,
            score_mods.alibi(4), remark="heads a power of two; other numbers have the paper's slopes",
        ),
        Twin(
            "softcap", "generate_tanh_softcap, causal_mask", {"shape": 24, "heads": 2, "cap": 0.5},
            mask_mods.causal, score_mods.softcap(0.5),
        ),
        Twin(
            "sandwich", "generate_sandwich_bias, causal_mask", {"shape": 24, "heads": 4}, mask_mods.causal,
            score_mods.sandwich(4, bias), {"bias": bias},
        ),
        Twin(
            "graphormer_spatial", "generate_graphormer_spatial_bias", {"shape": 20, "heads": 4, "most": 3},
            score_mod=score_mods.graphormer_spatial(table, hops), inputs={"bias": table, "hops": hops},
        ),
        Twin(
            "graphormer_edge", "generate_graphormer_edge_bias", {"shape": 20, "heads": 2, "types": 4},
            score_mod=score_mods.graphormer_edge(edge_bias, edges, length),
            inputs={"bias": edge_bias, "edges": edges, "length": length},
        ),
        Twin(
            "latent_attention", "generate_mla_rope_score_mod",
            {"shape": 24, "heads": 4, "kv_heads": 1},
            score_mod=score_mods.latent_attention(query_rope, key_rope),
            inputs={"query_rope": query_rope, "key_rope": key_rope},
            remark="a `scale` of the rotated part multiplies `query_rope` before the call",
        ),
        Twin(
            "activation", "generate_activation_score_mod, undo_softmax", {"shape": 24, "heads": 2},
            score_mod=score_mods.activation(), without_softmax=score_mods.without_softmax,
            remark="GELU; the library has `relu_attention`, `sigmoid_attention` and `softplus_attention`",
        ),
    ]  # fmt: skip


def sequences() -> list[Twin]:
    """The masks of sequences."""
    chosen = torch.arange(24) % 11 == 3
    ids, starts = DOCUMENTS["doc"], DOCUMENTS["start"]
    return [
        Twin("causal", "causal_mask, causal_bias", {"shape": 24}, mask_mods.causal),
        Twin(
            "sliding_window", "generate_sliding_window", {"shape": 24, "left": 5},
            mask_mods.sliding_window(5),
        ),
        Twin(
            "dilated_window", "generate_dilated_sliding_window",
            {"shape": 24, "left": 2, "right": 2, "dilation": 3}, mask_mods.dilated_sliding_window(7, 3),
            remark="`left` and `right` count keys: window_size // dilation",
        ),
        Twin(
            "global_sliding_window", "generate_global_sliding_window", {"shape": 24, "window": 3},
            mask_mods.global_sliding_window(3, chosen), inputs={"chosen": chosen},
        ),
        Twin("prefix_lm", "generate_prefix_lm_mask", {"shape": 24, "prefix": 7}, mask_mods.prefix_lm(7)),
        Twin(
            "block_diffusion", "generate_block_diffusion_mask", {"shape": 12, "clean": 12, "block": 5},
            mask_mods.block_diffusion(12, 5),
        ),
        Twin(
            "document", "generate_doc_mask_mod(causal_mask), create_njt_wrapper(causal_mask)", {"shape": 24},
            mask_mods.document(mask_mods.causal, ids, starts), inputs={"doc": ids},
        ),
        Twin(
            "document_prefix", "generate_doc_mask_mod(prefix_lm_mask)", {"shape": 24, "prefix": 3},
            mask_mods.document(mask_mods.prefix_lm(3), ids, starts), inputs={"doc": ids, "start": starts},
        ),
        Twin(
            "packed_document", "generate_packed_causal_doc_mask_mod", {"shape": 24},
            mask_mods.packed_document(starts), inputs={"start": starts},
        ),
        Twin(
            "shared_prefix", "generate_shared_prefix_mask_mod, split_prefix_response_attention",
            {"shape": 24}, mask_mods.shared_prefix(ids, torch.tensor([0, 0, 2, 2])),
            inputs={"doc": ids, "prompt": DOCUMENTS["prompt"]},
        ),
        Twin(
            "batchify", "batchify_mask_mod", {"shape": 24, "size": 5, "causal": True},
            mask_mods.batchify(mask_mods.causal, 5),
        ),
        Twin("late_key", "subtle_mask_mod", {"shape": 24, "block": 16}, mask_mods.late_key(16)),
    ]  # fmt: skip


def caches() -> list[Twin]:
    """Masks where keys are not the queries' own tokens, and those that data chose."""
    ancestors, walk = _tree([-1, 0, 1, 1, 3, 3, 0])
    intervals = torch.tensor([[0, 7], [1, 7], [7, 12]])
    pages = torch.tensor([[-1, 2, 0, -1, 1, -1], [1, -1, -1, 0, -1, 2]])
    sizes = torch.tensor([6, 4, 6, 2])
    tiles = torch.stack([torch.randperm(4)[:2] for _ in range(16)]).view(2, 2, 4, 2)
    tiles = tiles.sort(-1).values.int()
    return [
        Twin(
            "jetspec_tree", "generate_jetspec_tree_causal_mask_mod",
            {"shape": 7, "key_shape": 17, "prefix": 10}, mask_mods.tree(10, ancestors), inputs=walk,
            remark="the ancestors as intervals of a walk through the tree",
        ),
        Twin(
            "jetspec_training", "generate_jetspec_training_mask_mod",
            {"shape": (3, 4), "key_shape": 10, "sampled": (3, 4)}, mask_mods.drafts(10, 4),
        ),
        Twin(
            "flamingo", "generate_vision_cross_attention_mask_mod", {"shape": 12, "key_shape": (3, 3)},
            mask_mods.flamingo(intervals, 3),
            inputs={name: intervals[:, n].repeat_interleave(3) for n, name in enumerate(("first", "last"))},
        ),
        Twin(
            "paged", "PagedAttention.get_mask_mod(causal_mask)", {"shape": 12, "key_shape": (6, 4)},
            mask_mods.paged(mask_mods.causal, pages, 4), inputs={"page": pages.repeat_interleave(4, 1)},
        ),
        Twin(
            "paged_bias", "PagedAttention.get_score_mod(alibi)",
            {"shape": 12, "key_shape": (6, 4), "heads": 2}, mask_mods.paged(mask_mods.causal, pages, 4),
            score_mods.paged(score_mods.alibi(2), pages, 4), {"page": pages.repeat_interleave(4, 1)},
        ),
        Twin(
            "vsa", "generate_vsa_mask_mod, generate_vsa_padding_mask_mod, compute_vsa_topk_indices",
            {"shape": 24, "heads": 2, "tile": 6, "top": 2},
            mask_mods.both(mask_mods.chosen_tiles(tiles, 6), mask_mods.padded_tiles(sizes, 6)),
            inputs={"size": sizes.repeat_interleave(6)},
            plan=Plan(24, 24, 6, 6, tiles, torch.full((2, 2, 4), 2, dtype=torch.int32)),
            remark="compared with the same choice, given as a plan",
        ),
    ]  # fmt: skip


def videos() -> list[Twin]:
    """The masks of images and videos."""
    flat = video_mods.row_major(8)
    return [
        Twin("stand_alone", "sasa_mask", {"shape": (6, 8), "window": 2}, mask_mods.stand_alone(8, 2)),
        Twin(
            "neighborhood", "generate_natten", {"shape": (6, 8), "window": (3, 5)},
            video_mods.neighborhood((6, 8), (3, 5), flat), remark="odd windows, published for squares",
        ),
        Twin(
            "natten_tiled", "generate_tiled_natten", {"shape": (3, 2, 2, 4), "window": (3, 5)},
            video_mods.neighborhood((6, 8), (3, 5), video_mods.tile_major(8, (2, 4))), remark="odd windows",
        ),
        Twin(
            "natten_morton", "generate_morton_natten", {"shape": 64, "side": 8, "window": 3},
            video_mods.neighborhood((8, 8), (3, 3), video_mods.morton), remark="odd windows",
        ),
        Twin(
            "sta_2d", "generate_sta_mask_mod_2d", {"shape": (4, 3, 4), "text": 5, "window": (2, 1)},
            video_mods.sliding_tiles((4, 3), (2, 1), 4),
        ),
        Twin(
            "sta_3d", "generate_sta_mask_mod_3d", {"shape": (3, 4, 2, 2), "text": 3, "window": (1, 3, 2)},
            video_mods.sliding_tiles((3, 4, 2), (1, 3, 2), 2),
        ),
        Twin(
            "svg_prompt_spatial", "generate_spatial_head_mask_mod",
            {"shape": 45, "prompt": 5, "tokens": 10, "sink": True, "step": 8},
            video_mods.spatial_head(5, 10, 2, True, 8),
        ),
        Twin(
            "svg_prompt_temporal", "generate_temporal_head_mask_mod", {"shape": 5, "video": (4, 10)},
            video_mods.temporal_head(5, 10, 4, 2),
        ),
    ]  # fmt: skip


def _tree(parents: list[int]) -> tuple[Tensor, dict[str, Tensor]]:
    """Which node is an ancestor of which, itself included; and the numbers of a walk that say the same."""
    count = len(parents)
    ancestors = torch.eye(count, dtype=torch.bool)
    for node in range(1, count):
        ancestors[node] |= ancestors[parents[node]]
    paths = [ancestors[node].nonzero().flatten().tolist() for node in range(count)]
    place = torch.tensor([sorted(paths).index(path) for path in paths])
    slots = 10 + count
    first, last = torch.full((slots,), count), torch.full((slots,), -1)
    first[10:], last[10:] = place, place + ancestors.sum(0) - 1
    return ancestors, {"place": place, "first": first, "last": last}


def twins() -> dict[str, Twin]:
    """All of them by name, in the order of the table, with the same random numbers every time."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return {each.name: each for each in (*scores(), *sequences(), *caches(), *videos())}
