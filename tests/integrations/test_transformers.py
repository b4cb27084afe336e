"""Patterns in models of transformers: tiny ones with random weights, against the models' own attention."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import attndsl
from attndsl.diagnostics import AttnCallError, AttnError

transformers = pytest.importorskip("transformers", reason="transformers is not installed")

from attndsl.integrations.spelling import parse_name  # noqa: E402
from attndsl.integrations.transformers import register  # noqa: E402
from attndsl.plans import LayerPlan  # noqa: E402

SIZES: dict[str, Any] = {
    "vocab_size": 97, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16, "max_position_embeddings": 256,
    "pad_token_id": 0,
}  # fmt: skip
MODELS = ("Llama", "Qwen3")


def model(kind: str = "Llama", attention: str = "sdpa", **changes: Any) -> Any:
    """A model with random weights, the same every time."""
    torch.manual_seed(0)
    config = getattr(transformers, f"{kind}Config")(**SIZES | changes)
    return (
        getattr(transformers, f"{kind}ForCausalLM")._from_config(config, attn_implementation=attention).eval()
    )


def tokens(length: int = 24, batch: int = 2) -> Tensor:
    return torch.randint(1, 97, (batch, length), generator=torch.Generator().manual_seed(1))


def close(found: Tensor, wanted: Tensor) -> None:
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", MODELS)
def test_full_is_the_models_own_attention_forward_and_backward(kind: str) -> None:
    ids = tokens()
    own, ours = model(kind), model(kind, "attndsl:full")
    losses = [each(ids, labels=ids).loss for each in (own, ours)]
    close(losses[1], losses[0])
    for loss in losses:
        loss.backward()
    for mine, wanted in zip(ours.parameters(), own.parameters(), strict=True):
        close(mine.grad, wanted.grad)


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_is_what_it_is_for_the_models_own_attention(kind: str, side: str) -> None:
    ids, mask = tokens(), torch.ones(2, 24, dtype=torch.int64)
    mask[1, :7] = 0
    if side == "right":
        mask = mask.flip(1)
    labels = ids.masked_fill(mask == 0, -100)
    own, ours = model(kind), model(kind, "attndsl:full")
    wanted, found = (each(ids, attention_mask=mask, labels=labels) for each in (own, ours))
    close(found.logits[mask.bool()], wanted.logits[mask.bool()])
    wanted.loss.backward()
    found.loss.backward()
    for mine, each in zip(ours.parameters(), own.parameters(), strict=True):
        close(mine.grad, each.grad)


def mask_of_model(kind: str, window: int, length: int) -> Tensor:
    """The mask of a sliding window as transformers takes it, [1, 1, queries, keys]."""
    mask = attndsl.pattern("sliding_window").bind(shape=length, left=window).mask()
    return torch.from_numpy(mask)[None]


@pytest.mark.parametrize("kind", MODELS)
def test_a_pattern_is_its_mask(kind: str) -> None:
    ids = tokens()
    wanted = model(kind)(ids, attention_mask=mask_of_model(kind, 5, 24)).logits
    close(model(kind, "attndsl:sliding_window?left=5")(ids).logits, wanted)


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("cache", [None, "static"])
def test_generation_is_what_the_whole_text_gives(kind: str, cache: str | None) -> None:
    ids, mask = tokens(), torch.ones(2, 24, dtype=torch.int64)
    mask[1, :7] = 0
    ours = model(kind, "attndsl:streaming?sink=2&window=6")
    options = {"max_new_tokens": 4, "do_sample": False, "cache_implementation": cache}
    found = ours.generate(ids, attention_mask=mask, **options)
    for row, pad in ((0, 0), (1, 7)):  # each text alone, without padding and without a cache
        text = ids[row : row + 1, pad:]
        for _ in range(4):
            text = torch.cat([text, ours(text, use_cache=False).logits[:, -1:].argmax(-1)], 1)
        assert found[row, pad:].tolist() == text[0].tolist()


def test_a_few_tokens_against_a_cache() -> None:
    moa = "attndsl:moa?alpha=2,8,0,4&beta=0.25&block=2&sink=2&minimum=4"
    ids, ours = tokens(), model(attention=moa, num_hidden_layers=1)  # whose keys do not depend on the length
    cache = transformers.DynamicCache()
    ours(ids[:, :19], cache=cache, use_cache=True)
    close(ours(ids[:, 19:], cache=cache).logits[:, -1:], ours(ids).logits[:, -1:])


def test_a_plan_by_layer(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    layers = [{"pattern": "sliding_window", "parameters": {"left": 5}}, None]
    path.write_text(json.dumps({"format": "attndsl-plan", "version": 1, "layers": layers}), encoding="utf-8")
    ids, ours, own = tokens(), model(attention=f"attndsl:{path}"), model()
    own.model.layers[0].register_forward_pre_hook(_with_window, with_kwargs=True)
    close(ours(ids).logits, own(ids).logits)


def _with_window(layer: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    return args, kwargs | {"attention_mask": mask_of_model("Llama", 5, 24)}


def test_the_plans_that_moa_publishes(tmp_path: Path) -> None:
    path = tmp_path / "moa.json"
    path.write_text(json.dumps({"alphas": [[0, 64, 0, 64]] * 2, "betas": [[0.5, 0, 1, 1]] * 2}))
    assert model(attention=f"attndsl:{path}")(tokens(200)).logits.isfinite().all()


def test_a_registered_pattern_may_stand_alone() -> None:
    ids = tokens()
    alone = register("prefix", "prefix_lm", pattern_alone=True, prefix=8)
    mask = torch.from_numpy(attndsl.pattern("prefix_lm").bind(shape=24, prefix=8).mask())[None]
    close(model(attention=alone)(ids).logits, model()(ids, attention_mask=mask).logits)
    close(model(attention="attndsl:prefix_lm?prefix=8")(ids).logits, model()(ids).logits)


def test_a_model_that_sees_both_ways() -> None:
    torch.manual_seed(0)
    config = transformers.BertConfig(**SIZES, type_vocab_size=2)
    own = transformers.BertModel._from_config(config, attn_implementation="sdpa").eval()
    ids, mask = tokens(), torch.ones(2, 24, dtype=torch.int64)
    mask[1, 20:] = 0
    wanted = own(ids, attention_mask=mask).last_hidden_state
    own.set_attn_implementation("attndsl:full")
    close(own(ids, attention_mask=mask).last_hidden_state[mask.bool()], wanted[mask.bool()])


def test_declared_inputs_come_with_the_call() -> None:
    ids = tokens()
    doc = torch.arange(24) // 8
    found = model(attention="attndsl:document")(ids, doc=doc).logits
    mask = (doc[:, None] == doc) & torch.ones(24, 24).tril().bool()
    close(found, model()(ids, attention_mask=mask[None, None]).logits)


def test_a_compiled_layer() -> None:
    ours, ids = model(attention="attndsl:sliding_window?left=5", num_hidden_layers=1), tokens()
    wanted = ours(ids).logits
    ours.model.layers[0].compile(backend="eager")
    close(ours(ids).logits, wanted)


@pytest.mark.slow
def test_a_compiled_model() -> None:
    ours, ids = model(attention="attndsl:sliding_window?left=5", num_hidden_layers=1), tokens()
    wanted = ours(ids).logits
    compiled: Any = torch.compile(ours, backend="eager")
    close(compiled(ids, attention_mask=torch.ones_like(ids)).logits, wanted)


def bart() -> Any:
    """A model of an encoder and a decoder, which attends to the encoder's text."""
    sizes = {"d_model": 32, "encoder_layers": 1, "decoder_layers": 1, "vocab_size": 97}
    more = {f"{side}_{name}": size for side in ("encoder", "decoder")
            for name, size in (("attention_heads", 2), ("ffn_dim", 32))}  # fmt: skip
    config = transformers.BartConfig(**sizes, **more, max_position_embeddings=32)
    return transformers.BartModel._from_config(config, attn_implementation="attndsl:full").eval()


