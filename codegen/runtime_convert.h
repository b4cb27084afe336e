// attndsl tile runtime, 2 of 12: half-precision storage types, a vector at a time. Arithmetic is float32.
#pragma once
#include "runtime_vector.h"

namespace attn {

struct bfloat16 { uint16_t bits; };
struct float16 { uint16_t bits; };

typedef uint16_t HalfVector __attribute__((vector_size(vector_width * 2)));
typedef uint16_t UnalignedHalfVector __attribute__((vector_size(vector_width * 2), aligned(2), may_alias));

ATTN_INLINE HalfVector load_bits(const void* address) {
    return *static_cast<const UnalignedHalfVector*>(address);
}
ATTN_INLINE void store_bits(void* address, HalfVector bits) { *static_cast<UnalignedHalfVector*>(address) = bits; }
ATTN_INLINE IntVector widen(HalfVector bits) {
#if defined(ATTN_AVX512)  // g++ splits a conversion of this width in two
    return reinterpret_cast<IntVector>(_mm512_maskz_cvtepu16_epi32(every_lane, reinterpret_cast<__m256i>(bits)));
#else
    return __builtin_convertvector(bits, IntVector);
#endif
}
// Keeps the low 16 bits of every lane.
ATTN_INLINE HalfVector narrow(IntVector bits) {
#if defined(ATTN_AVX512)
    return reinterpret_cast<HalfVector>(_mm512_maskz_cvtepi32_epi16(every_lane, reinterpret_cast<__m512i>(bits)));
#else
    return __builtin_convertvector(bits, HalfVector);
#endif
}
ATTN_INLINE IntVector bits_of(Vector value) { return reinterpret_cast<IntVector>(value); }
ATTN_INLINE Vector from_bits(IntVector bits) { return reinterpret_cast<Vector>(bits); }
ATTN_INLINE IntVector select(IntVector chosen, IntVector a, IntVector b) { return chosen ? a : b; }

ATTN_INLINE Vector load_elements(const float* address) { return load(address); }
ATTN_INLINE void store_elements(float* address, Vector value) { store(address, value); }

ATTN_INLINE Vector load_elements(const bfloat16* address) { return from_bits(widen(load_bits(address)) << 16); }

// Rounds to the nearest bfloat16, ties to even; NaN stays NaN.
ATTN_INLINE HalfVector to_bfloat16(Vector value) {
    const IntVector bits = bits_of(value), magnitude = bits & 0x7fffffff;
    const IntVector rounded = bits + 0x7fff + ((bits >> 16) & 1);
    return narrow(select(magnitude > 0x7f800000, bits | 0x400000, rounded) >> 16);
}
ATTN_INLINE void store_elements(bfloat16* address, Vector value) { store_bits(address, to_bfloat16(value)); }

ATTN_INLINE Vector load_elements(const float16* address) {
#if defined(ATTN_AVX512)
    return reinterpret_cast<Vector>(_mm512_maskz_cvtph_ps(every_lane, reinterpret_cast<__m256i>(load_bits(address))));
#elif defined(ATTN_AVX2) && defined(__F16C__)
    return reinterpret_cast<Vector>(_mm256_cvtph_ps(reinterpret_cast<__m128i>(load_bits(address))));
#else
    const IntVector bits = widen(load_bits(address)), magnitude = bits & 0x7fff;
    const Vector rebiased = from_bits(magnitude << 13) * 5.192296858534828e33f;  // 2**112, the biases' difference
    const IntVector special = (magnitude >= 0x7c00) & 0x7f800000;                // infinity and NaN
    return from_bits(bits_of(rebiased) | special | ((bits & 0x8000) << 16));
#endif
}

// Rounds to the nearest float16, ties to even; subnormal, infinite and NaN results as IEEE 754 says.
ATTN_INLINE void store_elements(float16* address, Vector value) {
#if defined(ATTN_AVX512)
    const __m256i bits = _mm512_maskz_cvtps_ph(every_lane, reinterpret_cast<__m512>(value), _MM_FROUND_TO_NEAREST_INT);
    store_bits(address, reinterpret_cast<HalfVector>(bits));
#elif defined(ATTN_AVX2) && defined(__F16C__)
    const __m128i bits = _mm256_cvtps_ph(reinterpret_cast<__m256>(value), _MM_FROUND_TO_NEAREST_INT);
    store_bits(address, reinterpret_cast<HalfVector>(bits));
#else
    const IntVector magnitude = bits_of(value) & 0x7fffffff;
    const IntVector half = (((127 - 15) + (23 - 10) + 1) << 23) - IntVector{};  // 0.5: its sum rounds at 2**-24
    const IntVector subnormal = bits_of(from_bits(magnitude) + from_bits(half)) - half;
    const IntVector normal = (magnitude - (112 << 23) + 0xfff + ((magnitude >> 13) & 1)) >> 13;
    const IntVector special = select(magnitude > 0x7f800000, 0x7e00 - IntVector{}, 0x7c00 - IntVector{});
    const IntVector finite = select(magnitude < (113 << 23), subnormal, normal);
    const IntVector bits = select(magnitude >= (143 << 23), special, finite);
    store_bits(address, narrow(bits | ((bits_of(value) >> 16) & 0x8000)));
#endif
}

}  // namespace attn
