"""The recurrence_forward pass in bfloat16 with head_dim 64 and value_dim 100; decay: token.

Chunks of 16 tokens, 64 value channels in each program.
Printed by attndsl VERSION for 4 warps and 2 stages.
"""

import triton
import triton.language as tl


@triton.jit
def steps_between(steps):
    """[i, j]: the sum of the steps after row j up to row i, for i > j; -8192 stands for all below it.

    A difference of running sums, which would cancel: steps are split into multiples of 1/16, whose sums and
    differences are exact, and small rests.
    """
    steps = tl.maximum(steps, -8192.0)
    coarse = tl.floor(steps * 16.0 + 0.5) * 0.0625
    rest = tl.cumsum(steps - coarse, axis=0)
    coarse = tl.cumsum(coarse, axis=0)
    return (coarse[:, None] - coarse[None, :]) + (rest[:, None] - rest[None, :])


@triton.jit(
    do_not_specialize=["heads", "group", "batches", "tokens", "segment_tokens"]
)
def recurrence_forward(
    q, k, v, decay, initial_state, out, final_state,
    q_batch_stride, q_head_stride, q_token_stride, q_channel_stride, k_batch_stride, k_head_stride,
    k_token_stride, k_channel_stride, v_batch_stride, v_head_stride, v_token_stride, v_channel_stride,
    decay_batch_stride, decay_head_stride, decay_token_stride, out_batch_stride, out_head_stride,
    out_token_stride, out_channel_stride,
    scale,
    heads, group, batches, tokens, segment_tokens,
):
    program = tl.program_id(0)
    value_block = program % 2
    batch_head = program // 2
    batch = tl.cast(batch_head // heads, tl.int64)
    head = tl.cast(batch_head % heads, tl.int64)
    kv_head = head // group
    segment = tl.program_id(1)
    begin = segment * segment_tokens
    end = tl.minimum(begin + segment_tokens, tokens)
    channel = tl.arange(0, 64)
    value_channel = value_block * 64 + tl.arange(0, 64)
    lane = tl.arange(0, 16)
    row, column = lane[:, None], lane[None, :]  # tokens of a pair
    q += batch * q_batch_stride + head * q_head_stride
    k += batch * k_batch_stride + kv_head * k_head_stride
    v += batch * v_batch_stride + kv_head * v_head_stride
    decay += batch * decay_batch_stride + head * decay_head_stride
    out += batch * out_batch_stride + head * out_head_stride
    state_place = channel[:, None] * 100 + value_channel[None, :]
    state_offset = (tl.cast(segment, tl.int64) * batches * heads + batch_head) * 6400
    initial_state += state_offset
    final_state += state_offset

    state = tl.load(initial_state + state_place, mask=(value_channel[None, :] < 100), other=0.0)

    # One chunk after the other: what came before the chunk is in the state
    for start in tl.range(begin, end, 16):
        token = tl.cast(start + lane, tl.int64)
        exists = token < end
        next_token = token + 1
        next_exists = (lane < 15) & (next_token < end)
        queries = tl.load(
            q + token[:, None] * q_token_stride + channel[None, :] * q_channel_stride,
            mask=exists[:, None],
            other=0.0,
        )
        keys = tl.load(
            k + token[:, None] * k_token_stride + channel[None, :] * k_channel_stride,
            mask=exists[:, None],
            other=0.0,
        )
        values = tl.load(
            v + token[:, None] * v_token_stride + value_channel[None, :] * v_channel_stride,
            mask=exists[:, None] & (value_channel[None, :] < 100),
            other=0.0,
        )
        steps = tl.load(decay + token * decay_token_stride, mask=exists, other=0.0)
        steps *= 1.4426950408889634  # logarithms in base 2
        next_steps = tl.load(decay + next_token * decay_token_stride, mask=next_exists, other=0.0)
        next_steps *= 1.4426950408889634  # of the tokens after these
        from_start = tl.exp2(tl.cumsum(steps, axis=0))  # decay of what was before
        to_end = tl.exp2(tl.cumsum(next_steps, axis=0, reverse=True))  # decay up to the end of the chunk
        kept = tl.exp2(tl.sum(steps, axis=0))  # decay over the whole chunk
        # between the tokens of each pair; 0 for no pair
        decays = tl.exp2(tl.where(row >= column, steps_between(steps), float("-inf")))
        weights = tl.dot(queries, tl.trans(keys)) * decays
        outputs = tl.dot(queries, state.to(tl.bfloat16))
        outputs = outputs * from_start[:, None]
        outputs = tl.dot(weights.to(tl.bfloat16), values, outputs)
        tl.store(
            out + token[:, None] * out_token_stride + value_channel[None, :] * out_channel_stride,
            outputs * scale,
            mask=exists[:, None] & (value_channel[None, :] < 100),
        )
        state = state * kept
        state = tl.dot(tl.trans(keys), (values.to(tl.float32) * to_end[:, None]).to(tl.bfloat16), state)

    tl.store(final_state + state_place, state, mask=(value_channel[None, :] < 100))
