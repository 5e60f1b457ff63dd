// The machine that kernels run on: one fiber per CUDA thread, one block after another.
//
// A thread runs until it waits, at a barrier or for its warp; then the next one that can run, in the
// order of this launch, goes on. When none can, either the whole block stands at one barrier, which
// then opens, or the kernel is wrong and the launch ends with what every kind of thread waits for.
//
// This file is compiled once, without instrumentation: what it does for a kernel (handing a value
// from lane to lane) is not an access that could race. It tells the sanitizers which stack runs, and
// ThreadSanitizer which waits order memory: barriers and __syncwarp, and nothing else.
#include "machine.hpp"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include <utility>
#include <vector>

#ifdef TAPEGRAD_ADDRESS
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef TAPEGRAD_THREAD
extern "C" {
void* __tsan_get_current_fiber();
void* __tsan_create_fiber(unsigned flags);
void __tsan_switch_to_fiber(void* fiber, unsigned flags);
void __tsan_acquire(void* token);
void __tsan_release(void* token);
}
constexpr unsigned unordered = 1;  // a switch that orders nothing: the threads run concurrently
#else
static inline void __tsan_acquire(void*) {}
static inline void __tsan_release(void*) {}
#endif

// Saves this stack's registers and pointer, loads the other's. System V x86-64.
extern "C" void tapegrad_switch_stack(void** save, void* load) __attribute__((visibility("hidden")));
__asm__(R"(
    .text
    .hidden tapegrad_switch_stack
    .globl tapegrad_switch_stack
    .type tapegrad_switch_stack, @function
tapegrad_switch_stack:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
    .size tapegrad_switch_stack, . - tapegrad_switch_stack
)");

namespace emulator {

constexpr size_t stack_bytes = 256 << 10, guard_bytes = 4096;

enum class State { ready, at_barrier, in_warp, done };
enum class Meeting { synchronize, shuffle, gather, work };

struct Fiber : Thread {
    State state = State::done;
    Place place;  // where it waits
    void* stack_pointer;
    char* stack = nullptr;
    size_t stack_size = stack_bytes;
    void* sanitizer_fiber = nullptr;

    bool predicate;  // of its barrier
    // Of its warp collective: who takes part, in what, with which value.
    unsigned mask;
    Meeting meeting;
    void* value;
    void* results;
    int bytes, source_lane;
    void (*work)(void* const*);
    void* order_token;  // what its __syncwarp orders memory with
    char own_tokens[2];
    unsigned meetings;

