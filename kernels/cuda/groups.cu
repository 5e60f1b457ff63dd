// Group norm of images whose channels lie last: x is (outer, inner, channels), its channels in groups
// of `each`, and the elements of a group of an image share a mean.
//
// A block has whole groups side by side of one image, as many as fit into the 32 lanes of a warp or
// one that is wider; threadIdx.x goes along the channels and threadIdx.y along the places, so that a
// warp reads what lies together.
#include "statistics.cuh"

struct Groups {
    long long inner, channels;
    long long each;       // channels of a group
    long long of_block;   // groups of a block
    long long of_image;   // blocks of an image
    double eps;
};

constexpr int LANES = 32;
// Places that a thread looks at together.
constexpr int TOGETHER = 4;

// What a block has: channels `first` to `last` of an image, and the number of the thread's group.
struct Mine {
    long long start, first, last, group;
    __device__ __forceinline__ Mine(const Groups& given) {
        const long long image = blockIdx.x / given.of_image, part = blockIdx.x % given.of_image;
        const long long width = given.of_block * given.each;
        start = image * given.inner * given.channels;
        first = part * width;
        last = first + width < given.channels ? first + width : given.channels;
        const long long own = given.of_block == 1 ? 0 : threadIdx.x / given.each;
        group = image * (given.channels / given.each) + part * given.of_block + own;
    }
    // Whether the thread has channels; those beyond the last one only meet the others at barriers.
    __device__ __forceinline__ bool is_there() const { return first + threadIdx.x < last; }

    // visit(channel, place, the element's number) for all that the thread has.
    template <class Visit>
    __device__ __forceinline__ void each(const Groups& given, Visit visit) const {
        for (long long c = first + threadIdx.x; c < last; c += LANES)
#pragma unroll 4
            for (long long p = threadIdx.y; p < given.inner; p += blockDim.y)
                visit(c, start + p * given.channels + c);
    }
};

// What the threads of a group have together, in each of them, in the order of the lanes.
template <class Op, class S> __device__ __forceinline__ S group_reduce(S mine, const Groups& given) {
    __shared__ S of_lane[LANES];
    column_reduce<Op, 1>(&mine);
    if (threadIdx.y == 0) of_lane[threadIdx.x] = mine;
    __syncthreads();
    const int width = given.of_block == 1 ? LANES : (int)given.each;
    const int from = threadIdx.x / width * width;
    S all = of_lane[from];
    for (int i = from + 1; i < from + width && i < LANES; i++) all = Op::combine(all, of_lane[i]);
    return all;
}

template <class T>
__global__ void __launch_bounds__(256, 1)
    group_statistics(const T* x, const T* weight, const T* bias, T* out, Compute<T>* mean,
                     Compute<T>* rest, Compute<T>* var, Groups given) {
    using C = Compute<T>;
    const Mine mine(given);
    Statistics<C> all{};
    for (long long c = mine.first + threadIdx.x; c < mine.last; c += LANES) {
        const T* const line = x + mine.start + c;
        for (long long p = threadIdx.y; p < given.inner; p += TOGETHER * blockDim.y) {
            C column[TOGETHER];
#pragma unroll
            for (int k = 0; k < TOGETHER; k++) {
                const long long place = p + k * (int)blockDim.y;
                column[k] = load(line[(place < given.inner ? place : p) * given.channels]);
            }
            const auto found = statistics_of<TOGETHER>(
                column, true, [&](int k) { return p + k * (int)blockDim.y < given.inner; });
            all = AddStatistics::combine(all, found);
        }
    }
    all = group_reduce<AddStatistics>(all, given);
    if (!mine.is_there()) return;
    const bool writes = threadIdx.y == 0 && (mine.first + threadIdx.x) % given.each == 0;
    const auto normal = settle(all, (C)given.eps, mean, rest, var, mine.group, writes);
    mine.each(given, [&](long long c, long long at) {
        const C scale = weight ? load(weight[c]) : C(1), shift = bias ? load(bias[c]) : C(0);
        out[at] = store<T>(normal(load(x[at])) * scale + shift);
    });
}

// The gradient of x alone; those of weight and bias are sums over channels (`channels.cu`).
template <class T>
__global__ void __launch_bounds__(256, 1)
    group_gradients(const T* grad, const T* x, const T* weight, const Compute<T>* mean,
                    const Compute<T>* rest, const Compute<T>* var, T* to_x, Groups given) {
    using C = Compute<T>;
    const Mine mine(given);
    Normal<C> normal{};
    if (mine.is_there()) normal = normal_at(mean, rest, var, mine.group, (C)given.eps);
    Two<C> sums{};
    mine.each(given, [&](long long c, long long at) {
        const C weighed = load(grad[at]) * (weight ? load(weight[c]) : C(1));
        sums = sums + Two<C>{weighed * normal(load(x[at])), weighed};
    });
    sums = group_reduce<Sum>(sums, given);
    const C count = (C)(given.each * given.inner);
    const C along = sums.first / count, level = sums.second / count;
    mine.each(given, [&](long long c, long long at) {
        const C weighed = load(grad[at]) * (weight ? load(weight[c]) : C(1));
        to_x[at] = store<T>((weighed - level - normal(load(x[at])) * along) * normal.scale);
    });
}
