// A block of threads as its kernel sees it: who am I, wait for the others, exchange with my warp.
//
// These are the declarations that a kernel is compiled against; runtime.cpp defines them, in one
// library that all kernels share. Every waiting function takes the place it is called from, so
// that a mistake is reported as kernel.cu:LINE.
#pragma once

#include "keywords.hpp"

namespace emulator {

// A place in a kernel. As a default argument, `here(...)` is the place of the call.
struct Place {
    const char* what;
    const char* file;
    int line;
};
#define TAPEGRAD_PLACE const char *file = __builtin_FILE(), int line = __builtin_LINE()

struct Thread {
    uint3 index;
    int lane, warp;
};

extern Thread* current;  // the running CUDA thread
extern uint3 block_index;
extern dim3 block_size, grid_size;
alignas(1024) extern unsigned char dynamic_shared[];

// Ends the launch with an error; does not return.
[[noreturn]] void fail(const char* message, Place place);

// What `__launch_bounds__` says; kernels with it begin with `keep_bounds` (building.py).
struct Bounds {
    unsigned threads, blocks, cluster;
};
void keep_bounds(Bounds bounds, TAPEGRAD_PLACE);

// Waits for all threads of the block; returns for how many of them `predicate` was true.
int synchronize_block(bool predicate, Place place);

// These wait for the lanes of `mask`, all of which must come to the same call with the same mask.
void synchronize_warp(unsigned mask, Place place);  // also orders memory, as only __syncwarp does
void shuffle(unsigned mask, void* value, int bytes, int source_lane, Place place);
void gather(unsigned mask, const void* value, int bytes, void* of_all_lanes, Place place);

// Waits for all 32 lanes of the warp, each with a value; the last to come does `work` on all values.
void work_together(void* value, void (*work)(void* const* of_lane), Place place);

bool is_shared(const void* address);  // whether it may be one of the block's shared memory

// Copies that land late (cp.async): `copy_later` queues one, `commit_copies` closes a group of them.
// When at most `groups` groups may stay in flight, `next_landing` hands out, one after another, the
// copies that must have landed by then; the caller does them, so that the sanitizers see them.
struct Copy {
    void* target;
    const void* source;
    int bytes, source_bytes;  // the rest is filled with zeros
};
void copy_later(Copy copy, Place place);
void commit_copies();
bool next_landing(int groups, Copy* copy);

// How the host starts a kernel: `entry` unpacks the argument block and calls it.
struct Launch {
    void (*entry)(void** arguments);
    void** arguments;
    unsigned grid[3], block[3];
    unsigned shared_bytes;
    unsigned order;
    unsigned char *static_shared, *static_shared_end;
};
const char* launch(const Launch& request);  // null, or what went wrong

}  // namespace emulator

#define threadIdx (static_cast<const uint3&>(emulator::current->index))
#define blockIdx (static_cast<const uint3&>(emulator::block_index))
#define blockDim (static_cast<const dim3&>(emulator::block_size))
#define gridDim (static_cast<const dim3&>(emulator::grid_size))
constexpr int warpSize = 32;

static inline void __syncthreads(TAPEGRAD_PLACE) {
    emulator::synchronize_block(false, {"__syncthreads", file, line});
}
static inline int __syncthreads_count(int predicate, TAPEGRAD_PLACE) {
    return emulator::synchronize_block(predicate, {"__syncthreads_count", file, line});
}
static inline int __syncthreads_or(int predicate, TAPEGRAD_PLACE) {
    return emulator::synchronize_block(predicate, {"__syncthreads_or", file, line}) != 0;
}
static inline int __syncthreads_and(int predicate, TAPEGRAD_PLACE) {
    return emulator::synchronize_block(!predicate, {"__syncthreads_and", file, line}) == 0;
}

// A failed assertion, or __trap(), ends the launch.
#define assert(condition)                                                                         \
    ((condition) ? (void)0 : emulator::fail("assertion failed", {#condition, __FILE__, __LINE__}))
#define __trap() emulator::fail("the kernel trapped", {"__trap", __FILE__, __LINE__})

extern "C" int printf(const char* format, ...);
