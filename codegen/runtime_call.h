// attndsl tile runtime, 12 of 12: what a caller passes to a kernel, and the loop over its tiles.
//
// `attndsl/runtime/call.py` mirrors these structures field by field. Strides are in elements.
#pragma once
#include <type_traits>
#include "runtime_amx.h"
#include "runtime_dot_bfloat16.h"
#include "runtime_pipeline.h"
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
// slots: [tiles][capacity], where what is computed for each of these tokens goes, if a token is in several tiles.
struct Tiling {
    const int32_t *tokens, *counts, *coordinates;
    int64_t tiles, capacity;
    const int32_t* slots;
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
    int64_t first_pair, pairs;      // the (batch, kv head) pairs to compute; all where pairs is 0
    const uint64_t* listed;         // [kv tiles][Tq]: the keys that each query of the only q tile of a kv tile lists
};

inline int64_t pairs_of(const Call& call) { return call.pairs ? call.pairs : call.batches * call.kv_heads; }

// The rows of a tensor that are tokens of one tile.
template <class Element>
ATTN_INLINE TokenRows<Element> rows_of(const TensorArgument& tensor, int64_t batch, int64_t head,
                                       const Tiling& tiling, int64_t tile) {
    Element* data = static_cast<Element*>(tensor.data) + batch * tensor.batch_stride + head * tensor.head_stride;
    const int32_t* tokens = tiling.tokens + tile * tiling.capacity;
    return {data, tensor.token_stride, tensor.channel_stride, tokens, tiling.counts[tile]};
}

// The rows of a tensor [slots, channels] that are the slots of one tile.
template <class Element>
ATTN_INLINE TokenRows<Element> slots_of(const TensorArgument& tensor, const Tiling& tiling, int64_t tile) {
    const int32_t* slots = tiling.slots + tile * tiling.capacity;
    return {static_cast<Element*>(tensor.data), tensor.token_stride, tensor.channel_stride, slots, tiling.counts[tile]};
}

// One number per token: rows[r] = source[r].
inline void store_column(TokenRows<float> rows, const float* source) {
    for (int index = 0; index < rows.count; ++index) *rows.row(index) = source[index];
}

