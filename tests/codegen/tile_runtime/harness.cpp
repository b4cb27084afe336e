// Gives Python access to the tile runtime: tensors come as addresses and strides, tiles go back as dense arrays.
#include "tile_runtime.h"
#include "runtime_top.h"

using namespace attn;

template <class Element>
static TokenRows<Element> rows_at(void* data, const int64_t* strides, const int32_t* tokens, int count) {
    return {static_cast<Element*>(data), strides[0], strides[1], tokens, count};
}

// A dense array in a tile whose padding is poison: a product that reads it becomes NaN.
template <int Rows, int Columns> static void fill(Tile<float, Rows, Columns>& tile, const float* dense) {
    for (int i = 0; i < Rows; ++i)
        for (int j = 0; j < tile.stride; ++j) tile.row(i)[j] = j < Columns ? dense[i * Columns + j] : __builtin_nanf("");
}
template <int Rows, int Columns> static void read(float* dense, const Tile<float, Rows, Columns>& tile) {
    for (int i = 0; i < Rows; ++i)
        for (int j = 0; j < Columns; ++j) dense[i * Columns + j] = tile.row(i)[j];
}

extern "C" {

int lanes() { return vector_width; }
int rounds_bfloat16() { return sizeof(Operand<bfloat16>) == 2; }

void log2_of(float* y, const float* x, int count) {
    for (int i = 0; i < count; i += vector_width) store(y + i, attn::log2(load(x + i)));
}

void exp2_of(float* y, const float* x, int count) {
    for (int i = 0; i < count; i += vector_width) store(y + i, exp2(load(x + i)));
}
void transposed(float* target, const float* source) {
    Vector rows[vector_width];
    for (int i = 0; i < vector_width; ++i) rows[i] = load(source + i * vector_width);
    transpose(rows);
    for (int i = 0; i < vector_width; ++i) store(target + i * vector_width, rows[i]);
}
void row_maxima(float* target, const float* source) {
    Vector rows[vector_width];
    for (int i = 0; i < vector_width; ++i) rows[i] = load(source + i * vector_width);
    store(target, maximum_of_each(rows));
}
void row_sums(float* target, const float* source) {
    Vector rows[vector_width];
    for (int i = 0; i < vector_width; ++i) rows[i] = load(source + i * vector_width);
    store(target, sum_of_each(rows));
}

// The spans [16][2] of a mask [16][48].
void spans_of(int32_t* target, const int32_t* mask) {
    static Visibility<16, 48> visible;
    std::memcpy(visible.data, mask, sizeof visible.data);
    find_spans<float>(visible);
    std::memcpy(target, &visible.spans, sizeof visible.spans);
}

// The lists [rows][count] and their lengths of the largest of scores [rows][columns].
void top_of(int32_t* indices, int32_t* counts, const float* scores, const uint8_t* classes, int64_t rows,
            int64_t columns, int64_t count) {
    const Rows apart{0, 0, columns};
    top({scores, classes, nullptr, nullptr, indices, counts, apart, apart, apart, 1, 1, rows, columns, 0, count, 0, count,
         1});
}

// The addresses of two blocks of a workspace of the given size.
void workspace_blocks(uint64_t* addresses, int64_t bytes) {
    Workspace workspace(bytes);
    addresses[0] = reinterpret_cast<uint64_t>(workspace.take<char>(1));
    addresses[1] = reinterpret_cast<uint64_t>(workspace.take<char>(bytes - 64));
    std::memset(reinterpret_cast<void*>(addresses[1]), 1, bytes - 64);
}

// Runs a pipeline on several threads. events: for each item in the order of its end, 1 for use, pair, place, item;
// what a use finds in its place that its own pair did not prepare counts as an error, and the errors are returned.
int run_pipeline(int64_t* events, const int64_t* sizes, int64_t threads) {
    Pipeline pipeline{sizes[0], sizes[1], sizes[2], sizes[3], sizes[4]};
    static Progress progress[100];
    static int64_t prepared[100][100];
    for (int i = 0; i < 100; ++i) progress[i] = Progress();
    std::memset(prepared, -1, sizeof prepared);
    pipeline.progress = progress;
    int64_t ended = 0;
    int errors = 0;
    const auto record = [&](int64_t kind, int64_t pair, int64_t place, int64_t item) {
        int64_t* event = events + 4 * __atomic_fetch_add(&ended, 1, __ATOMIC_SEQ_CST);
        event[0] = kind, event[1] = pair, event[2] = place, event[3] = item;
    };
#pragma omp parallel num_threads(static_cast<int>(threads))
    work(
        pipeline,
        [&](int64_t pair, int64_t place, int64_t item) {
            prepared[place][item] = pair;
            if (item % 3 == 0) sched_yield();
            record(0, pair, place, item);
        },
        [&](int64_t pair, int64_t place, int64_t item) {
            if (item % 2 == 0) sched_yield();
            for (int64_t other = 0; other < pipeline.prepares; ++other)
                if (prepared[place][other] != pair) __atomic_fetch_add(&errors, 1, __ATOMIC_SEQ_CST);
            record(1, pair, place, item);
        });
    return errors;
}

#define ELEMENT_FUNCTIONS(Element)                                                                                 \
    void to_float_##Element(float* target, const void* source, int count) {                                        \
        for (int i = 0; i < count; i += vector_width)                                                              \
            store(target + i, load_elements(static_cast<const Element*>(source) + i));                             \
    }                                                                                                              \
    void from_float_##Element(void* target, const float* source, int count) {                                      \
        for (int i = 0; i < count; i += vector_width)                                                              \
            store_elements(static_cast<Element*>(target) + i, load(source + i));                                   \
    }
