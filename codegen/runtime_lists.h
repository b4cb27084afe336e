// attndsl tile runtime, beside the kernels: the keys that the queries of a tile list, as tiles of their own.
//
// `attndsl/runtime/routed_unions.py` mirrors the structure field by field.
#pragma once
#include <cstdint>
#include <cstring>
#include <vector>

namespace attn {

constexpr int64_t word = 64;  // keys of a tile, and bits of a number

// lists: int32 [rows][most], ascending key units, then -1. row_of: the row of each query. unit_tokens: [units][width],
// the tokens of each unit, then -1. tokens, counts: of q tiles [tiles][capacity]. first: [tiles + 1], counted from 0;
// keys: [first[tiles]][64], where missing ones repeat the first of their tile; key_counts: [first[tiles]]; listed:
// [first[tiles]][capacity].
struct UnionCall {
    const int32_t* lists;
    const int64_t* row_of;
    const int32_t *unit_tokens, *tokens, *counts;
    int64_t most, width, tokens_of_keys, tiles, capacity;
    int64_t* first;
    int32_t *keys, *key_counts;
    uint64_t* listed;
    int64_t threads;
};

// Calls use(query of the tile, key) for all listed pairs of a q tile.
template <class Use>
void for_each_listed(const UnionCall& call, int64_t tile, Use use) {
    for (int64_t index = 0; index < call.counts[tile]; ++index) {
        const int32_t* list = call.lists + call.row_of[call.tokens[tile * call.capacity + index]] * call.most;
        for (int64_t place = 0; place < call.most && list[place] >= 0; ++place) {
            const int32_t* unit = call.unit_tokens + list[place] * call.width;
            for (int64_t token = 0; token < call.width && unit[token] >= 0; ++token) use(index, unit[token]);
        }
    }
}

// Sets a bit for each key that some query lists.
inline void mark(const UnionCall& call, int64_t tile, std::vector<uint64_t>& bits) {
    std::memset(bits.data(), 0, bits.size() * sizeof(uint64_t));
    for_each_listed(call, tile, [&](int64_t, int32_t key) { bits[key / word] |= uint64_t{1} << key % word; });
}

inline int64_t count_tiles(const UnionCall& call, int64_t tile, std::vector<uint64_t>& bits) {
    int64_t keys = 0;
    mark(call, tile, bits);
    for (uint64_t each : bits) keys += __builtin_popcountll(each);
    return (keys + word - 1) / word;
}

inline void fill_tiles(const UnionCall& call, int64_t tile, std::vector<uint64_t>& bits, std::vector<int32_t>& rank) {
    const int64_t first = call.first[tile];
    int32_t* keys = call.keys + first * word;
    int32_t count = 0;
    mark(call, tile, bits);
    for (size_t place = 0; place < bits.size(); ++place)
        for (uint64_t rest = bits[place]; rest; rest &= rest - 1) {
            const int32_t key = static_cast<int32_t>(place * word + __builtin_ctzll(rest));
            rank[key] = count;
            keys[count++] = key;
        }
    for (int32_t missing = count; missing % word; ++missing) keys[missing] = keys[missing / word * word];
    for (int64_t other = first; other < call.first[tile + 1]; ++other) {
        const int64_t left = count - (other - first) * word;
        call.key_counts[other] = static_cast<int32_t>(left < word ? left : word);
    }
    uint64_t* listed = call.listed + first * call.capacity;
    std::memset(listed, 0, (call.first[tile + 1] - first) * call.capacity * sizeof(uint64_t));
    for_each_listed(call, tile, [&](int64_t index, int32_t key) {
        listed[rank[key] / word * call.capacity + index] |= uint64_t{1} << rank[key] % word;
    });
}

// The number of tiles in `first` where keys is null; else their contents.
inline int unite(const UnionCall& call) {
#pragma omp parallel num_threads(static_cast<int>(call.threads))
    {
        std::vector<uint64_t> bits((call.tokens_of_keys + word - 1) / word);
        std::vector<int32_t> rank(call.keys ? call.tokens_of_keys : 0);
#pragma omp for schedule(dynamic, 4)
        for (int64_t tile = 0; tile < call.tiles; ++tile) {
            if (call.keys) fill_tiles(call, tile, bits, rank);
            else call.first[tile + 1] = count_tiles(call, tile, bits);
        }
    }
    return 0;
}

}  // namespace attn
