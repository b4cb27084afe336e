"""The forward pass in bfloat16 with head_dim 64 and value_dim 64, of

bound gna_w13x13: heads 4, kv_heads 4
    queries tokens(axis0 = 64, axis1 = 64)
    keys    tokens(axis0 = 64, axis1 = 64)
    attend tokens -> tokens: min(max(min(q.axis0, 63) - 6, 0), 51) <= k.axis0 and k.axis0 <
        min(max(min(q.axis0, 63) - 6, 0), 51) + 13 and min(max(min(q.axis1, 63) - 6, 0), 51) <= k.axis1
        and k.axis1 < min(max(min(q.axis1, 63) - 6, 0), 51) + 13

Printed by attndsl VERSION for 8 warps and 2 stages.
"""

import triton
import triton.language as tl


@triton.jit(
    do_not_specialize=["batch_heads", "heads_together", "owner_tiles"]
)
def forward(
    q, k, v, out, lse,
    q_batch_stride, q_head_stride, q_token_stride, q_channel_stride, k_batch_stride, k_head_stride,
    k_token_stride, k_channel_stride, v_batch_stride, v_head_stride, v_token_stride, v_channel_stride,
    out_batch_stride, out_head_stride, out_token_stride, out_channel_stride, lse_batch_stride,
    lse_head_stride, lse_token_stride,
    scale,
    order, records, tiles,
    batch_heads, heads_together, owner_tiles,
):
    # Groups of heads share the L2 cache; in a group the heaviest tiles come first.
    program = tl.program_id(0)
    first_head = program // (heads_together * owner_tiles) * heads_together
    width = tl.minimum(batch_heads - first_head, heads_together)
    place = program - first_head * owner_tiles
    batch_head = first_head + place % width
    head = batch_head % 4
    kv_head = head
    batch = tl.cast(batch_head // 4, tl.int64)
    q_tile = tl.load(order + place // width)
    q_of_head = q + batch * q_batch_stride + tl.cast(head, tl.int64) * q_head_stride
    out_of_head = out + batch * out_batch_stride + tl.cast(head, tl.int64) * out_head_stride
    lse_of_head = lse + batch * lse_batch_stride + tl.cast(head, tl.int64) * lse_head_stride
    k_of_head = k + batch * k_batch_stride + tl.cast(kv_head, tl.int64) * k_head_stride
    v_of_head = v + batch * v_batch_stride + tl.cast(kv_head, tl.int64) * v_head_stride
    record = records + q_tile * 3
    first = tl.load(record + 0)
    full_end = tl.load(record + 1)
    end = tl.load(record + 2)

    # The queries of a tile: 8 x 16 tokens of tokens(axis0 = 64, axis1 = 64)
    q_lane = tl.arange(0, 128)
    q_first_axis0 = q_tile // 4 * 8
    q_first_axis1 = q_tile % 4 * 16
    q_base = q_first_axis0 * 64 + q_first_axis1
    q_inside = q_lane // 16 * 64 + q_lane % 16
    q_token = q_base + q_inside
    channel = tl.arange(0, 64)[None, :]

    queries = tl.load(
        q_of_head + tl.cast(q_token, tl.int64)[:, None] * q_token_stride + channel * q_channel_stride,
    )
    highest = tl.full([128], -3.4028234663852886e+38, tl.float32)  # highest score seen, per query
    total = tl.full([128], 0.0, tl.float32)  # sum of weights, per query
    weighted_values = tl.full([128, 64], 0.0, tl.float32)

    # Every kv tile in the block map of this q tile
    # The keys of a tile: 8 x 8 tokens of tokens(axis0 = 64, axis1 = 64)
    kv_lane = tl.arange(0, 64)
    kv_inside = kv_lane // 8 * 64 + kv_lane % 8
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
    # What the query alone decides
    q_at_axis0 = q_first_axis0 + q_lane // 16
    q_at_axis1 = q_first_axis1 + q_lane % 16
    # prelude.attn:51:60: clamp(leader - window // 2, 0, last + 1 - window)
    query_0 = tl.minimum(tl.maximum(tl.minimum(q_at_axis1, 63) - 6, 0), 51)
    # prelude.attn:51:60: clamp(leader - window // 2, 0, last + 1 - window)
    query_1 = tl.minimum(tl.maximum(tl.minimum(q_at_axis0, 63) - 6, 0), 51)
    query_2 = query_1 + 13  # prelude.attn:52:40: start + window
    query_3 = query_0 + 13  # prelude.attn:52:40: start + window
    # PARTIAL tiles
    for visit in tl.range(full_end, end):
        entry = tl.load(tiles + visit)
        kv_tile = entry & 0xffffff
        residual = entry >> 24
        kv_first_axis0 = kv_tile // 8 * 8
        kv_first_axis1 = kv_tile % 8 * 8
        kv_base = kv_first_axis0 * 64 + kv_first_axis1
        kv_offset = tl.cast(kv_base, tl.int64)
        k_at_axis0 = kv_first_axis0 + kv_lane // 8
        k_at_axis1 = kv_first_axis1 + kv_lane % 8
        # min(max(min(q.axis1, 63) - 6, 0), 51) <= k.axis1
        test_0 = (query_0[:, None] <= k_at_axis1[None, :]) | (residual == 5) | (residual == 7)
        # min(max(min(q.axis0, 63) - 6, 0), 51) <= k.axis0
        test_1 = (
            (query_1[:, None] <= k_at_axis0[None, :])
            | (residual == 3)
            | (residual == 6)
            | (residual == 7)
        )
        # k.axis0 < min(max(min(q.axis0, 63) - 6, 0), 51) + 13
        test_2 = (
            (k_at_axis0[None, :] < query_2[:, None])
            | (residual == 2)
            | (residual == 4)
            | (residual == 5)
        )
        # k.axis1 < min(max(min(q.axis1, 63) - 6, 0), 51) + 13
        test_3 = (
            (k_at_axis1[None, :] < query_3[:, None])
            | (residual == 4)
            | (residual == 6)
            | (residual == 8)
        )
        visible = test_0 & test_1 & test_2 & test_3
        k_block = tl.load(k_rows + kv_offset * k_token_stride)
        scores = tl.where(visible, tl.dot(queries, tl.trans(k_block)), float("-inf"))  # not scaled yet
        new_highest = tl.maximum(highest, tl.max(scores, axis=1) * (scale * 1.4426950408889634))
        rescale = tl.exp2(highest - new_highest)
        weights = tl.exp2((scores * (scale * 1.4426950408889634)) - new_highest[:, None])
        total = (total * rescale) + tl.sum(weights, axis=1)
        highest = new_highest
        v_block = tl.load(v_rows + kv_offset * v_token_stride)
        weighted_values = tl.dot(weights.to(tl.bfloat16), v_block, weighted_values * rescale[:, None])

    normaliser = tl.where(total == 0.0, 0.0, 1.0 / total)  # 0 where no key is visible
    tl.store(
        out_of_head + tl.cast(q_token, tl.int64)[:, None] * out_token_stride + channel * out_channel_stride,
        weighted_values * normaliser[:, None],
    )
    # natural log-sum-exp
    tl.store(
        lse_of_head + tl.cast(q_token, tl.int64) * lse_token_stride,
        tl.where(total == 0.0, float("-inf"), (highest + tl.log2(total)) * 0.6931471805599453),
    )
