// Max and average pooling of images in one to three dimensions, forward and backward.
//
// Images are (outer, depth, height, width, inner): of planes that lie one after another `outer` counts
// the planes and inner is 1; where channels lie next to each other, `inner` counts packs of V of them.
// Each thread makes one pack. Backward looks the other way: a place of the image adds up what the
// windows that hold it bring, in their order, so that nothing is added by two threads.
#include "collectives.cuh"
#include "digits.cuh"
#include "types.cuh"

// The places of an image along one dimension, and the windows there.
struct Axis {
    int size, count;
    int kernel, stride, padding, dilation;  // a kernel of 0: `count` windows as even as can be
    long long step;                         // from a place to the next, in elements of x
};
struct Pooling {
    Axis axes[3];
    long long total;   // packs that are made,
    Divisor inner;     // and what their numbers are made of
    Divisor digits[3];
    long long outer_step;  // in elements of x
    bool counts_padding;   // in the number that a mean divides by,
    int divisor;           // unless it is this one, if not 0
};
struct Span {
    int begin, end;
};

// Of n places in m parts as even as can be, those of part i; m (n % m) + m must be at most 2^32.
__device__ __forceinline__ Span part(unsigned i, unsigned n, unsigned m) {
    const unsigned whole = n / m, over = n % m;
    return {(int)(i * whole + i * over / m),
            (int)((i + 1) * whole + ((i + 1) * over + m - 1) / m)};
}

// The places of a window inside of the image, `dilation` apart.
__device__ __forceinline__ Span places_of(const Axis& axis, int window) {
    if (axis.kernel == 0) return part(window, axis.size, axis.count);
    const int start = window * axis.stride - axis.padding;
    const int end = start + (axis.kernel - 1) * axis.dilation + 1;
    const int skipped = start < 0 ? (axis.dilation - 1 - start) / axis.dilation : 0;
    return {start + skipped * axis.dilation, end < axis.size ? end : axis.size};
}

// The windows that hold a place, and with a dilation some around it that do not.
__device__ __forceinline__ Span windows_of(const Axis& axis, int place) {
    if (axis.kernel == 0) return part(place, axis.count, axis.size);
    const int at = place + axis.padding, reach = (axis.kernel - 1) * axis.dilation;
    const int begin = at <= reach ? 0 : (at - reach + axis.stride - 1) / axis.stride;
    const int end = at / axis.stride + 1;
    return {begin, end < axis.count ? end : axis.count};
}

// How many places of a window a mean counts along an axis; none beyond the padding.
__device__ __forceinline__ int counted(const Axis& axis, int window, bool padding) {
    if (axis.kernel == 0 || !padding) {
        const Span places = places_of(axis, window);
        return places.end - places.begin;
    }
    const int start = window * axis.stride - axis.padding, most = axis.size + axis.padding;
    return (start + axis.kernel < most ? start + axis.kernel : most) - start;
}

template <class T, int V> __device__ __forceinline__ Pack<T, V> read(const T* x) {
    return *reinterpret_cast<const Pack<T, V>*>(x);
}
template <class T, int V> __device__ __forceinline__ void write(T* x, const Pack<T, V>& values) {
    *reinterpret_cast<Pack<T, V>*>(x) = values;
}

__device__ __forceinline__ long long place(long long d, int h, int w, int height, int width) {
    return (d * height + h) * width + w;
}

// The largest of each window and where it stands in its plane: the first of equals, the first NaN.
template <class T, int V>
__global__ void __launch_bounds__(256, 4)
    max_pool(const T* x, T* y, long long* places, Pooling given) {
    using C = Compute<T>;
    const Axis &depth = given.axes[0], &height = given.axes[1], &width = given.axes[2];
    const long long item = this_item();
    if (item >= given.total) return;
    long long rest = item;
    const long long c = take_digit(rest, given.inner);
    const Span across = places_of(width, take_digit(rest, given.digits[2]));
    const Span down = places_of(height, take_digit(rest, given.digits[1]));
    const Span in = places_of(depth, take_digit(rest, given.digits[0]));
    const T* image = x + rest * given.outer_step + c * V;
    C largest[V];
    long long at[V];
#pragma unroll
    for (int v = 0; v < V; v++) {
        largest[v] = Bounds<C>::lowest();
        at[v] = place(in.begin, down.begin, across.begin, height.size, width.size);
    }
    for (int d = in.begin; d < in.end; d += depth.dilation) {
        for (int h = down.begin; h < down.end; h += height.dilation) {
            const T* line = image + d * depth.step + h * height.step;
            const long long start = place(d, h, 0, height.size, width.size);
            for (int w = across.begin; w < across.end; w += width.dilation) {
                const Pack<T, V> values = read<T, V>(line + w * width.step);
#pragma unroll
                for (int v = 0; v < V; v++) {
                    const C value = load(values.at[v]);
                    if (value > largest[v] || (value != value && largest[v] == largest[v])) {
                        largest[v] = value;
                        at[v] = start + w;
                    }
                }
            }
        }
    }
    Pack<T, V> best;
#pragma unroll
    for (int v = 0; v < V; v++) best.at[v] = store<T>(largest[v]);
    write<T, V>(y + item * V, best);
    if (V == 1) {
        places[item] = at[0];
    } else {
#pragma unroll
        for (int v = 0; v < V; v += 2)
            write<long long, 2>(places + item * V + v, {at[v], at[(v + 1) % V]});
    }
}

