// attndsl tile runtime, 9 of 9: what a caller passes to a kernel, and the loop over its tiles.
//
// `attndsl/runtime/call.py` mirrors these structures field by field. Strides are in elements.
#pragma once
#include <type_traits>
#include "runtime_amx.h"
#include "runtime_workspace.h"
#if defined(_OPENMP)
#include <omp.h>
#endif

namespace attn {

// A tensor [batch, heads, tokens, channels]; channel_stride is unused where a tensor has no channels.
struct TensorArgument {
    void* data;
    int64_t batch_stride, head_stride, token_stride, channel_stride;
};

// A declared input of the pattern: one number per token, int64_t, double or bool.
struct InputArgument {
    const void* data;
    int64_t batch_stride;
};

// The tiles of one side. tokens: [tiles][capacity], where numbers past a tile's count repeat its first token.
// coordinates: [axes][tiles][capacity], the position of each of these tokens on each axis of its segment.
struct Tiling {
    const int32_t *tokens, *counts, *coordinates;
    int64_t tiles, capacity;
    const int32_t* coordinate(int64_t axis, int64_t tile) const {
        return coordinates + (axis * tiles + tile) * capacity;
    }
};

// Row r visits the tiles begin[i] .. end[i] - 1 for row_start[r] <= i < row_start[r + 1]; residual 0 means FULL.
// order: the rows, those with the most work first.
struct BlockMap {
    const int64_t* row_start;
    const int32_t *begin, *end;
    const int16_t* residual;
    const int32_t* order;
};

struct Call {
    const TensorArgument* tensors;  // in the order of the program
    const InputArgument* inputs;    // in the order of the pattern
    const float* arguments;
    const BlockMap* maps;
    const int32_t* map_of_head;     // [batch or 1][heads]
    int64_t map_batch_stride;       // heads, or 0 if all batch elements share their maps
    int64_t batches, heads, kv_heads;
    Tiling queries, keys;
    int64_t threads;
};

// The rows of a tensor that are tokens of one tile.
template <class Element>
ATTN_INLINE TokenRows<Element> rows_of(const TensorArgument& tensor, int64_t batch, int64_t head,
                                       const Tiling& tiling, int64_t tile) {
    Element* data = static_cast<Element*>(tensor.data) + batch * tensor.batch_stride + head * tensor.head_stride;
    const int32_t* tokens = tiling.tokens + tile * tiling.capacity;
    return {data, tensor.token_stride, tensor.channel_stride, tokens, tiling.counts[tile]};
}

// One number per token: rows[r] = source[r].
inline void store_column(TokenRows<float> rows, const float* source) {
    for (int index = 0; index < rows.count; ++index) *rows.row(index) = source[index];
}

template <class Number>
ATTN_INLINE const Number* input_of(const InputArgument& input, int64_t batch) {
    return static_cast<const Number*>(input.data) + batch * input.batch_stride;
}

struct NoUnit {
    NoUnit() {}
    static bool request() { return true; }
};

inline int thread_number() {
#if defined(_OPENMP)
    return omp_get_thread_num();
#else
    return 0;
#endif
}

// How many of the (batch, kv head) pairs to pack at once: enough to give each thread 32 q tiles, and no more, because
// packed tiles should still be in the caches when they are used; at most what fits into the kept workspace.
inline int64_t pairs_at_once(int64_t pairs, int64_t q_tiles_of_pair, int64_t bytes_of_pair, int64_t threads) {
    const int64_t busy = (32 * threads + q_tiles_of_pair - 1) / (q_tiles_of_pair > 0 ? q_tiles_of_pair : 1);
    const int64_t fitting = bytes_of_pair > 0 ? Workspace::kept_bytes / bytes_of_pair : pairs;
    const int64_t wanted = busy < fitting ? busy : fitting;
    return wanted < 1 ? 1 : wanted < pairs ? wanted : pairs;
}

// Packs the kv tiles of some (batch, kv head) pairs, runs their q tiles, and goes on with the next pairs. Factor: what
// products multiply, which decides whether threads take the matrix unit. Returns 1 when memory is short, 2 when the
// system refuses the matrix unit, else 0.
//     pack(call, packed kv tile, batch, kv_head, kv_tile)
//     run(call, packed kv tiles of its head, scratch of its thread, block map, batch, head, q_tile)
template <class Factor, class Packed, class Scratch, class Pack, class Run>
int for_each_q_tile(const Call& call, Pack pack, Run run) {
    using Unit = std::conditional_t<std::is_same_v<Factor, bfloat16>, MatrixUnit, NoUnit>;
    static const bool granted = Unit::request();
    if (!granted) return 2;
    const int64_t kv_tiles = call.keys.tiles, q_tiles = call.queries.tiles;
    const int64_t pairs = call.batches * call.kv_heads, heads_per_pair = call.heads / call.kv_heads;
    const int64_t pair_bytes = kv_tiles * int64_t{sizeof(Packed)};
    const int64_t map_rows = q_tiles * heads_per_pair;
    const int64_t group = pairs_at_once(pairs, map_rows, pair_bytes, call.threads);
    Workspace workspace(group * pair_bytes + call.threads * int64_t{sizeof(Scratch)} + 64);
    if (!workspace.exists()) return 1;
    Packed* packed = workspace.take<Packed>(group * kv_tiles);
    Scratch* scratch = workspace.take<Scratch>(call.threads);
#pragma omp parallel num_threads(static_cast<int>(call.threads))
    {
        const Unit unit;
        Scratch& own = scratch[thread_number()];
        for (int64_t first = 0; first < pairs; first += group) {
            const int64_t count = pairs - first < group ? pairs - first : group;
#pragma omp for schedule(dynamic, 4)
            for (int64_t item = 0; item < count * kv_tiles; ++item) {
                const int64_t pair = first + item / kv_tiles;
                pack(call, packed[item], pair / call.kv_heads, pair % call.kv_heads, item % kv_tiles);
            }
#pragma omp for schedule(dynamic, 1)
            for (int64_t item = 0; item < count * map_rows; ++item) {
                const int64_t pair = first + item / map_rows, batch = pair / call.kv_heads;
                const int64_t head = pair % call.kv_heads * heads_per_pair + item % map_rows / q_tiles;
                const BlockMap& map = call.maps[call.map_of_head[batch * call.map_batch_stride + head]];
                const int64_t q_tile = map.order[item % q_tiles];
                run(call, packed + item / map_rows * kv_tiles, own, map, batch, head, q_tile);
            }
        }
    }
    return 0;
}

}  // namespace attn
