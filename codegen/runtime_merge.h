// attndsl tile runtime, beside the kernels: joins what gathered tiles computed of each query.
//
// `attndsl/runtime/routed_merge.py` mirrors the structure field by field. Strides are in elements.
#pragma once
#include <cmath>
#include <cstring>
#include <vector>
#include "runtime_gather.h"

namespace attn {

enum class Join : int64_t { softmax, weighted, sum };  // parts by exp(lse), by their sums of weights, or as they are

// The parts of query n are rows starts[n] .. starts[n + 1] - 1 of parts [slots, channels], contiguous; totals: the
// log-sum-exp or sum of weights of each, or null, and then parts are added. result_totals: of all parts of a query.
struct MergeCall {
    const float *parts, *totals;
    const int64_t* starts;
    void* result;
    float* result_totals;
    int64_t queries, channels, result_stride, join, threads;
};

// The factor of each part, in place of its total; returns the total of all.
inline float find_factors(float* factors, const float* totals, int64_t count, Join join) {
    float highest = -INFINITY, sum = 0.0f;
    for (int64_t part = 0; part < count; ++part) highest = totals[part] > highest ? totals[part] : highest;
    if (join == Join::softmax && highest == -INFINITY) {
        for (int64_t part = 0; part < count; ++part) factors[part] = 0.0f;
        return highest;
    }
    for (int64_t part = 0; part < count; ++part) {
        factors[part] = join == Join::softmax ? std::exp(totals[part] - highest) : totals[part];
        sum += factors[part];
    }
    const float factor = sum == 0.0f ? 0.0f : 1.0f / sum;
    for (int64_t part = 0; part < count; ++part) factors[part] = join == Join::sum ? 1.0f : factors[part] * factor;
    return join == Join::softmax ? highest + std::log(sum) : sum;
}

template <class Element>
void merge_query(const MergeCall& call, int64_t query, std::vector<float>& factors) {
    const int64_t first = call.starts[query], count = call.starts[query + 1] - first;
    Element* result = static_cast<Element*>(call.result) + query * call.result_stride;
    factors.assign(count, 1.0f);
    if (call.totals) {
        const Join join = static_cast<Join>(call.join);
        call.result_totals[query] = find_factors(factors.data(), call.totals + first, count, join);
    }
    for (int64_t channel = 0; channel < call.channels; channel += vector_width) {
        const int64_t lanes = call.channels - channel < vector_width ? call.channels - channel : vector_width;
        Vector sum{};
        for (int64_t part = 0; part < count; ++part) {
            const float* row = call.parts + (first + part) * call.channels + channel;
            Vector value{};
            if (lanes == vector_width) value = load(row);
            else for (int64_t lane = 0; lane < lanes; ++lane) value[lane] = row[lane];
            sum += value * factors[part];
        }
        Element rounded[vector_width];
        store_elements(rounded, sum);
        std::memcpy(result + channel, rounded, lanes * sizeof(Element));
    }
}

template <class Element>
int merge(const MergeCall& call) {
#pragma omp parallel num_threads(static_cast<int>(call.threads))
    {
        std::vector<float> factors;
#pragma omp for schedule(static)
        for (int64_t query = 0; query < call.queries; ++query) merge_query<Element>(call, query, factors);
    }
    return 0;
}

}  // namespace attn
