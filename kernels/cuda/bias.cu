// A bias added to rows in place, and an activation: what follows a product whose library call could
// not do it as well.
#include "types.cuh"

enum Activation { NONE, RELU, GELU_TANH };

template <class C> __device__ __forceinline__ C activated(C x, int activation) {
    if (activation == RELU) return x > 0 || x != x ? x : C(0);  // a NaN stays
    if (activation == GELU_TANH)
        return C(0.5) * x * (1 + tanh(C(0.7978845608028654) * (x + C(0.044715) * x * x * x)));
    return x;
}

// `packs` packs of V elements, `columns` packs of them in a row.
template <class T, int V>
__global__ void __launch_bounds__(256)
    add_bias(T* x, const T* bias, long long packs, long long columns, int activation) {
    using Line = Pack<T, V>;
    const long long stride = (long long)gridDim.x * blockDim.x;
    for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < packs; i += stride) {
        Line line = ((const Line*)x)[i];
        Line added = {};
        if (bias) added = ((const Line*)bias)[i % columns];
#pragma unroll
        for (int j = 0; j < V; j++)
            line.at[j] = store<T>(activated(load(line.at[j]) + load(added.at[j]), activation));
        ((Line*)x)[i] = line;
    }
}
