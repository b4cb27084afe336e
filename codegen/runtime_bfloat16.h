// attndsl tile runtime, 6 of 12: operands of products of bfloat16, where the processor has instructions for them.
//
// They are stored as the blocks that the matrix unit of x86 processors (AMX) loads, the only place where the layout is
// not free: 16 rows of 32 numbers. A right operand's block holds 16 columns, with the numbers of two inner indices side
// by side, which one instruction multiplies and adds.
#pragma once
#include "runtime_gather.h"

#if defined(ATTN_AVX512) && defined(__AVX512BF16__)
#define ATTN_BFLOAT16 1
#endif

namespace attn {

#if defined(ATTN_BFLOAT16)

constexpr int unit_rows = 16, unit_inner = 32, unit_size = unit_rows * unit_inner;
constexpr int units(int extent, int unit) { return (extent + unit - 1) / unit; }

// [Rows, Inner], zero where Inner ends before a whole unit.
template <int Rows, int Inner>
struct alignas(64) LeftTile {
    static_assert(Rows % unit_rows == 0, "the matrix unit works on 16 rows");
    static constexpr int inner_units = units(Inner, unit_inner);
    uint16_t data[Rows * inner_units * unit_inner];
    // The 32 numbers of one row in one unit of the inner extent.
    ATTN_INLINE uint16_t* part(int row, int inner) { return data + place(row, inner); }
    ATTN_INLINE const uint16_t* part(int row, int inner) const { return data + place(row, inner); }

private:
#if defined(ATTN_MATRIX_UNIT)  // unit after unit
    static constexpr int place(int row, int inner) {
        return (row / unit_rows * inner_units + inner) * unit_size + row % unit_rows * unit_inner;
    }
#else  // row after row
    static constexpr int place(int row, int inner) { return (row * inner_units + inner) * unit_inner; }
#endif
};

// [Inner, Columns], zero where Inner or Columns end before a whole unit.
template <int Inner, int Columns>
struct alignas(64) RightTile {
    static constexpr int inner_units = units(Inner, unit_inner), column_units = units(Columns, unit_rows);
    uint16_t data[inner_units * column_units * unit_size];
    ATTN_INLINE uint16_t* unit(int inner, int column) { return data + (column * inner_units + inner) * unit_size; }
    ATTN_INLINE const uint16_t* unit(int inner, int column) const {
        return data + (column * inner_units + inner) * unit_size;
    }
};

template <> struct OperandOf<bfloat16> { using type = bfloat16; };
template <int Rows, int Inner> struct LeftOperand<bfloat16, Rows, Inner> { using type = LeftTile<Rows, Inner>; };
template <int Inner, int Columns> struct RightOperand<bfloat16, Inner, Columns> {
    using type = RightTile<Inner, Columns>;
};

template <int Rows, int Columns>
struct LeftAndRightTile {
    LeftTile<Rows, Columns> left;
    RightTile<Rows, Columns> right;
};
template <int Rows, int Columns> struct EitherOperand<bfloat16, Rows, Columns> {
    using type = LeftAndRightTile<Rows, Columns>;
};
template <int Rows, int Columns>
ATTN_INLINE const LeftTile<Rows, Columns>& as_left(const LeftAndRightTile<Rows, Columns>& tile) {
    return tile.left;
}
template <int Rows, int Columns>
ATTN_INLINE const RightTile<Rows, Columns>& as_right(const LeftAndRightTile<Rows, Columns>& tile) {
    return tile.right;
}

// 16 channels of one token of a tile; zero from channel Channels and from token rows.count on.
template <int Channels>
ATTN_INLINE HalfVector load_half_channels(TokenRows<const bfloat16> rows, int index, int first) {
    if (index >= rows.count) return HalfVector{};
    const bfloat16* token = rows.row(index) + first * rows.channel_stride;
    if (rows.channel_stride == 1 && first + vector_width <= Channels) return load_bits(token);
    HalfVector lanes = {};
    for (int lane = 0; lane < vector_width && first + lane < Channels; ++lane)
        lanes[lane] = token[lane * rows.channel_stride].bits;
    return lanes;
}

// tile[r][c] = rows[r][c]; zero from rows.count on.
template <int Rows, int Columns>
inline void gather_rows(LeftTile<Rows, Columns>& tile, TokenRows<const bfloat16> rows) {
    prefetch<Columns>(rows);
    for (int index = 0; index < Rows; ++index)
        for (int column = 0; column < tile.inner_units * unit_inner; column += vector_width) {
            uint16_t* part = tile.part(index, column / unit_inner);
            store_bits(part + column % unit_inner, load_half_channels<Columns>(rows, index, column));
        }
}

// tile[c][r] = rows[r][c]; zero from rows.count on. Two channels of a token are one 32-bit number of the transpose.
template <int Channels, int Tokens>
inline void gather_transposed(RightTile<Channels, Tokens>& tile, TokenRows<const bfloat16> rows) {
    prefetch<Channels>(rows);
    for (int column = 0; column < tile.column_units; ++column)
        for (int inner = 0; inner < tile.inner_units; ++inner) {
            uint16_t* unit = tile.unit(inner, column);
            for (int lane = 0; lane < unit_rows; ++lane)
                for (int half = 0; half < unit_inner; half += vector_width)
                    store_bits(unit + lane * unit_inner + half,
                               load_half_channels<Channels>(rows, column * unit_rows + lane,
                                                            inner * unit_inner + half));
            Vector pairs[vector_width];
            for (int lane = 0; lane < unit_rows; ++lane)
                pairs[lane] = load(reinterpret_cast<float*>(unit + lane * unit_inner));
            transpose(pairs);
            for (int lane = 0; lane < unit_rows; ++lane)
                store(reinterpret_cast<float*>(unit + lane * unit_inner), pairs[lane]);
        }
}

// tile[r][c] = rows[r][c]; zero from rows.count on. The numbers of two tokens alternate.
template <int Tokens, int Channels>
inline void gather_rows(RightTile<Tokens, Channels>& tile, TokenRows<const bfloat16> rows) {
    prefetch<Channels>(rows);
    for (int index = 0; index < tile.inner_units * unit_inner; index += 2)
        for (int column = 0; column < tile.column_units; ++column) {
            const IntVector even = widen(load_half_channels<Channels>(rows, index, column * unit_rows));
            const IntVector odd = widen(load_half_channels<Channels>(rows, index + 1, column * unit_rows));
            float* unit = reinterpret_cast<float*>(tile.unit(index / unit_inner, column));
            store(unit + index % unit_inner / 2 * vector_width, from_bits(even | (odd << 16)));
        }
}

template <int Rows, int Columns>
inline void gather_rows(LeftAndRightTile<Rows, Columns>& tile, TokenRows<const bfloat16> rows) {
    gather_rows(tile.left, rows);
    gather_rows(tile.right, rows);
}

// Rows [first, first + Rows) of a float32 tile as a left operand, rounded to the nearest bfloat16.
template <int Rows, int M, int Inner>
ATTN_INLINE void round_rows(LeftTile<Rows, Inner>& tile, const Tile<float, M, Inner>& source, int first) {
    for (int inner = 0; inner < tile.inner_units; ++inner)
        for (int index = 0; index < Rows; ++index) {
            const float* row = source.row(first + index) + inner * unit_inner;
            const bool whole = inner * unit_inner + vector_width < source.stride;
            const __m512 low = reinterpret_cast<__m512>(load(row));
            const __m512 high = whole ? reinterpret_cast<__m512>(load(row + vector_width)) : _mm512_setzero_ps();
            uint16_t* target = tile.part(index, inner);
            store(reinterpret_cast<float*>(target), reinterpret_cast<Vector>(_mm512_cvtne2ps_pbh(high, low)));
        }
}

#endif

}  // namespace attn
