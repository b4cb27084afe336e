// attndsl tile runtime, 4 of 12: between tensors in main memory and tiles in fast memory.
//
// Tensors have any strides and element type; tiles are float32 and zero where no token or channel is.
#pragma once
#include <type_traits>
#include "runtime_tile.h"

namespace attn {

// Channels [first, first + vector_width) of the tile's token `index`; zero from channel Channels and token count on.
template <int Channels, class Element>
ATTN_INLINE Vector load_channels(TokenRows<Element> rows, int index, int first) {
    if (index >= rows.count) return Vector{};
    const Element* token = rows.row(index);
    if (rows.channel_stride == 1 && first + vector_width <= Channels) return load_elements(token + first);
    std::remove_const_t<Element> lanes[vector_width] = {};
    for (int lane = 0; lane < vector_width && first + lane < Channels; ++lane)
        lanes[lane] = token[(first + lane) * rows.channel_stride];
    return load_elements(lanes);
}

// Writes channels [first, first + vector_width) of one token, up to channel Channels.
template <int Channels, class Element>
ATTN_INLINE void store_channels(Element* token, int64_t stride, int first, Vector value) {
    if (stride == 1 && first + vector_width <= Channels) return store_elements(token + first, value);
    Element lanes[vector_width];
    store_elements(lanes, value);
    for (int lane = 0; lane < vector_width && first + lane < Channels; ++lane)
        token[(first + lane) * stride] = lanes[lane];
}

// tile[r][c] = rows[r][c]; zero from rows.count on. Queries, and the right operand of weights . values.
template <int Rows, int Columns, class Element>
inline void gather_rows(Tile<float, Rows, Columns>& tile, TokenRows<Element> rows) {
    prefetch<Columns>(rows);
    for (int index = 0; index < Rows; ++index)
        for (int column = 0; column < Columns; column += vector_width)
            store(tile.row(index) + column, load_channels<Columns>(rows, index, column));
}

// tile[c][r] = rows[r][c]; zero from rows.count on. The right operand of queries . keys^T.
template <int Channels, int Tokens, class Element>
inline void gather_transposed(Tile<float, Channels, Tokens>& tile, TokenRows<Element> rows) {
    prefetch<Channels>(rows);
    for (int first = 0; first < Tokens; first += vector_width)
        for (int channel = 0; channel < Channels; channel += vector_width) {
            Vector block[vector_width];
            for (int lane = 0; lane < vector_width; ++lane)
                block[lane] = load_channels<Channels>(rows, first + lane, channel);
            transpose(block);
            for (int lane = 0; lane < vector_width && channel + lane < Channels; ++lane)
                store(tile.row(channel + lane) + first, block[lane]);
        }
}

// rows[r][c] = tile[r][c] for r < rows.count, rounded to the tensor's element type.
template <int Rows, int Columns, class Element>
inline void store_rows(TokenRows<Element> rows, const Tile<float, Rows, Columns>& tile) {
    for (int index = 0; index < rows.count; ++index)
        for (int column = 0; column < Columns; column += vector_width)
            store_channels<Columns>(rows.row(index), rows.channel_stride, column, load(tile.row(index) + column));
}

}  // namespace attn
