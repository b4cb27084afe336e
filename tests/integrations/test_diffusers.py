"""Patterns in transformers of diffusers: tiny ones with random weights, against the models' own attention."""

from __future__ import annotations

import copy
import math
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import attndsl
from attndsl.diagnostics import AttnCallError, AttnError

diffusers = pytest.importorskip("diffusers", reason="diffusers is not installed")

from attndsl.integrations.diffusers import self_attentions, use_pattern  # noqa: E402

TEXT = 6
VIDEO = (4, 4, 6)
IMAGE = (6, 8)
SHAPES = {"flux": IMAGE, "wan": VIDEO, "hunyuan": VIDEO}
PATTERNS: dict[str, dict[str, Any]] = {
    "flux": {"window": (3, 5)}, "wan": {"window": (3, 3, 3)}, "hunyuan": {"window": (3, 3, 3)},
}  # fmt: skip


def make(name: str) -> Any:
    """A model with random weights, the same every time."""
    torch.manual_seed(0)
    return MODELS[name]().eval()


def flux() -> Any:
    return diffusers.FluxTransformer2DModel(
        in_channels=4, num_layers=1, num_single_layers=1, attention_head_dim=16, num_attention_heads=2,
        joint_attention_dim=8, pooled_projection_dim=8, axes_dims_rope=(4, 4, 8),
    )  # fmt: skip


def wan() -> Any:
    return diffusers.WanTransformer3DModel(
        patch_size=(1, 2, 2), num_attention_heads=2, attention_head_dim=16, in_channels=4, out_channels=4,
        text_dim=8, freq_dim=16, ffn_dim=32, num_layers=2, rope_max_seq_len=32,
    )  # fmt: skip


def hunyuan() -> Any:
    return diffusers.HunyuanVideoTransformer3DModel(
        in_channels=4, out_channels=4, num_attention_heads=2, attention_head_dim=16, num_layers=1,
        num_single_layers=1, num_refiner_layers=1, patch_size=2, patch_size_t=1, guidance_embeds=False,
        text_embed_dim=8, pooled_projection_dim=8, rope_axes_dim=(4, 4, 8),
    )  # fmt: skip


MODELS: dict[str, Callable[[], Any]] = {"flux": flux, "wan": wan, "hunyuan": hunyuan}


