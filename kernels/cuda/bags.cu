// Sums and means over bags of rows of a table, one thread for each column of a bag.
#include "digits.cuh"
#include "types.cuh"

struct Bags {
    long long bags, n;   // and how many positions there are in all
    long long padding;   // a row that is left out; -1 for none
    bool mean;
    Divisor width;
};

// out[b] = the sum of table[positions[k]] for k from starts[b] to the next start, or their mean; 0 for
// nothing.
template <class T>
__global__ void __launch_bounds__(256)
    bag_sums(const T* table, const long long* positions, const long long* starts, T* out, Bags given) {
    const long long item = this_item();
    if (item >= given.bags * given.width.size) return;
    long long bag = item;
    const long long column = take_digit(bag, given.width);
    const long long start = starts[bag], next = bag + 1 < given.bags ? starts[bag + 1] : given.n;
    const long long end = next < given.n ? next : given.n;
    Compute<T> sum = 0;
    int count = 0;
    for (long long k = start > 0 ? start : 0; k < end; k++) {
        const long long row = positions[k];
        if (row == given.padding) continue;
        sum += load(table[row * given.width.size + column]);
        count++;
    }
    out[item] = store<T>(given.mean && count > 1 ? sum / (Compute<T>)count : sum);
}
