// attndsl tile runtime, 4 of 7: between tensors in main memory and tiles in fast memory.
//
// Tensors have any strides and element type; tiles are float32 and zero where no token or channel is.
#pragma once
#include "runtime_tile.h"

namespace attn {

// Channels [first, first + vector_width) of one token; zero from channel Channels on.
template <int Channels, class Element>
ATTN_INLINE Vector load_channels(const Element* token, int64_t stride, int first) {
    if (stride == 1 && first + vector_width <= Channels) return load_elements(token + first);
    Element lanes[vector_width] = {};
    for (int lane = 0; lane < vector_width && first + lane < Channels; ++lane)
        lanes[lane] = token[(first + lane) * stride];
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

// tile[r][c] = scale * rows[r][c]; zero from rows.count on. Used for q (with the score scale), v, k, dO.
template <int Rows, int Columns, class Element>
inline void gather_rows(Tile<float, Rows, Columns>& tile, TokenRows<Element> rows, float scale = 1.0f) {
    const int count = rows.count < Rows ? rows.count : Rows;
    for (int index = 0; index < count; ++index) {
        const auto* token = rows.row(index);
        for (int column = 0; column < Columns; column += vector_width)
            store(tile.row(index) + column, load_channels<Columns>(token, rows.channel_stride, column) * scale);
    }
    for (int index = count; index < Rows; ++index) std::memset(tile.row(index), 0, sizeof(float) * tile.stride);
}

// tile[c][r] = rows[r][c]; zero from rows.count on. Used for k (and for v in the backward pass).
template <int Channels, int Tokens, class Element>
inline void gather_transposed(Tile<float, Channels, Tokens>& tile, TokenRows<Element> rows) {
    for (int first = 0; first < Tokens; first += vector_width) {
        for (int channel = 0; channel < Channels; channel += vector_width) {
            Vector block[vector_width];
            for (int lane = 0; lane < vector_width; ++lane)
                block[lane] = first + lane < rows.count ? load_channels<Channels>(rows.row(first + lane), rows.channel_stride, channel) : Vector{};
            transpose(block);
            for (int lane = 0; lane < vector_width && channel + lane < Channels; ++lane)
                store(tile.row(channel + lane) + first, block[lane]);
        }
    }
}

// rows[r][c] = tile[r][c] for r < rows.count, rounded to the tensor's element type.
template <int Rows, int Columns, class Element>
inline void store_rows(TokenRows<Element> rows, const Tile<float, Rows, Columns>& tile) {
    for (int index = 0; index < rows.count; ++index)
        for (int column = 0; column < Columns; column += vector_width)
            store_channels<Columns>(rows.row(index), rows.channel_stride, column, load(tile.row(index) + column));
}

// rows[r][c] += tile[r][c]: gradients that several tiles add to. Float32 tensors only.
template <int Rows, int Columns>
inline void add_rows(TokenRows<float> rows, const Tile<float, Rows, Columns>& tile) {
    for (int index = 0; index < rows.count; ++index) {
        float* target = rows.row(index);
        const float* source = tile.row(index);
        for (int column = 0; column < Columns; ++column) target[column * rows.channel_stride] += source[column];
    }
}

// One float per token, as LSE: values[tokens[r] * stride] = source[r].
inline void store_column(float* values, int64_t stride, const int32_t* tokens, int count, const float* source) {
    for (int index = 0; index < count; ++index) values[tokens[index] * stride] = source[index];
}

// target[r] = values[tokens[r] * stride] for r < count, else missing.
inline void gather_column(float* target, int rows, const float* values, int64_t stride, const int32_t* tokens,
                          int count, float missing) {
    for (int index = 0; index < rows; ++index)
        target[index] = index < count ? values[tokens[index] * stride] : missing;
}

}  // namespace attn
