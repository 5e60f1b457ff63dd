// The number of a thread, and the numbers that it stands for in several dimensions.
#pragma once

__device__ __forceinline__ long long this_item() {
    return (long long)blockIdx.x * blockDim.x + threadIdx.x;
}

// What divides whole numbers from 0 by multiplying them (`digits.py`): without the branches, and the
// call, of a division of 64 bits.
struct Divisor {
    long long size;
    unsigned long long factor;
    int shift;
};

__device__ __forceinline__ long long divide(long long a, const Divisor& by) {
    return __umul64hi(2ull * a, by.factor) >> by.shift;
}

// Takes the innermost of the numbers that `rest` is made of, one of `size`.
__device__ __forceinline__ long long take_digit(long long& rest, const Divisor& size) {
    const long long quotient = divide(rest, size), digit = rest - quotient * size.size;
    rest = quotient;
    return digit;
}
