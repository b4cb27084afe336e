"""The forward pass in float16 with head_dim 64 and value_dim 64, of

bound document: heads 2, kv_heads 2
    queries tokens(n = 300)
    keys    tokens(n = 300)
    input doc: int[tokens]
    attend tokens -> tokens: doc[q] == doc[k] and k.n <= q.n

Printed by attndsl VERSION for 8 warps and 2 stages.
"""

import base64
import functools
import zlib

import torch
import triton
import triton.language as tl


@triton.jit(
    do_not_specialize=["map_batch_stride", "batch_heads", "heads_together", "owner_tiles", "q_tokens", "kv_tokens"]
)
def forward(
    q, k, v, out, lse,
    q_batch_stride, q_head_stride, q_token_stride, q_channel_stride, k_batch_stride, k_head_stride,
    k_token_stride, k_channel_stride, v_batch_stride, v_head_stride, v_token_stride, v_channel_stride,
    out_batch_stride, out_head_stride, out_token_stride, out_channel_stride, lse_batch_stride,
    lse_head_stride, lse_token_stride,
    doc_values, doc_batch_stride,
    scale,
    order, records, tiles,
    map_batch_stride, batch_heads, heads_together, owner_tiles, q_tokens, kv_tokens,
):
    # Groups of heads share the L2 cache; in a group the heaviest tiles come first.
    program = tl.program_id(0)
    first_head = program // (heads_together * owner_tiles) * heads_together
    width = tl.minimum(batch_heads - first_head, heads_together)
    place = program - first_head * owner_tiles
    batch_head = first_head + place % width
    head = batch_head % 2
    kv_head = head
    batch = tl.cast(batch_head // 2, tl.int64)
    q_tile = tl.load(order + place // width)
    doc_values += batch * doc_batch_stride
    q_of_head = q + batch * q_batch_stride + tl.cast(head, tl.int64) * q_head_stride
    out_of_head = out + batch * out_batch_stride + tl.cast(head, tl.int64) * out_head_stride
    lse_of_head = lse + batch * lse_batch_stride + tl.cast(head, tl.int64) * lse_head_stride
    k_of_head = k + batch * k_batch_stride + tl.cast(kv_head, tl.int64) * k_head_stride
    v_of_head = v + batch * v_batch_stride + tl.cast(kv_head, tl.int64) * v_head_stride
    record = records + (tl.cast(batch, tl.int32) * map_batch_stride * owner_tiles + q_tile) * 3
    first = tl.load(record + 0)
    full_end = tl.load(record + 1)
    end = tl.load(record + 2)

    # The queries of a tile: up to 64 tokens of tokens(n)
    q_lane = tl.arange(0, 64)
    q_first_n = q_tile * 64
    q_base = q_first_n
    q_inside = q_lane
    q_token = q_base + q_inside
    q_exists = (q_first_n + q_lane < q_tokens)
    channel = tl.arange(0, 64)[None, :]

    queries = tl.load(
        q_of_head + tl.cast(q_token, tl.int64)[:, None] * q_token_stride + channel * q_channel_stride,
        mask=q_exists[:, None],
        other=0.0,
    )
    highest = tl.full([64], -3.4028234663852886e+38, tl.float32)  # highest score seen, per query
    total = tl.full([64], 0.0, tl.float32)  # sum of weights, per query
    weighted_values = tl.full([64, 64], 0.0, tl.float32)

    # Every kv tile in the block map of this q tile
    # The keys of a tile: up to 64 tokens of tokens(n)
    kv_lane = tl.arange(0, 64)
    kv_inside = kv_lane
    k_rows = (
        k_of_head
        + tl.cast(kv_inside, tl.int64)[:, None] * k_token_stride
        + channel * k_channel_stride
    )
    v_rows = (
        v_of_head
        + tl.cast(kv_inside, tl.int64)[:, None] * v_token_stride
        + channel * v_channel_stride
    )
    # FULL tiles: all pairs are visible
    for visit in tl.range(first, full_end):
        kv_tile = tl.load(tiles + visit)
        kv_first_n = kv_tile * 64
        kv_base = kv_first_n
        kv_offset = tl.cast(kv_base, tl.int64)
        k_block = tl.load(k_rows + kv_offset * k_token_stride)
        scores = tl.dot(queries, tl.trans(k_block))  # not scaled yet
        new_highest = tl.maximum(highest, tl.max(scores, axis=1) * (scale * 1.4426950408889634))
        rescale = tl.exp2(highest - new_highest)
        weights = tl.exp2((scores * (scale * 1.4426950408889634)) - new_highest[:, None])
        total = (total * rescale) + tl.sum(weights, axis=1)
        highest = new_highest
        v_block = tl.load(v_rows + kv_offset * v_token_stride)
        weighted_values = tl.dot(weights.to(tl.float16), v_block, weighted_values * rescale[:, None])
    # What the query alone decides
    q_at_n = q_first_n + q_lane
    # document.attn:16:12: doc[q]
    doc_of_query = tl.load(doc_values + q_token, mask=q_exists, other=0).to(tl.int64)
    # document.attn:16:12: doc[q]
    doc_of_query = tl.load(doc_values + q_token, mask=q_exists, other=0).to(tl.int64)
    # PARTIAL tiles
    for visit in tl.range(full_end, end):
        entry = tl.load(tiles + visit)
        kv_tile = entry & 0xffffff
        residual = entry >> 24
        kv_first_n = kv_tile * 64
        kv_base = kv_first_n
        kv_token = kv_base + kv_inside
        kv_offset = tl.cast(kv_base, tl.int64)
        kv_exists = (kv_first_n + kv_lane < kv_tokens)
        k_at_n = kv_first_n + kv_lane
        # document.attn:16:22: doc[k]
        doc_of_key = tl.load(doc_values + kv_token, mask=kv_exists, other=0).to(tl.int64)
        # document.attn:16:22: doc[k]
        doc_of_key = tl.load(doc_values + kv_token, mask=kv_exists, other=0).to(tl.int64)
        # doc[q] == doc[k]
        test_0 = (doc_of_query[:, None] == doc_of_key[None, :]) | (residual != 1)
        # doc[q] == doc[k]
        test_1 = (doc_of_query[:, None] == doc_of_key[None, :]) | (residual != 2)
        # k.n <= q.n
        test_2 = (k_at_n[None, :] <= q_at_n[:, None]) | (residual != 2)
        visible = test_0 & test_1 & test_2 & kv_exists[None, :]
        k_block = tl.load(k_rows + kv_offset * k_token_stride, mask=kv_exists[:, None], other=0.0)
        scores = tl.where(visible, tl.dot(queries, tl.trans(k_block)), float("-inf"))  # not scaled yet
        new_highest = tl.maximum(highest, tl.max(scores, axis=1) * (scale * 1.4426950408889634))
        rescale = tl.exp2(highest - new_highest)
        weights = tl.exp2((scores * (scale * 1.4426950408889634)) - new_highest[:, None])
        total = (total * rescale) + tl.sum(weights, axis=1)
        highest = new_highest
        v_block = tl.load(v_rows + kv_offset * v_token_stride, mask=kv_exists[:, None], other=0.0)
        weighted_values = tl.dot(weights.to(tl.float16), v_block, weighted_values * rescale[:, None])

    normaliser = tl.where(total == 0.0, 0.0, 1.0 / total)  # 0 where no key is visible
    tl.store(
        out_of_head + tl.cast(q_token, tl.int64)[:, None] * out_token_stride + channel * out_channel_stride,
        weighted_values * normaliser[:, None],
        mask=q_exists[:, None],
    )
    # natural log-sum-exp
    tl.store(
        lse_of_head + tl.cast(q_token, tl.int64) * lse_token_stride,
        tl.where(total == 0.0, float("-inf"), (highest + tl.log2(total)) * 0.6931471805599453),
        mask=q_exists,
    )


# Block map, order of tiles and numbers of the mask: type, shape, compressed bytes
SCHEDULE = {
    "order": (torch.int32, (1, 5), """
eNpjZmBgYAFiJiBmZIAAAACwAAs=
    """),
    "records": (torch.int32, (1, 5, 3), """
eNpjYIAARiTMjITZkDAXEuYHYgAFZABM
    """),
    "tiles": (torch.int32, (16,), """
eNpjYGBgYmBgYGRE0IxMqGxGZkw+IwtEjAEABNgAKQ==
    """),
}


@functools.cache
def schedule_array(name, device):
    """One of the schedule's arrays on a device."""
    kind, shape, text = SCHEDULE[name]
    data = bytearray(zlib.decompress(base64.b64decode(text)))
    return torch.frombuffer(data, dtype=kind).reshape(shape).to(device)


def attention(q, k, v, doc, scale=None):
    """Attention of document: output like q, and the natural log-sum-exp in float32.

    q: float16 [batch, 2, 300, D]; k, v: [batch, 2, 300, D or Dv].
    scale: positive, by default D**-0.5.
    doc: int values, [tokens] or [batch, tokens].
    """
    assert q.shape[1:3] == (2, 300), q.shape
    assert k.shape[1:3] == v.shape[1:3] == (2, 300), (k.shape, v.shape)
    assert scale is None or scale > 0, scale
    assert q.dtype == k.dtype == v.dtype == torch.float16, (q.dtype, k.dtype, v.dtype)
    out = torch.empty((*q.shape[:3], v.shape[3]), dtype=torch.float16, device=q.device)
    lse = torch.empty(q.shape[:3], dtype=torch.float32, device=q.device)
    doc = torch.as_tensor(doc, device=q.device).to(torch.int64).contiguous()
    owner_tiles = 5
    forward[(len(q) * 2 * owner_tiles,)](
        q, k, v, out, lse, *q.stride(), *k.stride(), *v.stride(), *out.stride(), *lse.stride(), doc,
        doc.stride(0) if doc.ndim > 1 else 0, q.shape[3] ** -0.5 if scale is None else scale,
        schedule_array("order", q.device), schedule_array("records", q.device), schedule_array("tiles",
        q.device), 0, q.shape[0] * q.shape[1], q.shape[1], owner_tiles, q.shape[2], k.shape[2],
        num_warps=8, num_stages=2,
    )
    return out, lse
