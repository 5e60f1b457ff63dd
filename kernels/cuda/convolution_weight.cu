// The gradient of a convolution to its filters, as a product of matrices that are never made.
//
// A row of A is an output channel of the gradient, a row of B a tap of the kernel with a channel, and
// the depth runs over the places of all images. It is split in parts, for there are many places and
// few filters; `combine` adds the parts up in their order, so that results repeat to the last bit.
//
// V > 1 wants channels that are neighbours in both images, and multiples of V: tiles lie WIDE, and a
// thread copies a pack of channels of a place. With V = 1 they lie DEEP, and neighbouring threads
// take neighbouring places, as planes of images lie in memory.
#include "tensor_tiles.cuh"
#include "tiles.cuh"
#include "warpgroup_tiles.cuh"
#include "windows.cuh"

// What a row of B reads: a channel, at the places of a tap.
struct __align__(16) Column {
    long long read;   // from the place where a window begins
    int moved[AXES];  // and how far that is along each axis

    __device__ __forceinline__ Column() {}
    __device__ __forceinline__ Column(const Windows& w, int group, int column)  {
        long long rest = column;
        const int channel = split_off(rest, w.channels);
        read = (group * w.channels + channel) * w.channel_step;
#pragma unroll
        for (int d = AXES - 1; d >= 0; d--) {
            moved[d] = split_off(rest, w.kernel[d]) * w.dilation[d] - w.padding[d];
            read += moved[d] * w.step[d];
        }
        if (rest) moved[0] = -(1 << 30);  // a row beyond the last is never inside
    }
};

// Walks over the places of a part: of the gradient, and where their windows begin in the images.
struct Places {
    Odometer walk;
    int place;
    __device__ __forceinline__ Places(const Windows& w, long long start, int place, int distance)
        : walk(w.count[2], w.count[1], w.count[0], w.images, start + place, distance),
          place(place) {}
    __device__ __forceinline__ void advance(int distance) {
        walk.advance();
        place += distance;
    }
    __device__ __forceinline__ long long in_gradient(const Windows& w) const {
        long long at = walk.at[3] * w.out_image;
#pragma unroll
        for (int d = 0; d < AXES; d++) at += walk.at[AXES - 1 - d] * w.out_step[d];
        return at;
    }
    __device__ __forceinline__ long long in_images(const Windows& w, int (&origin)[AXES]) const {
        long long at = walk.at[3] * w.image_step;
#pragma unroll
        for (int d = 0; d < AXES; d++) {
            origin[d] = walk.at[AXES - 1 - d] * w.stride[d];
            at += origin[d] * w.step[d];
        }
        return at;
    }
};

__device__ __forceinline__ bool meets(const Windows& w, const int (&origin)[AXES],
                                      const int (&moved)[AXES]) {
    bool inside = true;
#pragma unroll
    for (int d = 0; d < AXES; d++)
        inside = inside && (unsigned)(origin[d] + moved[d]) < (unsigned)w.size[d];
    return inside;
}

// Copies tiles; with V > 1 a thread has a pack of channels of several places. It steps along a line
// of the images, and finds out where it is at the end of one.
template <class Tile, int V> struct Operands {
    using T = typename Tile::Element;
    static_assert(Tile::BM <= Tile::BN, "a thread has the same places of both");
    static constexpr int PER_PLACE = Tile::BN / V, APART = Tile::THREADS / PER_PLACE;
    static constexpr int STEPS = Tile::BK / APART;

    const T *grad, *x, *grad_there, *x_there;
    const Windows& w;
    Column column;
    int line, along, left, at[AXES], image, reads;
    bool has_output, meets_line;

    __device__ __forceinline__ Operands(const T* grad, const T* x, const Windows& w,
                                        const Column* columns, const Share& share, int group,
                                        long long start, int left)
        : x(x), w(w), left(left) {
        line = threadIdx.x / PER_PLACE;
        along = threadIdx.x % PER_PLACE * V;
        const int output = (int)share.first_row + along;
        has_output = along < Tile::BM && output < w.outputs;
        this->grad = grad + (group * w.outputs + output) * w.out_channel;
        this->left -= line;
        column = columns[along];
        long long place = start + line;
#pragma unroll
        for (int d = AXES - 1; d >= 0; d--) at[d] = split_off(place, w.count[d]);
        image = (int)place;
        arrive();
    }
    __device__ __forceinline__ void load(typename Tile::Stage& to) {
#pragma unroll
        for (int step = 0; step < STEPS; step++) {
            const bool inside = left > step * APART;
            if (along < Tile::BM)
                copy<V>(to.a.at(along, line + step * APART), grad_there, inside && has_output);
            copy<V>(to.b.at(along, line + step * APART), x_there,
                    inside && meets_line && (unsigned)reads < (unsigned)w.size[2]);
            grad_there += APART * w.out_step[2];
            x_there += APART * w.stride[2] * w.step[2];
            reads += APART * w.stride[2];
            at[2] += APART;
            if (at[2] >= w.count[2]) arrive();
        }
        left -= Tile::BK;
    }
    // Finds the line that `at` has come to, and what is read there.
    __device__ __forceinline__ void arrive() {
        while (at[2] >= w.count[2]) {
            at[2] -= w.count[2];
            if (++at[1] < w.count[1]) continue;
            at[1] = 0;
            if (++at[0] < w.count[0]) continue;
            at[0] = 0;
            image++;
        }
        grad_there = grad + image * w.out_image;
        x_there = x + image * w.image_step + column.read;
        meets_line = true;
#pragma unroll
        for (int d = 0; d < AXES; d++) {
            const int origin = at[d] * w.stride[d];
            grad_there += at[d] * w.out_step[d];
            x_there += origin * w.step[d];
            reads = origin + column.moved[d];
            if (d < AXES - 1)
                meets_line = meets_line && (unsigned)reads < (unsigned)w.size[d];
        }
    }
};

