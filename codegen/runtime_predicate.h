// attndsl tile runtime, 10 of 12: the operators of the pattern language that C++ lacks or means differently.
//
// `//` and `%` round towards minus infinity; reals are doubles and agree with NumPy to the last bit.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>
#include "runtime_tile.h"

namespace attn {

// Which queries of a tile see which keys: -1 where visible, else 0. spans: between which columns each query's are.
template <int Rows, int Columns>
struct alignas(64) Visibility {
    static constexpr int rows = Rows, columns = Columns;
    int32_t data[Rows * Columns];
    Spans<Rows> spans;
    ATTN_INLINE int32_t* row(int index) { return data + index * Columns; }
    ATTN_INLINE const int32_t* row(int index) const { return data + index * Columns; }
};

ATTN_INLINE IntVector load(const int32_t* address) {
    IntVector result;
    std::memcpy(&result, address, sizeof result);
    return result;
}

template <int Rows, int Columns> inline void show_all(Visibility<Rows, Columns>& visible) {
    std::memset(visible.data, -1, sizeof visible.data);
}

// Keys from count on do not exist: the edge of the space cuts the tile off.
template <int Rows, int Columns> inline void hide_columns(Visibility<Rows, Columns>& visible, int count) {
    for (int i = 0; i < Rows && count < Columns; ++i)
        for (int j = count; j < Columns; ++j) visible.row(i)[j] = 0;
}

ATTN_INLINE bool any(IntVector chosen) {
#if defined(ATTN_AVX512)
    return _mm512_test_epi32_mask(reinterpret_cast<__m512i>(chosen), reinterpret_cast<__m512i>(chosen)) != 0;
#elif defined(ATTN_AVX2)
    return !_mm256_testz_si256(reinterpret_cast<__m256i>(chosen), reinterpret_cast<__m256i>(chosen));
#else
    return (chosen[0] | chosen[1] | chosen[2] | chosen[3]) != 0;
#endif
}

// Operand: what the products multiply that the spans are for.
template <class Operand, int Rows, int Columns> inline void find_spans(Visibility<Rows, Columns>& visible) {
    static_assert(Columns % span_group == 0, "keys are filled up to whole groups");
    for (int row = 0; row < Rows && uses_spans<Operand>; ++row) {
        int32_t begin = Columns, end = 0;
        for (int column = 0; column < Columns; column += span_group) {
            IntVector group = load(visible.row(row) + column);
            for (int next = vector_width; next < span_group; next += vector_width)
                group |= load(visible.row(row) + column + next);
            const bool seen = any(group);
            begin = seen && column < begin ? column : begin;
            end = seen ? column + span_group : end;
        }
        visible.spans.data[row] = {begin, end};
    }
}

// listed: of each query, which keys it lists, the first in the lowest bit.
template <int Rows, int Columns> inline void hide_unlisted(Visibility<Rows, Columns>& visible, const uint64_t* listed) {
    static_assert(Columns <= 64, "a query's keys fit into one number");
    for (int i = 0; i < Rows; ++i) {
        int32_t* row = visible.row(i);
        const uint64_t bits = listed[i];
        for (int j = 0; j < Columns; ++j) row[j] &= -static_cast<int32_t>(bits >> j & 1);
    }
}

// Queries from count on do not exist.
template <int Rows, int Columns> inline void hide_rows(Visibility<Rows, Columns>& visible, int count) {
    if (count < Rows) std::memset(visible.row(count), 0, sizeof(int32_t) * Columns * (Rows - count));
}

template <class Integer> ATTN_INLINE Integer floor_divide(Integer number, Integer divisor) {
    const Integer quotient = number / divisor;
    return quotient - ((quotient * divisor != number) & ((number < 0) != (divisor < 0)));
}
template <class Integer> ATTN_INLINE Integer floor_modulo(Integer number, Integer divisor) {
    const Integer rest = number % divisor;
    return rest + (((rest != 0) & ((rest < 0) != (divisor < 0))) ? divisor : 0);
}

inline double floor_modulo(double number, double divisor) {
    const double rest = std::fmod(number, divisor);
    if (rest == 0.0) return std::copysign(0.0, divisor);
    return (rest < 0.0) != (divisor < 0.0) ? rest + divisor : rest;
}
inline double floor_divide(double number, double divisor) {
    double rest = std::fmod(number, divisor), quotient = (number - rest) / divisor;
    if (rest != 0.0 && (rest < 0.0) != (divisor < 0.0)) quotient -= 1.0;
    if (quotient == 0.0) return std::copysign(0.0, number / divisor);
    const double floor = std::floor(quotient);
    return quotient - floor > 0.5 ? floor + 1.0 : floor;
}

template <class Number> ATTN_INLINE Number smaller(Number a, Number b) { return a < b ? a : b; }
template <class Number> ATTN_INLINE Number larger(Number a, Number b) { return a > b ? a : b; }
template <class Number> ATTN_INLINE Number absolute(Number a) { return a < 0 ? -a : a; }

template <class Integer> inline Integer power(Integer base, Integer exponent) {
    Integer result = 1;
    for (; exponent > 0; exponent >>= 1, base *= base)
        if (exponent & 1) result *= base;
    return result;
}
template <> inline double power<double>(double base, double exponent) { return std::pow(base, exponent); }

// Bits of |number|, 0 for 0; through a double, as the interpreter does, so that loops are vectorised.
template <class Integer> ATTN_INLINE int32_t bit_length(Integer number) {
    const double magnitude = static_cast<double>(absolute(number));
    int64_t bits;
    std::memcpy(&bits, &magnitude, sizeof bits);
    return static_cast<int32_t>(number == 0 ? 0 : (bits >> 52) - 1022);
}

// log2(x) within 3 units in the last place: -inf at 0, NaN below. x is m * 2**exponent with m between sqrt(1/2)
// and sqrt(2), and log(m) a series in (m - 1) / (m + 1).
ATTN_INLINE Vector log2(Vector x) {
    const IntVector tiny = x < 0x1p-126f;
    const IntVector bits = reinterpret_cast<IntVector>(select(tiny, x * 0x1p23f, x));
    const IntVector exponent = (bits - 0x3f3504f3) >> 23;
    const Vector m = reinterpret_cast<Vector>(bits - (exponent << 23));
    const Vector ratio = (m - 1.0f) / (m + 1.0f), square = ratio * ratio;
    const Vector series = ((0.111111111f * square + 0.142857143f) * square + 0.2f) * square + 0.333333333f;
    const Vector whole = __builtin_convertvector(exponent, Vector) - select(tiny, broadcast(23.0f), Vector{});
    const Vector result = whole + 2.0f * log2_e * (ratio + ratio * square * series);
    const Vector outside = select(x == 0.0f, broadcast(-infinity), broadcast(__builtin_nanf("")));
    return select(x > 0.0f, select(x < infinity, result, broadcast(infinity)), outside);
}

ATTN_INLINE Vector minimum(Vector a, Vector b) { return a < b ? a : b; }
ATTN_INLINE Vector absolute(Vector x) { return x < 0.0f ? -x : x; }
ATTN_INLINE Vector square_root(Vector x) {
    Vector result;
    for (int lane = 0; lane < vector_width; ++lane) result[lane] = __builtin_sqrtf(x[lane]);
    return result;
}
// tanh within a few units in the last place: by powers near 0, where 1 - exp(-2 |x|) would lose digits.
ATTN_INLINE Vector hyperbolic_tangent(Vector x) {
    const Vector square = x * x, size = absolute(x), power = exp2(size * (-2.0f * log2_e));
    const Vector large = (1.0f - power) / (1.0f + power);
    const Vector near_0 = ((0.0218694885f * square - 0.0539682540f) * square + 0.1333333333f) * square - 0.3333333333f;
    return select(size < 0.25f, x + x * square * near_0, select(x < 0.0f, -large, large));
}
ATTN_INLINE Vector error_function(Vector x) {
    Vector result;
    for (int lane = 0; lane < vector_width; ++lane) result[lane] = __builtin_erff(x[lane]);
    return result;
}

// A product that no fused multiply-add swallows: it would round differently from NumPy.
ATTN_INLINE double rounded(double product) {
#if defined(__x86_64__)
    __asm__("" : "+x"(product));
#elif defined(__aarch64__)
    __asm__("" : "+w"(product));
#else
    volatile double kept = product;
    product = kept;
#endif
    return product;
}

}  // namespace attn
