"""The library's patterns with routes as Python functions."""

# ruff: noqa: SIM300

from __future__ import annotations

from typing import Literal

import attndsl
from attndsl import Attention, Input, Position, Route, Traced, lang, where
from attndsl.lang import ceildiv, extent, head, heads, mean, require, scale, softmax, top, v


@attndsl.jit
def moba(q: Position, k: Position, *, block: int = 512, topk: int = 3) -> Attention:
    require(topk >= 1, "topk must be 1 or more: it counts the query's own block")
    return Attention(
        lang.causal(),
        blocks={"b": ("n", block)},
        route=Route(
            score=mean(k, within="b") @ q,
            among=k.b < q.b,
            select=top(topk - 1),
            per="query",
            always=k.b == q.b,
        ),
    )


@attndsl.jit(space="video(t, y, x)")
def vmoba(
    q: Position,
    k: Position,
    *,
    chunk: tuple[int, int, int],
    layout: int = 2,
    pool: Literal["query", "head", "all"] = "head",
    topk: int = 3,
    tau: float = 0.0,
) -> Attention:
    require((0 <= layout) & (layout <= 2), "layout is the layer's number modulo 3")
    require(topk >= 1, "topk must be 1 or more: it counts the query's own block")
    sizes = (
        where(layout != 1, chunk[0], extent("t")),
        where(layout != 0, chunk[1], extent("y")),
        where(layout != 0, chunk[2], extent("x")),
    )
    route = Route(
        score=mean(k, within="b") @ q,
        select=where(tau > 0.0, lang.spread(tau, 1), top(topk)),
        per=pool,
        prefer=k.b == q.b,
    )
    return Attention(blocks={"b": (("t", "y", "x"), sizes)}, route=route)


@attndsl.jit
def nsa(
    q: Position,
    k: Position,
    *,
    block: int = 64,
    n_sel: int = 16,
    window: int = 512,
    g_cmp: Input[float, Literal["query, heads"]],
    g_slc: Input[float, Literal["query, heads"]],
    g_swa: Input[float, Literal["query, heads"]],
) -> Attention:
    require(n_sel >= 1, "n_sel must be 1 or more: it counts the query's own block")
    require(window >= 1, "window must be 1 or more: it counts the query itself")
    complete = (k.b + 1) * block <= q.n + 1
    probabilities = softmax(scale * mean(k, within="b") @ q, complete)
    selected = Route(
        score=lang.sum(probabilities, within="kv_head"),
        among=k.b <= q.b,
        select=top(n_sel),
        per="query",
        prefer=k.b == q.b,
    )

    def combined(compressed: Traced, selected: Traced, sliding: Traced) -> Traced:
        sigmoid = lang.sigmoid
        return sigmoid(g_cmp) * compressed + sigmoid(g_slc) * selected + sigmoid(g_swa) * sliding

    return Attention(
        blocks={"b": ("n", block)},
        branches={
            "compressed": Attention(complete, key="mean(k in b)", value="mean(v in b)"),
            "selected": Attention(lang.causal(), route=selected),
            "sliding": lang.sliding(window - 1),
        },
        combine=combined,
    )


@attndsl.jit
def sla(
    q: Position,
    k: Position,
    *,
    bq: int = 64,
    bk: int = 64,
    keep: float = 0.05,
    drop: float = 0.1,
    w: Input[float, Literal["dim, dim"]],
    b: Input[float, Literal["dim"]],
) -> Attention:
    require((0.0 <= keep) & (0.0 <= drop) & (keep + drop <= 1.0), "keep and drop are parts of all blocks")
    critical_blocks = lang.int(keep * extent("c"))
    negligible_blocks = lang.int(drop * extent("c"))
    score = mean(q, within="a") @ (mean(k, within="c") - mean(k))
    marginal = lang.ranks(critical_blocks, extent("c") - negligible_blocks)
    return Attention(
        blocks={"a": ("n", bq), "c": ("n", bk)},
        branches={
            "critical": Attention(route=Route(score, top(critical_blocks), per="a")),
            "marginal": Attention(
                route=Route(score, marginal, per="a"), feature="softmax", weight=lambda s: s
            ),
        },
        combine=lambda critical, marginal: critical + lang.project(marginal, w, b),
    )