// With V = 1 it has a place of several channels.
template <class Tile> struct Operands<Tile, 1> {
    using T = typename Tile::Element;
    static constexpr int APART = Tile::THREADS / Tile::BK;  // from row to row of a thread

    const T *grad, *x;
    const Windows& w;
    const Column* columns;
    Places places;
    int row, k, outputs, left;

    __device__ __forceinline__ Operands(const T* grad, const T* x, const Windows& w,
                                        const Column* columns, const Share& share, int group,
                                        long long start, int left)
        : grad(grad), x(x), w(w), columns(columns),
          places(w, start, threadIdx.x % Tile::BK, Tile::BK), left(left) {
        k = threadIdx.x % Tile::BK;
        row = threadIdx.x / Tile::BK;
        outputs = w.outputs - (int)share.first_row - row;
        this->grad += (group * w.outputs + share.first_row + row) * w.out_channel;
    }
    __device__ __forceinline__ void load(typename Tile::Stage& to) {
        const bool inside = places.place < left;
        int origin[AXES];
        const long long at = places.in_images(w, origin), at_grad = places.in_gradient(w);
#pragma unroll
        for (int i = 0; i < Tile::BM; i += APART) {
            const bool wanted = inside && i < outputs;
            copy<1>(to.a.at(row + i, k), wanted ? grad + at_grad + i * w.out_channel : x, wanted);
        }
#pragma unroll
        for (int i = 0; i < Tile::BN; i += APART) {
            const Column column = columns[row + i];
            const bool wanted = inside && meets(w, origin, column.moved);
            copy<1>(to.b.at(row + i, k), x + (wanted ? column.read + at : 0), wanted);
        }
        places.advance(Tile::BK);
    }
};

// The parts of the gradient, (parts, groups, outputs, taps, channels), from the gradient of y and x;
// each part sums over `length` places. Dynamic shared memory holds the columns of the tile, and then
// its stages.
template <class Tile, int V>
__global__ void __launch_bounds__(Tile::THREADS, 1)
    weight_gradient(const typename Tile::Element* grad, const typename Tile::Element* x,
                    typename Tile::Sum* parts, const Windows w, const int length) {
    extern __shared__ __align__(1024) unsigned char memory[];
    static_assert(sizeof(Column) * Tile::BN % alignof(typename Tile::Stage) == 0,
                  "stages are aligned behind the columns");
    Column* columns = reinterpret_cast<Column*>(memory);
    auto* stages = reinterpret_cast<typename Tile::Stage*>(columns + Tile::BN);
    const int width = w.channels * w.kernel[0] * w.kernel[1] * w.kernel[2];
    const Share share(w.outputs, width, Tile::BM, Tile::BN);
    const int group = share.number % w.groups;
    const long long places = (long long)w.images * w.count[0] * w.count[1] * w.count[2];
    const long long start = (long long)(share.number / w.groups) * length;
    const int left = (int)min((long long)length, places - start);
    for (int i = threadIdx.x; i < Tile::BN; i += Tile::THREADS)
        columns[i] = Column(w, group, share.first_column + i);
    __syncthreads();
    Operands<Tile, V> operands(grad, x, w, columns, share, group, start, left);
    typename Tile::Sums sums{};
    multiply_all<Tile>(sums, stages, (left + Tile::BK - 1) / Tile::BK,
                       [&](typename Tile::Stage& stage) { operands.load(stage); });
    parts += (long long)share.number * w.outputs * width;
    Tile::each(sums, [&](int row, int column, auto& values) {
        constexpr int W = sizeof(values) / sizeof(typename Tile::Sum);
        row += (int)share.first_row;
        column += share.first_column;
        if (row >= w.outputs) return;
#pragma unroll
        for (int v = 0; v < W; v++)
            if (column + v < width) parts[(long long)row * width + column + v] = values[v];
    });
}

// The sum of the parts (parts, outputs, taps, channels), as (outputs, taps, channels) or with the
// taps last. A block makes as many elements as it has threads along x; those along y share the parts.
template <class T>
__global__ void __launch_bounds__(512)
    combine(const Compute<T>* parts, T* out, const long long outputs, const int taps,
            const int channels, const int count, const bool taps_last) {
    __shared__ Compute<T> sums[512];
    const long long size = outputs * taps * channels;
    const int number = threadIdx.y * blockDim.x + threadIdx.x;
    for (long long first = (long long)blockIdx.x * blockDim.x; first < size;
         first += (long long)gridDim.x * blockDim.x) {
        const long long i = first + threadIdx.x;
        Compute<T> sum = 0;
        if (i < size) {
#pragma unroll 4
            for (int part = threadIdx.y; part < count; part += blockDim.y)
                sum += parts[part * size + i];
        }
        sums[number] = sum;
        for (int half = blockDim.y / 2; half > 0; half /= 2) {
            __syncthreads();
            if (threadIdx.y < half) sums[number] += sums[number + half * blockDim.x];
        }
        if (threadIdx.y == 0 && i < size) {
            long long to = i;
            if (taps_last) {
                long long rest = i;
                const int channel = split_off(rest, channels), tap = split_off(rest, taps);
                to = (rest * channels + channel) * taps + tap;
            }
            out[to] = store<T>(sums[number]);
        }
        __syncthreads();  // before the next sums are written
    }
}
