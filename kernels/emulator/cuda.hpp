// All that a kernel sees: this header is compiled ahead and comes before the kernel's own text.
#pragma once

#include "atomics.hpp"
#include "block.hpp"
#include "intrinsics.hpp"
#include "keywords.hpp"
#include "math.hpp"
#include "tensor_cores.hpp"
#include "warp.hpp"
#include "warpgroups.hpp"

namespace emulator {

// Calls a kernel with the values that its argument block points to.
template <class T> static inline T argument(void* address) {
    alignas(T) unsigned char copy[sizeof(T)];  // a block need not be aligned as the type is
    __builtin_memcpy(copy, address, sizeof(T));
    return *reinterpret_cast<T*>(copy);
}
template <int... I> struct Indices {};
template <int count, int... I> struct Count : Count<count - 1, count - 1, I...> {};
template <int... I> struct Count<0, I...> { using Up = Indices<I...>; };

template <class... T, int... I>
static inline void call(void (*kernel)(T...), void** arguments, Indices<I...>) {
    kernel(argument<T>(arguments[I])...);
}
template <class... T> static inline void call(void (*kernel)(T...), void** arguments) {
    call(kernel, arguments, typename Count<sizeof...(T)>::Up{});
}

}  // namespace emulator

// The static shared memory of the kernels of this library (shared.ld). AddressSanitizer has red zones
// within, so that there it is left alone.
#ifdef __SANITIZE_ADDRESS__
constexpr unsigned char *tapegrad_shared_begin = nullptr, *tapegrad_shared_end = nullptr;
#else
extern "C" unsigned char tapegrad_shared_begin[] __attribute__((visibility("hidden")));
extern "C" unsigned char tapegrad_shared_end[] __attribute__((visibility("hidden")));
#endif

// The entry point of one kernel, for the host: a C function that launches it.
#define TAPEGRAD_ENTRY(symbol, ...)                                                               \
    static void symbol##_call(void** arguments) { emulator::call(&__VA_ARGS__, arguments); }      \
    extern "C" const char* symbol(                                                                \
        void** arguments, const unsigned* grid, const unsigned* block, unsigned shared_bytes,     \
        unsigned order) {                                                                         \
        return emulator::launch(                                                                  \
            {symbol##_call, arguments, {grid[0], grid[1], grid[2]},                               \
             {block[0], block[1], block[2]}, shared_bytes, order,                                 \
             tapegrad_shared_begin, tapegrad_shared_end});                                   \
    }
