// Images read along up to three dimensions at once, each output a weighted sum of a few inputs.
//
// A table for each dimension says which inputs an output reads and with which weights; resizing in
// every mode, borders, and the way back of each are tables alike. Images are laid out as in pooling.cu.
#include "digits.cuh"
#include "types.cuh"

template <class C> struct __align__(2 * sizeof(C)) Tap {
    int input;
    C weight;
};

struct Axis {
    Divisor count;      // of outputs
    long long step;     // from an input to the next, in elements of x
    long long taps_at;  // in a table, behind where the taps of each output start; in bytes
};
struct Resampling {
    Axis axes[3];
    long long total;  // packs that are made,
    Divisor inner;    // and what their numbers are made of
    long long outer_step;  // in elements of x
};

// The taps of an output along a dimension; without a table it is the input of its number.
template <class C> struct Taps {
    const Tap<C>* taps;
    int begin, end;
    __device__ __forceinline__ Taps(const char* table, const Axis& axis, int output)
        : taps(nullptr), begin(output), end(output + 1) {
        if (table == nullptr) return;
        const int* starts = reinterpret_cast<const int*>(table);
        taps = reinterpret_cast<const Tap<C>*>(table + axis.taps_at);
        begin = starts[output], end = starts[output + 1];
    }
    __device__ __forceinline__ Tap<C> operator[](int i) const {
        return taps ? taps[i] : Tap<C>{i, C(1)};
    }
};

template <class T, int V>
__global__ void __launch_bounds__(256, 3)
    resample(const T* x, T* out, const char* depth, const char* height, const char* width,
             Resampling given) {
    using C = Compute<T>;
    const long long item = this_item();
    if (item >= given.total) return;
    long long rest = item;
    const long long c = take_digit(rest, given.inner);
    const Taps<C> across(width, given.axes[2], take_digit(rest, given.axes[2].count));
    const Taps<C> down(height, given.axes[1], take_digit(rest, given.axes[1].count));
    const Taps<C> in(depth, given.axes[0], take_digit(rest, given.axes[0].count));
    const T* image = x + rest * given.outer_step + c * V;
    C sums[V] = {};
    for (int i = in.begin; i < in.end; i++) {
        const Tap<C> deep = in[i];
        for (int j = down.begin; j < down.end; j++) {
            const Tap<C> high = down[j];
            const T* line =
                image + deep.input * given.axes[0].step + high.input * given.axes[1].step;
            C along[V] = {};
            for (int k = across.begin; k < across.end; k++) {
                const Tap<C> wide = across[k];
                const auto values = *reinterpret_cast<const Pack<T, V>*>(
                    line + wide.input * given.axes[2].step);
#pragma unroll
                for (int v = 0; v < V; v++) along[v] += load(values.at[v]) * wide.weight;
            }
#pragma unroll
            for (int v = 0; v < V; v++) sums[v] += along[v] * (deep.weight * high.weight);
        }
    }
    Pack<T, V> found;
#pragma unroll
    for (int v = 0; v < V; v++) found.at[v] = store<T>(sums[v]);
    *reinterpret_cast<Pack<T, V>*>(out + item * V) = found;
}
