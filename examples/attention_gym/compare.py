"""FlexAttention's published examples and their `.attn` twins, side by side: equal masks, outputs, gradients.

    python -m examples.attention_gym.compare [NAME ...]

Each twin's mask is compared with `create_mask`, its output with `flex_attention`, both of PyTorch, and its
gradients with those of the formula that FlexAttention defines, because its own backward needs a GPU.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import AuxRequest, create_block_mask, create_mask, flex_attention

from attndsl.ir.plan import Plan
from attndsl.pipeline import Bound
from examples.attention_gym.twins import Twin, twins

BATCH, CHANNELS = 2, 8
Attention = Callable[[Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Comparison:
    """What a twin and its example differ by: outputs and gradients by their largest difference."""

    same_mask: bool
    output: float
    formula: float
    """Between FlexAttention's output and the formula's."""
    gradients: dict[str, float]

    @property
    def agrees(self) -> bool:
        """Whether nothing differs but by rounding."""
        return self.same_mask and max(self.output, self.formula, *self.gradients.values()) < 1e-4


def compare(twin: Twin, compiled: bool = True) -> Comparison:
    """Run a twin, compiled in float32 or as the reference in float64, and its example in float64."""
    bound = twin.pattern.bind(**twin.bind)
    heads, kv_heads = bound.ir.heads, bound.ir.kv_heads
    queries, keys = bound.ir.query_space.size, bound.ir.key_space.size
    q, k, v, wanted = (
        torch.randn(BATCH, count, tokens, CHANNELS, dtype=torch.float64)
        for count, tokens in ((heads, queries), (kv_heads, keys), (kv_heads, keys), (heads, queries))
    )
    leaves = {"q": q, "k": k, "v": v} | {name: x for name, x in twin.inputs.items() if x.requires_grad}
    ours = ours_of(bound, twin, compiled)
    published = flex(twin, q, k, v)
    results = [
        _with_gradients(attention, leaves, wanted) for attention in (ours, lambda *x: formula(twin, *x))
    ]
    (our_output, our_gradients), (output, gradients) = results
    return Comparison(
        same_mask=torch.equal(
            visible(bound, twin), create_mask(twin.mask_mod, BATCH, heads, queries, keys, "cpu")
        ),
        output=_difference(our_output, published),
        formula=_difference(output, published),
        gradients={
            name: _difference(*pair) for name, *pair in zip(leaves, our_gradients, gradients, strict=True)
        },
    )


def visible(bound: Bound, twin: Twin) -> Tensor:
    """The twin's mask [batch, heads, queries, keys]: one batch element at a time where inputs differ."""
    read: dict[str, Any] = {name: x for name, x in twin.inputs.items() if not x.is_floating_point()}
    batched = {name for name, x in read.items() if x.ndim > len(_declared(bound, name))}
    masks = []
    for b in range(BATCH):
        inputs = {name: x[b] if name in batched else x for name, x in read.items()}
        masks.append(torch.from_numpy(bound.mask(plan=_plan_of(twin, b), **inputs)))
    return torch.stack(masks).expand(-1, bound.ir.heads, -1, -1)


def _plan_of(twin: Twin, b: int) -> Plan | None:
    """The plan of one element of the batch."""
    if twin.plan is None:
        return None
    return replace(twin.plan, indices=twin.plan.indices[b : b + 1], counts=twin.plan.counts[b : b + 1])


def _declared(bound: Bound, name: str) -> tuple[object, ...]:
    (shape,) = (each.shape for each in bound.ir.inputs if each.name == name)
    return shape


def ours_of(bound: Bound, twin: Twin, compiled: bool) -> Attention:
    """The twin as a function of q, k and v."""
    inputs: dict[str, Any] = dict(twin.inputs)
    if not compiled:
        return lambda q, k, v: bound.reference(q, k, v, plan=twin.plan, **inputs)
    inputs = {name: x.float() if x.is_floating_point() else x for name, x in inputs.items()}
    return lambda q, k, v: bound(q.float(), k.float(), v.float(), plan=twin.plan, **inputs).double()


@torch.no_grad()
def flex(twin: Twin, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """What `torch.nn.attention.flex_attention` returns for the example."""
    block_mask = create_block_mask(twin.mask_mod, BATCH, q.shape[1], q.shape[2], k.shape[2], "cpu")
    found = flex_attention(
        q, k, v, score_mod=twin.score_mod, block_mask=block_mask, enable_gqa=True,
        return_aux=AuxRequest(lse=True),
    )  # fmt: skip
    out, lse = found[0], found[1].lse
    assert lse is not None
    return twin.without_softmax(out, lse, v) if twin.without_softmax else out


def formula(twin: Twin, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """The same by its definition: scores, `score_mod`, `mask_mod`, softmax; differentiable."""
    k, v = (x.repeat_interleave(q.shape[1] // x.shape[1], 1) for x in (k, v))
    b, h, i, j = torch.meshgrid(*map(torch.arange, (*q.shape[:3], k.shape[2])), indexing="ij")
    scores = twin.score_mod(q @ k.mT * q.shape[-1] ** -0.5, b, h, i, j)
    scores = scores.masked_fill(~twin.mask_mod(b, h, i, j), -torch.inf)
    lse = scores.logsumexp(-1)
    weights = torch.exp(scores - lse.clamp(min=-1e300)[..., None])
    return twin.without_softmax(weights @ v, lse, v) if twin.without_softmax else weights @ v


def _with_gradients(
    attention: Attention, leaves: dict[str, Tensor], wanted: Tensor
) -> tuple[Tensor, tuple[Tensor, ...]]:
    out = attention(*(leaves[name].requires_grad_() for name in "qkv"))
    return out.detach(), torch.autograd.grad(out, list(leaves.values()), wanted)


def _difference(one: Tensor, other: Tensor) -> float:
    return (one - other).abs().max().item()


def main(names: list[str]) -> None:
    """Compare the named twins, or all of them; end with 1 where one differs."""
    known = twins()
    if unknown := set(names) - set(known):
        sys.exit(f"no such twin: {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    differing = []
    for name in names or known:
        found = compare(known[name])
        mask = "same mask" if found.same_mask else "OTHER MASK"
        print(f"{name:24}{mask}, output {found.output:.0e}", end="")
        print("".join(f", d{leaf} {difference:.0e}" for leaf, difference in found.gradients.items()))
        differing += [] if found.agrees else [name]
    if differing:
        sys.exit(f"different: {', '.join(differing)}")


if __name__ == "__main__":
    warnings.filterwarnings("ignore", "flex_attention called without torch.compile")
    torch.manual_seed(0)
    main(sys.argv[1:])
