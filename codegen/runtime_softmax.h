// attndsl tile runtime, 6 of 7: elementwise work on tiles of scores: masks, maps and the online softmax.
//
// Scores are in base 2 (log2 e is folded into the query tile's scale or the score map). A tile's row is a
// loop over j < Columns in which generated code is inlined and vectorised.
#pragma once
#include "runtime_tile.h"

namespace attn {

// scores[i][j] = -inf where not row_predicate(i)(j).
// row_predicate(i) reads what depends on the row and returns a predicate on the column, free of branches
// (& and | instead of && and ||), so that the loop over columns vectorises:
//     mask_rows(scores, [&](int i) { const int q_n = query_n[i]; return [=](int j) { return key_n[j] <= q_n; }; });
template <int Rows, int Columns, class RowPredicate>
ATTN_INLINE void mask_rows(Tile<float, Rows, Columns>& scores, RowPredicate row_predicate) {
    for (int i = 0; i < Rows; ++i) {
        const auto visible = row_predicate(i);
        float* row = scores.row(i);
        for (int j = 0; j < Columns; ++j) row[j] = visible(j) ? row[j] : -infinity;
    }
}

// tile[i][j] = row_map(i)(j, tile[i][j]): score functions, decay, derivatives.
template <int Rows, int Columns, class RowMap>
ATTN_INLINE void map_rows(Tile<float, Rows, Columns>& tile, RowMap row_map) {
    for (int i = 0; i < Rows; ++i) {
        const auto map = row_map(i);
        float* row = tile.row(i);
        for (int j = 0; j < Columns; ++j) row[j] = map(j, row[j]);
    }
}

// Keys from count on do not exist: their scores become -inf.
template <int Rows, int Columns>
inline void mask_columns(Tile<float, Rows, Columns>& scores, int count) {
    for (int i = 0; i < Rows; ++i)
        for (int j = count; j < Columns; ++j) scores.row(i)[j] = -infinity;
}

template <int Rows, int Columns>
inline void clear(Tile<float, Rows, Columns>& tile) { std::memset(tile.data, 0, sizeof tile.data); }

// The running state of the online softmax of Rows query rows.
template <int Rows>
struct SoftmaxState {
    alignas(64) float maximum[padded(Rows)];      // largest score so far, base 2; the lowest float before any
    alignas(64) float alpha[padded(Rows)];        // factor for what was accumulated before the last tile
    alignas(64) float sums[Rows * vector_width];  // sum of weights so far, still spread over lanes
    ATTN_INLINE void reset() {
        for (int i = 0; i < padded(Rows); ++i) maximum[i] = lowest;
        std::memset(sums, 0, sizeof sums);
    }
};

// Lane r of the result is the largest score of row first + r (-inf past the tile's last row).
template <int Rows, int Columns>
ATTN_INLINE Vector row_maxima(const Tile<float, Rows, Columns>& scores, int first) {
    Vector largest[vector_width];
    ATTN_UNROLL
    for (int lane = 0; lane < vector_width; ++lane) {
        if (first + lane < Rows) {
            const float* row = scores.row(first + lane);
            largest[lane] = load(row);
            for (int j = vector_width; j < Columns; j += vector_width) largest[lane] = maximum(largest[lane], load(row + j));
        } else {
            largest[lane] = broadcast(-infinity);
        }
    }
    return maximum_of_each(largest);
}

// Turns scores into weights exp2(score - running maximum) in place, updates the state and returns the
// weights as a dot's left operand. Then: dot_accumulate(output, state.alpha, weights, values).
template <class Operand, int Rows, int Columns>
inline const Tile<float, Rows, Columns>& online_softmax(Tile<float, Rows, Columns>& scores, SoftmaxState<Rows>& state) {
    for (int first = 0; first < Rows; first += vector_width) {
        const Vector before = load(state.maximum + first);
        const Vector now = maximum(before, row_maxima(scores, first));
        store(state.maximum + first, now);
        store(state.alpha + first, exp2(before - now));
    }
    for (int i = 0; i < Rows; ++i) {
        float* row = scores.row(i);
        const Vector largest = broadcast(state.maximum[i]);
        Vector sum = load(state.sums + i * vector_width) * state.alpha[i];
        for (int j = 0; j < Columns; j += vector_width) {
            const Vector weight = exp2(minimum(load(row + j) - largest, Vector{}));
            store(row + j, weight);
            sum += weight;
        }
        store(state.sums + i * vector_width, sum);
    }
    return scores;
}

// After the last tile: output[i] /= z[i] (0 for a row that saw nothing) and
// lse[i] = natural log of sum_j exp(score) (-inf for such a row).
template <int Rows, int Columns>
inline void finish_softmax(Tile<float, Rows, Columns>& output, SoftmaxState<Rows>& state, float* lse) {
    for (int i = 0; i < Rows; ++i) {
        float sum = 0.0f;
        for (int lane = 0; lane < vector_width; ++lane) sum += state.sums[i * vector_width + lane];
        lse[i] = sum > 0.0f ? (state.maximum[i] + __builtin_log2f(sum)) * ln_2 : -infinity;
        const float factor = sum > 0.0f ? 1.0f / sum : 0.0f;
        float* row = output.row(i);
        for (int j = 0; j < Columns; j += vector_width) store(row + j, load(row + j) * factor);
    }
}

}  // namespace attn