@attndsl.jit
def dma(
    q: Position, k: Position, *, window: int = 2048, bias: Input[float, Literal["heads, key"]]
) -> Attention:
    require(window >= 1, "window must be 1 or more")
    return Attention(
        lang.causal(),
        route=Route(score=bias[head, k], among=k.n <= q.n, select=top(window), per="query"),
        score=lambda s: s + bias[head, k],
    )


@attndsl.jit
def sparge(
    q: Position,
    k: Position,
    *,
    bq: int = 128,
    bk: int = 64,
    sim: float = 0.1,
    cdf: float = 0.9,
    topk: float = 0.0,
) -> Attention:
    alike_queries = lang.similarity(q, within="a") > sim
    alike_keys = lang.similarity(k, within="b") > sim
    few = top(lang.max(lang.int(topk * extent("b")), 1))
    return Attention(
        blocks={"a": ("n", bq), "b": ("n", bk)},
        route=Route(
            score=softmax(scale * mean(q, within="a") @ mean(k, within="b"), alike_keys),
            select=where(topk > 0.0, few, lang.within(cdf, 1)),
            per="a",
            always=~(alike_queries & alike_keys),
        ),
    )


@attndsl.jit
def xattention(q: Position, k: Position, *, block: int = 128, stride: int = 8, tau: float = 0.9) -> Attention:
    require(block % stride == 0, "stride must divide block")
    antidiagonals = lang.stack_reversed(q, within="g") @ lang.stack(k, within="g")
    return Attention(
        lang.causal(),
        blocks={"g": ("n", stride), "b": ("n", block)},
        route=Route(
            score=lang.sum(softmax(antidiagonals * (lang.dim**-0.5 / stride), k.g <= q.g), within="b"),
            among=k.b <= q.b,
            select=lang.nucleus(tau),
            per="b",
            prefer=k.b == q.b,
        ),
    )


@attndsl.jit(space="video(t, y, x) ++ text(n)")
def draft(
    q: Position,
    k: Position,
    *,
    pool: tuple[int, int] = 8,  # type: ignore[assignment]
    sparsity: float = 0.9,
) -> Attention:
    require((0.0 <= sparsity) & (sparsity <= 1.0), "sparsity is the part that is dropped, from 0 to 1")
    score = softmax(scale * mean(q, within="b") @ mean(k, within="b"))
    return Attention(
        blocks={"b": (("t", "y", "x"), (1, pool[0], pool[1]))},
        route=Route(score, lang.drop(sparsity), per="head"),
    )


