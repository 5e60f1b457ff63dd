// The number of a thread, and the numbers that it stands for in several dimensions.
#pragma once

__device__ __forceinline__ long long first_item() {
    return (long long)blockIdx.x * blockDim.x + threadIdx.x;
}
__device__ __forceinline__ long long item_stride() { return (long long)gridDim.x * blockDim.x; }

// a / b of what is not negative; a division of 32 bits, several times quicker, where that is enough.
__device__ __forceinline__ long long divide(long long a, long long b) {
    if (((unsigned long long)a | (unsigned long long)b) >> 32) return a / b;
    return (unsigned)a / (unsigned)b;
}

// Takes the innermost of the numbers that `rest` is made of, one of `size`.
__device__ __forceinline__ long long take_digit(long long& rest, long long size) {
    const long long quotient = divide(rest, size), digit = rest - quotient * size;
    rest = quotient;
    return digit;
}
