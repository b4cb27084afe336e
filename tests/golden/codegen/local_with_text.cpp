// The forward pass in bfloat16, printed by attndsl VERSION, of
// bound local_r2_t0x1000: heads 2, kv_heads 2
//     queries video(t = 4, h = 12, w = 16) ++ text(n = 77)
//     keys    video(t = 4, h = 12, w = 16) ++ text(n = 77)
//     attend video -> video: abs(q.t - k.t) <= 2 and abs(q.h - k.h) <= 2 and abs(q.w - k.w) <= 2
//     attend video -> text: true
//     attend text -> video: true
//     attend text -> text: k.n <= q.n + tail[head]
#include "tile_runtime.h"

namespace {
using namespace attn;

constexpr int Tq = 64, Tk = 64;  // tokens of a q tile and of a kv tile
constexpr int D = 64, Dv = 64;  // channels of q and k, and of v
using Element = bfloat16;
using Factor = Operand<Element>;
using Mask = Visibility<Tq, Tk>;
enum { q, k, v, out, lse };  // places in call.tensors

// Residual 1 of PARTIAL tiles: video -> video: abs(q.h - k.h) <= 2 and abs(q.w - k.w) <= 2
inline void visible_1(Mask& visible, const Call& call, int64_t batch, int64_t head,
                      int64_t q_tile, int64_t kv_tile) {
    const int32_t* query_h_of = call.queries.coordinate(1, q_tile);
    const int32_t* key_h_of = call.keys.coordinate(1, kv_tile);
    const int32_t* query_w_of = call.queries.coordinate(2, q_tile);
    const int32_t* key_w_of = call.keys.coordinate(2, kv_tile);
    for (int i = 0; i < Tq; ++i) {
        int32_t* row = visible.row(i);
        const int32_t query_h = query_h_of[i];
        const int32_t query_w = query_w_of[i];
        #pragma omp simd
        for (int j = 0; j < Tk; ++j) {
            row[j] = -int32_t((absolute(query_h - key_h_of[j]) <= 2) & (absolute(query_w - key_w_of[j]) <= 2));
        }
    }
}

// Residual 2 of PARTIAL tiles: video -> video: abs(q.t - k.t) <= 2 and abs(q.h - k.h) <= 2 and abs(q.w - k.w)
//     <= 2
inline void visible_2(Mask& visible, const Call& call, int64_t batch, int64_t head,
                      int64_t q_tile, int64_t kv_tile) {
    const int32_t* query_t_of = call.queries.coordinate(0, q_tile);
    const int32_t* key_t_of = call.keys.coordinate(0, kv_tile);
    const int32_t* query_h_of = call.queries.coordinate(1, q_tile);
    const int32_t* key_h_of = call.keys.coordinate(1, kv_tile);
    const int32_t* query_w_of = call.queries.coordinate(2, q_tile);
    const int32_t* key_w_of = call.keys.coordinate(2, kv_tile);
    for (int i = 0; i < Tq; ++i) {
        int32_t* row = visible.row(i);
        const int32_t query_t = query_t_of[i];
        const int32_t query_h = query_h_of[i];
        const int32_t query_w = query_w_of[i];
        #pragma omp simd
        for (int j = 0; j < Tk; ++j) {
            row[j] = -int32_t(((absolute(query_t - key_t_of[j]) <= 2) & (absolute(query_h - key_h_of[j]) <= 2)) & (absolute(query_w - key_w_of[j]) <= 2));
        }
    }
}

// Residual 3 of PARTIAL tiles: text -> text: k.n <= q.n + tail[head]
inline void visible_3(Mask& visible, const Call& call, int64_t batch, int64_t head,
                      int64_t q_tile, int64_t kv_tile) {
    static constexpr int64_t table_tail[] = {0, 1000};
    const int32_t* key_n_of = call.keys.coordinate(0, kv_tile);
    const int32_t* query_n_of = call.queries.coordinate(0, q_tile);
    const int32_t head_0 = int32_t(table_tail[int32_t(head)]);
    int32_t query_0_of[Tq];
    #pragma omp simd
    for (int i = 0; i < Tq; ++i) {
        const int32_t query_0 = query_n_of[i] + head_0;  // <text>:5:30: q.n + tail[head]
        query_0_of[i] = query_0;
    }
    for (int i = 0; i < Tq; ++i) {
        int32_t* row = visible.row(i);
        const int32_t query_0 = query_0_of[i];
        #pragma omp simd
        for (int j = 0; j < Tk; ++j) {
            row[j] = -int32_t(key_n_of[j] <= query_0);
        }
    }
}

// Which pairs of a PARTIAL tile, or of one that the edge of the space cuts off, are visible.
void fill(Mask& visible, const Call& call, int16_t residual,
          int64_t batch, int64_t head, int64_t q_tile, int64_t kv_tile) {
    switch (residual) {
        case 1: visible_1(visible, call, batch, head, q_tile, kv_tile); break;
        case 2: visible_2(visible, call, batch, head, q_tile, kv_tile); break;
        case 3: visible_3(visible, call, batch, head, q_tile, kv_tile); break;
        default: show_all(visible);
    }
    hide_columns(visible, call.keys.counts[kv_tile]);
    find_spans<Factor>(visible);
}

struct Packed {  // a kv tile in fast memory
    KeyTile<Factor, D, Tk> k_rows;
    ValueTile<Factor, Tk, Dv> v_rows;
};

void pack(const Call& call, Packed& packed, int64_t batch, int64_t kv_head, int64_t kv_tile) {
    gather_transposed(packed.k_rows, rows_of<const Element>(call.tensors[k], batch, kv_head, call.keys, kv_tile));
    gather_rows(packed.v_rows, rows_of<const Element>(call.tensors[v], batch, kv_head, call.keys, kv_tile));
}

struct Scratch {  // the variables of one thread
    QueryTile<Factor, Tq, D> queries;
    alignas(64) float highest[Tq];
    alignas(64) float total[Tq];
    Tile<float, Tq, Dv> weighted_values;
    Tile<float, Tq, Tk> scores_product;
    alignas(64) float new_highest_of_tile[Tq];
    alignas(64) float new_highest[Tq];
    alignas(64) float rescale[Tq];
    alignas(64) float total_of_tile[Tq];
    alignas(64) float normaliser[Tq];
    alignas(64) float lse_rows[Tq];
    Mask visible;
};

void run(const Call& call, const Packed* packed, Scratch& scratch, int64_t batch, int64_t head, int64_t q_tile) {
    const float scale = call.arguments[0];
    auto& [queries, highest, total, weighted_values, scores_product, new_highest_of_tile, new_highest, rescale, total_of_tile, normaliser, lse_rows, visible] = scratch;
    auto& scores = scores_product;
    auto& weights = scores_product;
    auto& out_rows = weighted_values;
    gather_rows(queries, rows_of<const Element>(call.tensors[q], batch, head, call.queries, q_tile));
    for (int first = 0; first < Tq; first += vector_width) {
        store(highest + first, broadcast(-3.40282347e+38f));  // highest score seen, per query
        store(total + first, broadcast(0.0f));  // sum of weights, per query
        for (int lane = 0; lane < vector_width; ++lane) {
            const int row = first + lane;
            for (int column = 0; column < padded(Dv); column += vector_width) {
                const Vector weighted_values_here = broadcast(0.0f);
                store(weighted_values.row(row) + column, weighted_values_here);
            }
        }
    }
    // every kv tile in the block map of this q tile
    const BlockMap& map = map_of(call, batch, head);
    for (int64_t run = map.row_start[q_tile]; run < map.row_start[q_tile + 1]; ++run) {
        for (int64_t kv_tile = map.begin[run]; kv_tile < map.end[run]; ++kv_tile) {
            const auto& [k_rows, v_rows] = packed[kv_tile];
            const bool full = map.residual[run] == 0 && call.keys.counts[kv_tile] == Tk;
            if (!full) fill(visible, call, map.residual[run], batch, head, q_tile, kv_tile);
            if (full) dot(scores_product, queries, k_rows);
            else dot(scores_product, queries, k_rows, visible.spans);
            if (full) {
                for (int first = 0; first < Tq; first += vector_width) {
                    Vector new_highest_of_tile_rows[vector_width];
                    for (int lane = 0; lane < vector_width; ++lane) {
                        const int row = first + lane;
                        Vector new_highest_of_tile_lanes = broadcast(-infinity);
                        for (int column = 0; column < padded(Tk); column += vector_width) {
                            const Vector scores_here = load(scores_product.row(row) + column) * (scale * 1.44269504f);  // in base 2
                            store(scores.row(row) + column, scores_here);
                            new_highest_of_tile_lanes = maximum(new_highest_of_tile_lanes, scores_here);
                        }
                        new_highest_of_tile_rows[lane] = new_highest_of_tile_lanes;
                    }
                    store(new_highest_of_tile + first, maximum_of_each(new_highest_of_tile_rows));
                }
            } else {
                for (int first = 0; first < Tq; first += vector_width) {
                    Vector new_highest_of_tile_rows[vector_width];
                    for (int lane = 0; lane < vector_width; ++lane) {
                        const int row = first + lane;
                        Vector new_highest_of_tile_lanes = broadcast(-infinity);
                        for (int column = 0; column < padded(Tk); column += vector_width) {
                            const Vector scores_here = select(load(visible.row(row) + column), load(scores_product.row(row) + column) * (scale * 1.44269504f), broadcast(-infinity));  // in base 2
                            store(scores.row(row) + column, scores_here);
                            new_highest_of_tile_lanes = maximum(new_highest_of_tile_lanes, scores_here);
                        }
                        new_highest_of_tile_rows[lane] = new_highest_of_tile_lanes;
                    }
                    store(new_highest_of_tile + first, maximum_of_each(new_highest_of_tile_rows));
                }
            }
            for (int first = 0; first < Tq; first += vector_width) {
                store(new_highest + first, maximum(load(highest + first), load(new_highest_of_tile + first)));
                store(rescale + first, exp2(load(highest + first) - load(new_highest + first)));
                Vector total_of_tile_rows[vector_width];
                for (int lane = 0; lane < vector_width; ++lane) {
                    const int row = first + lane;
                    const Vector new_highest_row = broadcast(new_highest[row]);
                    Vector total_of_tile_lanes = Vector{};
                    for (int column = 0; column < padded(Tk); column += vector_width) {
                        const Vector weights_here = exp2(load(scores.row(row) + column) - new_highest_row);
                        store(weights.row(row) + column, weights_here);
                        total_of_tile_lanes = total_of_tile_lanes + weights_here;
                    }
                    total_of_tile_rows[lane] = total_of_tile_lanes;
                }
                store(total_of_tile + first, sum_of_each(total_of_tile_rows));
                store(total + first, (load(total + first) * load(rescale + first)) + load(total_of_tile + first));
                store(highest + first, load(new_highest + first));
            }
            if (full) dot_accumulate(weighted_values, rescale, weights, v_rows);
            else dot_accumulate(weighted_values, rescale, weights, v_rows, visible.spans);
        }
    }
    for (int first = 0; first < Tq; first += vector_width) {
        store(normaliser + first, select(load(total + first) == 0.0f, broadcast(0.0f), 1.0f / load(total + first)));  // 0 where no key is visible
        for (int lane = 0; lane < vector_width; ++lane) {
            const int row = first + lane;
            const Vector normaliser_row = broadcast(normaliser[row]);
            for (int column = 0; column < padded(Dv); column += vector_width) {
                const Vector out_rows_here = load(weighted_values.row(row) + column) * normaliser_row;
                store(out_rows.row(row) + column, out_rows_here);
            }
        }
    }
    store_rows(rows_of<Element>(call.tensors[out], batch, head, call.queries, q_tile), out_rows);
    for (int first = 0; first < Tq; first += vector_width) {
        store(lse_rows + first, select(load(total + first) == 0.0f, broadcast(-infinity), (load(highest + first) + log2(load(total + first))) * 0.693147181f));  // natural log-sum-exp
    }
    store_column(rows_of<float>(call.tensors[lse], batch, head, call.queries, q_tile), lse_rows);
}

int run_all(const Call& call) {
    return for_each_tile<Side::queries, Factor, Packed, Scratch>(call, pack, run);
}

}  // namespace

extern "C" int attndsl_forward(const attn::Call* call) {
    return run_all(*call);
}
