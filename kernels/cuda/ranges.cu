// Whether values are in range, looked at on the device: positions in a dimension, numbers of an interval.
//
// What is out of range is reported (checks.cuh) and replaced by a position that exists, so that no
// kernel behind this one reads outside of its memory.
#include "checks.cuh"
#include "types.cuh"

// Positions of [0, length), or of [-length, length) which then count from the end, as int64.
template <class T>
__global__ void positions(const T* given, long long* found, long long count, long long length,
                          bool negative, IndexReport* report, int message) {
    const long long stride = (long long)gridDim.x * blockDim.x;
    for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < count; i += stride) {
        const T place = given[i];
        const bool below = place < T(0);
        // A uint64 beyond int64 is out of range too, and negative as int64.
        long long at = (long long)place;
        const bool right = below ? negative && at >= -length : at >= 0 && at < length;
        if (!right) report_index(report, message, at);
        found[i] = right ? (below ? at + length : at) : 0;
    }
}

// Reports the place of an element that is not from `least` to `most`; NaN is not.
template <class T>
__global__ void within(const T* given, long long count, double least, double most,
                       IndexReport* report, int message) {
    const long long stride = (long long)gridDim.x * blockDim.x;
    for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < count; i += stride) {
        const double value = (double)load(given[i]);
        if (!(value >= least && value <= most)) report_index(report, message, i);
    }
}

// Reports the place of an element that is 0.
template <class T>
__global__ void nonzero(const T* given, long long count, IndexReport* report, int message) {
    const long long stride = (long long)gridDim.x * blockDim.x;
    for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < count; i += stride)
        if (given[i] == T(0)) report_index(report, message, i);
}
