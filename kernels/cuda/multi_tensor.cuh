// One launch for many tensors: each block works on one chunk of one of them.
#pragma once
#include "types.cuh"

struct Chunk {
    long long tensor;      // its row in the table of addresses
    long long start, end;  // of its elements
};

// Whether addresses, or-ed together, allow accesses of 16 bytes.
__device__ __forceinline__ bool aligned(long long addresses) { return (addresses & 15) == 0; }