ELEMENT_FUNCTIONS(bfloat16)
ELEMENT_FUNCTIONS(float16)

#define GATHER_FUNCTIONS(Element, Rows, Columns)                                                                   \
    void gather_rows_##Element##_##Rows##_##Columns(float* dense, void* data, const int64_t* strides,              \
                                                    const int32_t* tokens, int count) {                            \
        Tile<float, Rows, Columns> tile;                                                                           \
        gather_rows(tile, rows_at<const Element>(data, strides, tokens, count));                                   \
        std::memcpy(dense, tile.data, sizeof tile.data);                                                           \
    }                                                                                                              \
    void gather_transposed_##Element##_##Rows##_##Columns(float* dense, void* data, const int64_t* strides,        \
                                                          const int32_t* tokens, int count) {                      \
        Tile<float, Columns, Rows> tile;                                                                           \
        gather_transposed(tile, rows_at<const Element>(data, strides, tokens, count));                             \
        read(dense, tile);                                                                                         \
    }                                                                                                              \
    void store_rows_##Element##_##Rows##_##Columns(void* data, const float* dense, const int64_t* strides,         \
                                                   const int32_t* tokens, int count) {                             \
        Tile<float, Rows, Columns> tile;                                                                           \
        fill(tile, dense);                                                                                         \
        store_rows(rows_at<Element>(data, strides, tokens, count), tile);                                          \
    }
GATHER_FUNCTIONS(float, 16, 8)
GATHER_FUNCTIONS(float, 32, 40)
GATHER_FUNCTIONS(bfloat16, 32, 40)
GATHER_FUNCTIONS(float16, 32, 40)
GATHER_FUNCTIONS(float, 16, 64)
GATHER_FUNCTIONS(bfloat16, 16, 64)
GATHER_FUNCTIONS(float16, 16, 64)

#define DOT_FUNCTIONS(M, N, K)                                                                                     \
    void dot_##M##_##N##_##K(float* target, const float* alpha, const float* left, const float* right) {           \
        static Tile<float, M, N> c;                                                                                \
        static Tile<float, M, K> a;                                                                                \
        static Tile<float, K, N> b;                                                                                \
        fill(a, left);                                                                                             \
        fill(b, right);                                                                                            \
        fill(c, target);                                                                                           \
        if (alpha) dot_accumulate(c, alpha, a, b);                                                                 \
        else dot(c, a, b);                                                                                         \
        read(target, c);                                                                                           \
    }                                                                                                              \
    void dot_transposed_##M##_##N##_##K(float* target, const float* left, const float* right) {                    \
        static Tile<float, M, N> c;                                                                                \
        static Tile<float, K, M> a;                                                                                \
        static Tile<float, K, N> b;                                                                                \
        fill(a, left);                                                                                             \
        fill(b, right);                                                                                            \
        fill(c, target);                                                                                           \
        dot_transposed_accumulate(c, a, b);                                                                        \
        read(target, c);                                                                                           \
    }
DOT_FUNCTIONS(1, 16, 5)
DOT_FUNCTIONS(7, 8, 3)
DOT_FUNCTIONS(16, 112, 33)
DOT_FUNCTIONS(64, 64, 64)
DOT_FUNCTIONS(48, 80, 256)