@attndsl.jit(space="image(y, x)")
def biformer(q: Position, k: Position, *, n_win: int = 7, topk: int = 4) -> Attention:
    divides = (extent("y") % n_win == 0) & (extent("x") % n_win == 0)
    require(divides, "n_win must divide the height and the width")
    score = lang.sum(mean(q, within="r") @ mean(k, within="r"), within="heads")
    return Attention(
        blocks={"r": (("y", "x"), (extent("y") // n_win, extent("x") // n_win))},
        scale=(heads * lang.dim) ** -0.5,
        route=Route(score, top(topk), per="r"),
    )


@attndsl.jit
def delta(q: Position, k: Position, *, page: int = 16, pages: int = 64, last: int = 8) -> Attention:
    counts = "last counts pages that are always seen, at least 1 and at most all `pages`"
    require((1 <= last) & (last <= pages), counts)
    hardest = lang.max(softmax(scale * q @ k, k.n <= q.n), within="heads")
    return Attention(
        lang.causal(),
        blocks={"p": ("n", page)},
        route=Route(
            score=lang.sum(hardest, within=k.p),
            among=k.p <= q.p,
            select=top(pages),
            per="query",
            prefer=k.p > q.p - last,
        ),
    )


@attndsl.jit
def dhsa(
    q: Position,
    k: Position,
    *,
    query_block: int = 128,
    budget: int = 2048,
    local: int = 64,
    chunk: Input[int, Literal["key"]],
) -> Attention:
    require((0 <= local) & (local <= budget), "local counts keys of the budget, from 0 to all of them")
    of_chunks = lang.sum(mean(k, within="heads"), within=chunk[k])
    of_blocks = mean(mean(q, within="heads"), within="b")
    end = (q.b + 1) * query_block
    return Attention(
        lang.causal(),
        blocks={"b": ("n", query_block)},
        route=Route(
            score=of_blocks @ of_chunks / lang.sqrt(lang.sum(1.0, within=chunk[k])),
            among=k.n < end,
            select=top(budget),
            per="b",
            prefer=k.n >= lang.min(end, extent("n")) - local,
        ),
    )


@attndsl.jit
def minference(
    q: Position,
    k: Position,
    *,
    vertical: int = 1000,
    slash: int = 6096,
    probe: int = 64,
    first: int = 30,
    near: int = 100,
) -> Attention:
    require(probe >= 1, "probe must be 1 or more: it counts the queries that are looked at")

    def weight(forced: Traced) -> Traced:
        own = where(forced, probe + 1.0, softmax(scale * q @ k, k.n <= q.n))
        return where(q.n >= extent("n") - probe, own, 0.0)

    columns = top(weight(k.n < first), lang.max(vertical, first), within=k.n)
    forced = (0 <= q.n - k.n) & (q.n - k.n < near)
    diagonals = top(weight(forced), lang.max(slash, near), within=q.n - k.n)
    score = where(columns | diagonals, 1.0, 0.0)
    return Attention(lang.causal(), route=Route(score, lang.threshold(0.5), per="query"))


@attndsl.jit(space="video(frame, token)")
def svg_route(
    q: Position,
    k: Position,
    *,
    block: int = 128,
    multiple: float = 2,
    sampled: Input[int, Literal["query"]],
) -> Attention:
    require(block >= 1, "block must be at least 1")

    def error(mask: Traced) -> Traced:
        missing = softmax(scale * q @ k, mask) @ v - softmax(scale * q @ k) @ v
        return mean(missing @ missing, within=sampled[q] > 0)

    def chosen(score: Traced) -> Route:
        return Route(score, lang.threshold(0.5), per="head", among=k.whole == q.whole)

    width = lang.floor(multiple * extent("token") / block)
    near = (abs(q.index // block - k.index // block) < width) | lang.sink(extent("token"))
    query = q.token * extent("frame") + q.frame
    key = k.token * extent("frame") + k.frame
    across = (abs(query // block - key // block) < width) | (key < extent("token"))
    return Attention(
        blocks={"whole": (("frame", "token"), (extent("frame"), extent("token")))},
        branches={
            "spatial": Attention(near, route=chosen(where(error(near) <= error(across), 1.0, 0.0))),
            "temporal": Attention(across, route=chosen(where(error(across) < error(near), 1.0, 0.0))),
        },
        combine=lambda spatial, temporal: spatial + temporal,
    )


@attndsl.jit
def moh(
    q: Position,
    k: Position,
    *,
    shared: int,
    top: int,
    router: Input[float, Literal["query, heads"]],
    for_shared: Input[float, Literal["query"]],
    for_routed: Input[float, Literal["query"]],
) -> Attention:
    require((0 <= shared) & (shared <= heads), "shared counts heads, from 0 to all")
    require((0 <= top) & (top <= heads - shared), "top counts heads that are not shared")
    both = 2.0 * lang.sigmoid(for_shared - for_routed), 2.0 * lang.sigmoid(for_routed - for_shared)
    of_shared = shared * softmax(router, head < shared, within="heads") * where(top > 0, both[0], 1.0)
    best = lang.top(router, top, head >= shared, within="heads")
    of_routed = top * softmax(router, best, within="heads") * where(shared > 0, both[1], 1.0)
    return Attention(gate=where(head < shared, of_shared, of_routed))


@attndsl.jit
def hip(q: Position, k: Position, *, mask_k: int = 512, block_k: int = 2, block_q: int = 32) -> Attention:
    require(mask_k >= 1, "mask_k must be 1 or more: it counts keys")
    row = q.n % block_q
    odd = (row % 2 == 1) | ((row == 0) & ((block_q == 1) | (q.n == extent("n") - 1)))
    compared = odd & (k.n < q.n - row + block_q)
    return Attention(
        lang.causal(),
        blocks={"a": ("n", block_q), "b": ("n", block_k)},
        route=Route(
            score=lang.max(lang.max(where(compared, q @ k, -1e30), within=q.a), within=k.b),
            among=k.b * block_k < (q.a + 1) * block_q,
            select=lang.halves(ceildiv(mask_k, block_k)),
            per="a",
        ),
    )


TWINS = {value.name: value for value in list(globals().values()) if isinstance(value, attndsl.TracedPattern)}
"""All of them, by name."""
