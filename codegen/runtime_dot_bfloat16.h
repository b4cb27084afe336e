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

// multiply_block for MR rows and NR units of columns. left: a row's pairs are LeftPair apart, rows LeftRow.
template <int MR, int NR, int InnerUnits, int LeftRow, int LeftPair, int TargetRow, bool Accumulate>
ATTN_INLINE void multiply_pairs(float* target, const uint16_t* left, const uint16_t* right, const float* alpha) {
    Vector sum[MR][NR] = {};
    for (int pair = 0; pair < InnerUnits * unit_inner / 2; ++pair) {
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

template <int Rows, int NR, int InnerUnits, int LeftRow, int LeftPair, int TargetRow, bool Accumulate>
inline void multiply_unit_columns(float* target, const uint16_t* left, const uint16_t* right, const float* alpha) {
    constexpr int MR = block_rows(NR) < Rows ? block_rows(NR) : Rows;
    constexpr int rest = Rows % MR;
    int row = 0;
    for (; row + MR <= Rows; row += MR)
        multiply_pairs<MR, NR, InnerUnits, LeftRow, LeftPair, TargetRow, Accumulate>(
            target + row * TargetRow, left + row * LeftRow, right, alpha + row);
    if constexpr (rest > 0)
        multiply_pairs<rest, NR, InnerUnits, LeftRow, LeftPair, TargetRow, Accumulate>(
            target + row * TargetRow, left + row * LeftRow, right, alpha + row);
}

// Rows of target = (Accumulate ? rows of target * alpha : 0) + rows of a left operand . right
template <int Rows, int LeftRow, int LeftPair, bool Accumulate, int N, int K>
inline void multiply_rows(float* target, const uint16_t* left, const RightTile<K, N>& right, const float* alpha) {
    constexpr int inner = RightTile<K, N>::inner_units, columns = RightTile<K, N>::column_units;
    constexpr int rest = columns % block_vectors, whole = columns - rest;
    for (int column = 0; column < whole; column += block_vectors)
        multiply_unit_columns<Rows, block_vectors, inner, LeftRow, LeftPair, padded(N), Accumulate>(
            target + column * unit_rows, left, right.unit(0, column), alpha);
    if constexpr (rest > 0)
        multiply_unit_columns<Rows, rest, inner, LeftRow, LeftPair, padded(N), Accumulate>(
            target + whole * unit_rows, left, right.unit(0, whole), alpha);
}

// target = left . right
template <int M, int N, int K>
inline void dot(Tile<float, M, N>& target, const LeftTile<M, K>& left, const RightTile<K, N>& right) {
    multiply_rows<M, left.inner_units * unit_inner, 2, false>(target.data, left.data, right, ones<M>.data);
}

// target[m] = target[m] * alpha[m] + left[m] . right; left is rounded to bfloat16.
template <int M, int N, int K>
inline void dot_accumulate(Tile<float, M, N>& target, const float* alpha, const Tile<float, M, K>& left,
                           const RightTile<K, N>& right) {
    LeftTile<M, K> rounded;
    round_rows(rounded, left, 0);
    multiply_rows<M, rounded.inner_units * unit_inner, 2, true>(target.data, rounded.data, right, alpha);
}

// target = target + left . right; left is rounded to bfloat16.
template <int M, int N, int K>
inline void dot_accumulate(Tile<float, M, N>& target, const Tile<float, M, K>& left, const RightTile<K, N>& right) {
    dot_accumulate(target, ones<M>.data, left, right);
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
    multiply_rows<M, 2, 2 * columns, true>(target.data, rounded, right, ones<M>.data);
}

#endif

}  // namespace attn