    std::vector<Copy> copies;
    std::vector<size_t> groups;  // sizes of the committed ones, oldest first
    size_t landed;               // copies of the oldest group already handed out
};

Thread* current;
uint3 block_index;
dim3 block_size, grid_size;
alignas(1024) unsigned char dynamic_shared[(228 << 10) + 1024];

static Fiber fibers[most_threads], host;
static int threads, order[most_threads], rank[most_threads];
static const Launch* request;
static char error[1024];
static bool failed_before;  // the launch before was given up in the middle
static int barrier_count;
static char barrier_tokens[2], start_token, end_token;
static unsigned barriers;

unsigned shared_bytes() { return request->shared_bytes; }
int block_threads() { return threads; }

static Fiber& self() { return *static_cast<Fiber*>(current); }

// ---- switching ---------------------------------------------------------------------------------

static void run(Fiber& next) {
    Fiber& previous = self();
    if (&next == &previous) return;
    current = &next;
#ifdef TAPEGRAD_ADDRESS
    void* fake_stack = nullptr;
    __sanitizer_start_switch_fiber(&fake_stack, next.stack, next.stack_size);
#endif
#ifdef TAPEGRAD_THREAD
    __tsan_switch_to_fiber(next.sanitizer_fiber, unordered);
#endif
    tapegrad_switch_stack(&previous.stack_pointer, next.stack_pointer);
#ifdef TAPEGRAD_ADDRESS
    __sanitizer_finish_switch_fiber(fake_stack, nullptr, nullptr);
#endif
}

// Runs the next thread in order that can, else goes back to the host, which looks at all of them.
static void wait() {
    Fiber& waiting = self();
    for (int i = rank[&waiting - fibers] + 1; i < threads; i++)
        if (fibers[order[i]].state == State::ready) return run(fibers[order[i]]);
    run(host);
}

static void thread_main() {
#ifdef TAPEGRAD_ADDRESS
    const void* bottom;
    size_t size;
    __sanitizer_finish_switch_fiber(nullptr, &bottom, &size);
    if (!host.stack) host.stack = (char*)bottom, host.stack_size = size;
#endif
    for (;;) {  // once for every block
        __tsan_acquire(&start_token);
        request->entry(request->arguments);
        finish_products();
        __tsan_release(&end_token);
        self().state = State::done;
        wait();
    }
}

[[noreturn]] void fail(const char* message, Place place) {
    uint3 t = current->index, b = block_index;
    if (!error[0])
        snprintf(
            error, sizeof error, "%s:%d: %s: %s (block %u,%u,%u thread %u,%u,%u)", place.file,
            place.line, place.what, message, b.x, b.y, b.z, t.x, t.y, t.z);
    self().state = State::done;
    for (;;) run(host);
}

void keep_bounds(Bounds bounds, const char* file, int line) {
    if ((unsigned)threads > bounds.threads)
        fail("a block has more threads than that", {"__launch_bounds__", file, line});
}

// ---- waiting -----------------------------------------------------------------------------------

int synchronize_block(bool predicate, Place place) {
    Fiber& fiber = self();
    fiber.place = place;
    fiber.predicate = predicate;
    // Two tokens, in turn: a thread already at the next barrier must not order this one's accesses.
    void* token = &barrier_tokens[barriers & 1];
    __tsan_release(token);
    fiber.state = State::at_barrier;
    wait();
    __tsan_acquire(token);
    return barrier_count;
}

static Fiber* lane_of(const Fiber& fiber, int lane) {
    int i = fiber.warp * 32 + lane;
    return i < threads ? &fibers[i] : nullptr;
}

// Like memcpy, which the sanitizers would see.
static void move(void* target, const void* source, int bytes) {
    for (int i = 0; i < bytes; i++) ((char*)target)[i] = ((const char*)source)[i];
}

static void take_from_lane(const Fiber& fiber, int lane, void* target) {
    Fiber* other = lane_of(fiber, lane);
    if (other && fiber.mask >> lane & 1)
        move(target, other->value, fiber.bytes);
    else  // undefined: no such lane
        for (int i = 0; i < fiber.bytes; i++) ((unsigned char*)target)[i] = 0xff;
}

// Waits until every lane of the mask that exists is here; the last to come serves all of them.
static void meet(unsigned mask, Meeting meeting, Place place) {
    Fiber& fiber = self();
    fiber.place = place;
    fiber.mask = mask;
    fiber.meeting = meeting;
    if (!(mask >> fiber.lane & 1)) fail("the mask lacks the calling lane", place);
    bool complete = true;
    for (int lane = 0; lane < 32; lane++) {
        Fiber* other = mask >> lane & 1 ? lane_of(fiber, lane) : nullptr;
        if (!other || other == &fiber) continue;
        if (other->state != State::in_warp) {
            complete = false;
        } else if (other->mask != mask) {
            fail("lanes of one warp meet with different masks", place);
        } else if (other->place.line != place.line || strcmp(other->place.what, place.what)) {
            fail("lanes of one warp meet at different calls", place);
        }
    }
    fiber.order_token = &fiber.own_tokens[fiber.meetings++ & 1];
    if (meeting == Meeting::synchronize) __tsan_release(fiber.order_token);
    if (!complete) {
        fiber.state = State::in_warp;
        wait();
    } else {
        Fiber* members[32];
        int count = 0;
        for (int lane = 0; lane < 32; lane++)
            if (mask >> lane & 1 && lane_of(fiber, lane)) members[count++] = lane_of(fiber, lane);
        if (meeting == Meeting::synchronize) {
            for (int i = 0; i < count; i++) __tsan_acquire(members[i]->order_token);
            __tsan_release(fiber.order_token);
        }
        if (meeting == Meeting::work) {
            void* values[32];
            for (int lane = 0; lane < 32; lane++) values[lane] = members[lane]->value;
            fiber.work(values);
        }
        for (int i = 0; i < count; i++) {
            Fiber& member = *members[i];
            if (meeting == Meeting::shuffle)
                take_from_lane(member, member.source_lane, member.results);
            if (meeting == Meeting::gather)
                for (int lane = 0; lane < 32; lane++)
                    take_from_lane(member, lane, (char*)member.results + lane * member.bytes);
            member.order_token = fiber.order_token;
            member.state = State::ready;
        }
    }
    if (meeting == Meeting::synchronize) __tsan_acquire(fiber.order_token);
}

void synchronize_warp(unsigned mask, Place place) { meet(mask, Meeting::synchronize, place); }

void shuffle(unsigned mask, void* value, int bytes, int source_lane, Place place) {
    Fiber& fiber = self();
    unsigned char result[64];
    if (bytes > 64) fail("a shuffled value has at most 64 bytes", place);
    if (!(mask >> (source_lane & 31) & 1)) fail("reads a lane outside the mask", place);
    fiber.value = value;
    fiber.results = result;
    fiber.bytes = bytes;
    fiber.source_lane = source_lane & 31;
    meet(mask, Meeting::shuffle, place);
    move(value, result, bytes);
}

void gather(unsigned mask, const void* value, int bytes, void* of_all_lanes, Place place) {
    Fiber& fiber = self();
    fiber.value = const_cast<void*>(value);
    fiber.results = of_all_lanes;
    fiber.bytes = bytes;
    meet(mask, Meeting::gather, place);
}

void work_together(void* value, void (*work)(void* const*), Place place) {
    Fiber& fiber = self();
    if (!lane_of(fiber, 31)) fail("the warp has fewer than 32 threads", place);
    fiber.value = value;
    fiber.work = work;
    meet(~0u, Meeting::work, place);
}

// Under AddressSanitizer it is not known where the static shared memory is.
bool is_shared(const void* address) {
    auto byte = (const unsigned char*)address;
    return (byte >= dynamic_shared && byte < dynamic_shared + sizeof dynamic_shared) ||
           (byte >= request->static_shared && byte < request->static_shared_end) ||
           !request->static_shared;
}

// ---- copies that land late ---------------------------------------------------------------------

void copy_later(Copy copy, Place place) {
    if ((size_t)copy.target % copy.bytes || (copy.source_bytes && (size_t)copy.source % copy.bytes))
        fail("an address is not aligned to the size of the copy", place);
    self().copies.push_back(copy);
}

void commit_copies() {
    Fiber& fiber = self();
    size_t committed = 0;
    for (size_t group : fiber.groups) committed += group;
    fiber.groups.push_back(fiber.copies.size() - committed);
}

bool next_landing(int groups, Copy* copy) {
    Fiber& fiber = self();
    while ((int)fiber.groups.size() > groups) {
        if (fiber.landed < fiber.groups.front()) {
            *copy = fiber.copies[fiber.landed++];
            hide_copy(*copy);
            return true;
        }
        fiber.copies.erase(fiber.copies.begin(), fiber.copies.begin() + fiber.landed);
        fiber.groups.erase(fiber.groups.begin());
        fiber.landed = 0;
    }
    return false;
}

// ---- launching ---------------------------------------------------------------------------------

static void new_stack(Fiber& fiber) {
    if (!fiber.stack) {
        char* memory = (char*)mmap(
            nullptr, guard_bytes + stack_bytes, PROT_READ | PROT_WRITE,
            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        mprotect(memory, guard_bytes, PROT_NONE);  // an overflow stops here
        fiber.stack = memory + guard_bytes;
    }
#ifdef TAPEGRAD_ADDRESS
    if (failed_before) __asan_unpoison_memory_region(fiber.stack, stack_bytes);  // its old frames
#endif
#ifdef TAPEGRAD_THREAD
    if (!fiber.sanitizer_fiber) fiber.sanitizer_fiber = __tsan_create_fiber(unordered);
#endif
    // What tapegrad_switch_stack pops: six registers and the address to return to.
    void** top = (void**)(fiber.stack + stack_bytes - 64);
    top[-1] = nullptr;
    top[-2] = (void*)thread_main;
    for (int i = 3; i <= 8; i++) top[-i] = nullptr;
    fiber.stack_pointer = top - 8;
}

static void choose_order() {
    for (int i = 0; i < threads; i++) order[i] = request->order == 1 ? threads - 1 - i : i;
    if (request->order > 1) {
        unsigned random = request->order * 2654435761u + block_index.x * 97 + block_index.y * 31 + 1;
        for (int i = threads - 1; i > 0; i--) {  // Marsaglia's xorshift
            random ^= random << 13;
            random ^= random >> 17;
            random ^= random << 5;
            std::swap(order[i], order[random % (i + 1)]);
        }
    }
    for (int i = 0; i < threads; i++) rank[order[i]] = i;
}

static void poison(unsigned char* begin, unsigned char* end) {
    for (; begin < end; begin++) *begin = 0xff;  // NaN in every floating type, -1 as an integer
}

// No thread can run. Opens the barrier if all stand at it; otherwise says what they wait for.
static void open_barrier_or_fail() {
    Fiber *at_barrier = nullptr, *elsewhere = nullptr, *in_warp = nullptr, *done = nullptr;
    int count = 0;
    for (int i = 0; i < threads; i++) {
        Fiber& fiber = fibers[i];
        if (fiber.state == State::done) done = done ? done : &fiber;
        if (fiber.state == State::in_warp) in_warp = in_warp ? in_warp : &fiber;
        if (fiber.state == State::at_barrier) {
            if (!at_barrier) at_barrier = &fiber;
            if (fiber.place.line != at_barrier->place.line) elsewhere = &fiber;
            count += fiber.predicate;
        }
    }
    char message[512];
    Fiber& waiting = in_warp ? *in_warp : *at_barrier;
    auto say = [&](const char* what, const Fiber* other) {
        int written = snprintf(message, sizeof message, "%s", what);
        if (other && other->state == State::done)
            snprintf(
                message + written, sizeof message - written, " thread %u,%u,%u has returned",
                other->index.x, other->index.y, other->index.z);
        else if (other)
            snprintf(
                message + written, sizeof message - written, " thread %u,%u,%u waits in %s at %s:%d",
                other->index.x, other->index.y, other->index.z, other->place.what,
                other->place.file, other->place.line);
        uint3 t = waiting.index, b = block_index;
        snprintf(
            error, sizeof error, "%s:%d: %s: %s (block %u,%u,%u thread %u,%u,%u)",
            waiting.place.file, waiting.place.line, waiting.place.what, message, b.x, b.y, b.z, t.x,
            t.y, t.z);
    };
    if (in_warp) {
        Fiber* missing = nullptr;
        for (int lane = 0; lane < 32 && !missing; lane++) {
            Fiber* other = in_warp->mask >> lane & 1 ? lane_of(*in_warp, lane) : nullptr;
            if (other && other->state != State::in_warp) missing = other;
        }
        say("a lane of the mask does not come:", missing);
    } else if (done) {
        say("not all threads of the block come:", done);
    } else if (elsewhere) {
        say("the block waits at different barriers:", elsewhere);
    } else {
        barrier_count = count;
        barriers++;
        for (int i = 0; i < threads; i++) fibers[i].state = State::ready;
    }
}

static void run_block() {
    choose_order();
    poison(request->static_shared, request->static_shared_end);
    poison(dynamic_shared, dynamic_shared + request->shared_bytes);
    for (int i = 0; i < threads; i++) {
        Fiber& fiber = fibers[i];
        fiber.state = State::ready;
        fiber.meetings = 0;
        fiber.copies.clear();
        fiber.groups.clear();
        fiber.landed = 0;
    }
    forget_products(threads);
    __tsan_release(&start_token);
    while (!error[0]) {
        bool ran = false, left = false;
        for (int i = 0; i < threads; i++) {
            Fiber& fiber = fibers[order[i]];
            if (fiber.state != State::ready) continue;
            ran = true;
            run(fiber);
        }
        for (int i = 0; i < threads; i++) left |= fibers[i].state != State::done;
        if (!left) break;
        if (!ran && !error[0]) open_barrier_or_fail();
    }
    __tsan_acquire(&end_token);
    const Place* unequal = error[0] ? nullptr : unequal_products(threads);
    if (unequal)
        snprintf(
            error, sizeof error, "%s:%d: %s: not all warps of a warpgroup make the same products",
            unequal->file, unequal->line, unequal->what);
}

}  // namespace emulator

// What g++ has kernels call at an address that is not aligned (-fsanitize=alignment), with what it
// knows of the access.
struct Access {
    const char* file;
    unsigned line, column;
    const void* type;
    unsigned char log_alignment;
};
extern "C" [[noreturn]] void __ubsan_handle_type_mismatch_v1_abort(
    const Access* access, const void*) {
    char message[64];
    snprintf(
        message, sizeof message, "its address is not aligned to %d bytes",
        1 << access->log_alignment);
    emulator::fail(message, {"an access", access->file, (int)access->line});
}

namespace emulator {

const char* launch(const Launch& what) {
    request = &what;
    failed_before = error[0];
    error[0] = 0;
    current = &host;
    grid_size = dim3(what.grid[0], what.grid[1], what.grid[2]);
    block_size = dim3(what.block[0], what.block[1], what.block[2]);
    threads = (int)(block_size.x * block_size.y * block_size.z);
    if (threads < 1 || threads > most_threads) return "a block has 1 to 1024 threads";
    if (what.shared_bytes > most_shared) return "more than 227 KiB of dynamic shared memory";
#ifdef TAPEGRAD_THREAD
    host.sanitizer_fiber = __tsan_get_current_fiber();
#endif
#ifdef TAPEGRAD_ADDRESS
    host.stack = nullptr;  // the launching thread may be another one each time
    __asan_unpoison_memory_region(dynamic_shared, sizeof dynamic_shared);
    __asan_poison_memory_region(
        dynamic_shared + what.shared_bytes, sizeof dynamic_shared - what.shared_bytes);
#endif
    for (int i = 0; i < threads; i++) {
        Fiber& fiber = fibers[i];
        unsigned x = i % block_size.x, y = i / block_size.x % block_size.y;
        fiber.index = {x, y, i / (block_size.x * block_size.y)};
        fiber.lane = i % 32;
        fiber.warp = i / 32;
        new_stack(fiber);
    }
    for (unsigned z = 0; z < grid_size.z && !error[0]; z++)
        for (unsigned y = 0; y < grid_size.y && !error[0]; y++)
            for (unsigned x = 0; x < grid_size.x && !error[0]; x++) {
                block_index = {x, y, z};
                run_block();
            }
    fflush(stdout);  // what the kernel printed
    return error[0] ? error : nullptr;
}

}  // namespace emulator
