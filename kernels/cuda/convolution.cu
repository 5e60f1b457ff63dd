// Convolution as a product of matrices that are never made: implicit GEMM.
//
// Forward and data gradient: a row of the matrix A is a place written (of all images), a column a tap
// of the kernel with a channel; `Loader` copies the tile that is wanted from the images, where the
// windows meet them, into shared memory. B is the filters.
//
// A tile is copied V elements at a time, beside the multiplication of those before it. V > 1 wants
// channels that are neighbours, and multiples of V; then neighbouring threads take neighbouring
// channels. With V = 1 they take neighbouring places, as planes of images lie in memory.
#include "tensor_tiles.cuh"
#include "tiles.cuh"
#include "warpgroup_tiles.cuh"
#include "windows.cuh"

// Copies the rows of B where these lie along the depth, packs of V channels at once.
template <class Tile, int V, bool deep = Tile::DEEP_B> struct Filters {
    using T = typename Tile::Element;
    static constexpr int PER_ROW = Tile::BK / V, APART = Tile::THREADS / PER_ROW;

    const T *weight, *there;
    const Windows& w;
    int row, column, rows;

    __device__ __forceinline__ Filters(const T* weight, const Windows& w, const Class& of,
                                       int first_column)
        : w(w) {
        row = threadIdx.x / PER_ROW;
        column = threadIdx.x % PER_ROW * V;
        rows = w.outputs - first_column - row;
        this->weight =
            weight + of.group * w.weight_group + (first_column + row) * w.weight_output;
    }
    __device__ __forceinline__ void load(typename Tile::Stage& to) {
#pragma unroll
        for (int i = 0; i < Tile::BN; i += APART)
            copy<V>(to.b.at(row + i, column), there + i * w.weight_output, i < rows);
        there += Tile::BK;
    }
    // Goes to a channel of a tap; to none if there are no more taps.
    __device__ __forceinline__ void go(const Class& of, int channel, const int (&tap)[AXES],
                                       bool is_there) {
        if (!is_there) rows = 0;
        there = weight + channel;
#pragma unroll
        for (int d = 0; d < AXES; d++)
            there += (of.axes[d].first_tap + tap[d] * of.axes[d].tap_step) * w.weight_step[d];
    }
};

// Where they lie across it, as filters do for a data gradient: packs of V neighbouring outputs. The
// depth is numbered by itself here, for a thread has other parts of it than of A. Offsets have 32
// bits, as the filters fill their memory; registers are what limits a large tile.
template <class Tile, int V> struct Filters<Tile, V, false> {
    using T = typename Tile::Element;
    static constexpr int PER_LINE = Tile::BN / V, APART = Tile::THREADS / PER_LINE;

    const T* weight;
    const Windows& w;
    const Class& of;
    int first, there, depth, channel, depths;

    static __device__ __forceinline__ int line() { return threadIdx.x / PER_LINE; }
    static __device__ __forceinline__ int column() { return threadIdx.x % PER_LINE * V; }

    __device__ __forceinline__ Filters(const T* weight, const Windows& w, const Class& of,
                                       int first_column)
        : weight(weight), w(w), of(of) {
        first = of.group * (int)w.weight_group + first_column + column();
        depths = first_column + column() < w.outputs ? w.channels * of.taps : 0;
        depth = line();
        arrive();
    }
    __device__ __forceinline__ void load(typename Tile::Stage& to) {
#pragma unroll
        for (int i = 0; i < Tile::BK; i += APART) {
            int from = there + i * (int)w.weight_channel;
            if (channel + i >= w.channels) from = at(depth + i);
            copy<V>(to.b.at(column(), line() + i), weight + from, depth + i < depths);
        }
        depth += Tile::BK;
        channel += Tile::BK;
        there += Tile::BK * (int)w.weight_channel;
        if (channel >= w.channels) arrive();
    }
    __device__ __forceinline__ void arrive() {
        channel = (int)((unsigned)depth % (unsigned)w.channels);
        there = at(depth);
    }
    __device__ __forceinline__ int at(int depth) const {
        unsigned rest = depth;
        int found = first + (int)(rest % w.channels) * (int)w.weight_channel;
        rest /= w.channels;
#pragma unroll
        for (int d = AXES - 1; d >= 0; d--) {
            const Axis& axis = of.axes[d];
            const unsigned taps = max(axis.taps, 1);
            found += (axis.first_tap + (int)(rest % taps) * axis.tap_step) * (int)w.weight_step[d];
            rest /= taps;
        }
        return found;
    }
    __device__ __forceinline__ void go(const Class& of, int channel, const int (&tap)[AXES],
                                       bool is_there) {}
};

