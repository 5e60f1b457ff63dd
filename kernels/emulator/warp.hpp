// Warp collectives: shuffles, votes, matches, reductions over the lanes of a warp.
#pragma once

#include "block.hpp"

static inline void __syncwarp(unsigned mask = ~0u, TAPEGRAD_PLACE) {
    emulator::synchronize_warp(mask, {"__syncwarp", file, line});
}
static inline unsigned __activemask() { return 1u << emulator::current->lane; }

// A lane's partner in each kind of shuffle. A partner outside the segment is the lane itself.
template <class T>
static inline T __shfl_sync(unsigned mask, T value, int lane, int width = 32, TAPEGRAD_PLACE) {
    int self = emulator::current->lane, segment = self & ~(width - 1);
    int source = segment + (lane & (width - 1));
    emulator::shuffle(mask, &value, sizeof(T), source, {"__shfl_sync", file, line});
    return value;
}
template <class T>
static inline T __shfl_up_sync(
    unsigned mask, T value, unsigned delta, int width = 32, TAPEGRAD_PLACE) {
    int self = emulator::current->lane, segment = self & ~(width - 1);
    int source = self - (int)delta < segment ? self : self - (int)delta;
    emulator::shuffle(mask, &value, sizeof(T), source, {"__shfl_up_sync", file, line});
    return value;
}
template <class T>
static inline T __shfl_down_sync(
    unsigned mask, T value, unsigned delta, int width = 32, TAPEGRAD_PLACE) {
    int self = emulator::current->lane, end = (self & ~(width - 1)) + width;
    int source = self + (int)delta >= end ? self : self + (int)delta;
    emulator::shuffle(mask, &value, sizeof(T), source, {"__shfl_down_sync", file, line});
    return value;
}
template <class T>
static inline T __shfl_xor_sync(
    unsigned mask, T value, int bits, int width = 32, TAPEGRAD_PLACE) {
    int self = emulator::current->lane, end = (self & ~(width - 1)) + width;
    int source = (self ^ bits) >= end ? self : self ^ bits;
    emulator::shuffle(mask, &value, sizeof(T), source, {"__shfl_xor_sync", file, line});
    return value;
}

namespace emulator {
static inline unsigned ballot(unsigned mask, bool predicate, Place place) {
    bool all[32];
    gather(mask, &predicate, sizeof predicate, all, place);
    unsigned votes = 0;
    for (int lane = 0; lane < 32; lane++)
        if (mask >> lane & 1 && all[lane]) votes |= 1u << lane;
    return votes;
}
template <class T, class Combine>
static inline T reduce(unsigned mask, T value, Combine combine, Place place) {
    T all[32];
    gather(mask, &value, sizeof value, all, place);
    bool first = true;
    for (int lane = 0; lane < 32; lane++)
        if (mask >> lane & 1) {
            value = first ? all[lane] : combine(value, all[lane]);
            first = false;
        }
    return value;
}
}  // namespace emulator

static inline unsigned __ballot_sync(unsigned mask, int predicate, TAPEGRAD_PLACE) {
    return emulator::ballot(mask, predicate, {"__ballot_sync", file, line});
}
static inline int __any_sync(unsigned mask, int predicate, TAPEGRAD_PLACE) {
    return emulator::ballot(mask, predicate, {"__any_sync", file, line}) != 0;
}
static inline int __all_sync(unsigned mask, int predicate, TAPEGRAD_PLACE) {
    return emulator::ballot(mask, !predicate, {"__all_sync", file, line}) == 0;
}
template <class T>
static inline unsigned __match_any_sync(unsigned mask, T value, TAPEGRAD_PLACE) {
    T all[32];
    emulator::gather(mask, &value, sizeof value, all, {"__match_any_sync", file, line});
    unsigned equal = 0;
    for (int lane = 0; lane < 32; lane++)
        if (mask >> lane & 1 && all[lane] == value) equal |= 1u << lane;
    return equal;
}

#define TAPEGRAD_REDUCE(name, type, expression)                                                   \
    static inline type name(unsigned mask, type value, TAPEGRAD_PLACE) {                          \
        auto combine = [](type a, type b) -> type { return expression; };                         \
        return emulator::reduce(mask, value, combine, {#name, file, line});                       \
    }
TAPEGRAD_REDUCE(__reduce_add_sync, unsigned, a + b)
TAPEGRAD_REDUCE(__reduce_add_sync, int, (int)((unsigned)a + (unsigned)b))
TAPEGRAD_REDUCE(__reduce_min_sync, unsigned, a < b ? a : b)
TAPEGRAD_REDUCE(__reduce_min_sync, int, a < b ? a : b)
TAPEGRAD_REDUCE(__reduce_max_sync, unsigned, a > b ? a : b)
TAPEGRAD_REDUCE(__reduce_max_sync, int, a > b ? a : b)
TAPEGRAD_REDUCE(__reduce_and_sync, unsigned, a & b)
TAPEGRAD_REDUCE(__reduce_or_sync, unsigned, a | b)
TAPEGRAD_REDUCE(__reduce_xor_sync, unsigned, a ^ b)
#undef TAPEGRAD_REDUCE
