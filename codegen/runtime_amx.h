// attndsl tile runtime, 8 of 12: matrix products of bfloat16 on the AMX matrix unit of x86 processors.
//
// The unit multiplies 16 x 32 by 32 x 16 numbers at once. Products of bfloat16 are exact and sums are float32, as in
// the other dots.
#pragma once
#include "runtime_bfloat16.h"
#if defined(ATTN_MATRIX_UNIT)
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace attn {

#if defined(ATTN_MATRIX_UNIT)

// A thread owns the unit while an object of this class lives.
class MatrixUnit {
public:
    MatrixUnit() {
        Shape shape;
        for (int tile = 0; tile < 8; ++tile) {
            shape.bytes[tile] = unit_inner * 2;
            shape.rows[tile] = unit_rows;
        }
        __asm__ volatile("" : : "r"(&shape) : "memory");  // the intrinsic reads more than it declares
        _tile_loadconfig(&shape);
    }
    ~MatrixUnit() { _tile_release(); }
    MatrixUnit(const MatrixUnit&) = delete;
    MatrixUnit& operator=(const MatrixUnit&) = delete;

    // Asks the system to let this process use the unit; false if it refuses, and then no object may be made.
    static bool request() {
        constexpr long request_permission = 0x1023, tile_data = 18;
        return syscall(SYS_arch_prctl, request_permission, tile_data) == 0;
    }

private:
    struct alignas(64) Shape {  // as the processor reads it
        uint8_t palette = 1, start_row = 0, reserved[14] = {};
        uint16_t bytes[16] = {};
        uint8_t rows[16] = {};
    };
};

// Columns [first, first + Rows) of a float32 tile as the rows of a left operand, rounded to the nearest bfloat16.
template <int Rows, int Inner, int M>
ATTN_INLINE void round_columns(LeftTile<Rows, Inner>& tile, const Tile<float, Inner, M>& source, int first) {
    for (int row = 0; row < Rows; row += unit_rows)
        for (int inner = 0; inner < tile.inner_units; ++inner) {
            Vector low[vector_width], high[vector_width];
            for (int lane = 0; lane < vector_width; ++lane) {
                const int index = inner * unit_inner + lane, upper = index + vector_width;
                low[lane] = index < Inner ? load(source.row(index) + first + row) : Vector{};
                high[lane] = upper < Inner ? load(source.row(upper) + first + row) : Vector{};
            }
            transpose(low);
            transpose(high);
            uint16_t* target = tile.part(row, inner);
            for (int lane = 0; lane < vector_width; ++lane) {
                const __m512bh both = _mm512_cvtne2ps_pbh(reinterpret_cast<__m512>(high[lane]),
                                                          reinterpret_cast<__m512>(low[lane]));
                store(reinterpret_cast<float*>(target + lane * unit_inner), reinterpret_cast<Vector>(both));
            }
        }
}

// The accumulators of up to two units of rows by two of columns, from and to a target whose rows are `stride` apart.
template <bool TwoRows, bool TwoColumns>
ATTN_INLINE void load_sums(const float* target, int64_t stride) {
    const float* lower = target + unit_rows * stride;
    _tile_loadd(0, target, stride * 4);
    if constexpr (TwoColumns) _tile_loadd(1, target + unit_rows, stride * 4);
    if constexpr (TwoRows) _tile_loadd(2, lower, stride * 4);
    if constexpr (TwoRows && TwoColumns) _tile_loadd(3, lower + unit_rows, stride * 4);
}
template <bool TwoRows, bool TwoColumns>
ATTN_INLINE void store_sums(float* target, int64_t stride) {
    float* lower = target + unit_rows * stride;
    _tile_stored(0, target, stride * 4);
    if constexpr (TwoColumns) _tile_stored(1, target + unit_rows, stride * 4);
    if constexpr (TwoRows) _tile_stored(2, lower, stride * 4);
    if constexpr (TwoRows && TwoColumns) _tile_stored(3, lower + unit_rows, stride * 4);
}
ATTN_INLINE void clear_sums() {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
}

// Adds left . right to the accumulators. The units of a row or column follow one another over the inner extent.
template <bool TwoRows, bool TwoColumns, int InnerUnits>
ATTN_INLINE void add_products(const uint16_t* left, const uint16_t* right) {
    constexpr int next = InnerUnits * unit_size;
    ATTN_UNROLL
    for (int unit = 0; unit < next; unit += unit_size) {
        _tile_loadd(4, left + unit, 64);
        _tile_loadd(6, right + unit, 64);
        _tile_dpbf16ps(0, 4, 6);
        if constexpr (TwoColumns) {
            _tile_loadd(7, right + next + unit, 64);
            _tile_dpbf16ps(1, 4, 7);
        }
        if constexpr (TwoRows) {
            _tile_loadd(5, left + next + unit, 64);
            _tile_dpbf16ps(2, 5, 6);
        }
        if constexpr (TwoRows && TwoColumns) _tile_dpbf16ps(3, 5, 7);
    }
}

// Rows of target = (Accumulate ? rows of target : 0) + one or two units of rows of a left operand . right
template <bool TwoRows, bool Accumulate, int N, int K>
ATTN_INLINE void multiply_units(float* target, const uint16_t* left, const RightTile<K, N>& right) {
    constexpr int columns = RightTile<K, N>::column_units, inner = RightTile<K, N>::inner_units;
    __asm__ volatile("" ::: "memory");  // the compiler does not know what the unit reads, so nothing may move across
    for (int column = 0; column + 1 < columns; column += 2) {
        if constexpr (Accumulate) load_sums<TwoRows, true>(target + column * unit_rows, padded(N));
        else clear_sums();
        add_products<TwoRows, true, inner>(left, right.unit(0, column));
        store_sums<TwoRows, true>(target + column * unit_rows, padded(N));
    }
    if constexpr (columns % 2) {
        constexpr int column = columns - 1;
        if constexpr (Accumulate) load_sums<TwoRows, false>(target + column * unit_rows, padded(N));
        else clear_sums();
        add_products<TwoRows, false, inner>(left, right.unit(0, column));
        store_sums<TwoRows, false>(target + column * unit_rows, padded(N));
    }
    __asm__ volatile("" ::: "memory");
}

// target = left . right
template <int M, int N, int K>
inline void dot(Tile<float, M, N>& target, const LeftTile<M, K>& left, const RightTile<K, N>& right) {
    constexpr int rows = M / unit_rows;
    for (int row = 0; row + 1 < rows; row += 2)
        multiply_units<true, false>(target.row(row * unit_rows), left.part(row * unit_rows, 0), right);
    if constexpr (rows % 2)
        multiply_units<false, false>(target.row((rows - 1) * unit_rows), left.part((rows - 1) * unit_rows, 0), right);
}

// Rows [first, first + Rows) of dot_accumulate. A null alpha stands for ones.
template <int Rows, int M, int N, int K>
ATTN_INLINE void accumulate_rows(Tile<float, M, N>& target, const float* alpha, const Tile<float, M, K>& left,
                                 const RightTile<K, N>& right, int first) {
    LeftTile<Rows, K> rounded;
    round_rows(rounded, left, first);
    for (int row = first; alpha && row < first + Rows; ++row) {
        const Vector factor = broadcast(alpha[row]);
        for (int column = 0; column < target.stride; column += vector_width)
            store(target.row(row) + column, load(target.row(row) + column) * factor);
    }
    multiply_units<Rows == 2 * unit_rows, true>(target.row(first), rounded.data, right);
}

// target[m] = target[m] * alpha[m] + left[m] . right; left is rounded to bfloat16. Works on 32 rows at a time, so that
// they stay in the cache from one step to the next.
template <int M, int N, int K>
inline void dot_accumulate(Tile<float, M, N>& target, const float* alpha, const Tile<float, M, K>& left,
                           const RightTile<K, N>& right) {
    constexpr int pairs = M / (2 * unit_rows) * (2 * unit_rows);
    for (int row = 0; row < pairs; row += 2 * unit_rows)
        accumulate_rows<2 * unit_rows>(target, alpha, left, right, row);
    if constexpr (pairs < M) accumulate_rows<unit_rows>(target, alpha, left, right, pairs);
}

// target = target + left . right; left is rounded to bfloat16.
template <int M, int N, int K>
inline void dot_accumulate(Tile<float, M, N>& target, const Tile<float, M, K>& left, const RightTile<K, N>& right) {
    dot_accumulate(target, nullptr, left, right);
}

// Rows [first, first + Rows) of dot_transposed_accumulate.
template <int Rows, int M, int N, int K>
ATTN_INLINE void accumulate_columns(Tile<float, M, N>& target, const Tile<float, K, M>& left,
                                    const RightTile<K, N>& right, int first) {
    LeftTile<Rows, K> rounded;
    round_columns(rounded, left, first);
    multiply_units<Rows == 2 * unit_rows, true>(target.row(first), rounded.data, right);
}

// target = target + left^T . right; left is rounded to bfloat16.
template <int M, int N, int K>
inline void dot_transposed_accumulate(Tile<float, M, N>& target, const Tile<float, K, M>& left,
                                      const RightTile<K, N>& right) {
    constexpr int pairs = M / (2 * unit_rows) * (2 * unit_rows);
    for (int row = 0; row < pairs; row += 2 * unit_rows) accumulate_columns<2 * unit_rows>(target, left, right, row);
    if constexpr (pairs < M) accumulate_columns<unit_rows>(target, left, right, pairs);
}

// The unit is so fast that nothing is left out.
template <> constexpr bool uses_spans<bfloat16> = false;
template <int M, int N, int K>
inline void dot(Tile<float, M, N>& target, const LeftTile<M, K>& left, const RightTile<K, N>& right, const Spans<M>&) {
    dot(target, left, right);
}
template <int M, int N, int K>
inline void dot_accumulate(Tile<float, M, N>& target, const float* alpha, const Tile<float, M, K>& left,
                           const RightTile<K, N>& right, const Spans<M>&) {
    dot_accumulate(target, alpha, left, right);
}
template <int M, int N, int K>
inline void dot_accumulate(Tile<float, M, N>& target, const Tile<float, M, K>& left, const RightTile<K, N>& right,
                           const Spans<M>&) {
    dot_accumulate(target, left, right);
}

#else

class MatrixUnit {
public:
    MatrixUnit() {}
    static bool request() { return true; }
};

#endif

}  // namespace attn