// Copies the tiles of a block, one depth after the other. A thread has packs of V channels of several
// rows of A. The depth runs through the channels of a tap, then comes the next tap; only there a
// thread has to find out which places it reads.
template <class Tile, int V> struct Loader {
    using T = typename Tile::Element;
    static constexpr int PER_ROW = Tile::BK / V, APART = Tile::THREADS / PER_ROW;
    static constexpr int ROWS = Tile::BM / APART;

    const T *x, *image[ROWS];
    const Windows& w;
    const Class& of;
    const Row* rows;
    Filters<Tile, V> filters;
    int row, column, channel, tap[AXES], taps_left;
    unsigned inside;  // a bit for each row

    __device__ __forceinline__ Loader(const T* x, const T* weight, const Windows& w,
                                      const Class& of, const Row* rows, int first_column)
        : x(x), w(w), of(of), rows(rows), filters(weight, w, of, first_column), tap{},
          taps_left(of.taps) {
        row = threadIdx.x / PER_ROW;
        channel = column = threadIdx.x % PER_ROW * V;
        arrive();
    }
    __device__ __forceinline__ void load(typename Tile::Stage& to) {
#pragma unroll
        for (int i = 0; i < ROWS; i++) {
            copy<V>(to.a.at(row + i * APART, column), image[i], inside >> i & 1);
            image[i] += Tile::BK;
        }
        filters.load(to);
        channel += Tile::BK;
        if (channel >= w.channels) arrive();
    }
    // Finds the tap that `channel` has come to, and what is read there.
    __device__ __forceinline__ void arrive() {
        while (channel >= w.channels && taps_left > 0) {
            channel -= w.channels;
            taps_left--;
            if (++tap[2] < of.axes[2].taps) continue;
            tap[2] = 0;
            if (++tap[1] < of.axes[1].taps) continue;
            tap[1] = 0;
            tap[0]++;
        }
        filters.go(of, channel, tap, taps_left > 0);
        long long at = channel;
        int moved[AXES];
#pragma unroll
        for (int d = 0; d < AXES; d++) {
            moved[d] = tap[d] * of.axes[d].tap_move;
            at += moved[d] * w.step[d];
        }
        inside = 0;
#pragma unroll
        for (int i = 0; i < ROWS; i++) {
            const Row& from = rows[row + i * APART];
            bool all = taps_left > 0 && from.write >= 0;
#pragma unroll
            for (int d = 0; d < AXES; d++)
                all = all && (unsigned)(from.at[d] + moved[d]) < (unsigned)w.size[d];
            image[i] = x + from.read + at;
            inside |= (unsigned)all << i;
        }
    }
};

// With V = 1 a thread has one row of A, of which it takes several steps of the depth, and one step of
// several rows of B. The depth runs through the taps of a channel, as they lie in planes and filters.
template <class Tile> struct Loader<Tile, 1> {
    using T = typename Tile::Element;
    static constexpr int PER_ROW = Tile::THREADS / Tile::BM, APART = Tile::THREADS / Tile::BK;

    const T *x, *weight, *filter;
    const Windows& w;
    long long read, tap_read[AXES], tap_step[AXES];
    int at[AXES], tap_move[AXES], row, column, filter_row, filter_column, filters;
    Odometer walk, filter_walk;

    __device__ __forceinline__ Loader(const T* x, const T* weight, const Windows& w,
                                      const Class& of, const Row* rows, int first_column)
        : x(x), weight(weight), w(w) {
        const int t0 = max(of.axes[0].taps, 1), t1 = max(of.axes[1].taps, 1),
                  t2 = max(of.axes[2].taps, 1), channels = of.taps ? w.channels : 0;
        row = threadIdx.x % Tile::BM;
        column = threadIdx.x / Tile::BM;
        walk = Odometer(t2, t1, t0, channels, column, PER_ROW);
        filter_row = threadIdx.x / Tile::BK;
        filter_column = threadIdx.x % Tile::BK;
        filter_walk = Odometer(t2, t1, t0, channels, filter_column, Tile::BK);
        filters = w.outputs - first_column - filter_row;
        filter = weight + of.group * w.weight_group + (first_column + filter_row) * w.weight_output;
        read = rows[row].read;
#pragma unroll
        for (int d = 0; d < AXES; d++) {
            const Axis& axis = of.axes[d];
            at[d] = rows[row].write < 0 ? -(1 << 30) : rows[row].at[d];  // never inside
            tap_move[d] = axis.tap_move;
            tap_read[d] = axis.tap_move * w.step[d];
            tap_step[d] = axis.tap_step * w.weight_step[d];
            filter += axis.first_tap * w.weight_step[d];
        }
    }
    __device__ __forceinline__ void load(typename Tile::Stage& to) {
#pragma unroll 4
        for (int step = 0; step < Tile::BK; step += PER_ROW) {
            long long from = read + walk.at[3] * w.channel_step;
            bool wanted = walk.inside();
#pragma unroll
            for (int d = 0; d < AXES; d++) {
                const int tap = walk.at[AXES - 1 - d];
                wanted = wanted && (unsigned)(at[d] + tap * tap_move[d]) < (unsigned)w.size[d];
                from += tap * tap_read[d];
            }
            copy<1>(to.a.at(row, column + step), x + (wanted ? from : 0), wanted);
            walk.advance();
        }
        const T* from = filter + filter_walk.at[3] * w.weight_channel;
#pragma unroll
        for (int d = 0; d < AXES; d++) from += filter_walk.at[AXES - 1 - d] * tap_step[d];
#pragma unroll
        for (int i = 0; i < Tile::BN; i += APART) {
            const bool wanted = filter_walk.inside() && i < filters;
            copy<1>(to.b.at(filter_row + i, filter_column),
                    wanted ? from + i * w.weight_output : weight, wanted);
        }
        filter_walk.advance();
    }
};

