"""Every launch twice, on the GPU and in the emulator, and whether they agree to the last bit.

`pytest -m gpu --compared tests/kernels` runs the kernel suite so. Both work on the same memory,
which is pinned and has one address for the host and for the GPU.
"""

import weakref
from collections import defaultdict

import numpy as np


class SideBySide:
    """A back end that launches on `tested` and on `reference`, from the same memory each.

    What `tested` computed is what stays. `memory()` gives all that kernels may write, as arrays of
    bytes; `wait()` waits for `tested`.
    """

    def __init__(self, tested, reference, memory, wait):
        self.tested, self.reference, self.memory, self.wait = tested, reference, memory, wait
        self.found = defaultdict(lambda: [0, 0])  # by kernel: launches that agree, and that do not

    def prepare(self, kernel, grid, block, shared):
        sides = [
            side.prepare(kernel, grid, block, shared) for side in (self.tested, self.reference)
        ]

        def run(address):
            self.wait()
            memory = list(self.memory())
            before = [part.copy() for part in memory]
            sides[0](address)
            self.wait()
            computed = [part.copy() for part in memory]
            write(memory, before)
            sides[1](address)
            agree = all(map(same_numbers, computed, memory))
            write(memory, computed)
            self.found[kernel.name][not agree] += 1

        return run

    def device(self):
        return self.tested.device()

    def architecture(self):
        return self.tested.architecture()

    def host_memory(self, size):
        return self.tested.host_memory(size)

    def blas(self):
        return self.tested.blas()

    def blas_lt(self):
        return self.tested.blas_lt()

    def stopwatch(self):
        return None


def write(memory, values):
    for part, value in zip(memory, values, strict=True):
        part[...] = value


def same_numbers(a, b):
    """Whether bytes are the same, or only the bits of a NaN differ, whatever the float's size."""
    if np.array_equal(a, b):
        return True
    for dtype in (np.float64, np.float32, np.float16):
        whole = len(a) - len(a) % dtype().itemsize
        words = np.dtype(f"u{dtype().itemsize}")
        x, y = a[:whole], b[:whole]
        differ = x.view(words) != y.view(words)
        nan = np.isnan(x.view(dtype)) & np.isnan(y.view(dtype))
        if np.array_equal(a[whole:], b[whole:]) and not (differ & ~nan).any():
            return True
    return False


class SharedMemory:
    """Memory for CuPy's arrays that the host reads and writes as well, full of NaN at first.

    `pinned(size)` gives it as a buffer with an address, `ptr`.
    """

    def __init__(self, cupy, pinned, wait):
        self.cupy, self.pinned, self.wait = cupy, pinned, wait
        self.owners = weakref.WeakSet()

    def allocate(self, size):
        """An allocator for `cupy.cuda.using_allocator`."""
        self.wait()  # for work on what had this memory before
        owner = Owner(self.pinned(max(size, 1)), size)
        self.owners.add(owner)
        memory = self.cupy.cuda.UnownedMemory(owner.address, size, owner, 0)
        return self.cupy.cuda.MemoryPointer(memory, 0)

    def parts(self):
        return [owner.bytes for owner in self.owners]


class Owner:
    """A piece of shared memory that is in use."""

    def __init__(self, buffer, size):
        self.address, self.bytes = buffer.ptr, np.frombuffer(buffer, np.uint8, size)
        self.bytes[...] = 0xFF  # NaN in every float
