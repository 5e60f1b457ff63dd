// Convolution in groups of few channels, such as depthwise: every thread makes its sums by itself.
//
// As matrices such groups would leave most of a tile empty. A thread makes the sums of one place, of
// V channels of a depthwise convolution or of one channel else. The gradient to the filters is made
// in parts like that of all convolutions, and `combine` adds these up.
#include "types.cuh"
#include "windows.cuh"

// y = x * weight + bias, or the gradient of that to x. The elements of y are numbered with the
// channels innermost if `last`, else the places.
template <class T, int V>
__global__ void __launch_bounds__(256, 1)
    convolve_directly(const T* x, const T* weight, const T* bias, T* y, const Windows w,
                      const long long items, const bool last) {
    using Vector = Pack<T, V>;
    const int channels = w.groups * w.outputs;
    for (long long item = blockIdx.x * 256LL + threadIdx.x; item < items;
         item += gridDim.x * 256LL) {
        long long rest = item;
        int output = last ? split_off(rest, channels / V) * V : 0, at[AXES];
        Axis axes[AXES];
        long long to = 0;
#pragma unroll
        for (int d = AXES - 1; d >= 0; d--) {
            const int place = split_off(rest, w.count[d]);
            axes[d] = Axis(w, d, w.backward ? place % w.stride[d] : 0);
            at[d] = axes[d].base + axes[d].move * ((place - axes[d].first) / axes[d].stride);
            to += place * w.out_step[d];
        }
        if (!last) output = split_off(rest, channels);
        const int group = V > 1 ? output : output / w.outputs;
        const T* image = x + rest * w.image_step + group * w.channels * w.channel_step;
        const T* filter =
            weight + group * w.weight_group + (output - group * w.outputs) * w.weight_output;
        to += rest * w.out_image + output * w.out_channel;
        Compute<T> sums[V] = {};
        for (int i = 0; i < axes[0].taps; i++) {
            const int a = at[0] + i * axes[0].tap_move;
            if ((unsigned)a >= (unsigned)w.size[0]) continue;
            const long long tap0 = (axes[0].first_tap + i * axes[0].tap_step) * w.weight_step[0];
            for (int j = 0; j < axes[1].taps; j++) {
                const int b = at[1] + j * axes[1].tap_move;
                if ((unsigned)b >= (unsigned)w.size[1]) continue;
                const long long tap1 =
                    tap0 + (axes[1].first_tap + j * axes[1].tap_step) * w.weight_step[1];
                const long long line = a * w.step[0] + b * w.step[1];
                for (int k = 0; k < axes[2].taps; k++) {
                    const int c = at[2] + k * axes[2].tap_move;
                    if ((unsigned)c >= (unsigned)w.size[2]) continue;
                    const T* from = image + line + c * w.step[2];
                    const T* by =
                        filter + tap1 +
                        (axes[2].first_tap + k * axes[2].tap_step) * w.weight_step[2];
                    if constexpr (V > 1) {
                        const Vector values = *reinterpret_cast<const Vector*>(from);
                        const Vector factors = *reinterpret_cast<const Vector*>(by);
#pragma unroll
                        for (int v = 0; v < V; v++)
                            sums[v] += load(values.at[v]) * load(factors.at[v]);
                    } else {
                        for (int channel = 0; channel < w.channels; channel++)
                            sums[0] += load(from[channel * w.channel_step]) *
                                       load(by[channel * w.weight_channel]);
                    }
                }
            }
        }
        Vector out;
#pragma unroll
        for (int v = 0; v < V; v++) {
            if (bias) sums[v] += load(bias[output + v]);
            if (w.relu) sums[v] = sums[v] < 0 ? 0 : sums[v];  // NaN stays
            out.at[v] = store<T>(sums[v]);
        }
        *reinterpret_cast<Vector*>(y + to) = out;
    }
}

constexpr int TAPS = 9;  // that a thread adds up at once

// The parts of the gradient to the filters, (parts, outputs, taps, channels), of `length` places.
// Threads along x have neighbouring outputs, those along y neighbouring places; a block has TAPS taps
// of a channel in one part.
template <class T>
__global__ void __launch_bounds__(256, 1)
    weight_gradient_directly(const T* grad, const T* x, Compute<T>* parts, const Windows w,
                             const int length) {
    __shared__ Compute<T> shared[256];
    const int taps = w.kernel[0] * w.kernel[1] * w.kernel[2], chunks = (taps + TAPS - 1) / TAPS;
    long long block = blockIdx.x;
    const int first_tap = split_off(block, chunks) * TAPS, channel = split_off(block, w.channels);
    const int outputs = w.groups * w.outputs;
    const int across = (int)((outputs + blockDim.x - 1) / blockDim.x);
    const int output = split_off(block, across) * (int)blockDim.x + (int)threadIdx.x;
    const int group = output / w.outputs;
    long long moved_by[TAPS];
    int moved[TAPS][AXES];
#pragma unroll
    for (int t = 0; t < TAPS; t++) {
        long long tap = first_tap + t;
        moved_by[t] = 0;
#pragma unroll
        for (int d = AXES - 1; d >= 0; d--) {
            moved[t][d] = split_off(tap, w.kernel[d]) * w.dilation[d] - w.padding[d];
            moved_by[t] += moved[t][d] * w.step[d];
        }
        if (tap) moved[t][0] = -(1 << 30);  // a tap beyond the last is never inside
    }
    const long long start = block * length;
    const long long places = (long long)w.images * w.count[0] * w.count[1] * w.count[2];
    const long long end = min(places, start + length);
    Compute<T> sums[TAPS] = {};
    if (output < outputs) {
        const T* image = x + (group * w.channels + channel) * w.channel_step;
        const T* gradient = grad + output * w.out_channel;
        Odometer walk(w.count[2], w.count[1], w.count[0], w.images, start + threadIdx.y,
                      blockDim.y);
        for (long long place = start + threadIdx.y; place < end; place += blockDim.y) {
            long long at = walk.at[3] * w.image_step, at_grad = walk.at[3] * w.out_image;
            int origin[AXES];
#pragma unroll
            for (int d = 0; d < AXES; d++) {
                const int p = walk.at[AXES - 1 - d];
                origin[d] = p * w.stride[d];
                at += origin[d] * w.step[d];
                at_grad += p * w.out_step[d];
            }
            const Compute<T> g = load(gradient[at_grad]);
#pragma unroll
            for (int t = 0; t < TAPS; t++) {
                bool inside = true;
#pragma unroll
                for (int d = 0; d < AXES; d++)
                    inside = inside && (unsigned)(origin[d] + moved[t][d]) < (unsigned)w.size[d];
                if (inside) sums[t] += g * load(image[at + moved_by[t]]);
            }
            walk.advance();
        }
    }
    const int number = threadIdx.y * blockDim.x + threadIdx.x;
#pragma unroll
    for (int t = 0; t < TAPS; t++) {
        shared[number] = sums[t];
        for (int half = blockDim.y / 2; half > 0; half /= 2) {
            __syncthreads();
            if (threadIdx.y < half) shared[number] += shared[number + half * blockDim.x];
        }
        const int tap = first_tap + t;
        if (threadIdx.y == 0 && output < outputs && tap < taps)
            parts[((block * outputs + output) * taps + tap) * w.channels + channel] =
                shared[number];
        __syncthreads();  // before the next sums are written
    }
}
