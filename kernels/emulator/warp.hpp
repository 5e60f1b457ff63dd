// Warp collectives: shuffles, votes, matches, reductions over the lanes of a warp.
#pragma once

#include "block.hpp"

static inline void __syncwarp(unsigned mask = ~0u, TAPEGRAD_PLACE) {
    emulator::synchronize_warp(mask, {"__syncwarp", file, line});
}
static inline unsigned __activemask() { return 1u << emulator::current->lane; }

// A lane's partner in each kind of shuffle, within its segment of `width` lanes. Without a partner
// it gets its own value.
namespace emulator {
static inline int partner_at(int self, int lane, int width) {
    return (self & ~(width - 1)) + (lane & (width - 1));
}
static inline int partner_above(int self, int delta, int width) {
    return self + delta >= (self & ~(width - 1)) + width ? self : self + delta;
}
static inline int partner_below(int self, int delta, int width) {
    return self - delta < (self & ~(width - 1)) ? self : self - delta;
}
static inline int partner_across(int self, int bits, int width) {
    return (self ^ bits) >= (self & ~(width - 1)) + width ? self : self ^ bits;
}
}  // namespace emulator

#define TAPEGRAD_SHUFFLE(name, partner, index_type, type)                                         \
    static inline type name(                                                                      \
        unsigned mask, type value, index_type index, int width = 32, TAPEGRAD_PLACE) {            \
        int source = emulator::partner(emulator::current->lane, (int)index, width);               \
        emulator::shuffle(mask, &value, sizeof value, source, {#name, file, line});               \
        return value;                                                                             \
    }
#define TAPEGRAD_SHUFFLES(type)                                                                   \
    TAPEGRAD_SHUFFLE(__shfl_sync, partner_at, int, type)                                          \
    TAPEGRAD_SHUFFLE(__shfl_up_sync, partner_below, unsigned, type)                               \
    TAPEGRAD_SHUFFLE(__shfl_down_sync, partner_above, unsigned, type)                             \
    TAPEGRAD_SHUFFLE(__shfl_xor_sync, partner_across, int, type)
TAPEGRAD_SHUFFLES(int)
TAPEGRAD_SHUFFLES(unsigned)
TAPEGRAD_SHUFFLES(long)
TAPEGRAD_SHUFFLES(unsigned long)
TAPEGRAD_SHUFFLES(long long)
TAPEGRAD_SHUFFLES(unsigned long long)
TAPEGRAD_SHUFFLES(float)
TAPEGRAD_SHUFFLES(double)
#undef TAPEGRAD_SHUFFLES
#undef TAPEGRAD_SHUFFLE

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
#define TAPEGRAD_MATCH(type)                                                                      \
    static inline unsigned __match_any_sync(unsigned mask, type value, TAPEGRAD_PLACE) {          \
        type all[32];                                                                             \
        emulator::gather(mask, &value, sizeof value, all, {"__match_any_sync", file, line});      \
        unsigned equal = 0;                                                                       \
        for (int lane = 0; lane < 32; lane++)                                                     \
            if (mask >> lane & 1 && all[lane] == value) equal |= 1u << lane;                      \
        return equal;                                                                             \
    }
TAPEGRAD_MATCH(int)
TAPEGRAD_MATCH(unsigned)
TAPEGRAD_MATCH(long)
TAPEGRAD_MATCH(unsigned long)
TAPEGRAD_MATCH(long long)
TAPEGRAD_MATCH(unsigned long long)
TAPEGRAD_MATCH(float)
TAPEGRAD_MATCH(double)
#undef TAPEGRAD_MATCH

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