// The two products of attention, from tensors: scores = q . k^T, and output = output * alpha + weights . v.
#define ATTENTION_FUNCTIONS(Element, Tq, Tk, D, Dv)                                                                \
    void scores_##Element##_##Tq##_##Tk##_##D##_##Dv(float* dense, void* q, void* k, const int64_t* strides,       \
                                                     const int32_t* tokens, int queries, int keys,                 \
                                                     const Spans<Tq>* visible) {                                   \
        MatrixUnit unit;                                                                                           \
        static QueryTile<Operand<Element>, Tq, D> left;                                                            \
        static KeyTile<Operand<Element>, D, Tk> right;                                                             \
        static Tile<float, Tq, Tk> scores;                                                                         \
        gather_rows(left, rows_at<const Element>(q, strides, tokens, queries));                                    \
        gather_transposed(right, rows_at<const Element>(k, strides, tokens, keys));                                \
        fill(scores, dense);                                                                                       \
        if (visible) dot(scores, left, right, *visible);                                                           \
        else dot(scores, left, right);                                                                             \
        read(dense, scores);                                                                                       \
    }                                                                                                              \
    void output_##Element##_##Tq##_##Tk##_##D##_##Dv(float* dense, const float* alpha, const float* weights,       \
                                                     void* v, const int64_t* strides, const int32_t* tokens,       \
                                                     int keys, const Spans<Tq>* visible) {                         \
        MatrixUnit unit;                                                                                           \
        static Tile<float, Tq, Tk> left;                                                                           \
        static ValueTile<Operand<Element>, Tk, Dv> right;                                                          \
        static Tile<float, Tq, Dv> output;                                                                         \
        fill(left, weights);                                                                                       \
        fill(output, dense);                                                                                       \
        gather_rows(right, rows_at<const Element>(v, strides, tokens, keys));                                      \
        if (visible) dot_accumulate(output, alpha, left, right, *visible);                                         \
        else dot_accumulate(output, alpha, left, right);                                                           \
        read(dense, output);                                                                                       \
    }
// The products of its backward pass, with q as both factors: keys . q^T, sum + weights . q and sum + columns^T . q.
#define BACKWARD_FUNCTIONS(Element, Tq, Tk, D, Dv)                                                                 \
    void either_##Element##_##Tq##_##Tk##_##D##_##Dv(float* dense, void* q, void* k, const int64_t* strides,       \
                                                     const int32_t* tokens, int queries, int keys) {               \
        MatrixUnit unit;                                                                                           \
        static EitherTile<Operand<Element>, Tq, D> left;                                                           \
        static KeyTile<Operand<Element>, D, Tk> right;                                                             \
        static Tile<float, Tq, Tk> scores;                                                                         \
        gather_rows(left, rows_at<const Element>(q, strides, tokens, queries));                                    \
        gather_transposed(right, rows_at<const Element>(k, strides, tokens, keys));                                \
        dot(scores, as_left(left), right);                                                                         \
        read(dense, scores);                                                                                       \
    }                                                                                                              \
    void sum_##Element##_##Tq##_##Tk##_##D##_##Dv(float* dense, const float* weights, void* q,                     \
                                                  const int64_t* strides, const int32_t* tokens, int queries,      \
                                                  int transposed) {                                                \
        MatrixUnit unit;                                                                                           \
        static Tile<float, Tk, Tq> rows;                                                                           \
        static Tile<float, Tq, Tk> columns;                                                                        \
        static EitherTile<Operand<Element>, Tq, D> right;                                                          \
        static Tile<float, Tk, D> sum;                                                                             \
        gather_rows(right, rows_at<const Element>(q, strides, tokens, queries));                                   \
        fill(sum, dense);                                                                                          \
        fill(rows, weights);                                                                                       \
        fill(columns, weights);                                                                                    \
        if (transposed) dot_transposed_accumulate(sum, columns, as_right(right));                                  \
        else dot_accumulate(sum, rows, as_right(right));                                                           \
        multiply(sum, 0.5f);                                                                                       \
        read(dense, sum);                                                                                          \
    }
#define ATTENTION_SIZES(Element)                \
    ATTENTION_FUNCTIONS(Element, 16, 16, 8, 8)   \
    ATTENTION_FUNCTIONS(Element, 48, 32, 40, 72) \
    ATTENTION_FUNCTIONS(Element, 64, 80, 96, 48) \
    BACKWARD_FUNCTIONS(Element, 16, 16, 8, 8)    \
    BACKWARD_FUNCTIONS(Element, 48, 32, 40, 72)  \
    BACKWARD_FUNCTIONS(Element, 64, 80, 96, 48)
ATTENTION_SIZES(float)
ATTENTION_SIZES(bfloat16)
ATTENTION_SIZES(float16)

int leaves_out_bfloat16() { return uses_spans<Operand<bfloat16>>; }
int matrix_unit_allowed() { return MatrixUnit::request(); }
}