// Writes the sums of a block with the bias added, and without what is negative if so asked. They pass
// through shared memory, from where threads take neighbours: channels, or places of a plane.
template <class Tile> struct Sums {
    using T = typename Tile::Element;
    static constexpr int PITCH = Tile::BN + 8, PACK = 16 / sizeof(T);
    typename Tile::Sum at[Tile::BM][PITCH];

    __device__ __forceinline__ void take(typename Tile::Sums& sums) {
        Tile::each(sums, [&](int row, int column, auto& values) {
            constexpr int W = sizeof(values) / sizeof(typename Tile::Sum);
            Pack<typename Tile::Sum, W> pack;
#pragma unroll
            for (int v = 0; v < W; v++) pack.at[v] = values[v];
            *reinterpret_cast<decltype(pack)*>(&at[row][column]) = pack;
        });
    }
    __device__ __forceinline__ T finished(int row, int column, int first_channel, const T* bias,
                                          bool relu) const {
        auto sum = at[row][column];
        if (bias) sum += load(bias[first_channel + column]);
        return store<T>(relu && sum < 0 ? 0 : sum);  // NaN stays
    }
    __device__ __forceinline__ void write(T* y, const T* bias, const Row* rows, const Windows& w,
                                          int group, int first_column) const {
        const int columns = min(Tile::BN, w.outputs - first_column);
        const int first_channel = group * w.outputs + first_column;
        if (w.packs) {
            for (int i = threadIdx.x; i < Tile::BM * (Tile::BN / PACK); i += Tile::THREADS) {
                const int row = i / (Tile::BN / PACK), column = i % (Tile::BN / PACK) * PACK;
                if (rows[row].write < 0 || column >= columns) continue;
                Pack<T, PACK> pack;
#pragma unroll
                for (int v = 0; v < PACK; v++)
                    pack.at[v] = finished(row, column + v, first_channel, bias, w.relu);
                *reinterpret_cast<Pack<T, PACK>*>(y + rows[row].write + first_column + column) =
                    pack;
            }
            return;
        }
        const bool last = w.out_channel == 1;
        for (int i = threadIdx.x; i < Tile::BM * Tile::BN; i += Tile::THREADS) {
            const int row = last ? i / Tile::BN : i % Tile::BM;
            const int column = last ? i % Tile::BN : i / Tile::BM;
            const long long to = rows[row].write + (first_column + column) * w.out_channel;
            if (rows[row].write >= 0 && column < columns)
                y[to] = finished(row, column, first_channel, bias, w.relu);
        }
    }
};

// y = x * weight + bias, or the gradient of that to x. Dynamic shared memory holds the rows of the
// tile, and then its stages, or in the end the sums.
template <class Tile, int V>
__global__ void __launch_bounds__(Tile::THREADS, 1)
    convolve(const typename Tile::Element* x, const typename Tile::Element* weight,
             const typename Tile::Element* bias, typename Tile::Element* y, const Windows w,
             const long long most_rows) {
    extern __shared__ __align__(1024) unsigned char memory[];
    static_assert(sizeof(Row) * Tile::BM % alignof(typename Tile::Stage) == 0,
                  "stages are aligned behind the rows");
    Row* rows = reinterpret_cast<Row*>(memory);
    auto* stages = reinterpret_cast<typename Tile::Stage*>(rows + Tile::BM);
    const Share share(most_rows, w.outputs, Tile::BM, Tile::BN);
    const Class of(w, share.number);
    if (share.first_row >= of.rows) return;
    for (int i = threadIdx.x; i < Tile::BM; i += Tile::THREADS)
        rows[i] = Row(w, of, share.first_row + i);
    __syncthreads();
    Loader<Tile, V> loader(x, weight, w, of, rows, share.first_column);
    const int depths = (int)(((long long)w.channels * of.taps + Tile::BK - 1) / Tile::BK);
    typename Tile::Sums sums{};
    multiply_all<Tile>(sums, stages, depths,
                       [&](typename Tile::Stage& stage) { loader.load(stage); });
    auto* collected = reinterpret_cast<Sums<Tile>*>(stages);
    __syncthreads();  // all are done with the stages
    collected->take(sums);
    __syncthreads();
    collected->write(y, bias, rows, w, of.group, share.first_column);
}
