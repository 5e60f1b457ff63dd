// A bias added to rows in place, and ReLU: what follows a product whose library call could
// not do it as well.
#include "types.cuh"

// `packs` packs of V elements, `columns` packs of them in a row.
template <class T, int V>
__global__ void __launch_bounds__(256)
    add_bias(T* x, const T* bias, long long packs, long long columns, int relu) {
    using Line = Pack<T, V>;
    const long long stride = (long long)gridDim.x * blockDim.x;
    for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < packs; i += stride) {
        Line line = ((const Line*)x)[i];
        Line added = {};
        if (bias) added = ((const Line*)bias)[i % columns];
#pragma unroll
        for (int j = 0; j < V; j++) {
            auto sum = load(line.at[j]) + load(added.at[j]);
            line.at[j] = store<T>(relu && sum < 0 ? 0 : sum);  // NaN stays
        }
        ((Line*)x)[i] = line;
    }
}