def call(name: str, model: Any, text_mask: Tensor | None = None, **given: Any) -> Any:
    """The model's output for random latents, the same every time."""
    generator = torch.Generator().manual_seed(1)

    def random(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    frames, rows, columns = VIDEO
    common: dict[str, Any] = {
        "timestep": torch.tensor([3, 5]),
        "encoder_hidden_states": random(2, TEXT, 8),
        **given,
    }
    if name == "flux":
        places = torch.stack(torch.meshgrid(*map(torch.arange, IMAGE), indexing="ij"), -1).reshape(-1, 2)
        places = torch.nn.functional.pad(places, (1, 0)).float()
        return model(
            random(2, math.prod(IMAGE), 4), pooled_projections=random(2, 8), img_ids=places,
            txt_ids=torch.zeros(TEXT, 3), return_dict=False, **common,
        )[0]  # fmt: skip
    latents = random(2, 4, frames, 2 * rows, 2 * columns)
    if name == "wan":
        return model(latents, return_dict=False, **common)[0]
    mask = torch.ones(2, TEXT, dtype=torch.bool) if text_mask is None else text_mask
    more = {"encoder_attention_mask": mask, "pooled_projections": random(2, 8), "return_dict": False}
    return model(latents, **common, **more)[0]


def close(found: Tensor, wanted: Tensor) -> None:
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_full_is_the_models_own_attention_forward_and_backward(name: str) -> None:
    model = make(name)
    results = []
    for pattern in (None, "full"):
        if pattern:
            use_pattern(model, pattern)
        model.zero_grad()
        out = call(name, model)
        torch.autograd.backward(out.square().sum())
        results.append((out, [each.grad for each in model.parameters() if each.grad is not None]))
    (own, wanted), (ours, found) = results
    close(ours, own)
    for mine, each in zip(found, wanted, strict=True):
        torch.testing.assert_close(mine, each, rtol=1e-3, atol=1e-4)


def mask_of(name: str) -> Tensor:
    """The mask of the pattern over all tokens, in the model's order: text sees and is seen by all."""
    main = attndsl.pattern("gna").bind(shape=SHAPES[name], **PATTERNS[name]).mask()[0]
    text = 0 if name == "wan" else TEXT
    mask = np.ones((len(main) + text,) * 2, dtype=bool)
    first = text if name == "flux" else 0
    mask[first : first + len(main), first : first + len(main)] = main
    return torch.from_numpy(mask)[None, None]


def with_mask(model: Any, mask: Tensor) -> None:
    """Let every self-attention pass this mask to torch's attention."""
    for module in self_attentions(model):
        _insert(module, mask)


def _insert(module: Any, mask: Tensor) -> None:
    original = module.forward

    def forward(*args: Any, **kwargs: Any) -> Any:
        names = ("hidden_states", "encoder_hidden_states", "attention_mask")
        given = dict(zip(names, args, strict=False)) | kwargs
        before = given.get("attention_mask")
        given["attention_mask"] = mask if before is None else mask & before
        return original(**given, **({} if len(args) < 4 else {"rotary_emb": args[3]}))

    module.forward = forward


@pytest.mark.parametrize("name", MODELS)
def test_a_pattern_is_its_mask(name: str) -> None:
    ours, masked = make(name), make(name)
    with_mask(masked, mask_of(name))
    use_pattern(ours, "gna", **PATTERNS[name])
    close(call(name, ours), call(name, masked))


def test_padded_text_is_not_seen() -> None:
    padding = torch.arange(TEXT) < torch.tensor([[4], [6]])
    ours, masked = make("hunyuan"), make("hunyuan")
    with_mask(masked, mask_of("hunyuan"))
    use_pattern(ours, "gna", **PATTERNS["hunyuan"])
    close(call("hunyuan", ours, padding), call("hunyuan", masked, padding))


def test_a_pattern_with_a_segment_for_text() -> None:
    own = attndsl.parse("""
pattern own(window: int[2]):
    space image(y, x) ++ text(n)
    attend
        image -> image: neighborhood(window)
        else: true
""")
    ours, theirs = make("flux"), make("flux")
    use_pattern(ours, own, window=(3, 5))
    use_pattern(theirs, "gna", window=(3, 5))
    close(call("flux", ours), call("flux", theirs))


def test_a_pattern_of_frames_and_tokens() -> None:
    model = make("wan")
    wanted = call("wan", model)
    with use_pattern(model, "frame_causal", chunk=4):  # all frames at once
        close(call("wan", model), wanted)
    with use_pattern(model, "frame_causal"):
        assert not torch.allclose(call("wan", model), wanted, atol=1e-3)


DOCUMENTS = """
pattern documents:
    space video(t, h, w)
    input doc: int[tokens]
    attend doc[q] == doc[k]
"""


def documents_of(name: str) -> Tensor:
    """The number of a document for each token of the image or video."""
    return torch.arange(math.prod(SHAPES[name])) // 17


def pattern_of_documents(name: str, body: str = "") -> Any:
    space = "video(h, w)" if name == "flux" else "video(t, h, w)"
    return attndsl.parse(DOCUMENTS.replace("video(t, h, w)", space) + body)


@pytest.mark.parametrize(
    "name", ["flux", *(pytest.param(n, marks=pytest.mark.slow) for n in ("wan", "hunyuan"))]
)
def test_inputs_come_with_the_models_call(name: str) -> None:
    ours, masked = make(name), make(name)
    documents = documents_of(name)
    text = 0 if name == "wan" else TEXT
    mask = torch.ones(len(documents) + text, len(documents) + text, dtype=torch.bool)
    first = text if name == "flux" else 0
    inside = slice(first, first + len(documents))
    mask[inside, inside] = documents[:, None] == documents
    with_mask(masked, mask[None, None])
    wanted = call(name, masked)
    use_pattern(ours, pattern_of_documents(name))
    close(call(name, ours, doc=documents), wanted)
    word = "joint_attention_kwargs" if name == "flux" else "attention_kwargs"
    handed_on: dict[str, Any] = {word: {"doc": documents.expand(2, -1)}}
    close(call(name, ours, **handed_on), wanted)


def test_inputs_over_text_stand_last_whatever_the_models_order() -> None:
    text = """
pattern p:
    space image(h, w) ++ text(n)
    input doc: int[tokens]
    input bias: real[key]
    attend doc[q] == doc[k]
    score s + bias[k]
"""
    model, masked = make("flux"), make("flux")
    tokens = math.prod(IMAGE)
    documents = torch.cat([documents_of("flux"), torch.zeros(TEXT, dtype=torch.int64)])
    bias = torch.randn(tokens + TEXT)
    order = torch.cat([torch.arange(tokens, tokens + TEXT), torch.arange(tokens)])
    visible = documents[order][:, None] == documents[order]
    with_mask(masked, torch.where(visible, bias[order], -torch.inf)[None, None])
    use_pattern(model, attndsl.parse(text))
    close(call("flux", model, doc=documents, bias=bias), call("flux", masked))


INPUT_MISTAKES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "diffusers_input_missing": ("wan", "", {}),
    "diffusers_input_length": ("hunyuan", "", {"doc": torch.zeros(5, dtype=torch.int64)}),
    "diffusers_input_of_text": (
        "hunyuan", "    score s + doc[q]\n", {"doc": documents_of("hunyuan")},
    ),
    "diffusers_input_text": ("wan", "", {"doc": "one"}),
}  # fmt: skip


