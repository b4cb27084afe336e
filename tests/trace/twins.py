"""Every pattern of the library as a Python function, as a reader of the tutorial would write it."""

from __future__ import annotations

from typing import Any

import attndsl
from attndsl import Input, PerAxis, PerHead, Position, Traced, lang, where
from attndsl.lang import (
    all_axes,
    band,
    bit_length,
    clamp,
    extent,
    global_tokens,
    head,
    heads,
    kv_head,
    kv_heads,
    require,
    round_up,
    same_block,
    same_residue,
    same_window,
)

VIDEO = "video(frame, token)"
IMAGE = "image(y, x)"
ANY_RANK = "tokens(axes...)"
ONE, NO = PerAxis(1), PerAxis(False)


@attndsl.jit(space=VIDEO)
def attention_tile(q: Position, k: Position, *, reference: int) -> Traced:
    rows, columns = lang.stripe(q.frame, reference), lang.stripe(k.frame, reference)
    return (q.frame == k.frame) | columns | rows


@attndsl.jit(space=ANY_RANK)
def blocked(q: Position, k: Position, *, window: PerAxis[int]) -> Traced:
    return lang.neighborhood(window, stride=window)


@attndsl.jit
def causal(q: Position, k: Position) -> Traced:
    return lang.causal()


@attndsl.jit(space=IMAGE)
def crossformer_lda(q: Position, k: Position, *, group: int, interval: int) -> Traced:
    return all_axes(lambda a: same_block(q[a], k[a], group * interval) & same_residue(q[a], k[a], interval))


