// attndsl tile runtime: what generated C++ attention kernels call. Includes its seven parts in order.
//
//     g++ -O3 -march=native -fopenmp -std=c++17 -shared -fPIC kernel.cpp
//
// A kernel packs every kv tile once, then runs each q tile over the kv tiles it visits:
//
//     using Operand = attn::Operand<Element>;                        // Element: float, attn::bfloat16, attn::float16
//     attn::KeyTile<Operand, D, Tk>* keys = workspace.take<attn::KeyTile<Operand, D, Tk>>(kv_tiles);
//     attn::ValueTile<Operand, Tk, Dv>* values = ...
//     #pragma omp for schedule(dynamic)                              // stage 1, per kv tile
//         attn::gather_transposed(keys[t], attn::TokenRows<const Element>{k, k_token, k_channel, tokens, count});
//         attn::gather_rows(values[t], ...);
//     #pragma omp for schedule(dynamic)                              // stage 2, per (head, q tile), heaviest first
//         attn::QueryTile<Operand, Tq, D> query;  attn::Tile<float, Tq, Tk> scores;
//         attn::Tile<float, Tq, Dv> output;       attn::SoftmaxState<Tq> state;
//         attn::gather_rows(query, ..., scale * attn::log2_e);  attn::clear(output);  state.reset();
//         for each visited kv tile t:
//             attn::dot(scores, query, keys[t]);
//             attn::mask_columns(scores, count);                     // only a tile cut off by the edge
//             attn::mask_rows(scores, row_predicate);                // only a PARTIAL tile
//             const auto& weights = attn::online_softmax<Operand>(scores, state);
//             attn::dot_accumulate(output, state.alpha, weights, values[t]);
//         attn::finish_softmax(output, state, lse_rows);
//         attn::store_rows(attn::TokenRows<Element>{o, ...}, output);
//         attn::store_column(lse, 1, tokens, count, lse_rows);
#pragma once
#include "runtime_vector.h"
#include "runtime_convert.h"
#include "runtime_tile.h"
#include "runtime_gather.h"
#include "runtime_dot.h"
#include "runtime_softmax.h"
#include "runtime_workspace.h"
