// attndsl tile runtime, 5 of 12: matrix products of tiles.
//
// All products go through one microkernel, a register block of MR rows x NR vectors that runs over the
// whole inner extent: each step broadcasts MR numbers of the left operand and loads NR vectors of the right.
#pragma once
#include "runtime_tile.h"

namespace attn {

// Rows of the register block for NR vectors of columns, so that accumulators and operands fill the registers.
constexpr int block_rows(int vectors) {
#if defined(ATTN_AVX512)
    return vectors == 4 ? 6 : vectors == 3 ? 8 : 12;
#else
    return vectors == 3 ? 4 : vectors == 2 ? 5 : 8;
#endif
}
#if defined(ATTN_AVX512)
constexpr int block_vectors = 4;
#else
constexpr int block_vectors = 3;
#endif

// Rows and vectors of a block where blocks without visible pairs are left out.
#if defined(ATTN_AVX512)
constexpr int sparse_rows = 8, sparse_vectors = 2;
#else
constexpr int sparse_rows = 4, sparse_vectors = 2;
#endif

// target[m][n] = (Accumulate ? target[m][n] * alpha[m] : 0) + sum_k left[m * LeftRow + k * LeftInner] * right[k][n],
// with inner indices k from span.begin up to span.end.
// The old target is added last: a sum over many tiles then loses less to rounding than one running sum would.
template <int MR, int NR, int LeftRow, int LeftInner, int RightRow, int TargetRow, bool Accumulate>
ATTN_INLINE void multiply_block(float* target, const float* left, const float* right, const float* alpha, Span span) {
    Vector sum[MR][NR] = {};
    for (int inner = span.begin; inner < span.end; ++inner) {
        Vector factor[NR];
        ATTN_UNROLL
        for (int vector = 0; vector < NR; ++vector)
            factor[vector] = load(right + inner * RightRow + vector * vector_width);
        ATTN_UNROLL
        for (int row = 0; row < MR; ++row) {
            const Vector weight = broadcast(left[row * LeftRow + inner * LeftInner]);
            ATTN_UNROLL
            for (int vector = 0; vector < NR; ++vector) sum[row][vector] += weight * factor[vector];
        }
    }
    ATTN_UNROLL
    for (int row = 0; row < MR; ++row) {
        ATTN_UNROLL
        for (int vector = 0; vector < NR; ++vector) {
            float* place = target + row * TargetRow + vector * vector_width;
            store(place, Accumulate ? load(place) * alpha[row] + sum[row][vector] : sum[row][vector]);
        }
    }
}

template <int Rows, int NR, int LeftRow, int LeftInner, int RightRow, int TargetRow, bool Accumulate, class Inner>
inline void multiply_columns(float* target, const float* left, const float* right, const float* alpha, Inner inner) {
    constexpr int MR = block_rows(NR) < Rows ? block_rows(NR) : Rows;
    constexpr int rest = Rows % MR;
    int row = 0;
    for (; row + MR <= Rows; row += MR)
        multiply_block<MR, NR, LeftRow, LeftInner, RightRow, TargetRow, Accumulate>(
            target + row * TargetRow, left + row * LeftRow, right, alpha + row, inner.of(row, MR));
    if constexpr (rest > 0)
        multiply_block<rest, NR, LeftRow, LeftInner, RightRow, TargetRow, Accumulate>(
            target + row * TargetRow, left + row * LeftRow, right, alpha + row, inner.of(row, rest));
}

// inner: the inner indices that matter to some rows, WholeRows or Spans.
template <int Rows, int Vectors, int LeftRow, int LeftInner, int RightRow, int TargetRow, bool Accumulate, class Inner>
inline void multiply(float* target, const float* left, const float* right, const float* alpha, const Inner& inner) {
    constexpr int blocks = (Vectors + block_vectors - 1) / block_vectors;
    constexpr int first = Vectors / blocks;  // the remaining vectors go to another block
    multiply_columns<Rows, first, LeftRow, LeftInner, RightRow, TargetRow, Accumulate>(target, left, right, alpha,
                                                                                       inner);
    if constexpr (Vectors > first)
        multiply<Rows, Vectors - first, LeftRow, LeftInner, RightRow, TargetRow, Accumulate>(
            target + first * vector_width, left, right + first * vector_width, alpha, inner);
}

template <int Count> struct Ones {
    float data[Count];
    constexpr Ones() : data() { for (int index = 0; index < Count; ++index) data[index] = 1.0f; }
};
template <int Count> constexpr Ones<Count> ones{};

// target = left . right
template <int M, int N, int K>
inline void dot(Tile<float, M, N>& target, const Tile<float, M, K>& left, const Tile<float, K, N>& right) {
    multiply<M, padded(N) / vector_width, padded(K), 1, padded(N), padded(N), false>(
        target.data, left.data, right.data, nullptr, WholeRows<K>());
}

// The same for blocks of target with a visible pair; the others keep what they held.
template <int M, int N, int K>
inline void dot(Tile<float, M, N>& target, const Tile<float, M, K>& left, const Tile<float, K, N>& right,
                const Spans<M>& visible) {
    constexpr int vectors = padded(N) / vector_width % sparse_vectors ? 1 : sparse_vectors;
    constexpr int columns = vectors * vector_width;
    static_assert(M % sparse_rows == 0, "rows are filled up to whole blocks");
    for (int row = 0; row < M; row += sparse_rows) {
        const Span span = visible.of(row, sparse_rows);
        for (int column = span.begin / columns * columns; column < span.end; column += columns)
            multiply_block<sparse_rows, vectors, padded(K), 1, padded(N), padded(N), false>(
                target.row(row) + column, left.row(row), right.data + column, nullptr, {0, K});
    }
}

// target[m] = target[m] * alpha[m] + left[m] . right
template <int M, int N, int K>
inline void dot_accumulate(Tile<float, M, N>& target, const float* alpha, const Tile<float, M, K>& left,
                           const Tile<float, K, N>& right) {
    multiply<M, padded(N) / vector_width, padded(K), 1, padded(N), padded(N), true>(
        target.data, left.data, right.data, alpha, WholeRows<K>());
}

// The same where left is 0 outside the visible pairs.
template <int M, int N, int K>
inline void dot_accumulate(Tile<float, M, N>& target, const float* alpha, const Tile<float, M, K>& left,
                           const Tile<float, K, N>& right, const Spans<M>& visible) {
    multiply<M, padded(N) / vector_width, padded(K), 1, padded(N), padded(N), true>(
        target.data, left.data, right.data, alpha, visible);
}

// target = target + left . right (backward: dq += ds . k)
template <int M, int N, int K>
inline void dot_accumulate(Tile<float, M, N>& target, const Tile<float, M, K>& left, const Tile<float, K, N>& right) {
    dot_accumulate(target, ones<M>.data, left, right);
}
template <int M, int N, int K>
inline void dot_accumulate(Tile<float, M, N>& target, const Tile<float, M, K>& left, const Tile<float, K, N>& right,
                           const Spans<M>& visible) {
    dot_accumulate(target, ones<M>.data, left, right, visible);
}

// target = target + left^T . right (backward: dv += p^T . dO, dk += ds^T . q)
template <int M, int N, int K>
inline void dot_transposed_accumulate(Tile<float, M, N>& target, const Tile<float, K, M>& left,
                                      const Tile<float, K, N>& right) {
    multiply<M, padded(N) / vector_width, 1, padded(M), padded(N), padded(N), true>(
        target.data, left.data, right.data, ones<M>.data, WholeRows<K>());
}

}  // namespace attn
