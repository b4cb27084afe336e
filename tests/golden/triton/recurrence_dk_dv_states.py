"""The recurrence_dk_dv_states pass in bfloat16 with head_dim 64 and value_dim 64; decay: none.

Chunks of 16 tokens, 64 value channels in each program.
Printed by attndsl VERSION for 4 warps and 2 stages.
"""

import triton
import triton.language as tl


@triton.jit(
    do_not_specialize=["heads", "group", "batches", "tokens", "segment_tokens"]
)
def recurrence_dk_dv_states(
    q, out_gradient, final_state_gradient, initial_state_gradient,
    q_batch_stride, q_head_stride, q_token_stride, q_channel_stride, out_gradient_batch_stride,
    out_gradient_head_stride, out_gradient_token_stride, out_gradient_channel_stride,
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
    channel = tl.arange(0, 64)
    value_channel = tl.arange(0, 64)
    lane = tl.arange(0, 16)
    row, column = lane[:, None], lane[None, :]  # tokens of a pair
    q += batch * q_batch_stride + head * q_head_stride
    out_gradient += batch * out_gradient_batch_stride + head * out_gradient_head_stride
    state_place = channel[:, None] * 64 + value_channel[None, :]
    state_offset = (tl.cast(segment, tl.int64) * batches * heads + batch_head) * 4096
    final_state_gradient += state_offset
    initial_state_gradient += state_offset

    state = tl.load(final_state_gradient + state_place)  # the gradient of the state after the chunk

    # The last chunk first
    for turn in tl.range(0, tl.cdiv(end - begin, 16)):
        token = tl.cast(begin + (tl.cdiv(end - begin, 16) - 1 - turn) * 16 + lane, tl.int64)
        exists = token < end
        queries = tl.load(
            q + token[:, None] * q_token_stride + channel[None, :] * q_channel_stride,
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
        state = tl.dot(tl.trans(queries), (out_gradients.to(tl.float32) * scale).to(tl.bfloat16), state)

    tl.store(initial_state_gradient + state_place, state)
