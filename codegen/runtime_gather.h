// attndsl tile runtime, 3 of 6: between tensors in main memory and tiles in fast memory.
//
// Tensors have any strides and element type; tiles are float32 and zero where no token or channel is.
#pragma once
#include "runtime_tile.h"

namespace attn {

// Writes the first Channels channels of one token, times scale, as float32.
template <int Channels, class Element>
ATTN_INLINE void load_channels(float* target, const Element* source, int64_t stride, float scale) {
    if (stride == 1) {
        for (int channel = 0; channel < Channels; ++channel) target[channel] = to_float(source[channel]) * scale;
    } else {
        for (int channel = 0; channel < Channels; ++channel)
            target[channel] = to_float(source[channel * stride]) * scale;
    }
}

// tile[r][c] = scale * rows[r][c]; zero from rows.count on. Used for q (with the score scale), v, k, dO.
template <int Rows, int Columns, class Element>
inline void gather_rows(Tile<float, Rows, Columns>& tile, TokenRows<Element> rows, float scale = 1.0f) {
    for (int index = 0; index < Rows; ++index) {
        float* target = tile.row(index);
        if (index < rows.count) {
            load_channels<Columns>(target, rows.row(index), rows.channel_stride, scale);
            for (int column = Columns; column < tile.stride; ++column) target[column] = 0.0f;
        } else {
            std::memset(target, 0, sizeof(float) * tile.stride);
        }
    }
}

// tile[c][r] = rows[r][c]; zero from rows.count on. Used for k (and for v in the backward pass).
template <int Channels, int Tokens, class Element>
inline void gather_transposed(Tile<float, Channels, Tokens>& tile, TokenRows<Element> rows) {
    alignas(64) float channels[Channels];
    for (int token = 0; token < tile.stride; ++token) {
        if (token < rows.count) {
            load_channels<Channels>(channels, rows.row(token), rows.channel_stride, 1.0f);
            for (int channel = 0; channel < Channels; ++channel) tile.row(channel)[token] = channels[channel];
        } else {
            for (int channel = 0; channel < Channels; ++channel) tile.row(channel)[token] = 0.0f;
        }
    }
}

// rows[r][c] = tile[r][c] for r < rows.count, rounded to the tensor's element type.
template <int Rows, int Columns, class Element>
inline void store_rows(TokenRows<Element> rows, const Tile<float, Rows, Columns>& tile) {
    for (int index = 0; index < rows.count; ++index) {
        Element* target = rows.row(index);
        const float* source = tile.row(index);
        for (int column = 0; column < Columns; ++column)
            target[column * rows.channel_stride] = from_float<Element>(source[column]);
    }
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
