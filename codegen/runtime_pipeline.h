// attndsl tile runtime, 11 of 12: two kinds of work on all threads, preparing and using packed tiles, without barriers.
//
// The work comes in groups of (batch, kv head) pairs. Items are numbered: those that prepare group 0, those that use
// it, those that prepare group 1, and so on. A free thread takes the next number, and waits only where what it needs is
// still in the hands of another thread.
#pragma once
#include <sched.h>
#include <cstdint>

namespace attn {

// How many items of a group are finished; on a cache line of its own.
struct alignas(64) Progress {
    int64_t prepared = 0, used = 0;
};

// Groups of `group` pairs, the last one possibly smaller. Of each pair, `prepares` items are prepared and `uses` items
// use them. Group g has its place in buffer g % buffers, which is free again when group g - buffers has been used.
struct Pipeline {
    int64_t pairs, group, buffers, prepares, uses;
    Progress* progress = nullptr;  // of each group
    int64_t next = 0;              // the number of the next item

    int64_t groups() const { return (pairs + group - 1) / group; }
};

inline void finish(int64_t& counter) { __atomic_fetch_add(&counter, 1, __ATOMIC_RELEASE); }

inline void wait_for(const int64_t& counter, int64_t goal) {
    constexpr int64_t patience = 1000;  // then another program may need the processor for the thread that we wait for
    for (int64_t tries = 0; __atomic_load_n(&counter, __ATOMIC_ACQUIRE) < goal; ++tries) {
        if (tries >= patience) sched_yield();
#if defined(__x86_64__)
        else __builtin_ia32_pause();
#endif
    }
}

// Called by every thread of a parallel region, until no item is left.
//     prepare(pair, place, item), use(pair, place, item); place: the number of the pair's place among all buffers
template <class Prepare, class Use>
void work(Pipeline& pipeline, Prepare prepare, Use use) {
    const int64_t prepares = pipeline.prepares, uses = pipeline.uses, of_pair = prepares + uses;
    for (;;) {
        const int64_t item = __atomic_fetch_add(&pipeline.next, 1, __ATOMIC_RELAXED);
        if (item >= pipeline.pairs * of_pair) return;
        const int64_t number = item / (pipeline.group * of_pair), inside = item % (pipeline.group * of_pair);
        const int64_t first = number * pipeline.group, rest = pipeline.pairs - first;
        const int64_t to_prepare = (rest < pipeline.group ? rest : pipeline.group) * prepares;
        const int64_t buffer = number % pipeline.buffers * pipeline.group;
        Progress& progress = pipeline.progress[number];
        if (inside < to_prepare) {
            if (number >= pipeline.buffers)
                wait_for(pipeline.progress[number - pipeline.buffers].used, pipeline.group * uses);
            prepare(first + inside / prepares, buffer + inside / prepares, inside % prepares);
            finish(progress.prepared);
        } else {
            const int64_t which = inside - to_prepare;
            wait_for(progress.prepared, to_prepare);
            use(first + which / uses, buffer + which / uses, which % uses);
            finish(progress.used);
        }
    }
}

}  // namespace attn
