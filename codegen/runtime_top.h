// attndsl tile runtime, beside the kernels: the largest scores of each row of a map, as lists of keys.
//
// Scores are compared as integers that have their order, so that the smallest one to keep is found by halving the
// range of all integers: each step counts the entries of a row that reach the middle, a vector at a time.
// `attndsl/runtime/select_top.py` mirrors the structure field by field. Strides are in elements.
#pragma once
#include <algorithm>
#include <vector>
#include "runtime_vector.h"

namespace attn {

// One row after the other of each head of each batch element.
struct Rows {
    int64_t batch_stride, head_stride, row_stride;

    int64_t at(int64_t batch, int64_t head, int64_t row) const {
        return batch * batch_stride + head * head_stride + row * row_stride;
    }
};

// scores: [batches, heads, rows, columns]. classes: of each, `excluded` or `preferred` or 0, or null. always: keys that
// every list has and that are excluded, ascending, then -1, or null. Rows of these two are place[row], if places are
// given. indices: [batches, heads, rows, most], ascending keys, then -1; counts: [batches, heads, rows]. first: the key
// of column 0.
struct TopCall {
    const float* scores;
    const uint8_t* classes;
    const int32_t* always;
    const int64_t* place;
    int32_t *indices, *counts;
    Rows of_scores, of_classes, of_always;
    int64_t batches, heads, rows, columns, always_most, most, first, count, threads;
};

constexpr int32_t excluded = 1, preferred = 2;
constexpr int32_t no_part = INT32_MIN, before_others = 0x7f800000;  // before all scores, and as infinity

// The first numbers from an address on, as many as a vector has or fewer.
template <class Lanes, class Number>
ATTN_INLINE Lanes load_lanes(const Number* address, int64_t lanes) {
    Lanes values{};
    if (lanes >= vector_width) std::memcpy(&values, address, sizeof values);
    else for (int64_t lane = 0; lane < lanes; ++lane) values[lane] = address[lane];
    return values;
}

ATTN_INLINE IntVector load_integers(const int32_t* address) {
    IntVector values;
    std::memcpy(&values, address, sizeof values);
    return values;
}

// A bit for each of a vector of integers that reaches a number.
ATTN_INLINE uint32_t reaching(IntVector values, int32_t number) {
#if defined(ATTN_AVX512)
    return _mm512_cmpge_epi32_mask(reinterpret_cast<__m512i>(values), _mm512_set1_epi32(number));
#else
    const IntVector reached = values >= number;
#if defined(ATTN_AVX2)
    return _mm256_movemask_ps(reinterpret_cast<__m256>(reached));
#else
    uint32_t bits = 0;
    for (int lane = 0; lane < vector_width; ++lane) bits |= (reached[lane] & 1u) << lane;
    return bits;
#endif
#endif
}

// How many of the integers, filled up to whole vectors, reach a number.
inline int64_t count_reaching(const int32_t* ordered, int64_t columns, int64_t number) {
    int64_t found = 0;
    for (int64_t column = 0; column < columns; column += vector_width)
        found += __builtin_popcount(reaching(load_integers(ordered + column), static_cast<int32_t>(number)));
    return found;
}

// Integers in the order of numbers; -inf and NaN are `no_part`.
ATTN_INLINE IntVector in_order(Vector values) {
    const IntVector bits = reinterpret_cast<IntVector>(values + Vector{});  // makes 0.0 of -0.0
    return values > -infinity ? bits ^ ((bits >> 31) & INT32_MAX) : IntVector{} + no_part;
}

// Writes scores as integers, filled up to whole vectors; returns the largest.
inline int32_t order_row(int32_t* ordered, const float* scores, const uint8_t* classes, int64_t columns) {
    typedef uint8_t Classes __attribute__((vector_size(vector_width)));
    IntVector largest = IntVector{} + no_part, lane_numbers;
    for (int lane = 0; lane < vector_width; ++lane) lane_numbers[lane] = lane;
    for (int64_t column = 0; column < columns; column += vector_width) {
        const int64_t lanes = columns - column;
        IntVector integers = in_order(load_lanes<Vector>(scores + column, lanes));
        if (classes) {
            const IntVector of = __builtin_convertvector(load_lanes<Classes>(classes + column, lanes), IntVector);
            integers = (of == preferred) & (integers > no_part) ? IntVector{} + before_others : integers;
            integers = of == excluded ? IntVector{} + no_part : integers;
        }
        if (lanes < vector_width) integers = lane_numbers < static_cast<int32_t>(lanes) ? integers : IntVector{} + no_part;
        std::memcpy(ordered + column, &integers, sizeof integers);
        largest = integers > largest ? integers : largest;
    }
    int32_t found = no_part;
    for (int lane = 0; lane < vector_width; ++lane) found = largest[lane] > found ? largest[lane] : found;
    return found;
}

// The smallest integer to keep, and how many that equal it.
struct Bound {
    int32_t smallest;
    int64_t equals;
};

inline Bound bound_of(const int32_t* ordered, int64_t columns, int32_t largest, int64_t count) {
    constexpr int64_t smallest = int64_t{no_part} + 1;
    if (count == 0) return {INT32_MAX, 0};
    if (count_reaching(ordered, columns, smallest) <= count) return {static_cast<int32_t>(smallest), columns};
    int64_t high = int64_t{largest} + 1, step = 1 << 22, low = high, found = 0;  // fewer than `count` reach `high`
    while (found < count) {
        high = low;
        low = high - step > smallest ? high - step : smallest;
        found = count_reaching(ordered, columns, low);
        step *= 4;
    }
    while (found > count && high - low > 1) {
        const int64_t middle = low + (high - low) / 2, reached = count_reaching(ordered, columns, middle);
        const bool enough = reached >= count;
        low = enough ? middle : low;
        found = enough ? reached : found;
        high = enough ? high : middle;
    }
    if (found == count) return {static_cast<int32_t>(low), columns};
    return {static_cast<int32_t>(low), count - count_reaching(ordered, columns, high)};
}

// Writes first + lane for each bit that is set. list: room for a vector more. Returns the end of the list.
ATTN_INLINE int32_t* append(int32_t* list, uint32_t bits, int64_t first) {
#if defined(ATTN_AVX512)
    const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __m512i places = _mm512_add_epi32(lanes, _mm512_set1_epi32(static_cast<int32_t>(first)));
    _mm512_storeu_si512(list, _mm512_maskz_compress_epi32(bits, places));
    return list + __builtin_popcount(bits);
#else
    for (; bits; bits &= bits - 1) *list++ = static_cast<int32_t>(first + __builtin_ctz(bits));
    return list;
#endif
}

// Writes the keys that are kept, of equals the first; returns how many. kept: room for a vector more.
inline int64_t list_kept(const int32_t* ordered, int64_t columns, Bound bound, int64_t first, int32_t* kept) {
    int32_t* end = kept;
    for (int64_t column = 0; column < columns; column += vector_width) {
        const IntVector values = load_integers(ordered + column);
        uint32_t bits = reaching(values, bound.smallest);
        if (bits && bound.equals < columns) {
            uint32_t equal = bits & ~reaching(values, bound.smallest + 1);  // no score is INT32_MAX
            bits ^= equal;
            for (; equal && bound.equals; equal &= equal - 1, --bound.equals) bits |= equal & -equal;
        }
        end = append(end, bits, first + column);
    }
    return end - kept;
}

// Writes both lists as one, filled up with -1; returns how many there are.
inline int64_t join_lists(const int32_t* kept, int64_t listed, const int32_t* always, int64_t always_most,
                          int32_t* indices, int64_t most) {
    int64_t written = 0, next = 0;
    for (int64_t place = 0; place < always_most && always[place] >= 0; ++place) {
        while (next < listed && kept[next] < always[place]) indices[written++] = kept[next++];
        indices[written++] = always[place];
    }
    while (next < listed) indices[written++] = kept[next++];
    std::fill(indices + written, indices + most, -1);
    return written;
}

inline void top_of_row(const TopCall& call, int64_t map, int64_t row, int32_t* ordered, int32_t* kept) {
    const int64_t batch = map / call.heads, head = map % call.heads, place = call.place ? call.place[row] : row;
    const int64_t number = map * call.rows + row;
    const float* scores = call.scores + call.of_scores.at(batch, head, row);
    const uint8_t* classes = call.classes ? call.classes + call.of_classes.at(batch, head, place) : nullptr;
    const int32_t* always = call.always ? call.always + call.of_always.at(batch, head, place) : nullptr;
    const int32_t largest = order_row(ordered, scores, classes, call.columns);
    const Bound bound = bound_of(ordered, call.columns, largest, call.count);
    const int64_t listed = list_kept(ordered, call.columns, bound, call.first, kept);
    call.counts[number] = static_cast<int32_t>(
        join_lists(kept, listed, always, call.always_most, call.indices + number * call.most, call.most));
}

inline int top(const TopCall& call) {
#pragma omp parallel num_threads(static_cast<int>(call.threads))
    {
        std::vector<int32_t> ordered(call.columns + vector_width), kept(call.columns + vector_width);
#pragma omp for schedule(static) collapse(2)
        for (int64_t map = 0; map < call.batches * call.heads; ++map)
            for (int64_t row = 0; row < call.rows; ++row) top_of_row(call, map, row, ordered.data(), kept.data());
    }
    return 0;
}

}  // namespace attn