MISTAKES: dict[str, Callable[[], object]] = {
    "name_of_parameters": lambda: parse_name("attndsl:sliding_window?left:8"),
    "name_of_values": lambda: parse_name("attndsl:sliding_window?left=eight"),
    "name_of_plan": lambda: parse_name("attndsl:plan.json?left=8"),
    "model_unknown_pattern": lambda: model(attention="attndsl:slidng_window?left=3"),
    "model_four_dimensions": lambda: model(attention="attndsl:full")(
        tokens(), attention_mask=torch.ones(2, 1, 24, 24)
    ),
    "model_own_mask": lambda: model(
        "Qwen3", "attndsl:full", use_sliding_window=True, sliding_window=8, max_window_layers=0
    )(tokens()),
    "model_packed_texts": lambda: model(attention="attndsl:full")(
        tokens(), position_ids=(torch.arange(24) % 12)[None], use_cache=False
    ),
    "model_cross_attention": lambda: bart()(tokens(8), decoder_input_ids=tokens(8)),
    "model_dropout": lambda: model(attention="attndsl:full", attention_dropout=0.1).train()(tokens()),
    "model_layers_of_plan": lambda: model(attention=register("short", attndsl.load_plan(["causal"])))(
        tokens()
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistake_in_a_model(name: str, golden: Callable[[str, str], None]) -> None:
    with pytest.raises(AttnError) as caught:
        MISTAKES[name]()
    golden(f"errors/{name}.txt", caught.value.render() + "\n")


def test_other_models_mistakes_are_seen_too() -> None:
    layers = register("window", LayerPlan("sliding_window", {"left": 3}))
    with pytest.raises(AttnCallError, match="A0663"):
        model(attention=layers)(tokens(), softcap=3.0)


def test_branches_under_a_models_causality() -> None:
    own, ours = model(), model(attention="attndsl:soft_pag?u=0.0")
    close(ours(tokens()).logits, own(tokens()).logits)
    with pytest.raises(AttnError, match="A0910"):
        model(attention="attndsl:agent?agents=2")(tokens())


def test_recurrences_are_computed_for_whole_texts_only() -> None:
    ours, ids = model(attention="attndsl:lightning"), tokens()
    logits = ours(ids, labels=ids)
    logits.loss.backward()
    close(ours(ids[:, :15]).logits, logits.logits[:, :15])  # a decoder stays causal
    with pytest.raises(AttnError, match=r"A0905.*\n.*carry its state"):
        ours.generate(ids[:, :8], max_new_tokens=2)
    assert ours.generate(ids[:, :8], max_new_tokens=2, do_sample=False, use_cache=False).shape == (2, 10)
    close(
        model(attention="attndsl:linear")(ids[:, :15]).logits,
        model(attention="attndsl:linear")(ids).logits[:, :15],
    )


GENERATING = (
    "moba?block=4&topk=2",
    "sigmoid_attention?bias=-2",
    "soft_pag?u=0.5",
    "delta?page=2&pages=4&last=2",
)


@pytest.mark.parametrize("name", GENERATING)
def test_generation_with_routes_branches_and_weights(name: str) -> None:
    ids, ours = tokens(14), model(attention=f"attndsl:{name}")
    mask = torch.ones_like(ids)
    mask[1, :5] = 0
    options: dict[str, Any] = {"max_new_tokens": 7, "do_sample": False}  # over the edges of blocks
    found = ours.generate(ids, attention_mask=mask, **options)
    for row, pad in ((0, 0), (1, 5)):  # each text alone, without padding and without a cache
        text = ours.generate(ids[row : row + 1, pad:], use_cache=False, **options)
        assert found[row, pad:].tolist() == text[0].tolist()


def test_routes_that_see_all_know_nothing_of_a_models_own_mask() -> None:
    pattern = attndsl.parse(
        """
pattern p(block: int):
    space tokens(n)
    blocks b of n by block
    route score mean(k in b) . q
          select top(1) per query
    attend true
"""
    )
    with pytest.raises(AttnError, match="A0910"):
        model(attention=register("sees_all", pattern, block=4))(tokens())


def test_routes_of_whole_blocks_are_for_whole_texts() -> None:
    ours = model(attention="attndsl:xattention?block=8&stride=4&tau=0.5")
    options: dict[str, Any] = {"max_new_tokens": 2, "do_sample": False}
    assert ours.generate(tokens(8), use_cache=False, **options).shape == (2, 10)
    with pytest.raises(AttnError, match="A0905"):
        ours.generate(tokens(8), **options)