@attndsl.jit(space=IMAGE)
def cswin(q: Position, k: Position, *, stripe: int) -> Traced:
    require(heads % 2 == 0, "heads must be even: one half sees rows, the other columns")
    horizontal = same_block(q.y, k.y, stripe)
    vertical = same_block(q.x, k.x, stripe)
    return where(head < heads // 2, horizontal, vertical)


@attndsl.jit
def dilated_window(q: Position, k: Position, left: int, dilation: int, right: int = 0) -> Traced:
    return same_residue(q.n, k.n, dilation) & band(q.n // dilation, k.n // dilation, left, right)


@attndsl.jit
def document(q: Position, k: Position, doc: Input[int], *, causal: bool = True) -> Traced:
    return (doc[q] == doc[k]) & (~causal | (k.n <= q.n))


@attndsl.jit(space=VIDEO)
def frame_causal(q: Position, k: Position, *, chunk: int = 1, window: int = 0, sink: int = 0) -> Traced:
    require(chunk >= 1, "chunk must be at least 1: it counts the frames that see each other")
    require(window >= 0, "window must be 0 or more: 0 means all frames before")
    require(sink >= 0, "sink must be 0 or more: it counts the first frames")
    end = lang.min((q.frame // chunk + 1) * chunk, extent("frame"))
    recent = (window == 0) | (k.frame >= end - (window - sink))
    return (k.frame < end) & (recent | (k.frame < sink))


@attndsl.jit(space=ANY_RANK)
def full(q: Position, k: Position) -> bool:
    return True


@attndsl.jit
def global_window(q: Position, k: Position, left: int, right: int, n_global: int) -> Traced:
    return lang.sliding(left, right) | global_tokens(n_global)


@attndsl.jit(space=ANY_RANK)
def gna(
    q: Position,
    k: Position,
    *,
    window: PerAxis[int],
    stride: PerAxis[int] = ONE,
    dilation: PerAxis[int] = ONE,
    causal: PerAxis[bool] = NO,
) -> Traced:
    return lang.neighborhood(window, stride, dilation, causal)


def halo_axis(query: Traced, key: Traced, block: Traced, halo: Traced) -> Traced:
    require(block >= 1, "block must be at least 1")
    require(halo >= 0, "halo must be 0 or more: it counts the keys beyond each edge of a block")
    start = query // block * block
    return (start - halo <= key) & (key < start + block + halo)


@attndsl.jit(space=IMAGE)
def halo(q: Position, k: Position, *, block: PerAxis[int], halo: PerAxis[int]) -> Traced:
    return all_axes(lambda a: halo_axis(q[a], k[a], block[a], halo[a]))


@attndsl.jit(space="video(t, y, x)")
def inward_window(q: Position, k: Position, *, dh: int, dw: int) -> Traced:
    require(2 * dh < extent("y"), "2 * dh + 1 rows must fit into the frame: make dh smaller")
    require(2 * dw < extent("x"), "2 * dw + 1 columns must fit into the frame: make dw smaller")
    center_y = clamp(q.y, dh, extent("y") - 1 - dh)
    center_x = clamp(q.x, dw, extent("x") - 1 - dw)
    return band(center_y, k.y, dh, dh) & band(center_x, k.x, dw, dw)


@attndsl.jit
def longlora(q: Position, k: Position, *, ratio: float = 0.25, wrap: bool = False) -> Traced:
    n = extent("n")
    group = lang.int(n * ratio)
    require(heads % 2 == 0, "heads must be even: one half is shifted")
    require(group >= 1, "the group, n * ratio, must be at least one token: make ratio larger")
    require(n % group == 0, "the group, n * ratio, must divide n")
    shift = where(head < heads // 2, 0, group // 2)
    query = where(wrap, (q.n - shift) % n, q.n + shift)
    key = where(wrap, (k.n - shift) % n, k.n + shift)
    return same_block(query, key, group) & (key <= query)


@attndsl.jit(space=IMAGE)
def maxvit_grid(q: Position, k: Position, *, grid: PerAxis[int]) -> Traced:
    require(all_axes(lambda a: grid[a] >= 1), "grid must be at least 1")
    require(all_axes(lambda a: extent(a) % grid[a] == 0), "grid must divide both sides of the image")
    return all_axes(lambda a: same_residue(q[a], k[a], extent(a) // grid[a]))


@attndsl.jit
def moa(
    q: Position,
    k: Position,
    alpha: PerHead[float],
    beta: PerHead[float],
    block: int = 64,
    sink: int = 64,
    minimum: int = 128,
) -> Traced:
    require(sink >= 0, "sink must be 0 or more: it counts the first tokens")
    n = extent("n")
    wanted = lang.max(lang.min(lang.int(alpha[head] + beta[head] * n), n), minimum)
    span = round_up(wanted, block)
    first = lang.min(span, sink)
    query_block, key_block = q.n // block, k.n // block
    near = key_block > query_block - (span - first) // block
    return lang.causal() & ((key_block < first // block) | near)


@attndsl.jit(space=ANY_RANK)
def neighborhood(q: Position, k: Position, window: PerAxis[int], dilation: PerAxis[int] = ONE) -> Traced:
    return lang.neighborhood(window, dilation=dilation)


@attndsl.jit
def prefix_lm(q: Position, k: Position, prefix: int) -> Traced:
    require(prefix >= 0, "prefix must be 0 or more: it counts the tokens that every query sees")
    return lang.causal() | (k.n < prefix)


@attndsl.jit(space="video(frame, token) ++ text(n)")
def radial(
    q: Position, k: Position, *, decay: float = 1.0, block: int = 128, sink: bool = False
) -> dict[str, Traced | bool]:
    require(block >= 1, "block must be at least 1")
    require(extent("token") % block == 0, "block must divide the number of tokens per frame")
    distance = abs(q.frame - k.frame)
    octaves = bit_length(extent("token")) - bit_length(distance)
    width = lang.max(2.0**octaves * decay, block)
    period = 2 ** lang.max(7 - octaves, 0)
    margin = block - 1 - 5 * (block // 3) // 2
    blocks = (lang.floor(width) + margin) // block
    near = abs(q.token // block - k.token // block) <= blocks
    kept = (distance <= 1) | ((distance % period == 0) & near) | (sink & (k.frame == 0))
    return {"video -> video": kept, "else": True}


@attndsl.jit
def s2(
    q: Position,
    k: Position,
    block: int = 64,
    local: int = 16,
    stride: int = 8,
    causal: bool = True,
    homo_head: bool = False,
    offset: int = 0,
    dense_heads: int = 0,
) -> Traced:
    require(block >= 1, "block must be at least 1")
    require(stride >= 1, "stride must be at least 1: 1 means every block")
    require(causal | (dense_heads == 0), "dense heads are causal: leave dense_heads at 0, or causal at true")
    query_block, key_block = q.n // block, k.n // block
    start = where(homo_head, offset, kv_head * lang.max(1, stride // heads) + offset)
    dense = kv_head >= kv_heads - dense_heads
    sparse = (query_block - key_block < local) | ((key_block + start) % stride == 0)
    before = lang.max(query_block - key_block - local + 1, 0)
    after = lang.max(key_block - query_block - local + 1, 0)
    return where(causal, (k.n <= q.n) & (dense | sparse), (before + after) % stride == 0)


@attndsl.jit(space=IMAGE)
def shifted_window(q: Position, k: Position, *, window: PerAxis[int], shift: PerAxis[int]) -> Traced:
    fits = all_axes(lambda a: (0 <= shift[a]) & (shift[a] <= window[a]))  # noqa: SIM300
    require(fits, "shift must be between 0 and window")
    return same_window(window, shift)


@attndsl.jit
def sink_longlora(q: Position, k: Position, *, ratio: float, sink: int) -> Traced:
    group = lang.int(extent("n") * ratio)
    require(sink >= 0, "sink must be 0 or more: it counts the first tokens")
    require(group >= 1, "the group, n * ratio, must be at least one token: make ratio larger")
    require(extent("n") % group == 0, "the group, n * ratio, must divide n")
    return lang.causal() & (same_block(q.n, k.n, group) | (k.n < sink))


@attndsl.jit
def sliding_window(q: Position, k: Position, *, left: int, right: int = 0) -> Traced:
    return lang.sliding(left, right)


@attndsl.jit(space=ANY_RANK)
def sta(q: Position, k: Position, *, tile: PerAxis[int], window: PerAxis[int]) -> Traced:
    require(all_axes(lambda a: tile[a] >= 1), "tile must be at least 1 on every axis")
    require(all_axes(lambda a: window[a] % (2 * tile[a]) == tile[a]), "window must be 1, 3, 5, ... tiles")
    return lang.neighborhood(window, stride=tile)


@attndsl.jit
def streaming(q: Position, k: Position, *, sink: int, window: int) -> Traced:
    require(sink >= 0, "sink must be 0 or more: it counts the first tokens")
    require(window >= 0, "window must be 0 or more: it counts the query itself and the keys before it")
    return lang.causal() & ((k.n < sink) | (q.n - k.n < window))


@attndsl.jit(space=VIDEO)
def svg_spatial(q: Position, k: Position, *, block: int = 128, multiple: float = 2) -> Traced:
    require(block >= 1, "block must be at least 1")
    width = lang.floor(multiple * extent("token") / block)
    return (abs(q.index // block - k.index // block) < width) | lang.sink(extent("token"))


@attndsl.jit(space=VIDEO)
def svg_temporal(q: Position, k: Position, *, block: int = 128, multiple: float = 2) -> Traced:
    require(block >= 1, "block must be at least 1")
    width = lang.floor(multiple * extent("token") / block)
    query = q.token * extent("frame") + q.frame
    key = k.token * extent("frame") + k.frame
    return (abs(query // block - key // block) < width) | (key < extent("token"))


@attndsl.jit(query_space="frames(frame)", key_space="context(slot)")
def video_infinity(q: Position, k: Position, *, pad: int) -> Traced:
    require(pad >= 0, "pad must be 0 or more: it counts the frames from each neighbour")
    shared = extent("frame") + 2 * pad
    require(extent("slot") >= shared, "there must be a key for each frame and for 2 * pad neighbours")
    return ((q.frame <= k.slot) & (k.slot <= q.frame + 2 * pad)) | (k.slot >= shared)


@attndsl.jit(space=IMAGE)
def window(q: Position, k: Position, *, window: PerAxis[int]) -> Traced:
    return same_window(window)


TWINS: dict[str, Any] = {
    value.name: value for value in list(globals().values()) if isinstance(value, attndsl.TracedPattern)
}
"""All of them, by name."""
