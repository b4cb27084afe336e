// attndsl tile runtime for recurrences: sums over the tokens of a chunk, products of float32 tiles that only they need,
// states, and the loop over heads.
#pragma once
#include "tile_runtime.h"

namespace attn {

// The numbers of the columns in a vector that begins at `column`.
ATTN_INLINE IntVector columns_from(int column) {
    IntVector numbers;
    ATTN_UNROLL
    for (int lane = 0; lane < vector_width; ++lane) numbers[lane] = lane + column;
    return numbers;
}

// Relations of the query in `row` and the keys from `column` on, inside a chunk: all bits set where they hold.
ATTN_INLINE IntVector pairs_up_to(int row, int column) { return columns_from(column) <= row; }
ATTN_INLINE IntVector pairs_before(int row, int column) { return columns_from(column) < row; }
ATTN_INLINE IntVector pairs_same(int row, int column) { return columns_from(column) == row; }
template <int Half> ATTN_INLINE IntVector pairs_halves(int row, int column) {
    return (columns_from(column) / Half) == (row / Half % 2 ? row / Half - 1 : -1);
}

// target[r] = source[0] + .. + source[r], anew in every block of Block rows.
template <int Block, int Rows, int Columns>
inline void sum_through(Tile<float, Rows, Columns>& target, const Tile<float, Rows, Columns>& source) {
    for (int column = 0; column < target.stride; column += vector_width) {
        Vector sum = {};
        for (int row = 0; row < Rows; ++row) {
            if (row % Block == 0) sum = Vector{};
            sum += load(source.row(row) + column);
            store(target.row(row) + column, sum);
        }
    }
}
template <int Block, int Rows> inline void sum_through(float (&target)[Rows], const float (&source)[Rows]) {
    float sum = 0.0f;
    for (int row = 0; row < Rows; ++row) target[row] = sum = (row % Block ? sum : 0.0f) + source[row];
}

// target[r] = source[r + 1] + .. + source[last], anew in every block of Block rows.
template <int Block, int Rows, int Columns>
inline void sum_after(Tile<float, Rows, Columns>& target, const Tile<float, Rows, Columns>& source) {
    for (int column = 0; column < target.stride; column += vector_width) {
        Vector sum = {};
        for (int row = Rows - 1; row >= 0; --row) {
            if (row % Block == Block - 1) sum = Vector{};
            const Vector here = load(source.row(row) + column);
            store(target.row(row) + column, sum);
            sum += here;
        }
    }
}
template <int Block, int Rows> inline void sum_after(float (&target)[Rows], const float (&source)[Rows]) {
    float sum = 0.0f;
    for (int row = Rows - 1; row >= 0; --row) {
        const float here = source[row];
        target[row] = row % Block == Block - 1 ? 0.0f : sum;
        sum = target[row] + here;
    }
}

// The sum of all rows.
template <int Rows, int Columns>
inline void total(float (&target)[Columns], const Tile<float, Rows, Columns>& source) {
    for (int column = 0; column < source.stride; column += vector_width) {
        Vector sum = {};
        for (int row = 0; row < Rows; ++row) sum += load(source.row(row) + column);
        store(target + column, sum);
    }
}
template <int Rows> inline float total(const float (&source)[Rows]) {
    float sum = 0.0f;
    for (int row = 0; row < Rows; ++row) sum += source[row];
    return sum;
}

// target = left^T . right
template <int M, int N, int K>
inline void dot_transposed(Tile<float, M, N>& target, const Tile<float, K, M>& left, const Tile<float, K, N>& right) {
    multiply<M, padded(N) / vector_width, 1, padded(M), padded(N), padded(N), false>(target.data, left.data, right.data,
                                                                                    nullptr, WholeRows<K>());
}

// target = tile^T
template <int Rows, int Columns>
inline void transpose_tile(Tile<float, Columns, Rows>& target, const Tile<float, Rows, Columns>& tile) {
    static_assert(Rows % vector_width == 0 && Columns % vector_width == 0, "whole vectors both ways");
    for (int row = 0; row < Rows; row += vector_width)
        for (int column = 0; column < Columns; column += vector_width) {
            Vector block[vector_width];
            for (int lane = 0; lane < vector_width; ++lane) block[lane] = load(tile.row(row + lane) + column);
            transpose(block);
            for (int lane = 0; lane < vector_width; ++lane) store(target.row(column + lane) + row, block[lane]);
        }
}

// Asks for a chunk that will be needed soon; it should not push out of the nearest cache what is needed now.
template <int Channels, class Element>
ATTN_INLINE void fetch_ahead(TokenRows<Element> rows) {
    if (rows.channel_stride != 1) return;
    for (int index = 0; index < rows.count; ++index) {
        const char* token = reinterpret_cast<const char*>(rows.row(index));
        for (int byte = 0; byte < Channels * int(sizeof(Element)); byte += 64) __builtin_prefetch(token + byte, 0, 2);
    }
}

// The matrix of one head in a tensor [batch, heads, Rows, Columns].
template <int Rows, int Columns>
inline void load_state(Tile<float, Rows, Columns>& state, const TensorArgument& tensor, int64_t batch, int64_t head) {
    const float* data = static_cast<const float*>(tensor.data) + batch * tensor.batch_stride + head * tensor.head_stride;
    for (int row = 0; row < Rows; ++row)
        for (int column = 0; column < Columns; ++column)
            state.row(row)[column] = data[row * tensor.token_stride + column * tensor.channel_stride];
}
template <int Rows, int Columns>
inline void store_state(const Tile<float, Rows, Columns>& state, const TensorArgument& tensor, int64_t batch,
                        int64_t head) {
    float* data = static_cast<float*>(tensor.data) + batch * tensor.batch_stride + head * tensor.head_stride;
    for (int row = 0; row < Rows; ++row)
        for (int column = 0; column < Columns; ++column)
            data[row * tensor.token_stride + column * tensor.channel_stride] = state.row(row)[column];
}

// Calls run(call, scratch of its thread, batch, head) for every query head. Returns 1 when memory is short, else 0.
template <class Scratch, class Run>
int for_each_head(const Call& call, Run run) {
    const int64_t heads = call.batches * call.heads, threads = call.threads < heads ? call.threads : heads;
    Workspace workspace(threads * int64_t{sizeof(Scratch)} + 64);
    if (!workspace.exists()) return 1;
    Scratch* scratch = workspace.take<Scratch>(threads);
#pragma omp parallel for num_threads(static_cast<int>(threads)) schedule(dynamic, 1)
    for (int64_t item = 0; item < heads; ++item)
        run(call, scratch[thread_number()], item / call.heads, item % call.heads);
    return 0;
}

}  // namespace attn
