// attndsl tile runtime, 7 of 12: matrix products of bfloat16 by the dot product instruction of AVX-512.
//
// As the float32 products, with two inner indices in each step: the instruction multiplies pairs of numbers and adds
// both products to a float32 sum.
#pragma once
#include "runtime_bfloat16.h"
#include "runtime_dot.h"

namespace attn {

#if defined(ATTN_BFLOAT16) && !defined(ATTN_MATRIX_UNIT)

// sum + the products of a pair of inner indices: one pair for all lanes, and a pair for each lane.
ATTN_INLINE Vector add_products(Vector sum, const uint16_t* left, __m512i right) {
    int32_t pair;
    std::memcpy(&pair, left, sizeof pair);
    const __m512 added = _mm512_dpbf16_ps(reinterpret_cast<__m512>(sum),
                                          reinterpret_cast<__m512bh>(_mm512_set1_epi32(pair)),
                                          reinterpret_cast<__m512bh>(right));
    return reinterpret_cast<Vector>(added);
}

// multiply_block for MR rows and NR units of columns, which are InnerUnits units long. left: a row's pairs are LeftPair
// apart, rows LeftRow. span: whole pairs.
template <int MR, int NR, int InnerUnits, int LeftRow, int LeftPair, int TargetRow, bool Accumulate>
ATTN_INLINE void multiply_pairs(float* target, const uint16_t* left, const uint16_t* right, const float* alpha,
                                Span span) {
    Vector sum[MR][NR] = {};
    for (int pair = span.begin / 2; pair < span.end / 2; ++pair) {
        __m512i factor[NR];
        ATTN_UNROLL
        for (int unit = 0; unit < NR; ++unit)
            factor[unit] = _mm512_load_si512(right + unit * InnerUnits * unit_size + pair * unit_inner);
        ATTN_UNROLL
        for (int row = 0; row < MR; ++row)
            ATTN_UNROLL
            for (int unit = 0; unit < NR; ++unit)
                sum[row][unit] = add_products(sum[row][unit], left + row * LeftRow + pair * LeftPair, factor[unit]);
    }
    ATTN_UNROLL
    for (int row = 0; row < MR; ++row)
        ATTN_UNROLL
        for (int unit = 0; unit < NR; ++unit) {
            float* place = target + row * TargetRow + unit * unit_rows;
            store(place, Accumulate ? load(place) * alpha[row] + sum[row][unit] : sum[row][unit]);
        }
}

template <int Rows, int NR, int InnerUnits, int LeftRow, int LeftPair, int TargetRow, bool Accumulate, class Inner>
inline void multiply_unit_columns(float* target, const uint16_t* left, const uint16_t* right, const float* alpha,
                                  const Inner& inner) {
    constexpr int MR = block_rows(NR) < Rows ? block_rows(NR) : Rows;
    constexpr int rest = Rows % MR;
    int row = 0;
    for (; row + MR <= Rows; row += MR)
        multiply_pairs<MR, NR, InnerUnits, LeftRow, LeftPair, TargetRow, Accumulate>(
            target + row * TargetRow, left + row * LeftRow, right, alpha + row, inner.of(row, MR));
    if constexpr (rest > 0)
        multiply_pairs<rest, NR, InnerUnits, LeftRow, LeftPair, TargetRow, Accumulate>(
            target + row * TargetRow, left + row * LeftRow, right, alpha + row, inner.of(row, rest));
}

// Rows of target = (Accumulate ? rows of target * alpha : 0) + rows of a left operand . right
template <int Rows, int LeftRow, int LeftPair, bool Accumulate, int N, int K, class Inner>
inline void multiply_rows(float* target, const uint16_t* left, const RightTile<K, N>& right, const float* alpha,
                          const Inner& inner) {
    constexpr int units = RightTile<K, N>::inner_units, columns = RightTile<K, N>::column_units;
    constexpr int rest = columns % block_vectors, whole = columns - rest;
    for (int column = 0; column < whole; column += block_vectors)
        multiply_unit_columns<Rows, block_vectors, units, LeftRow, LeftPair, padded(N), Accumulate>(
            target + column * unit_rows, left, right.unit(0, column), alpha, inner);
    if constexpr (rest > 0)
        multiply_unit_columns<Rows, rest, units, LeftRow, LeftPair, padded(N), Accumulate>(
            target + whole * unit_rows, left, right.unit(0, whole), alpha, inner);
}

// target = left . right
template <int M, int N, int K>
inline void dot(Tile<float, M, N>& target, const LeftTile<M, K>& left, const RightTile<K, N>& right) {
    constexpr int inner = LeftTile<M, K>::inner_units * unit_inner;
    multiply_rows<M, inner, 2, false>(target.data, left.data, right, ones<M>.data, WholeRows<inner>());
}

// The same for blocks of target with a visible pair; the others keep what they held.
template <int M, int N, int K>
inline void dot(Tile<float, M, N>& target, const LeftTile<M, K>& left, const RightTile<K, N>& right,
                const Spans<M>& visible) {
    constexpr int units = LeftTile<M, K>::inner_units, inner = units * unit_inner;
    constexpr int vectors = RightTile<K, N>::column_units % sparse_vectors ? 1 : sparse_vectors;
    constexpr int columns = vectors * unit_rows;
    for (int row = 0; row < M; row += sparse_rows) {
        const Span span = visible.of(row, sparse_rows);
        for (int column = span.begin / columns * columns; column < span.end; column += columns)
            multiply_pairs<sparse_rows, vectors, units, inner, 2, padded(N), false>(
                target.row(row) + column, left.part(row, 0), right.unit(0, column / unit_rows), nullptr, {0, inner});
    }
}

// target[m] = target[m] * alpha[m] + left[m] . right for a left that is rounded to bfloat16.
template <int M, int N, int K, class Inner>
ATTN_INLINE void accumulate_rounded(Tile<float, M, N>& target, const float* alpha, const Tile<float, M, K>& left,
                                    const RightTile<K, N>& right, const Inner& inner) {
    LeftTile<M, K> rounded;
    round_rows(rounded, left, 0);
    multiply_rows<M, LeftTile<M, K>::inner_units * unit_inner, 2, true>(target.data, rounded.data, right, alpha, inner);
}

// target[m] = target[m] * alpha[m] + left[m] . right; left is rounded to bfloat16.
template <int M, int N, int K>
inline void dot_accumulate(Tile<float, M, N>& target, const float* alpha, const Tile<float, M, K>& left,
                           const RightTile<K, N>& right) {
    accumulate_rounded(target, alpha, left, right, WholeRows<LeftTile<M, K>::inner_units * unit_inner>());
}

// The same where left is 0 outside the visible pairs.
template <int M, int N, int K>
inline void dot_accumulate(Tile<float, M, N>& target, const float* alpha, const Tile<float, M, K>& left,
                           const RightTile<K, N>& right, const Spans<M>& visible) {
    accumulate_rounded(target, alpha, left, right, visible);
}

// target = target + left . right; left is rounded to bfloat16.
template <int M, int N, int K>
inline void dot_accumulate(Tile<float, M, N>& target, const Tile<float, M, K>& left, const RightTile<K, N>& right) {
    dot_accumulate(target, ones<M>.data, left, right);
}
template <int M, int N, int K>
inline void dot_accumulate(Tile<float, M, N>& target, const Tile<float, M, K>& left, const RightTile<K, N>& right,
                           const Spans<M>& visible) {
    dot_accumulate(target, ones<M>.data, left, right, visible);
}

// target = target + left^T . right; left is rounded to bfloat16. Its rows are joined in pairs.
template <int M, int N, int K>
inline void dot_transposed_accumulate(Tile<float, M, N>& target, const Tile<float, K, M>& left,
                                      const RightTile<K, N>& right) {
    constexpr int inner = right.inner_units * unit_inner, columns = padded(M);
    alignas(64) uint16_t rounded[inner * columns];
    for (int index = 0; index < inner; index += 2)
        for (int column = 0; column < columns; column += vector_width) {
            const Vector even = index < K ? load(left.row(index) + column) : Vector{};
            const Vector odd = index + 1 < K ? load(left.row(index + 1) + column) : Vector{};
            const __m512i both = reinterpret_cast<__m512i>(
                _mm512_cvtne2ps_pbh(reinterpret_cast<__m512>(interleave_high(even, odd)),
                                    reinterpret_cast<__m512>(interleave_low(even, odd))));
            _mm512_store_si512(rounded + index * columns + 2 * column, both);
        }
    multiply_rows<M, 2, 2 * columns, true>(target.data, rounded, right, ones<M>.data, WholeRows<inner>());
}

#endif

}  // namespace attn
