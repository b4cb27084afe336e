// attndsl tile runtime, 9 of 12: the memory that holds packed tiles during one call.
#pragma once
#include <cstdint>
#include <cstdlib>
#include "runtime_vector.h"

namespace attn {

// One 64-byte aligned block, kept by the calling thread from call to call up to kept_bytes: fresh pages
// would cost more than packing. Throws nothing; data is null when memory is short.
class Workspace {
public:
    static constexpr int64_t kept_bytes = int64_t{64} << 20;
    explicit Workspace(int64_t bytes);
    ~Workspace();
    Workspace(const Workspace&) = delete;
    Workspace& operator=(const Workspace&) = delete;

    bool exists() const { return data_ != nullptr; }

    // The next count objects of type Object, uninitialised.
    template <class Object> Object* take(int64_t count) {
        Object* result = reinterpret_cast<Object*>(data_ + used_);
        used_ += (count * static_cast<int64_t>(sizeof(Object)) + 63) / 64 * 64;
        return result;
    }

private:
    char* data_;
    int64_t bytes_, used_ = 0;
};

struct KeptBlock {
    char* data = nullptr;
    int64_t bytes = 0;
    ~KeptBlock() { std::free(data); }
};
inline thread_local KeptBlock kept_block;

inline Workspace::Workspace(int64_t bytes) : bytes_((bytes + 63) / 64 * 64 + 64) {
    if (kept_block.bytes < bytes_) {
        std::free(kept_block.data);
        kept_block.data = static_cast<char*>(std::aligned_alloc(64, bytes_));
        kept_block.bytes = kept_block.data ? bytes_ : 0;
    }
    data_ = kept_block.data;
}

inline Workspace::~Workspace() {
    if (kept_block.bytes <= kept_bytes) return;
    std::free(kept_block.data);
    kept_block.data = nullptr;
    kept_block.bytes = 0;
}

}  // namespace attn