@pytest.mark.parametrize("mistake", INPUT_MISTAKES)
def test_mistake_in_the_inputs(mistake: str, golden: Callable[[str, str], None]) -> None:
    name, body, given = INPUT_MISTAKES[mistake]
    model = make(name)
    use_pattern(model, pattern_of_documents(name, body))
    with pytest.raises(AttnError) as caught:
        call(name, model, **given)
    golden(f"errors/{mistake}.txt", caught.value.render() + "\n")


def test_removing_a_pattern() -> None:
    model = make("wan")
    wanted = call("wan", model)
    used = use_pattern(model, "gna", window=3)
    assert not torch.allclose(call("wan", model), wanted, atol=1e-3)
    used.remove()
    assert torch.equal(call("wan", model), wanted)


def test_a_copy_of_a_model_keeps_the_pattern() -> None:
    model = make("wan")
    use_pattern(model, "gna", window=3)
    copied = copy.deepcopy(model)
    close(call("wan", copied), call("wan", model))
    pickle.loads(pickle.dumps(self_attentions(model)[0].processor))


def test_a_plan_by_layer() -> None:
    model = make("wan")
    first = attndsl.load_plan([("gna", {"window": 3}), None])
    with use_pattern(model, first):
        found = call("wan", model)
    masked = make("wan")
    _insert(self_attentions(masked)[0], mask_of("wan"))
    close(found, call("wan", masked))


def test_a_compiled_model() -> None:
    model = make("wan")
    use_pattern(model, "gna", window=3)
    wanted = call("wan", model)
    close(call("wan", torch.compile(model, backend="eager")), wanted)


MISTAKES: dict[str, Callable[[], object]] = {
    "diffusers_no_attention": lambda: use_pattern(torch.nn.Linear(2, 2), "full"),
    "diffusers_unknown_model": lambda: use_pattern(_Unknown(make("wan")), "full"),
    "diffusers_layers_of_plan": lambda: use_pattern(make("wan"), attndsl.load_plan(["full"])),
    "diffusers_shape": lambda: _with("wan", "full", shape=(5, 5, 5)),
    "diffusers_spaces": lambda: _with("wan", "video_infinity", pad=1),
}


class _Unknown(torch.nn.Module):
    def __init__(self, model: Any) -> None:
        super().__init__()
        self.blocks = model.blocks


def _with(name: str, pattern: str, **options: Any) -> Any:
    model = make(name)
    use_pattern(model, pattern, **options)
    return call(name, model)


@pytest.mark.parametrize("name", MISTAKES)
def test_mistake_in_a_model(name: str, golden: Callable[[str, str], None]) -> None:
    with pytest.raises(AttnError) as caught:
        MISTAKES[name]()
    golden(f"errors/{name}.txt", caught.value.render() + "\n")


def test_image_tokens_that_are_no_grid() -> None:
    model = make("flux")
    use_pattern(model, "full")
    with pytest.raises(AttnCallError, match="A0654"):
        model(
            torch.zeros(1, 5, 4), torch.zeros(1, 2, 8), torch.zeros(1, 8), torch.tensor([1]), torch.ones(5, 3)
        )


def test_branches_see_the_text_and_derived_tensors_are_refused() -> None:
    model = make("flux")
    own = call("flux", model)
    with use_pattern(model, "soft_pag", u=0.0):
        close(call("flux", model), own)
    with use_pattern(model, "agent", agents=2), pytest.raises(AttnError, match="A0910"):
        call("flux", model)


@pytest.mark.parametrize(
    ("pattern", "parameters", "shape"),
    [
        ("soft_pag", {"u": 0.0}, None),
        ("flowformer", {}, None),
        ("lightning", {}, math.prod(VIDEO)),
        ("draft", {"sparsity": 0.5}, None),
    ],
)
def test_branches_linear_weights_and_routes_run_in_a_video_model(
    pattern: str, parameters: dict[str, Any], shape: int | None
) -> None:
    model = make("wan")
    own = call("wan", model)
    with use_pattern(model, pattern, shape=shape, **parameters):
        found = call("wan", model)
    assert found.isfinite().all()
    assert torch.allclose(found, own, atol=1e-4) is (pattern == "soft_pag")
