// attndsl tile runtime: what generated C++ attention kernels call. Includes its twelve parts in order.
//
//     g++ -O2 -march=native -fopenmp -std=c++17 -shared -fPIC kernel.cpp
//
// A kernel packs every kv tile once, as the right operands of its matrix products, and then runs each q tile over the
// kv tiles it visits; all sizes are compile-time constants:
//
//     using Factor = attn::Operand<Element>;            // what products multiply; Element is what tensors hold
//     attn::KeyTile<Factor, D, Tk> keys;                // [channels, tokens]
//     attn::gather_transposed(keys, rows of k);
//     attn::ValueTile<Factor, Tk, Dv> values;           // [tokens, channels]
//     attn::gather_rows(values, rows of v);
//
//     attn::QueryTile<Factor, Tq, D> queries;
//     attn::gather_rows(queries, rows of q);
//     for each visited kv tile:
//         attn::dot(scores, queries, keys);             // scores: attn::Tile<float, Tq, Tk>
//         scores become weights and rescale, row by row, in the vectors of runtime_vector.h
//         attn::dot_accumulate(output, rescale, weights, values);
//     attn::store_rows(rows of o, output);
//
// Products of bfloat16 use the dot product instruction of AVX-512 where the target has it, or, with -DATTN_MATRIX_UNIT,
// the AMX unit (see runtime_bfloat16.h); every other type is multiplied as float32.
#pragma once
#include "runtime_vector.h"
#include "runtime_convert.h"
#include "runtime_tile.h"
#include "runtime_gather.h"
#include "runtime_dot.h"
#include "runtime_bfloat16.h"
#include "runtime_dot_bfloat16.h"
#include "runtime_amx.h"
#include "runtime_workspace.h"
#include "runtime_predicate.h"
#include "runtime_pipeline.h"
#include "runtime_call.h"
