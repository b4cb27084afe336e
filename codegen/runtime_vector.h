// attndsl tile runtime, 1 of 12: one machine vector of float32 and its elementary functions.
//
// Everything above this file is written in `Vector` (16, 8 or 4 lanes, from the compiler's target
// macros), so that it reads the same for AVX-512, AVX2 and portable builds. Works with g++ and clang++.
#pragma once
#include <cstdint>
#include <cstring>
#if defined(__AVX512F__) || defined(__AVX2__)
#include <immintrin.h>
#endif

#define ATTN_INLINE inline __attribute__((always_inline))
#if defined(__clang__)
#define ATTN_UNROLL _Pragma("unroll")
#else
#define ATTN_UNROLL _Pragma("GCC unroll 32")
#endif

namespace attn {

#if defined(__AVX512F__) && defined(__AVX512DQ__) && defined(__AVX512BW__) && defined(__AVX512VL__)
#define ATTN_AVX512 1
constexpr int vector_width = 16;
constexpr __mmask16 every_lane = 0xffff;  // the plain intrinsics draw false warnings from g++
#elif defined(__AVX2__) && defined(__FMA__)
#define ATTN_AVX2 1
constexpr int vector_width = 8;
#else
constexpr int vector_width = 4;
#endif

// may_alias and an alignment of one float: a Vector may be read from any float32 address.
typedef float Vector __attribute__((vector_size(vector_width * 4)));
typedef float UnalignedVector __attribute__((vector_size(vector_width * 4), aligned(4), may_alias));
typedef int32_t IntVector __attribute__((vector_size(vector_width * 4)));

constexpr float lowest = -3.402823466e38f;
constexpr float infinity = __builtin_inff();
constexpr float log2_e = 1.44269504088896340736f;
constexpr float ln_2 = 0.69314718055994530942f;

constexpr int padded(int columns) { return (columns + vector_width - 1) / vector_width * vector_width; }

ATTN_INLINE Vector load(const float* address) { return *reinterpret_cast<const UnalignedVector*>(address); }
ATTN_INLINE void store(float* address, Vector value) { *reinterpret_cast<UnalignedVector*>(address) = value; }
ATTN_INLINE Vector broadcast(float value) { return value - Vector{}; }

ATTN_INLINE Vector maximum(Vector a, Vector b) {
#if defined(ATTN_AVX512)
    const __m512 left = reinterpret_cast<__m512>(a), right = reinterpret_cast<__m512>(b);
    return reinterpret_cast<Vector>(_mm512_maskz_max_ps(every_lane, left, right));
#elif defined(ATTN_AVX2)
    return reinterpret_cast<Vector>(_mm256_max_ps(reinterpret_cast<__m256>(a), reinterpret_cast<__m256>(b)));
#else
    return a > b ? a : b;
#endif
}

// a where chosen (all bits set), b where not (none set).
ATTN_INLINE Vector select(IntVector chosen, Vector a, Vector b) { return chosen ? a : b; }

// The lanes of (a, b) numbered 0 .. 2 * vector_width - 1, in the given order.
template <int... Lanes>
ATTN_INLINE Vector shuffle(Vector a, Vector b) {
#if defined(__clang__)
    return __builtin_shufflevector(a, b, Lanes...);
#else
    return __builtin_shuffle(a, b, IntVector{Lanes...});
#endif
}

// The lower halves of a and b with their lanes in turn (a0 b0 a1 b1 ..), and the upper halves.
ATTN_INLINE Vector interleave_low(Vector a, Vector b) {
#if defined(ATTN_AVX512)
    return shuffle<0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23>(a, b);
#elif defined(ATTN_AVX2)
    return shuffle<0, 8, 1, 9, 2, 10, 3, 11>(a, b);
#else
    return shuffle<0, 4, 1, 5>(a, b);
#endif
}
ATTN_INLINE Vector interleave_high(Vector a, Vector b) {
#if defined(ATTN_AVX512)
    return shuffle<8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31>(a, b);
#elif defined(ATTN_AVX2)
    return shuffle<4, 12, 5, 13, 6, 14, 7, 15>(a, b);
#else
    return shuffle<2, 6, 3, 7>(a, b);
#endif
}

// rows becomes its transpose, in log2(vector_width) rounds of perfect shuffles.
ATTN_INLINE void transpose(Vector (&rows)[vector_width]) {
    ATTN_UNROLL
    for (int distance = 1; distance < vector_width; distance *= 2) {
        Vector shuffled[vector_width];
        ATTN_UNROLL
        for (int row = 0; row < vector_width / 2; ++row) {
            shuffled[2 * row] = interleave_low(rows[row], rows[row + vector_width / 2]);
            shuffled[2 * row + 1] = interleave_high(rows[row], rows[row + vector_width / 2]);
        }
        ATTN_UNROLL
        for (int row = 0; row < vector_width; ++row) rows[row] = shuffled[row];
    }
}

// Lane r of the result is the largest lane of rows[r]. Folding two rows into one halves both, so that
// all vector_width rows cost about as many steps as they have lanes; rows is overwritten.
ATTN_INLINE Vector maximum_of_each(Vector (&rows)[vector_width]) {
    ATTN_UNROLL
    for (int count = vector_width / 2; count > 0; count /= 2) {
        ATTN_UNROLL
        for (int row = 0; row < count; ++row)
            rows[row] = maximum(interleave_low(rows[row], rows[row + count]),
                                interleave_high(rows[row], rows[row + count]));
    }
    return rows[0];
}

// Lane r of the result is the sum of the lanes of rows[r]; rows is overwritten.
ATTN_INLINE Vector sum_of_each(Vector (&rows)[vector_width]) {
    ATTN_UNROLL
    for (int count = vector_width / 2; count > 0; count /= 2) {
        ATTN_UNROLL
        for (int row = 0; row < count; ++row)
            rows[row] = interleave_low(rows[row], rows[row + count]) + interleave_high(rows[row], rows[row + count]);
    }
    return rows[0];
}

// 2**fraction for fraction in [0, 1]: minimax polynomial, relative error 8.3e-8, exactly 1 at 0.
ATTN_INLINE Vector exp2_of_fraction(Vector fraction) {
    Vector power = 0.0018671300495043397f * fraction + 0.009017030708491802f;
    power = power * fraction + 0.05579991266131401f;
    power = power * fraction + 0.24016444385051727f;
    power = power * fraction + 0.6931512951850891f;
    return power * fraction + 1.0f;
}

// 2**x within 3 units in the last place (0.7 on average): exactly 1 at 0, 0 at -inf, never NaN for a
// number. Results below 2**-126 may be 0.
ATTN_INLINE Vector exp2(Vector x) {
#if defined(ATTN_AVX512)
    const __m512 exponent = reinterpret_cast<__m512>(x);
    // x - floor(x), and 0 at an infinity
    const __m512 fraction = _mm512_maskz_reduce_ps(every_lane, exponent, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
    const Vector power = exp2_of_fraction(reinterpret_cast<Vector>(fraction));
    return reinterpret_cast<Vector>(_mm512_maskz_scalef_ps(every_lane, reinterpret_cast<__m512>(power), exponent));
#else
    const Vector capped = x < 128.0f ? x : broadcast(128.0f);
    const Vector clamped = maximum(capped, broadcast(-126.0f));
    const Vector nearest = (clamped + 12582912.0f) - 12582912.0f;  // adding 1.5 * 2**23 rounds to an integer
    const Vector floor = nearest - select(nearest > clamped, broadcast(1.0f), Vector{});
    const IntVector scale = (__builtin_convertvector(floor, IntVector) + 127) << 23;
    const Vector power = exp2_of_fraction(clamped - floor) * reinterpret_cast<Vector>(scale);
    return select(x < -126.0f, Vector{}, power);
#endif
}

}  // namespace attn
