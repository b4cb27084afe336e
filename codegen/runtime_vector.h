// attndsl tile runtime, 1 of 6: one machine vector of float32 and its elementary functions.
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
    return reinterpret_cast<Vector>(_mm512_maskz_max_ps(every_lane, reinterpret_cast<__m512>(a), reinterpret_cast<__m512>(b)));
#elif defined(ATTN_AVX2)
    return reinterpret_cast<Vector>(_mm256_max_ps(reinterpret_cast<__m256>(a), reinterpret_cast<__m256>(b)));
#else
    return a > b ? a : b;
#endif
}

// As the x86 instruction: the result is b when a is NaN.
ATTN_INLINE Vector minimum(Vector a, Vector b) {
#if defined(ATTN_AVX512)
    return reinterpret_cast<Vector>(_mm512_maskz_min_ps(every_lane, reinterpret_cast<__m512>(a), reinterpret_cast<__m512>(b)));
#elif defined(ATTN_AVX2)
    return reinterpret_cast<Vector>(_mm256_min_ps(reinterpret_cast<__m256>(a), reinterpret_cast<__m256>(b)));
#else
    return a < b ? a : b;
#endif
}

ATTN_INLINE float horizontal_maximum(Vector value) {
    float result = value[0];
    for (int lane = 1; lane < vector_width; ++lane) result = value[lane] > result ? value[lane] : result;
    return result;
}

ATTN_INLINE float horizontal_sum(Vector value) {
    float result = value[0];
    for (int lane = 1; lane < vector_width; ++lane) result += value[lane];
    return result;
}

// 2**fraction for fraction in [0, 1]: minimax polynomial, relative error 8.3e-8, exactly 1 at 0.
template <class Number>
ATTN_INLINE Number exp2_of_fraction(Number fraction) {
    Number power = 0.0018671300495043397f * fraction + 0.009017030708491802f;
    power = power * fraction + 0.05579991266131401f;
    power = power * fraction + 0.24016444385051727f;
    power = power * fraction + 0.6931512951850891f;
    return power * fraction + 1.0f;
}

// 2**x within 2 units in the last place; 0 below 2**-126 (also at -inf), +inf above 2**128, never NaN
// for a number. This form holds for one float and, auto-vectorised, for loops over floats.
ATTN_INLINE float exp2(float x) {
    const float clamped = x < -126.0f ? -126.0f : (x < 127.9999f ? x : 127.9999f);
    const float nearest = (clamped + 12582912.0f) - 12582912.0f;  // 1.5 * 2**23: rounds to an integer
    const float floor = nearest > clamped ? nearest - 1.0f : nearest;
    const int32_t bits = (static_cast<int32_t>(floor) + 127) << 23;
    float scale;
    std::memcpy(&scale, &bits, sizeof scale);
    const float power = exp2_of_fraction(clamped - floor) * scale;
    return x < -126.0f ? 0.0f : (x >= 128.0f ? infinity : power);
}

ATTN_INLINE Vector exp2(Vector x) {
#if defined(ATTN_AVX512)
    const __m512 exponent = reinterpret_cast<__m512>(x);
    // x - floor(x), and 0 at an infinity
    const __m512 fraction = _mm512_maskz_reduce_ps(every_lane, exponent, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
    const Vector power = exp2_of_fraction(reinterpret_cast<Vector>(fraction));
    return reinterpret_cast<Vector>(_mm512_maskz_scalef_ps(every_lane, reinterpret_cast<__m512>(power), exponent));
#else
    Vector result;
    for (int lane = 0; lane < vector_width; ++lane) result[lane] = exp2(x[lane]);
    return result;
#endif
}

}  // namespace attn
