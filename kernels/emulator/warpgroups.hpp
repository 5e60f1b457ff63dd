// The matrix instructions of a warpgroup (wgmma), which read shared memory and land late.
//
// A product is queued when it is asked for and made when it is waited for. Its lanes read the tiles at
// both times: the instruction may read them at any time between, so that what differs is a bug, whether
// a tile comes too late or is written again too early. Meanwhile the sums are NaN. Every warp makes
// its 16 rows alone, for nothing makes the four wait for each other.
#pragma once

#include "tensor_cores.hpp"

namespace emulator {

struct Tile {
    unsigned long long described;  // a matrix descriptor of the PTX ISA
    bool deep;
};
struct Product {
    Number number;
    int columns;
    float* sums;
    bool add;  // to what they are
    Tile a, b;
};
struct Pack16 {
    unsigned words[4];
};
// What a lane reads: its share of the 16 rows of its warp, and of all columns.
struct Operands {
    Product product;
    Pack16 a, b[16];
};

unsigned tile_offset(const void* start, Place place);  // within the dynamic shared memory
void begin_products();
void commit_products();
// Makes what this thread has written, and its copies that have landed, visible to these instructions.
void show_tiles();
// Fails unless a descriptor is of lines of 128 bytes that are swizzled and aligned to 1024.
void check_described(Tile tile, Place place);
// Fails if the instructions may not read 16 bytes of the dynamic shared memory.
void check_readable(unsigned offset, Place place);

// Fails if one of the operands was not what memory held when all threads had shown it.
void queue_product(Operands& seen, Place place);
void meet_waiting(int groups, Place place);
// When at most `groups` may stay on their way, hands out one after another what must have landed.
bool next_product(int groups, Operands* seen);
void land_product(const Operands& seen, const Operands& now, Place place);

// Where the pack of a tile with a number lies, for 16 deep and from the row or column `first` on.
static inline unsigned pack_offset(Tile tile, int first, int number) {
    unsigned offset = (tile.described & 0x3fff) << 4;
    const unsigned panel = (tile.described >> 16 & 0x3fff) << 4;
    const unsigned eight_lines = (tile.described >> 32 & 0x3fff) << 4;
    if (tile.deep) {
        const int row = first + number / 2;
        offset += row / 8 * eight_lines + row % 8 * 128 + number % 2 * 16;
    } else {
        const int pack = first / 8 + number / 16, depth = number % 16;
        offset += pack / 8 * panel + pack % 8 * 16 + depth / 8 * eight_lines + depth % 8 * 128;
    }
    return offset ^ (offset >> 7 & 7) << 4;
}
// visit(pack, its offset) for what this lane reads.
template <class Visit> static inline void each_pack(Operands& of, Visit visit) {
    const int lane = current->lane;
    visit(of.a, pack_offset(of.product.a, current->warp % 4 * 16, lane));
    for (int i = 0; i < of.product.columns / 16; i++)
        visit(of.b[i], pack_offset(of.product.b, 0, lane + 32 * i));
}
static inline void read_operands(Operands& to, Place place) {
    each_pack(to, [&](Pack16& pack, unsigned offset) {
        check_readable(offset, place);
        pack = *(const Pack16*)(dynamic_shared + offset);
    });
}

static inline void add_product(const Product& product, Place place) {
    check_described(product.a, place);
    check_described(product.b, place);
    Operands seen{product};
    read_operands(seen, place);
    queue_product(seen, place);
}
static inline void wait_products(int groups, Place place) {
    meet_waiting(groups, place);
    for (Operands seen; next_product(groups, &seen);) {
        Operands now = seen;
        read_operands(now, place);
        land_product(seen, now, place);
    }
}

}  // namespace emulator
