"""The forward pass in bfloat16 with head_dim 80 and value_dim 80, of

bound radial_b32: heads 1, kv_heads 1
    queries video(frame = 7, token = 128) ++ text(n = 16)
    keys    video(frame = 7, token = 128) ++ text(n = 16)
    attend video -> video: abs(q.frame - k.frame) <= 1 or abs(q.frame - k.frame) % 2 ** max(7 - (8 -
        bit_length(abs(q.frame - k.frame))), 0) == 0 and abs(q.token // 32 - k.token // 32) <=
        (floor(max(2.0 ** (8 - bit_length(abs(q.frame - k.frame))) * 1.0, 32)) + 6) // 32
    attend video -> text: true
    attend text -> video: true
    attend text -> text: true

Printed by attndsl VERSION for 8 warps and 2 stages.
"""

import triton
import triton.language as tl


@triton.jit
def bit_length(number):
    """The number of binary digits of the absolute value; 0 for 0."""
    rest = tl.abs(number.to(tl.int64))
    length = (rest > 0).to(tl.int32)
    for power in tl.static_range(5, -1, -1):
        wide = (rest >> (1 << power)) > 0
        length += tl.where(wide, 1 << power, 0)
        rest = tl.where(wide, rest >> (1 << power), rest)
    return length


@triton.jit
def power_of_two(exponent):
    """2.0**exponent, exact: the exponent goes into the exponent's bits."""
    return ((exponent.to(tl.int64) + 1023) << 52).to(tl.float64, bitcast=True)


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
    head = batch_head % 1
    kv_head = head
    batch = tl.cast(batch_head // 1, tl.int64)
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

    # The queries of a tile: 1 x 128 tokens of video(frame = 7, token = 128), or 16 tokens of text(n =
    #     16)
    q_lane = tl.arange(0, 128)
    q_first_video_frame = q_tile
    q_base = tl.where(q_tile < 7, q_first_video_frame * 128, 896)
    q_inside = q_lane
    q_token = q_base + q_inside
    q_exists = ((q_tile < 7) | ((q_lane < 16)))
    channel = tl.arange(0, 128)[None, :]

    queries = tl.load(
        q_of_head + tl.cast(q_token, tl.int64)[:, None] * q_token_stride + channel * q_channel_stride,
        mask=q_exists[:, None] & (channel < 80),
        other=0.0,
    )
    highest = tl.full([128], -3.4028234663852886e+38, tl.float32)  # highest score seen, per query
    total = tl.full([128], 0.0, tl.float32)  # sum of weights, per query
    weighted_values = tl.full([128, 128], 0.0, tl.float32)

    # Every kv tile in the block map of this q tile
    # The keys of a tile: 1 x 64 tokens of video(frame = 7, token = 128), or 16 tokens of text(n = 16)
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
        kv_first_video_frame = kv_tile // 2
        kv_first_video_token = kv_tile % 2 * 64
        kv_base = tl.where(kv_tile < 14, kv_first_video_frame * 128 + kv_first_video_token, 896)
        kv_offset = tl.cast(kv_base, tl.int64)
        k_block = tl.load(k_rows + kv_offset * k_token_stride, mask=(channel < 80), other=0.0)
        scores = tl.dot(queries, tl.trans(k_block))  # not scaled yet
        new_highest = tl.maximum(highest, tl.max(scores, axis=1) * (scale * 1.4426950408889634))
        rescale = tl.exp2(highest - new_highest)
        weights = tl.exp2((scores * (scale * 1.4426950408889634)) - new_highest[:, None])
        total = (total * rescale) + tl.sum(weights, axis=1)
        highest = new_highest
        v_block = tl.load(v_rows + kv_offset * v_token_stride, mask=(channel < 80), other=0.0)
        weighted_values = tl.dot(weights.to(tl.bfloat16), v_block, weighted_values * rescale[:, None])
    # What the query alone decides
    q_at_video_frame = q_first_video_frame + q_lane * 0
    q_at_video_token = q_lane
    query_0 = q_at_video_token // 32  # radial.attn:32:20: q.token // block
    # PARTIAL tiles
    for visit in tl.range(full_end, end):
        entry = tl.load(tiles + visit)
        kv_tile = entry & 0xffffff
        residual = entry >> 24
        kv_first_video_frame = kv_tile // 2
        kv_first_video_token = kv_tile % 2 * 64
        kv_base = tl.where(kv_tile < 14, kv_first_video_frame * 128 + kv_first_video_token, 896)
        kv_offset = tl.cast(kv_base, tl.int64)
        kv_exists = ((kv_tile < 14) | ((kv_lane < 16)))
        k_at_video_frame = kv_first_video_frame + kv_lane * 0
        k_at_video_token = kv_first_video_token + kv_lane
        key_0 = k_at_video_token // 32  # radial.attn:32:39: k.token // block
        # radial.attn:28:21: 2.0 ** octaves * decay
        pair_0 = (
            power_of_two(8 - bit_length(tl.abs(q_at_video_frame[:, None] - k_at_video_frame[None, :]))) * tl.full([], 1.0, tl.float64)
        )
        # radial.attn:32:16: abs(q.token // block - k.token // block) <= blocks
        pair_1 = (
            tl.abs(query_0[:, None] - key_0[None, :])
            <= ((tl.floor(tl.maximum(pair_0, tl.full([], 32, tl.float64))).to(tl.int32) + 6) // 32)
        )
        # video -> video: abs(q.token // 32 - k.token // 32) <= (floor(max(2.0 ** (8 -
        #     bit_length(abs(q.frame - k.frame))) * 1.0, 32)) + 6) // 32
        test_0 = pair_1 | (residual == 2)
        visible = test_0 & kv_exists[None, :]
        k_block = tl.load(
            k_rows + kv_offset * k_token_stride,
            mask=kv_exists[:, None] & (channel < 80),
            other=0.0,
        )
        scores = tl.where(visible, tl.dot(queries, tl.trans(k_block)), float("-inf"))  # not scaled yet
        new_highest = tl.maximum(highest, tl.max(scores, axis=1) * (scale * 1.4426950408889634))
        rescale = tl.exp2(highest - new_highest)
        weights = tl.exp2((scores * (scale * 1.4426950408889634)) - new_highest[:, None])
        total = (total * rescale) + tl.sum(weights, axis=1)
        highest = new_highest
        v_block = tl.load(
            v_rows + kv_offset * v_token_stride,
            mask=kv_exists[:, None] & (channel < 80),
            other=0.0,
        )
        weighted_values = tl.dot(weights.to(tl.bfloat16), v_block, weighted_values * rescale[:, None])

    normaliser = tl.where(total == 0.0, 0.0, 1.0 / total)  # 0 where no key is visible
    tl.store(
        out_of_head + tl.cast(q_token, tl.int64)[:, None] * out_token_stride + channel * out_channel_stride,
        weighted_values * normaliser[:, None],
        mask=q_exists[:, None] & (channel < 80),
    )
    # natural log-sum-exp
    tl.store(
        lse_of_head + tl.cast(q_token, tl.int64) * lse_token_stride,
        tl.where(total == 0.0, float("-inf"), (highest + tl.log2(total)) * 0.6931471805599453),
        mask=q_exists,
    )
