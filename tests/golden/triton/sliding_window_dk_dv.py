"""The dk_dv pass in bfloat16 with head_dim 64 and value_dim 64, of

bound sliding_window_l256: heads 8, kv_heads 2
    queries tokens(n = 4000)
    keys    tokens(n = 4000)
    attend tokens -> tokens: q.n - 256 <= k.n and k.n <= q.n

Printed by attndsl VERSION for 8 warps and 2 stages.
"""

import triton
import triton.language as tl


@triton.jit(
    do_not_specialize=["batch_heads", "heads_together", "owner_tiles", "q_tokens", "kv_tokens"]
)
def dk_dv(
    q, k, v, lse, out_gradient, delta, k_gradient, v_gradient,
    q_batch_stride, q_head_stride, q_token_stride, q_channel_stride, k_batch_stride, k_head_stride,
    k_token_stride, k_channel_stride, v_batch_stride, v_head_stride, v_token_stride, v_channel_stride,
    lse_batch_stride, lse_head_stride, lse_token_stride, out_gradient_batch_stride,
    out_gradient_head_stride, out_gradient_token_stride, out_gradient_channel_stride,
    delta_batch_stride, delta_head_stride, delta_token_stride, k_gradient_batch_stride,
    k_gradient_head_stride, k_gradient_token_stride, k_gradient_channel_stride, v_gradient_batch_stride,
    v_gradient_head_stride, v_gradient_token_stride, v_gradient_channel_stride,
    scale,
    order, records,
    batch_heads, heads_together, owner_tiles, q_tokens, kv_tokens,
):
    # Groups of heads share the L2 cache; in a group the heaviest tiles come first.
    program = tl.program_id(0)
    first_head = program // (heads_together * owner_tiles) * heads_together
    width = tl.minimum(batch_heads - first_head, heads_together)
    place = program - first_head * owner_tiles
    batch_head = first_head + place % width
    kv_head = batch_head % 2
    head = kv_head * 4
    batch = tl.cast(batch_head // 2, tl.int64)
    kv_tile = tl.load(order + place // width)
    k_of_head = k + batch * k_batch_stride + tl.cast(kv_head, tl.int64) * k_head_stride
    v_of_head = v + batch * v_batch_stride + tl.cast(kv_head, tl.int64) * v_head_stride
    k_gradient_of_head = (
        k_gradient
        + batch * k_gradient_batch_stride
        + tl.cast(kv_head, tl.int64) * k_gradient_head_stride
    )
    v_gradient_of_head = (
        v_gradient
        + batch * v_gradient_batch_stride
        + tl.cast(kv_head, tl.int64) * v_gradient_head_stride
    )

    # The keys of a tile: up to 128 tokens of tokens(n)
    kv_lane = tl.arange(0, 128)
    kv_first_n = kv_tile * 128
    kv_base = kv_first_n
    kv_inside = kv_lane
    kv_token = kv_base + kv_inside
    kv_exists = (kv_first_n + kv_lane < kv_tokens)
    channel = tl.arange(0, 64)[None, :]

    keys = tl.load(
        k_of_head + tl.cast(kv_token, tl.int64)[:, None] * k_token_stride + channel * k_channel_stride,
        mask=kv_exists[:, None],
        other=0.0,
    )
    values = tl.load(
        v_of_head + tl.cast(kv_token, tl.int64)[:, None] * v_token_stride + channel * v_channel_stride,
        mask=kv_exists[:, None],
        other=0.0,
    )
    dk = tl.full([128, 64], 0.0, tl.float32)
    dv = tl.full([128, 64], 0.0, tl.float32)

    q_of_head = q + batch * q_batch_stride + tl.cast(head, tl.int64) * q_head_stride
    lse_of_head = lse + batch * lse_batch_stride + tl.cast(head, tl.int64) * lse_head_stride
    out_gradient_of_head = (
        out_gradient
        + batch * out_gradient_batch_stride
        + tl.cast(head, tl.int64) * out_gradient_head_stride
    )
    delta_of_head = delta + batch * delta_batch_stride + tl.cast(head, tl.int64) * delta_head_stride
    record = records + kv_tile * 6
    first = tl.load(record + 0)
    full_first = tl.load(record + 1)
    full_end = tl.load(record + 2)
    end = tl.load(record + 3)
    left_residual = tl.load(record + 4)
    right_residual = tl.load(record + 5)
    # Every q tile whose block map has this kv tile
    # The queries of a tile: up to 32 tokens of tokens(n)
    q_lane = tl.arange(0, 32)
    q_inside = q_lane
    q_rows = (
        q_of_head
        + tl.cast(q_inside, tl.int64)[:, None] * q_token_stride
        + channel * q_channel_stride
    )
    lse_rows = lse_of_head + tl.cast(q_inside, tl.int64) * lse_token_stride
    out_gradient_rows = (
        out_gradient_of_head
        + tl.cast(q_inside, tl.int64)[:, None] * out_gradient_token_stride
        + channel * out_gradient_channel_stride
    )
    delta_rows = delta_of_head + tl.cast(q_inside, tl.int64) * delta_token_stride
    # FULL tiles: all pairs are visible
    for turn in tl.range(0, 4 * (full_end - full_first)):
        member = turn // (full_end - full_first)
        q_tile = full_first + turn % (full_end - full_first)
        q_first_n = q_tile * 32
        q_base = q_first_n
        q_offset = tl.cast(q_base, tl.int64)
        q_block = tl.load(q_rows + q_offset * q_token_stride + tl.cast(member, tl.int64) * q_head_stride)
        products = tl.dot(keys, tl.trans(q_block))
        out_gradient_block = tl.load(
            out_gradient_rows
            + q_offset * out_gradient_token_stride
            + tl.cast(member, tl.int64) * out_gradient_head_stride,
        )
        weight_gradients = tl.dot(values, tl.trans(out_gradient_block))
        lse_block = tl.load(
            lse_rows + q_offset * lse_token_stride + tl.cast(member, tl.int64) * lse_head_stride,
        )
        # as in the forward pass
        weights = tl.exp2(
            (products * (scale * 1.4426950408889634)) - (lse_block * 1.4426950408889634)[None, :],
        )
        delta_block = tl.load(
            delta_rows + q_offset * delta_token_stride + tl.cast(member, tl.int64) * delta_head_stride,
        )
        score_gradients = weights * (weight_gradients - delta_block[None, :])
        dv = tl.dot(weights.to(tl.bfloat16), out_gradient_block, dv)
        dk = tl.dot(score_gradients.to(tl.bfloat16), q_block, dk)
    # What the key alone decides
    k_at_n = kv_first_n + kv_lane
    # PARTIAL tiles
    for turn in tl.range(0, 4 * (end - full_end + full_first - first)):
        member = turn // (end - full_end + full_first - first)
        visit = first + turn % (end - full_end + full_first - first)
        q_tile = tl.where(visit < full_first, visit, visit + full_end - full_first)
        residual = tl.where(visit < full_first, left_residual, right_residual)
        q_first_n = q_tile * 32
        q_base = q_first_n
        q_offset = tl.cast(q_base, tl.int64)
        q_at_n = q_first_n + q_lane
        query_0 = q_at_n - 256  # prelude.attn:16:12: query - left
        # k.n <= q.n
        test_0 = (k_at_n[:, None] <= q_at_n[None, :]) | (residual == 2)
        # q.n - 256 <= k.n
        test_1 = (query_0[None, :] <= k_at_n[:, None]) | (residual == 1)
        visible = test_0 & test_1
        q_block = tl.load(q_rows + q_offset * q_token_stride + tl.cast(member, tl.int64) * q_head_stride)
        products = tl.dot(keys, tl.trans(q_block))
        out_gradient_block = tl.load(
            out_gradient_rows
            + q_offset * out_gradient_token_stride
            + tl.cast(member, tl.int64) * out_gradient_head_stride,
        )
        weight_gradients = tl.dot(values, tl.trans(out_gradient_block))
        lse_block = tl.load(
            lse_rows + q_offset * lse_token_stride + tl.cast(member, tl.int64) * lse_head_stride,
        )
        # as in the forward pass
        weights = tl.where(
            visible,
            tl.exp2((products * (scale * 1.4426950408889634)) - (lse_block * 1.4426950408889634)[None, :]),
            0.0,
        )
        delta_block = tl.load(
            delta_rows + q_offset * delta_token_stride + tl.cast(member, tl.int64) * delta_head_stride,
        )
        score_gradients = weights * (weight_gradients - delta_block[None, :])
        dv = tl.dot(weights.to(tl.bfloat16), out_gradient_block, dv)
        dk = tl.dot(score_gradients.to(tl.bfloat16), q_block, dk)

    tl.store(
        k_gradient_of_head
        + tl.cast(kv_token, tl.int64)[:, None] * k_gradient_token_stride
        + channel * k_gradient_channel_stride,
        dk * scale,
        mask=kv_exists[:, None],
    )
    tl.store(
        v_gradient_of_head
        + tl.cast(kv_token, tl.int64)[:, None] * v_gradient_token_stride
        + channel * v_gradient_channel_stride,
        dv,
        mask=kv_exists[:, None],
    )
