"""The recurrence_dk_dv pass in bfloat16 with head_dim 80 and value_dim 64; decay: channel.

Chunks of 16 tokens, 64 value channels in each program.
Printed by attndsl VERSION for 4 warps and 2 stages.
"""

import triton
import triton.language as tl


@triton.jit
def sum_through_in_blocks(steps, BLOCK: tl.constexpr):
    """Running sums down the rows, which start anew every BLOCK rows."""
    blocks = tl.reshape(steps, [steps.shape[0] // BLOCK, BLOCK, steps.shape[1]])
    return tl.reshape(tl.cumsum(blocks, axis=1), steps.shape)


@triton.jit
def sum_after_in_blocks(next_steps, BLOCK: tl.constexpr):
    """Sums of the later rows of each block of BLOCK rows, of rows that are moved up by one."""
    row = tl.arange(0, next_steps.shape[0])[:, None]
    steps = tl.where(row % BLOCK < BLOCK - 1, next_steps, 0.0)
    blocks = tl.reshape(steps, [steps.shape[0] // BLOCK, BLOCK, steps.shape[1]])
    return tl.reshape(tl.cumsum(blocks, axis=1, reverse=True), steps.shape)


@triton.jit(
    do_not_specialize=["heads", "group", "batches", "tokens", "segment_tokens"]
)
def recurrence_dk_dv(
    q, k, v, decay, out_gradient, final_state_gradient, k_gradient, v_gradient, k_share,
    initial_state_gradient,
    q_batch_stride, q_head_stride, q_token_stride, q_channel_stride, k_batch_stride, k_head_stride,
    k_token_stride, k_channel_stride, v_batch_stride, v_head_stride, v_token_stride, v_channel_stride,
    decay_batch_stride, decay_head_stride, decay_token_stride, decay_channel_stride,
    out_gradient_batch_stride, out_gradient_head_stride, out_gradient_token_stride,
    out_gradient_channel_stride, k_gradient_batch_stride, k_gradient_head_stride,
    k_gradient_token_stride, k_gradient_channel_stride, v_gradient_batch_stride, v_gradient_head_stride,
    v_gradient_token_stride, v_gradient_channel_stride, k_share_batch_stride, k_share_head_stride,
    k_share_token_stride, k_share_channel_stride,
    scale,
    heads, group, batches, tokens, segment_tokens,
):
    program = tl.program_id(0)
    batch_head = program
    batch = tl.cast(batch_head // heads, tl.int64)
    head = tl.cast(batch_head % heads, tl.int64)
    kv_head = head // group
    segment = tl.program_id(1)
    begin = segment * segment_tokens
    end = tl.minimum(begin + segment_tokens, tokens)
    channel = tl.arange(0, 128)
    value_channel = tl.arange(0, 64)
    lane = tl.arange(0, 16)
    row, column = lane[:, None], lane[None, :]  # tokens of a pair
    q += batch * q_batch_stride + head * q_head_stride
    k += batch * k_batch_stride + kv_head * k_head_stride
    v += batch * v_batch_stride + kv_head * v_head_stride
    decay += batch * decay_batch_stride + head * decay_head_stride
    out_gradient += batch * out_gradient_batch_stride + head * out_gradient_head_stride
    k_gradient += batch * k_gradient_batch_stride + head * k_gradient_head_stride
    v_gradient += batch * v_gradient_batch_stride + head * v_gradient_head_stride
    k_share += batch * k_share_batch_stride + head * k_share_head_stride
    state_place = channel[:, None] * 64 + value_channel[None, :]
    state_offset = (tl.cast(segment, tl.int64) * batches * heads + batch_head) * 5120
    final_state_gradient += state_offset
    initial_state_gradient += state_offset

    # the gradient of the state after the chunk
    state = tl.load(final_state_gradient + state_place, mask=(channel[:, None] < 80), other=0.0)

    # The last chunk first
    for turn in tl.range(0, tl.cdiv(end - begin, 16)):
        token = tl.cast(begin + (tl.cdiv(end - begin, 16) - 1 - turn) * 16 + lane, tl.int64)
        exists = token < end
        next_token = token + 1
        next_exists = (lane < 15) & (next_token < end)
        queries = tl.load(
            q + token[:, None] * q_token_stride + channel[None, :] * q_channel_stride,
            mask=exists[:, None] & (channel[None, :] < 80),
            other=0.0,
        )
        keys = tl.load(
            k + token[:, None] * k_token_stride + channel[None, :] * k_channel_stride,
            mask=exists[:, None] & (channel[None, :] < 80),
            other=0.0,
        )
        values = tl.load(
            v + token[:, None] * v_token_stride + value_channel[None, :] * v_channel_stride,
            mask=exists[:, None],
            other=0.0,
        )
        out_gradients = tl.load(
            out_gradient
            + token[:, None] * out_gradient_token_stride
            + value_channel[None, :] * out_gradient_channel_stride,
            mask=exists[:, None],
            other=0.0,
        )
        steps = tl.load(
            decay + token[:, None] * decay_token_stride + channel[None, :] * decay_channel_stride,
            mask=exists[:, None] & (channel[None, :] < 80),
            other=0.0,
        )
        steps *= 1.4426950408889634  # logarithms in base 2
        next_steps = tl.load(
            decay + next_token[:, None] * decay_token_stride + channel[None, :] * decay_channel_stride,
            mask=next_exists[:, None] & (channel[None, :] < 80),
            other=0.0,
        )
        next_steps *= 1.4426950408889634  # of the tokens after these
        from_start = tl.exp2(tl.cumsum(steps, axis=0))  # decay of what was before
        to_end = tl.exp2(tl.cumsum(next_steps, axis=0, reverse=True))  # decay up to the end of the chunk
        kept = tl.exp2(tl.sum(steps, axis=0))  # decay over the whole chunk
        weights = tl.full([16, 16], 0.0, tl.float32)
        weight_gradients = tl.dot(out_gradients, tl.trans(values))
        dk = tl.dot(values, tl.trans(state.to(tl.bfloat16)))
        dk = dk * to_end
        queries_1 = (queries.to(tl.float32) * scale) * tl.exp2(steps)
        keys_1 = keys
        weights = tl.where(
            (row > column) & ((row ^ column) == 1),
            tl.dot(queries_1.to(tl.bfloat16), tl.trans(keys_1)),
            weights,
        )
        weight_gradients_1 = tl.where((row > column) & ((row ^ column) == 1), weight_gradients, 0.0)
        dk_1 = tl.dot(tl.trans(weight_gradients_1.to(tl.bfloat16)), queries_1.to(tl.bfloat16))
        dk = dk + dk_1
        queries_2 = (queries.to(tl.float32) * scale) * tl.exp2(sum_through_in_blocks(steps, 2))
        keys_2 = keys.to(tl.float32) * tl.exp2(sum_after_in_blocks(next_steps, 2))
        weights = tl.where(
            (row > column) & ((row ^ column) // 2 == 1),
            tl.dot(queries_2.to(tl.bfloat16), tl.trans(keys_2.to(tl.bfloat16))),
            weights,
        )
        weight_gradients_2 = tl.where((row > column) & ((row ^ column) // 2 == 1), weight_gradients, 0.0)
        dk_2 = tl.dot(tl.trans(weight_gradients_2.to(tl.bfloat16)), queries_2.to(tl.bfloat16))
        dk = dk + (dk_2 * tl.exp2(sum_after_in_blocks(next_steps, 2)))
        queries_4 = (queries.to(tl.float32) * scale) * tl.exp2(sum_through_in_blocks(steps, 4))
        keys_4 = keys.to(tl.float32) * tl.exp2(sum_after_in_blocks(next_steps, 4))
        weights = tl.where(
            (row > column) & ((row ^ column) // 4 == 1),
            tl.dot(queries_4.to(tl.bfloat16), tl.trans(keys_4.to(tl.bfloat16))),
            weights,
        )
        weight_gradients_4 = tl.where((row > column) & ((row ^ column) // 4 == 1), weight_gradients, 0.0)
        dk_4 = tl.dot(tl.trans(weight_gradients_4.to(tl.bfloat16)), queries_4.to(tl.bfloat16))
        dk = dk + (dk_4 * tl.exp2(sum_after_in_blocks(next_steps, 4)))
        queries_8 = (queries.to(tl.float32) * scale) * tl.exp2(sum_through_in_blocks(steps, 8))
        keys_8 = keys.to(tl.float32) * tl.exp2(sum_after_in_blocks(next_steps, 8))
        weights = tl.where(
            (row > column) & ((row ^ column) // 8 == 1),
            tl.dot(queries_8.to(tl.bfloat16), tl.trans(keys_8.to(tl.bfloat16))),
            weights,
        )
        weight_gradients_8 = tl.where((row > column) & ((row ^ column) // 8 == 1), weight_gradients, 0.0)
        dk_8 = tl.dot(tl.trans(weight_gradients_8.to(tl.bfloat16)), queries_8.to(tl.bfloat16))
        dk = dk + (dk_8 * tl.exp2(sum_after_in_blocks(next_steps, 8)))
        faded_keys = keys.to(tl.float32) * to_end
        dv = tl.dot(faded_keys.to(tl.bfloat16), state.to(tl.bfloat16))
        dv = tl.dot(tl.trans(weights.to(tl.bfloat16)), out_gradients, dv)
        # enters the gradients of steps
        tl.store(
            k_share + token[:, None] * k_share_token_stride + channel[None, :] * k_share_channel_stride,
            keys.to(tl.float32) * dk,
            mask=exists[:, None] & (channel[None, :] < 80),
        )
        # of each token with itself, where nothing fades
        own_of_queries = tl.sum(out_gradients.to(tl.float32) * values.to(tl.float32), axis=1)
        own_of_values = tl.sum((queries.to(tl.float32) * scale) * keys.to(tl.float32), axis=1)
        tl.store(
            k_gradient
            + token[:, None] * k_gradient_token_stride
            + channel[None, :] * k_gradient_channel_stride,
            dk + (own_of_queries[:, None] * (queries.to(tl.float32) * scale)),
            mask=exists[:, None] & (channel[None, :] < 80),
        )
        tl.store(
            v_gradient
            + token[:, None] * v_gradient_token_stride
            + value_channel[None, :] * v_gradient_channel_stride,
            dv + (own_of_values[:, None] * out_gradients.to(tl.float32)),
            mask=exists[:, None],
        )
        faded_queries = (queries.to(tl.float32) * scale) * from_start
        state = state * kept[:, None]
        state = tl.dot(tl.trans(faded_queries.to(tl.bfloat16)), out_gradients, state)

    tl.store(initial_state_gradient + state_place, state, mask=(channel[:, None] < 80))