// To each place of the image the gradients of the windows whose largest stands there.
template <class T, int V>
__global__ void __launch_bounds__(256, 4)
    max_pool_gradient(const T* grad, const long long* places, T* to_x, Pooling given) {
    using C = Compute<T>;
    const Axis &depth = given.axes[0], &height = given.axes[1], &width = given.axes[2];
    const long long item = this_item();
    if (item >= given.total) return;
    long long rest = item;
    const long long c = take_digit(rest, given.inner);
    const int w = take_digit(rest, given.digits[2]), h = take_digit(rest, given.digits[1]);
    const int d = take_digit(rest, given.digits[0]);
    const Span across = windows_of(width, w), down = windows_of(height, h);
    const Span in = windows_of(depth, d);
    const long long here = place(d, h, w, height.size, width.size);
    C sums[V] = {};
    for (int i = in.begin; i < in.end; i++) {
        for (int j = down.begin; j < down.end; j++) {
            const long long line = place(rest * depth.count + i, j, 0, height.count, width.count);
#pragma unroll 2
            for (int k = across.begin; k < across.end; k++) {
                const long long at = ((line + k) * given.inner.size + c) * V;
                const Pack<T, V> values = read<T, V>(grad + at);
                constexpr int PAIR = V > 1 ? 2 : 1;
#pragma unroll
                for (int v = 0; v < V; v += PAIR) {
                    const auto winners = read<long long, PAIR>(places + at + v);
#pragma unroll
                    for (int u = 0; u < PAIR; u++)
                        if (winners.at[u] == here) sums[v + u] += load(values.at[v + u]);
                }
            }
        }
    }
    Pack<T, V> total_of;
#pragma unroll
    for (int v = 0; v < V; v++) total_of.at[v] = store<T>(sums[v]);
    write<T, V>(to_x + item * V, total_of);
}

template <class T> constexpr bool is_whole = false;
template <> constexpr bool is_whole<long long> = true;

// The mean of each window; of whole numbers rounded towards 0.
template <class T, int V>
__global__ void __launch_bounds__(256, 4) avg_pool(const T* x, T* y, Pooling given) {
    using C = Compute<T>;
    const Axis &depth = given.axes[0], &height = given.axes[1], &width = given.axes[2];
    const long long item = this_item();
    if (item >= given.total) return;
    long long rest = item;
    const long long c = take_digit(rest, given.inner);
    const int k = take_digit(rest, given.digits[2]), j = take_digit(rest, given.digits[1]);
    const int i = take_digit(rest, given.digits[0]);
    const long long all = (long long)counted(depth, i, given.counts_padding) *
                          counted(height, j, given.counts_padding) *
                          counted(width, k, given.counts_padding);
    const C divisor = (C)(given.divisor ? given.divisor : all), share = C(1) / divisor;
    const Span across = places_of(width, k), down = places_of(height, j), in = places_of(depth, i);
    const T* image = x + rest * given.outer_step + c * V;
    C sums[V] = {};
    for (int d = in.begin; d < in.end; d++) {
        for (int h = down.begin; h < down.end; h++) {
            const T* line = image + d * depth.step + h * height.step;
            for (int w = across.begin; w < across.end; w++) {
                const Pack<T, V> values = read<T, V>(line + w * width.step);
#pragma unroll
                for (int v = 0; v < V; v++) sums[v] += load(values.at[v]);
            }
        }
    }
    Pack<T, V> means;
#pragma unroll
    for (int v = 0; v < V; v++)
        means.at[v] = store<T>(is_whole<T> ? sums[v] / divisor : sums[v] * share);
    write<T, V>(y + item * V, means);
}

// To each place of the image the shares of the windows that hold it.
template <class T, int V>
__global__ void __launch_bounds__(256, 4) avg_pool_gradient(const T* grad, T* to_x, Pooling given) {
    using C = Compute<T>;
    const Axis &depth = given.axes[0], &height = given.axes[1], &width = given.axes[2];
    const long long item = this_item();
    if (item >= given.total) return;
    long long rest = item;
    const long long c = take_digit(rest, given.inner);
    const Span across = windows_of(width, take_digit(rest, given.digits[2]));
    const Span down = windows_of(height, take_digit(rest, given.digits[1]));
    const Span in = windows_of(depth, take_digit(rest, given.digits[0]));
    C sums[V] = {};
    for (int i = in.begin; i < in.end; i++) {
        const long long deep = counted(depth, i, given.counts_padding);
        for (int j = down.begin; j < down.end; j++) {
            const long long high = deep * counted(height, j, given.counts_padding);
            const long long line = place(rest * depth.count + i, j, 0, height.count, width.count);
            for (int k = across.begin; k < across.end; k++) {
                const long long all = high * counted(width, k, given.counts_padding);
                const C share = C(1) / (C)(given.divisor ? given.divisor : all);
                const Pack<T, V> values =
                    read<T, V>(grad + ((line + k) * given.inner.size + c) * V);
#pragma unroll
                for (int v = 0; v < V; v++) sums[v] += load(values.at[v]) * share;
            }
        }
    }
    Pack<T, V> total_of;
#pragma unroll
    for (int v = 0; v < V; v++) total_of.at[v] = store<T>(sums[v]);
    write<T, V>(to_x + item * V, total_of);
}
