// The queues of products of the threads, and how a warp makes its part (declared in warpgroups.hpp).
#include "warpgroups.hpp"

#include <string.h>

#include <vector>

#include "machine.hpp"

namespace emulator {

// Sums that products on their way add to.
struct Held {
    float* sums;  // NaN meanwhile
    std::vector<float> values;
    int on_their_way;
};
struct Queue {
    std::vector<Operands> products;
    std::vector<size_t> groups;  // sizes of the committed ones, oldest first
    std::vector<Held> held;
    bool begun;  // since sums were last there to be read
    int count;   // of all products of the thread, and what they read
    unsigned long long tiles;
    std::vector<unsigned> hidden;  // copies that have landed, not visible to these instructions
    int shows;                     // calls of show_tiles in this block
    Place place;
};
static Queue queues[most_threads];
static unsigned char is_hidden[most_shared / 16];
// What memory held when the last thread of the block had called show_tiles `shows` times, which
// `behind` threads have not done more often.
alignas(16) static unsigned char shown[most_shared];
static int shows, behind;

static int number() { return current->warp * 32 + current->lane; }
static Queue& own() { return queues[number()]; }

unsigned tile_offset(const void* start, Place place) {
    const size_t offset = (const unsigned char*)start - dynamic_shared;
    if (offset >= most_shared) fail("a tile does not lie in the dynamic shared memory", place);
    if (offset % 16) fail("a tile is not aligned to 16 bytes", place);
    return (unsigned)offset;
}

// ---- what the instructions see -----------------------------------------------------------------

void hide_copy(const Copy& copy) {
    const size_t offset = (const unsigned char*)copy.target - dynamic_shared;
    if (offset >= most_shared) return;
    is_hidden[offset / 16] = 1;
    own().hidden.push_back((unsigned)offset / 16);
}

void show_tiles() {
    Queue& queue = own();
    for (unsigned pack : queue.hidden) is_hidden[pack] = 0;
    queue.hidden.clear();
    if (queue.shows++ != shows || --behind) return;
    shows++;
    for (int i = 0; i < block_threads(); i++) behind += queues[i].shows == shows;
    // No memcpy, which the sanitizers would see.
    for (unsigned i = 0; i < shared_bytes(); i++) shown[i] = dynamic_shared[i];
}

void check_readable(unsigned offset, Place place) {
    if (offset + 16 > shared_bytes()) fail("a tile reaches beyond the shared memory", place);
    if (is_hidden[offset / 16]) fail("a copy has landed, but show_tiles is missing", place);
}

static bool is_shown(const Pack16& pack, unsigned offset) {
    return shows && !memcmp(&pack, shown + offset, sizeof pack);
}

void check_described(Tile tile, Place place) {
    const unsigned long long described = tile.described;
    // WIDE, a step of the depth is some lines; DEEP, it is 32 bytes of a line.
    const unsigned within = (described << 4) & (tile.deep ? 0x380 : 0x3f0);
    if (described >> 62 != 1) fail("a tile is not said to be swizzled in 128 bytes", place);
    if (described >> 49 & 7) fail("a tile is said to have a base offset", place);
    if ((described >> 32 & 0x3fff) << 4 != 1024)
        fail("8 lines of a tile are not said to be 1024 bytes apart", place);
    if (within) fail("a tile does not start at a multiple of 1024 bytes", place);
}

// ---- queueing ----------------------------------------------------------------------------------

void begin_products() { own().begun = true; }

static Held* find(Queue& queue, float* sums) {
    for (Held& held : queue.held)
        if (held.sums == sums) return &held;
    return nullptr;
}

static void compare(void* const* of_lane) {
    const Product& first = ((const Operands*)of_lane[0])->product;
    for (int lane = 1; lane < 32; lane++) {
        const Product& other = ((const Operands*)of_lane[lane])->product;
        if (other.a.described != first.a.described || other.b.described != first.b.described)
            fail("lanes of one warp name different tiles", own().place);
        if (other.add != first.add) fail("not all lanes of a warp add", own().place);
    }
}

void queue_product(Operands& seen, Place place) {
    Queue& queue = own();
    const Product& product = seen.product;
    queue.place = place;
    work_together(&seen, compare, place);
    each_pack(seen, [&](const Pack16& pack, unsigned offset) {
        if (!is_shown(pack, offset))
            fail("show_tiles is missing, or a barrier after it: threads have not shown this", place);
    });
    Held* held = find(queue, product.sums);
    if (!held) {
        if (!queue.begun) fail("sums are used, but begin_products is missing", place);
        const float* sums = product.sums;
        queue.held.push_back({product.sums, {sums, sums + product.columns / 2}, 0});
        held = &queue.held.back();
        for (int i = 0; i < product.columns / 2; i++) product.sums[i] = __builtin_nanf("");
    }
    held->on_their_way++;
    queue.products.push_back(seen);
    queue.count++;
    queue.tiles = queue.tiles * 31 + product.a.described * 7 + product.b.described;
}

void commit_products() {
    Queue& queue = own();
    size_t committed = 0;
    for (size_t group : queue.groups) committed += group;
    queue.groups.push_back(queue.products.size() - committed);
}

// ---- landing -----------------------------------------------------------------------------------

void meet_waiting(int groups, Place place) {
    work_together(nullptr, [](void* const*) {}, place);
}

bool next_product(int groups, Operands* seen) {
    Queue& queue = own();
    while ((int)queue.groups.size() > groups) {
        if (queue.groups.front()) {
            *seen = queue.products.front();
            queue.products.erase(queue.products.begin());
            queue.groups.front()--;
            return true;
        }
        queue.groups.erase(queue.groups.begin());
    }
    return false;
}

struct Landing {
    const Operands* operands;
    float* sums;
};

// Puts a pack where its elements belong, (depth, row or column).
template <int rows>
static void put(Number number, const Tile& tile, const Pack16& pack, int at, float (*to)[rows]) {
    unsigned short elements[8];
    memcpy(elements, pack.words, 16);
    for (int i = 0; i < 8; i++) {
        if (tile.deep)
            to[at % 2 * 8 + i][at / 2] = widen(number, elements[i]);
        else
            to[at % 16][at / 16 * 8 + i] = widen(number, elements[i]);
    }
}

template <int columns> static void multiply(void* const* of_lane) {
    static float a[16][16], b[16][columns], sums[16][columns];
    for (int lane = 0; lane < 32; lane++) {
        const Landing& its = *(const Landing*)of_lane[lane];
        const Product& product = its.operands->product;
        put(product.number, product.a, its.operands->a, lane, a);
        for (int i = 0; i < columns / 16; i++)
            put(product.number, product.b, its.operands->b[i], lane + 32 * i, b);
        for (int i = 0; i < columns / 2; i++)
            sums[lane / 4 + i / 2 % 2 * 8][i / 4 * 8 + lane % 4 * 2 + i % 2] =
                product.add ? its.sums[i] : 0;
    }
    for (int row = 0; row < 16; row++)
        for (int k = 0; k < 16; k++)
            for (int column = 0; column < columns; column++)
                sums[row][column] += a[k][row] * b[k][column];
    for (int lane = 0; lane < 32; lane++)
        for (int i = 0; i < columns / 2; i++)
            ((const Landing*)of_lane[lane])->sums[i] =
                sums[lane / 4 + i / 2 % 2 * 8][i / 4 * 8 + lane % 4 * 2 + i % 2];
}

void land_product(const Operands& seen, const Operands& now, Place place) {
    const int columns = seen.product.columns;
    const size_t read = sizeof(Pack16) * (1 + columns / 16);
    if (memcmp(&seen.a, &now.a, read))
        fail("a tile was written while a product that reads it was on its way", place);
    Queue& queue = own();
    Held& held = *find(queue, seen.product.sums);
    Landing landing{&now, held.values.data()};
    work_together(
        &landing, columns == 64 ? multiply<64> : columns == 128 ? multiply<128> : multiply<256>,
        place);
    queue.begun = false;
    if (--held.on_their_way) return;
    for (int i = 0; i < columns / 2; i++) held.sums[i] = held.values[i];
    held = queue.held.back();
    queue.held.pop_back();
}

// ---- for the runtime ---------------------------------------------------------------------------

void forget_products(int threads) {
    for (int i = 0; i < (threads + 127) / 128 * 128; i++) {
        Queue& queue = queues[i];
        for (unsigned pack : queue.hidden) is_hidden[pack] = 0;
        if (queue.count || queue.shows || !queue.hidden.empty()) queue = Queue{};
        queue.begun = false;
    }
    shows = 0;
    behind = threads;
}

void finish_products() {
    Queue& queue = own();
    if (!queue.products.empty()) fail("nothing waits for a product", queue.place);
}

const Place* unequal_products(int threads) {
    for (int i = 0; i < threads; i += 128)
        for (int warp = 0; warp < 4; warp++) {
            const Queue &first = queues[i], &other = queues[i + 32 * warp];
            if (first.count != other.count || first.tiles != other.tiles)
                return first.count ? &first.place : &other.place;
        }
    return nullptr;
}

}  // namespace emulator
