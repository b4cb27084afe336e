// attndsl tile runtime, 2 of 6: element types, tiles in fast memory, and rows of tensors in main memory.
#pragma once
#include "runtime_vector.h"

namespace attn {

// Storage types of half precision; arithmetic is always float32.
struct bfloat16 { uint16_t bits; };
struct float16 { uint16_t bits; };

ATTN_INLINE float to_float(float value) { return value; }
ATTN_INLINE float to_float(bfloat16 value) {
    const uint32_t bits = static_cast<uint32_t>(value.bits) << 16;
    float result;
    std::memcpy(&result, &bits, sizeof result);
    return result;
}
ATTN_INLINE float to_float(float16 value) {
    const uint32_t sign = static_cast<uint32_t>(value.bits & 0x8000u) << 16;
    const uint32_t magnitude = static_cast<uint32_t>(value.bits & 0x7fffu) << 13;
    const uint32_t scale_bits = 0x77800000u;  // 2**112 moves the exponent's bias and makes subnormals exact
    float result, scale;
    std::memcpy(&result, &magnitude, sizeof result);
    std::memcpy(&scale, &scale_bits, sizeof scale);
    result *= scale;
    uint32_t bits;
    std::memcpy(&bits, &result, sizeof bits);
    if ((value.bits & 0x7c00u) == 0x7c00u) bits |= 0x7f800000u;  // infinity and NaN
    bits |= sign;
    std::memcpy(&result, &bits, sizeof result);
    return result;
}

template <class Element> Element from_float(float value);
template <> ATTN_INLINE float from_float<float>(float value) { return value; }
template <> ATTN_INLINE bfloat16 from_float<bfloat16>(float value) {  // rounds to nearest even
    uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return {static_cast<uint16_t>((bits >> 16) | 0x40u)};
    return {static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16)};
}

// A matrix block in fast memory, row-major; a row is padded to whole vectors and the padding of a
// gathered tile is zero.
template <class Element, int Rows, int Columns>
struct alignas(64) Tile {
    static constexpr int rows = Rows, columns = Columns, stride = padded(Columns);
    Element data[Rows * stride];
    ATTN_INLINE Element* row(int index) { return data + index * stride; }
    ATTN_INLINE const Element* row(int index) const { return data + index * stride; }
};

// What a dot multiplies. Chosen per storage type; float32 wherever the target has nothing faster.
template <class Element> struct OperandOf { using type = float; };
template <class Element> using Operand = typename OperandOf<Element>::type;

// Tiles by their part in attention. For float32 operands they are plain tiles.
// Queries: left operand, times a scale. Keys: right operand, transposed. Values: right operand.
template <class Operand, int Queries, int Channels> using QueryTile = Tile<Operand, Queries, Channels>;
template <class Operand, int Channels, int Keys> using KeyTile = Tile<Operand, Channels, Keys>;
template <class Operand, int Keys, int Channels> using ValueTile = Tile<Operand, Keys, Channels>;

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

}  // namespace attn
