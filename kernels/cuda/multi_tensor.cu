// Many tensors: their norm as one vector, a partial of each chunk and then one block that adds them
// up, where who adds what to what depends on the sizes alone; and gradients freed of their scale.
#include "collectives.cuh"
#include "multi_tensor.cuh"

constexpr int THREADS = 256;            // of a chunk
constexpr int FINISHING_THREADS = 512;  // of the one block at the end

// What of an element is added up (of the largest, compared), and what is made of it in the end.
struct Squares : Sum {
    template <class C> static __device__ __forceinline__ C of(C x, C) { return x * x; }
    static __device__ __forceinline__ double finish(double total, double) { return sqrt(total); }
};
struct Magnitudes : Max {
    template <class C> static __device__ __forceinline__ C of(C x, C) { return x < 0 ? -x : x; }
    static __device__ __forceinline__ double finish(double total, double) { return total; }
};
__device__ __forceinline__ float power(float x, float p) { return powf(fabsf(x), p); }
__device__ __forceinline__ double power(double x, double p) { return pow(fabs(x), p); }
struct Powers : Sum {
    template <class C> static __device__ __forceinline__ C of(C x, C p) { return power(x, p); }
    static __device__ __forceinline__ double finish(double total, double p) {
        return pow(total, 1.0 / p);
    }
};

template <class T, class Norm>
__global__ void __launch_bounds__(THREADS, 1)
norm_partials(const long long* tensors, const Chunk* chunks, double* partials, double p) {
    constexpr int WIDTH = 16 / sizeof(T);
    using C = Compute<T>;
    const Chunk chunk = chunks[blockIdx.x];
    const T* const x = reinterpret_cast<const T*>(tensors[chunk.tensor]);
    const long long count = aligned(tensors[chunk.tensor]) ? chunk.end - chunk.start : 0;
    const long long packed = chunk.start + count / WIDTH * WIDTH;
    C found = 0;  // of magnitudes too: none is below
    for (long long i = chunk.start + threadIdx.x * WIDTH; i < packed; i += THREADS * WIDTH) {
        const Pack<T, WIDTH> pack = *reinterpret_cast<const Pack<T, WIDTH>*>(x + i);
#pragma unroll
        for (int j = 0; j < WIDTH; j++)
            found = Norm::combine(found, Norm::of(load(pack.at[j]), (C)p));
    }
    for (long long i = packed + threadIdx.x; i < chunk.end; i += THREADS)
        found = Norm::combine(found, Norm::of(load(x[i]), (C)p));
    const double total = block_reduce<Norm>((double)found);
    if (threadIdx.x == 0) partials[blockIdx.x] = total;
}

template <class T, class Norm>
__global__ void __launch_bounds__(FINISHING_THREADS, 1)
norm_of_partials(const double* partials, T* out, double p, long long count) {
    double total = 0;
    for (long long i = threadIdx.x; i < count; i += FINISHING_THREADS)
        total = Norm::combine(total, partials[i]);
    total = block_reduce<Norm>(total);
    if (threadIdx.x == 0) *out = store<T>((Compute<T>)Norm::finish(total, p));
}

// Gradients divided by the scale of the loss; *found becomes 1 where one of them is not finite.
template <class T>
__global__ void __launch_bounds__(THREADS, 1)
unscale(const long long* tensors, const Chunk* chunks, const float* scale, float* found) {
    constexpr int WIDTH = 16 / sizeof(T);
    using C = Compute<T>;
    const C factor = (float)(1.0 / (double)*scale);
    const Chunk chunk = chunks[blockIdx.x];
    T* const x = reinterpret_cast<T*>(tensors[chunk.tensor]);
    const long long count = aligned(tensors[chunk.tensor]) ? chunk.end - chunk.start : 0;
    const long long packed = chunk.start + count / WIDTH * WIDTH;
    bool overflowed = false;
    for (long long i = chunk.start + threadIdx.x * WIDTH; i < packed; i += THREADS * WIDTH) {
        Pack<T, WIDTH> pack = *reinterpret_cast<const Pack<T, WIDTH>*>(x + i);
#pragma unroll
        for (int j = 0; j < WIDTH; j++) {
            const C value = load(pack.at[j]);
            overflowed |= !isfinite(value);
            pack.at[j] = store<T>(value * factor);
        }
        *reinterpret_cast<Pack<T, WIDTH>*>(x + i) = pack;
    }
    for (long long i = packed + threadIdx.x; i < chunk.end; i += THREADS) {
        const C value = load(x[i]);
        overflowed |= !isfinite(value);
        x[i] = store<T>(value * factor);
    }
    if (__syncthreads_or(overflowed) && threadIdx.x == 0) atomicExch(found, 1.0f);
}
