// What the parts of the runtime, which kernels do not see, know of each other.
#pragma once

#include "tensor_cores.hpp"

namespace emulator {

constexpr int most_threads = 1024;
constexpr unsigned most_shared = 227 << 10;  // bytes of dynamic shared memory

unsigned shared_bytes();  // of this launch
int block_threads();

// tensor_cores.cpp
float widen(Number number, unsigned bits);

// warpgroups.cpp
void hide_copy(const Copy& copy);               // it has just landed
void forget_products(int threads);              // before a block
void finish_products();                         // at the end of a thread
const Place* unequal_products(int threads);     // after a block: where four warps differed

}  // namespace emulator
