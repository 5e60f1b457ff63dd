// cuBLASLt on a CPU: the functions that tapegrad calls, with NVIDIA's prototypes (cublasLt.h).
//
// It computes from the pointers and descriptors that it is handed, so that what the binding by
// ctypes passes is proven without a GPU: the order and the width of arguments, the numbers of
// attributes and the sizes of their values, leading dimensions, stacks, epilogues, the workspace.
// What the library would refuse is refused, and `cublasLtGetStatusString` says why.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

namespace {

enum Status { SUCCESS = 0, NOT_INITIALIZED = 1, INVALID_VALUE = 7, NOT_SUPPORTED = 15 };
enum Type { FLOAT32 = 0, FLOAT64 = 1, FLOAT16 = 2, BFLOAT16 = 14 };
enum Compute { COMPUTE_32F = 68, COMPUTE_64F = 70, COMPUTE_32F_FAST_TF32 = 77 };
enum Epilogue { NOTHING = 1, RELU = 2, BIAS = 4, SUMS_OF_B = 512 };

constexpr size_t WORKSPACE = 4096;  // that the algorithm wants, if it may
constexpr uint64_t MAGIC = 0x746170656772616dull;
constexpr int64_t HANDLE = 0x6c74;

thread_local const char* reason = "success";

int refuse(const char* why, int status = INVALID_VALUE) {
    reason = why;
    return status;
}

struct Layout {
    int type;
    uint64_t rows, columns;
    int64_t leading;
    int32_t count;
    int64_t distance;
};
struct Operation {
    int compute, scale;
    int32_t op_a, op_b;
    uint32_t epilogue;
    void* bias;
};
struct Preference {
    uint64_t workspace;
    uint32_t reduction, alignment[4];
};
struct Algorithm {
    uint64_t magic, alignment[4], epilogue, workspace, unused;
};
struct Heuristic {
    Algorithm algorithm;
    size_t workspace;
    int state;
    float waves;
    int reserved[4];
};
static_assert(sizeof(Algorithm) == 64 && sizeof(Heuristic) == 96, "as in cublasLt.h");

size_t size_of(int type) { return type == FLOAT64 ? 8 : type == FLOAT32 ? 4 : 2; }

double value_at(const void* from, int64_t index, int type) {
    const char* at = (const char*)from + index * (int64_t)size_of(type);
    if (type == FLOAT64) return *(const double*)at;
    if (type == FLOAT32) return *(const float*)at;
    uint16_t bits;
    std::memcpy(&bits, at, 2);
    if (type == FLOAT16) {
        _Float16 half;
        std::memcpy(&half, &bits, 2);
        return (float)half;
    }
    uint32_t wide = (uint32_t)bits << 16;
    float x;
    std::memcpy(&x, &wide, 4);
    return x;
}

void store(void* to, int64_t index, int type, double value) {
    char* at = (char*)to + index * (int64_t)size_of(type);
    float x = (float)value;
    if (type == FLOAT64) *(double*)at = value;
    if (type == FLOAT32) *(float*)at = x;
    if (type == FLOAT16) {
        _Float16 half = (_Float16)x;
        std::memcpy(at, &half, 2);
    }
    if (type == BFLOAT16) {
        uint32_t bits;
        std::memcpy(&bits, &x, 4);
        uint16_t half = std::isnan(x) ? 0x7fff : (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
        std::memcpy(at, &half, 2);
    }
}

double factor(double x, int compute) {
    if (compute != COMPUTE_32F_FAST_TF32 || !std::isfinite(x)) return x;
    float narrow = (float)x;
    uint32_t bits;
    std::memcpy(&bits, &narrow, 4);
    bits = (bits + 0x1000) & 0xffffe000u;
    std::memcpy(&narrow, &bits, 4);
    return narrow;
}

template <class T> int set(T* field, const void* value, size_t size) {
    if (value == nullptr || size != sizeof(T)) return refuse("size of an attribute's value");
    std::memcpy(field, value, size);
    return SUCCESS;
}

const char* mistake(const Operation* op, const Layout* a, const Layout* b, const Layout* c,
                    const Layout* d) {
    const uint64_t m = op->op_a ? a->columns : a->rows, k = op->op_a ? a->rows : a->columns;
    const uint64_t n = op->op_b ? b->rows : b->columns, other = op->op_b ? b->columns : b->rows;
    if (k != other || m != d->rows || n != d->columns) return "sizes that do not fit";
    if (c->rows != d->rows || c->columns != d->columns) return "sizes of C";
    for (const Layout* each : {a, b, c, d}) {
        if (each->leading < (int64_t)each->rows || each->rows == 0) return "leading dimension";
        if (each->count != d->count) return "lengths of stacks";
        if (each->type != d->type) return "types that differ";
    }
    const bool wide = d->type == FLOAT64;
    if (wide != (op->compute == COMPUTE_64F) || wide != (op->scale == FLOAT64)) return "types";
    if (op->compute == COMPUTE_32F_FAST_TF32 && d->type != FLOAT32) return "compute type";
    const bool alone = op->epilogue == NOTHING || op->epilogue == SUMS_OF_B;
    if (!alone && (op->epilogue & ~(RELU | BIAS))) return "epilogue";
    if (d->count > 1 && d->distance < d->leading * (int64_t)d->columns) return "results overlap";
    return nullptr;
}

}  // namespace

extern "C" {

int cublasLtCreate(int64_t* handle) {
    *handle = HANDLE;
    return SUCCESS;
}

const char* cublasLtGetStatusString(int status) { return status ? reason : "success"; }

int cublasLtMatmulDescCreate(Operation** made, int compute, int scale) {
    *made = new Operation{compute, scale, 0, 0, 1, nullptr};
    return SUCCESS;
}
int cublasLtMatmulDescDestroy(Operation* operation) {
    delete operation;
    return SUCCESS;
}
int cublasLtMatmulDescSetAttribute(Operation* to, int attribute, const void* value, size_t size) {
    if (attribute == 3) return set(&to->op_a, value, size);
    if (attribute == 4) return set(&to->op_b, value, size);
    if (attribute == 7) return set(&to->epilogue, value, size);
    if (attribute == 8) return set(&to->bias, value, size);
    return refuse("attribute of an operation");
}

int cublasLtMatrixLayoutCreate(Layout** made, int type, uint64_t rows, uint64_t columns,
                               int64_t leading) {
    *made = new Layout{type, rows, columns, leading, 1, 0};
    return SUCCESS;
}
int cublasLtMatrixLayoutDestroy(Layout* layout) {
    delete layout;
    return SUCCESS;
}
int cublasLtMatrixLayoutSetAttribute(Layout* to, int attribute, const void* value, size_t size) {
    if (attribute == 5) return set(&to->count, value, size);
    if (attribute == 6) return set(&to->distance, value, size);
    return refuse("attribute of a layout");
}

int cublasLtMatmulPreferenceCreate(Preference** made) {
    *made = new Preference{0, 7, {256, 256, 256, 256}};
    return SUCCESS;
}
int cublasLtMatmulPreferenceDestroy(Preference* preference) {
    delete preference;
    return SUCCESS;
}
int cublasLtMatmulPreferenceSetAttribute(Preference* to, int attribute, const void* value,
                                         size_t size) {
    if (attribute == 1) return set(&to->workspace, value, size);
    if (attribute == 3) return set(&to->reduction, value, size);
    if (attribute >= 5 && attribute <= 8) return set(&to->alignment[attribute - 5], value, size);
    return refuse("attribute of a preference");
}

int cublasLtMatmulAlgoGetHeuristic(int64_t handle, Operation* operation, Layout* a, Layout* b,
                                   Layout* c, Layout* d, Preference* preference, int wanted,
                                   Heuristic* found, int* count) {
    *count = 0;
    if (handle != HANDLE) return refuse("handle", NOT_INITIALIZED);
    if (wanted < 1) return refuse("number of algorithms");
    if (const char* why = mistake(operation, a, b, c, d)) return refuse(why);
    // As the library does for what it has no kernel for.
    if (a->type == FLOAT64 && operation->epilogue & RELU)
        return refuse("epilogue of float64", NOT_SUPPORTED);
    Algorithm algorithm{MAGIC};
    for (int i = 0; i < 4; i++) algorithm.alignment[i] = preference->alignment[i];
    algorithm.epilogue = operation->epilogue;
    algorithm.workspace = preference->workspace < WORKSPACE ? 0 : WORKSPACE;
    *found = Heuristic{algorithm, (size_t)algorithm.workspace, SUCCESS, 1.0f, {}};
    *count = 1;
    return SUCCESS;
}

int cublasLtMatmul(int64_t handle, Operation* operation, const void* alpha, const void* A,
                   Layout* a, const void* B, Layout* b, const void* beta, const void* C, Layout* c,
                   void* D, Layout* d, const Algorithm* algorithm, void* workspace, size_t size,
                   void* stream) {
    (void)stream;
    if (handle != HANDLE) return refuse("handle", NOT_INITIALIZED);
    if (const char* why = mistake(operation, a, b, c, d)) return refuse(why);
    if (algorithm->magic != MAGIC) return refuse("algorithm");
    if (algorithm->epilogue != operation->epilogue) return refuse("algorithm's epilogue");
    const void* at[] = {A, B, C, D};
    for (int i = 0; i < 4; i++)
        if ((uintptr_t)at[i] % algorithm->alignment[i]) return refuse("alignment");
    if (size < algorithm->workspace || (algorithm->workspace && !workspace))
        return refuse("workspace");
    if (algorithm->workspace) std::memset(workspace, 0xff, algorithm->workspace);
    const bool biased = operation->epilogue & BIAS, summed = operation->epilogue == SUMS_OF_B;
    if ((biased || summed) && operation->bias == nullptr) return refuse("bias");
    const bool wide = d->type == FLOAT64;
    const double by = wide ? *(const double*)alpha : *(const float*)alpha;
    const double kept = wide ? *(const double*)beta : *(const float*)beta;
    const int64_t m = d->rows, n = d->columns, k = operation->op_a ? a->rows : a->columns;
    for (int64_t column = 0; summed && column < n; column++) {
        double sum = 0;
        for (int64_t j = 0; j < k; j++)
            sum += value_at(B, operation->op_b ? j * b->leading + column : column * b->leading + j,
                            b->type);
        store(operation->bias, column, d->type, sum);
    }
    for (int64_t i = 0; i < d->count; i++)
        for (int64_t column = 0; column < n; column++)
            for (int64_t row = 0; row < m; row++) {
                double sum = 0;
                for (int64_t j = 0; j < k; j++) {
                    const int64_t in_a = operation->op_a ? row * a->leading + j : j * a->leading + row;
                    const int64_t in_b =
                        operation->op_b ? j * b->leading + column : column * b->leading + j;
                    sum += factor(value_at(A, i * a->distance + in_a, a->type), operation->compute) *
                           factor(value_at(B, i * b->distance + in_b, b->type), operation->compute);
                }
                sum *= by;
                if (kept)
                    sum += kept * value_at(C, i * c->distance + column * c->leading + row, c->type);
                if (biased) sum += value_at(operation->bias, row, d->type);
                if (operation->epilogue & RELU) sum = sum > 0 ? sum : 0;
                store(D, i * d->distance + column * d->leading + row, d->type, sum);
            }
    return SUCCESS;
}

}  // extern "C"
