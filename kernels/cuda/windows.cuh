// Which places of an image the window of a place of another image meets.
//
// A convolution and its data gradient are one walk: for every place written, over the taps of the
// kernel and the channels, to a place read. Forward, place p reads p * stride - padding + tap *
// dilation. Backward, place p reads (p + padding - tap * dilation) / stride where that is whole;
// places with the same remainder by the stride share their taps, and make a class, so that no tap is
// tried in vain. Images have three axes, of which any may have size 1.
#pragma once

constexpr int AXES = 3;

// What the host says of a convolution; steps and strides are in elements.
struct Windows {
    long long image_step;    // from image to image of those read
    long long channel_step;
    long long step[AXES];
    long long weight_group;  // from group to group of the filters
    long long weight_output;
    long long weight_channel;
    long long weight_step[AXES];
    long long out_image;     // as above, of the image written; or of the gradient that is read
    long long out_channel;
    long long out_step[AXES];
    int images, groups;
    int channels, outputs;   // of a group: those summed over, and those written
    int size[AXES];          // of the image read
    int count[AXES];         // of the image written
    int kernel[AXES], stride[AXES], padding[AXES], dilation[AXES];
    int classes[AXES];       // 1, or backward the stride
    int tap_step[AXES];      // from one tap of a class to the next, and what that is in places of
    int tap_move[AXES];      //     the image read
    int backward, relu, packs;  // packs: 16 bytes of channels may be written as one
};

// One axis of one class.
struct Axis {
    int places, first, stride;      // writes places first + stride * i
    int taps, first_tap, tap_step;  // with the taps first_tap + tap_step * j
    int base, move, tap_move;       // reads places base + move * i + tap_move * j

    __device__ __forceinline__ Axis() {}
    __device__ __forceinline__ Axis(const Windows& w, int d, int remainder)
        : places(w.count[d]), first(0), stride(1), taps(w.kernel[d]), first_tap(0), tap_step(1),
          base(-w.padding[d]), move(w.stride[d]), tap_move(w.tap_move[d]) {
        if (!w.backward) return;
        first = remainder;
        stride = w.stride[d];
        places = (w.count[d] - first + stride - 1) / stride;
        tap_step = w.tap_step[d];
        const int edge = first + w.padding[d];
        while (first_tap < tap_step && (edge - first_tap * w.dilation[d]) % stride != 0) first_tap++;
        taps = first_tap < min(tap_step, taps) ? (taps - 1 - first_tap) / tap_step + 1 : 0;
        base = (edge - first_tap * w.dilation[d]) / stride;
        move = 1;
    }
};

// The remainder of `rest` by `size`; `rest` becomes the quotient.
__device__ __forceinline__ int split_off(long long& rest, int size) {
    const long long quotient =
        rest >> 31 == 0 ? (long long)((unsigned)rest / (unsigned)size) : rest / size;
    const int remainder = (int)(rest - quotient * size);
    rest = quotient;
    return remainder;
}

// Four nested loops, the first innermost, stepped through at a constant distance without a division.
struct Odometer {
    int at[4], size[4], step[4];

    __device__ __forceinline__ Odometer() {}
    __device__ __forceinline__ Odometer(int first, int second, int third, int fourth,
                                        long long start, int distance)
        : size{first, second, third, fourth} {
        long long rest = distance;
#pragma unroll
        for (int d = 0; d < 3; d++) {
            at[d] = split_off(start, size[d]);
            step[d] = split_off(rest, size[d]);
        }
        at[3] = (int)start;
        step[3] = (int)rest;
    }
    __device__ __forceinline__ void advance() {
        int carry = 0;
#pragma unroll
        for (int d = 0; d < 3; d++) {
            at[d] += step[d] + carry;
            carry = at[d] >= size[d];
            at[d] -= carry ? size[d] : 0;
        }
        at[3] += step[3] + carry;
    }
    __device__ __forceinline__ bool inside() const { return at[3] < size[3]; }
};

// The axes of a class, its group, and how many places and taps it has.
struct Class {
    Axis axes[AXES];
    int group;
    long long rows;  // places written, in all images
    int taps;

    __device__ __forceinline__ Class(const Windows& w, int number) {
#pragma unroll
        for (int d = AXES - 1; d >= 0; d--) {
            axes[d] = Axis(w, d, number % w.classes[d]);
            number /= w.classes[d];
        }
        group = number;
        rows = (long long)w.images * axes[0].places * axes[1].places * axes[2].places;
        taps = axes[0].taps * axes[1].taps * axes[2].taps;
    }
};

// Where a row of a class, one place written, reads and writes.
struct __align__(16) Row {
    long long read;   // the element read at the first tap, if that is inside
    long long write;  // the first channel written; -1 for a row beyond the last
    int at[AXES];     // the place read at the first tap

    __device__ __forceinline__ Row() {}
    __device__ __forceinline__ Row(const Windows& w, const Class& of, long long row)
        : read(0), write(-1), at{0, 0, 0} {
        if (row >= of.rows) return;
        read = of.group * w.channels * w.channel_step;
        write = of.group * w.outputs * w.out_channel;
#pragma unroll
        for (int d = AXES - 1; d >= 0; d--) {
            const int i = split_off(row, of.axes[d].places);
            at[d] = of.axes[d].base + of.axes[d].move * i;
            read += at[d] * w.step[d];
            write += (of.axes[d].first + of.axes[d].stride * i) * w.out_step[d];
        }
        read += row * w.image_step;
        write += row * w.out_image;
    }
};
