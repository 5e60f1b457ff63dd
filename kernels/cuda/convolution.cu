// Convolution as a product of matrices that are never made: implicit GEMM.
//
// Forward and data gradient: a row of the matrix A is a place written (of all images), a column a tap
// of the kernel with a channel; `Images` copies the tile that is wanted from the images, where the
// windows meet them, into shared memory. B is the filters.
//
// A tile is copied V elements at a time, beside the multiplication of those before it. V > 1 wants
// channels that are neighbours, and multiples of V; then neighbouring threads take neighbouring
// channels. With V = 1 they take neighbouring places, as planes of images lie in memory.
#include "tensor_tiles.cuh"
#include "tiles.cuh"
#include "windows.cuh"

// The depth of the product, as a walk over the channels and taps of a class. Where V channels are
// read at once these are innermost, else the taps are, as they are in filters (O, C, *kernel).
template <int V> struct Depth {
    static constexpr int CHANNEL = V > 1 ? 0 : 3;
    static __device__ __forceinline__ int tap(int d) { return AXES - d - (V > 1 ? 0 : 1); }
    static __device__ __forceinline__ Odometer walk(const Windows& w, const Class& of, int start,
                                                    int distance) {
        const int t0 = max(of.axes[0].taps, 1), t1 = max(of.axes[1].taps, 1),
                  t2 = max(of.axes[2].taps, 1), channels = max(w.channels, 1);
        if constexpr (V > 1) return Odometer(channels, t2, t1, t0, start, distance);
        return Odometer(t2, t1, t0, channels, start, distance);
    }
};

// Copies the rows of A, tile by tile. With V > 1 a thread has a pack of channels of several rows,
// else one row, of which it takes several steps of the depth.
template <class Tile, int V> struct Images {
    using T = typename Tile::Element;
    static constexpr int PER_ROW = V > 1 ? Tile::BK / V : Tile::THREADS / Tile::BM;
    static constexpr int APART = Tile::THREADS / PER_ROW;  // from row to row of a thread
    static constexpr int ROWS = Tile::BM / APART, STEPS = V > 1 ? 1 : Tile::BK / PER_ROW;

    const T* x;
    long long read[ROWS], tap_read[AXES];
    int at[ROWS][AXES], tap_move[AXES];
    Odometer walk;
    int row, column;

    __device__ __forceinline__ Images(const T* x, const Windows& w, const Class& of,
                                      const Row* rows)
        : x(x) {
        row = V > 1 ? threadIdx.x / PER_ROW : threadIdx.x % Tile::BM;
        column = V > 1 ? threadIdx.x % PER_ROW * V : threadIdx.x / Tile::BM;
        walk = Depth<V>::walk(w, of, column, V > 1 ? Tile::BK : PER_ROW);
#pragma unroll
        for (int d = 0; d < AXES; d++) {
            tap_move[d] = of.axes[d].tap_move;
            tap_read[d] = tap_move[d] * w.step[d];
        }
#pragma unroll
        for (int i = 0; i < ROWS; i++) {
            const Row& from = rows[row + i * APART];
            read[i] = from.read;
#pragma unroll
            for (int d = 0; d < AXES; d++)  // a row beyond the last is never inside
                at[i][d] = from.write < 0 ? -(1 << 30) : from.at[d];
        }
    }
    __device__ __forceinline__ void load(typename Tile::Stage& to, const Windows& w) {
#pragma unroll 4
        for (int step = 0; step < STEPS; step++) {
            long long from = walk.at[Depth<V>::CHANNEL] * w.channel_step;
            int moved[AXES];
#pragma unroll
            for (int d = 0; d < AXES; d++) {
                const int tap = walk.at[Depth<V>::tap(d)];
                moved[d] = tap * tap_move[d];
                from += tap * tap_read[d];
            }
#pragma unroll
            for (int i = 0; i < ROWS; i++) {
                bool wanted = walk.inside();
#pragma unroll
                for (int d = 0; d < AXES; d++)
                    wanted = wanted && (unsigned)(at[i][d] + moved[d]) < (unsigned)w.size[d];
                copy<V>(to.a.at(row + i * APART, column + step * PER_ROW),
                        x + (wanted ? read[i] + from : 0), wanted);
            }
            walk.advance();
        }
    }
};

// Copies the rows of B: neighbouring threads take neighbouring parts of a filter.
template <class Tile, int V> struct Filters {
    using T = typename Tile::Element;
    static constexpr int PER_ROW = Tile::BK / V, APART = Tile::THREADS / PER_ROW;
    static constexpr int ROWS = Tile::BN / APART;

    const T* filter;
    long long tap_step[AXES];
    Odometer walk;
    int row, column, rows;

    __device__ __forceinline__ Filters(const T* weight, const Windows& w, const Class& of,
                                       int first_column) {
        row = threadIdx.x / PER_ROW;
        column = threadIdx.x % PER_ROW * V;
        rows = w.outputs - first_column;
        filter = weight + of.group * w.weight_group + (first_column + row) * w.weight_output;
        walk = Depth<V>::walk(w, of, column, Tile::BK);
#pragma unroll
        for (int d = 0; d < AXES; d++) {
            tap_step[d] = of.axes[d].tap_step * w.weight_step[d];
            filter += of.axes[d].first_tap * w.weight_step[d];
        }
    }
    __device__ __forceinline__ void load(typename Tile::Stage& to, const T* weight,
                                         const Windows& w) {
        const T* from = filter + walk.at[Depth<V>::CHANNEL] * w.weight_channel;
#pragma unroll
        for (int d = 0; d < AXES; d++) from += walk.at[Depth<V>::tap(d)] * tap_step[d];
#pragma unroll
        for (int i = 0; i < ROWS; i++) {
            const bool wanted = walk.inside() && row + i * APART < rows;
            copy<V>(to.b.at(row + i * APART, column),
                    wanted ? from + i * APART * w.weight_output : weight, wanted);
        }
        walk.advance();
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
    extern __shared__ __align__(16) unsigned char memory[];
    Row* rows = reinterpret_cast<Row*>(memory);
    auto* stages = reinterpret_cast<typename Tile::Stage*>(rows + Tile::BM);
    const Share share(most_rows, w.outputs, Tile::BM, Tile::BN);
    const Class of(w, share.number);
    if (share.first_row >= of.rows) return;
    for (int i = threadIdx.x; i < Tile::BM; i += Tile::THREADS)
        rows[i] = Row(w, of, share.first_row + i);
    __syncthreads();
    Images<Tile, V> images(x, w, of, rows);
    Filters<Tile, V> filters(weight, w, of, share.first_column);
    const int depths = (int)(((long long)w.channels * of.taps + Tile::BK - 1) / Tile::BK);
    typename Tile::Sums sums{};
    multiply_all<Tile>(sums, stages, depths, [&](typename Tile::Stage& stage) {
        images.load(stage, w);
        filters.load(stage, weight, w);
    });
    auto* collected = reinterpret_cast<Sums<Tile>*>(stages);
    __syncthreads();  // all are done with the stages
    collected->take(sums);
    __syncthreads();
    collected->write(y, bias, rows, w, of.group, share.first_column);
}
