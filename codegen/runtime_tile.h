// attndsl tile runtime, 3 of 12: tiles in fast memory, and rows of tensors in main memory.
#pragma once
#include "runtime_convert.h"

namespace attn {

// A matrix block in fast memory, row-major; a row is padded to whole vectors and the padding of a
// gathered tile is zero.
template <class Element, int Rows, int Columns>
struct alignas(64) Tile {
    static constexpr int rows = Rows, columns = Columns, stride = padded(Columns);
    Element data[Rows * stride];
    ATTN_INLINE Element* row(int index) { return data + index * stride; }
    ATTN_INLINE const Element* row(int index) const { return data + index * stride; }
};

template <int Rows, int Columns> inline void clear(Tile<float, Rows, Columns>& tile) {
    std::memset(tile.data, 0, sizeof tile.data);
}
template <int Rows, int Columns> inline void multiply(Tile<float, Rows, Columns>& tile, float factor) {
    for (int index = 0; index < Rows * tile.stride; index += vector_width)
        store(tile.data + index, load(tile.data + index) * factor);
}

// A part of a tile's columns. Of each row of a tile, those between which all its visible pairs lie, in whole groups
// of span_group columns; begin is not less than end where there are none. Products may leave out everything else.
struct Span {
    int32_t begin, end;
};
constexpr int span_group = 16;
template <int Rows>
struct Spans {
    Span data[Rows];
    // The columns that matter to some of the rows [row, row + count).
    ATTN_INLINE Span of(int row, int count) const {
        Span all = data[row];
        for (int index = row + 1; index < row + count; ++index) {
            all.begin = data[index].begin < all.begin ? data[index].begin : all.begin;
            all.end = data[index].end > all.end ? data[index].end : all.end;
        }
        return {all.begin < all.end ? all.begin : all.end, all.end};
    }
};
template <class Operand> constexpr bool uses_spans = true;  // whether products of these numbers leave anything out
template <int Columns> struct WholeRows {
    ATTN_INLINE constexpr Span of(int, int) const { return {0, Columns}; }
};

// What a dot multiplies. Chosen per storage type; float32 wherever the target has nothing faster.
template <class Element> struct OperandOf { using type = float; };
template <class Element> using Operand = typename OperandOf<Element>::type;

// Tiles by their part in attention. Queries: a left operand. Keys: a right operand, transposed. Values: a right
// operand. For float32 operands they are plain tiles.
template <class Operand, int Rows, int Inner> struct LeftOperand { using type = Tile<Operand, Rows, Inner>; };
template <class Operand, int Inner, int Columns> struct RightOperand { using type = Tile<Operand, Inner, Columns>; };
template <class Operand, int Queries, int Channels>
using QueryTile = typename LeftOperand<Operand, Queries, Channels>::type;
template <class Operand, int Channels, int Keys>
using KeyTile = typename RightOperand<Operand, Channels, Keys>::type;
template <class Operand, int Keys, int Channels>
using ValueTile = typename RightOperand<Operand, Keys, Channels>::type;

// Rows that some products multiply from the left and others from the right.
template <class Operand, int Rows, int Columns> struct EitherOperand { using type = Tile<Operand, Rows, Columns>; };
template <class Operand, int Rows, int Columns>
using EitherTile = typename EitherOperand<Operand, Rows, Columns>::type;
template <class Both> ATTN_INLINE const Both& as_left(const Both& tile) { return tile; }
template <class Both> ATTN_INLINE const Both& as_right(const Both& tile) { return tile; }

// The tokens of one tile in a tensor [.., tokens, channels] of any strides (in elements):
// token r of the tile is row tokens[r], for r < count; the tile's other rows do not exist.
template <class Element>
struct TokenRows {
    Element* data;  // the tensor at (batch, head)
    int64_t token_stride, channel_stride;
    const int32_t* tokens;
    int count;
    ATTN_INLINE Element* row(int index) const { return data + tokens[index] * token_stride; }
};

// Asks for the memory of a tile's tokens, all at once: reading them one after another would wait for each.
template <int Channels, class Element>
ATTN_INLINE void prefetch(TokenRows<Element> rows) {
    if (rows.channel_stride != 1) return;
    for (int index = 0; index < rows.count; ++index) {
        const char* token = reinterpret_cast<const char*>(rows.row(index));
        for (int byte = 0; byte < Channels * int(sizeof(Element)); byte += 64) __builtin_prefetch(token + byte);
    }
}

}  // namespace attn
