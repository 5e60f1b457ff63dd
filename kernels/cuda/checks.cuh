// How a kernel says that it met a value it cannot use: an index out of range, a target of no class.
//
// The report lies in memory of the host that the device can write, one for each device; the host
// reads it after it has waited for the device, and raises. A kernel with nothing to say never
// touches it.
#pragma once

struct IndexReport {
    unsigned claimed;  // by the first thread with something to say
    int message;       // the number that `checks.watch` gave, written last
    long long value;
};

__device__ __forceinline__ void report_index(IndexReport* report, int message, long long value) {
    if (atomicCAS(&report->claimed, 0u, 1u) != 0u) return;
    report->value = value;
    __threadfence_system();  // whoever sees the message sees the value
    *(volatile int*)&report->message = message;
}