// column[r] = rows[r]; zero from rows.count on.
template <int Rows> inline void gather_column(float (&column)[Rows], TokenRows<const float> rows) {
    for (int index = 0; index < Rows; ++index) column[index] = index < rows.count ? *rows.row(index) : 0.0f;
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

// Which tiles a head visits; for kernels that own keys and values, which tiles visit its tiles.
ATTN_INLINE const BlockMap& map_of(const Call& call, int64_t batch, int64_t head) {
    return call.maps[call.map_of_head[batch * call.map_batch_stride + head]];
}

enum class Side { queries, keys };

// The tiles of one side of a (batch, kv head) pair: of each query head that shares the kv head, or of the kv head.
struct PairTiles {
    int64_t heads, tiles;

    PairTiles(const Call& call, Side side)
        : heads(side == Side::queries ? call.heads / call.kv_heads : 1),
          tiles(side == Side::queries ? call.queries.tiles : call.keys.tiles) {}
    int64_t count() const { return heads * tiles; }
    int64_t head(const Call& call, int64_t pair, int64_t item) const {
        return pair % call.kv_heads * heads + item / tiles;
    }
};

// How many of the (batch, kv head) pairs to pack at once: enough to give each thread 8 tiles, and no more, because
// packed tiles should still be in the caches when they are used; at most what fits into the kept workspace.
inline int64_t pairs_at_once(int64_t pairs, int64_t tiles_of_pair, int64_t bytes_of_pair, int64_t threads) {
    const int64_t busy = (8 * threads + tiles_of_pair - 1) / (tiles_of_pair > 0 ? tiles_of_pair : 1);
    const int64_t fitting = bytes_of_pair > 0 ? Workspace::kept_bytes / bytes_of_pair : pairs;
    const int64_t wanted = busy < fitting ? busy : fitting;
    return wanted < 1 ? 1 : wanted < pairs ? wanted : pairs;
}

// Packs the tiles of some (batch, kv head) pairs that may be visited, runs the owner's tiles of these pairs, and goes
// on with the next pairs. Factor: what products multiply, which decides whether threads take the matrix unit. An empty
// Packed: nothing is visited. Returns 1 when memory is short, 2 when the system refuses the matrix unit, else 0.
//     pack(call, packed tile, batch, its head, its number)
//     run(call, packed tiles of the pair, scratch of its thread, batch, head, number of the owner's tile)
template <Side owner, class Factor, class Packed, class Scratch, class Pack, class Run>
int for_each_tile(const Call& call, Pack pack, Run run) {
    using Unit = std::conditional_t<std::is_same_v<Factor, bfloat16>, MatrixUnit, NoUnit>;
    static const bool granted = Unit::request();
    if (!granted) return 2;
    const PairTiles own(call, owner), visited(call, owner == Side::queries ? Side::keys : Side::queries);
    const int64_t pairs = pairs_of(call), heads_per_pair = call.heads / call.kv_heads;
    const int64_t packs = std::is_empty_v<Packed> ? 0 : visited.count(), runs = own.count();
    const int64_t pair_bytes = packs * int64_t{sizeof(Packed)};
    const int64_t group = pairs_at_once(pairs, runs, pair_bytes, call.threads);
    const int64_t buffers = group < pairs && 2 * group * pair_bytes <= Workspace::kept_bytes ? 2 : 1;
    Pipeline pipeline{pairs, group, buffers, packs, runs};
    const int64_t own_bytes = call.threads * int64_t{sizeof(Scratch)} + pipeline.groups() * int64_t{sizeof(Progress)};
    Workspace workspace(buffers * group * pair_bytes + own_bytes + 3 * 64);
    if (!workspace.exists()) return 1;
    Packed* packed = workspace.take<Packed>(buffers * group * packs);
    Scratch* scratch = workspace.take<Scratch>(call.threads);
    pipeline.progress = workspace.take<Progress>(pipeline.groups());
    for (int64_t number = 0; number < pipeline.groups(); ++number) pipeline.progress[number] = Progress();
    const auto prepare = [&](int64_t number, int64_t place, int64_t item) {
        const int64_t pair = call.first_pair + number, head = visited.head(call, pair, item);
        pack(call, packed[place * packs + item], pair / call.kv_heads, head, item % visited.tiles);
    };
#pragma omp parallel num_threads(static_cast<int>(call.threads))
    {
        const Unit unit;
        Scratch& scratch_of_thread = scratch[thread_number()];
        work(pipeline, prepare, [&](int64_t number, int64_t place, int64_t item) {
            const int64_t pair = call.first_pair + number;
            const int64_t batch = pair / call.kv_heads, head = own.head(call, pair, item);
            const BlockMap& map = map_of(call, batch, owner == Side::queries ? head : head * heads_per_pair);
            run(call, packed + place * packs, scratch_of_thread, batch, head, map.order[item % own.tiles]);
        });
    }
    return 0;
}

// The same for kernels that add to the tiles they visit: one thread runs all tiles of a pair, in order, and then finishes
// what was added.
//     finish(call, packed tile, batch, its head, its number)
template <Side owner, class Factor, class Packed, class Scratch, class Pack, class Run, class Finish>
int for_each_pair(const Call& call, Pack pack, Run run, Finish finish) {
    using Unit = std::conditional_t<std::is_same_v<Factor, bfloat16>, MatrixUnit, NoUnit>;
    static const bool granted = Unit::request();
    if (!granted) return 2;
    const PairTiles own(call, owner), visited(call, owner == Side::queries ? Side::keys : Side::queries);
    const int64_t pairs = pairs_of(call), threads = call.threads < pairs ? call.threads : pairs;
    const int64_t bytes = visited.count() * int64_t{sizeof(Packed)} + int64_t{sizeof(Scratch)};
    Workspace workspace(threads * bytes + 2 * 64);
    if (!workspace.exists()) return 1;
    Packed* packed = workspace.take<Packed>(threads * visited.count());
    Scratch* scratch = workspace.take<Scratch>(threads);
#pragma omp parallel num_threads(static_cast<int>(threads))
    {
        const Unit unit;
        Scratch& scratch_of_thread = scratch[thread_number()];
        Packed* tiles = packed + thread_number() * visited.count();
#pragma omp for schedule(dynamic, 1)
        for (int64_t pair = call.first_pair; pair < call.first_pair + pairs; ++pair) {
            const int64_t batch = pair / call.kv_heads;
            for (int64_t item = 0; item < visited.count(); ++item)
                pack(call, tiles[item], batch, visited.head(call, pair, item), item % visited.tiles);
            for (int64_t item = 0; item < own.count(); ++item)
                run(call, tiles, scratch_of_thread, batch, own.head(call, pair, item), item % own.tiles);
            for (int64_t item = 0; item < visited.count(); ++item)
                finish(call, tiles[item], batch, visited.head(call, pair, item), item % visited.tiles);
        }
    }
    return 0;
}

}  // namespace attn
