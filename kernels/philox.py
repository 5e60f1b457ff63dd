"""Philox4x32-10 in NumPy: the random numbers of `cuda/philox.cuh`, without a GPU.

A counter and a seed give four words of 32 random bits (Salmon, Moraes, Dror and Shaw, "Parallel
random numbers: as easy as 1, 2, 3", 2011). It is what the kernels are held against, and how a gate
that draws by seed and offset runs on a CPU.
"""

from __future__ import annotations

import numpy as np

_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
_FACTORS = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_STEPS = 0x9E3779B9, 0xBB67AE85  # of the key: the golden ratio, and sqrt(3) - 1


def words(seed: int, counters: np.ndarray, laps: np.ndarray | int = 0) -> np.ndarray:
    """The four words of each counter, (..., 4) of uint32.

    seed      64 bits, the key
    counters  the lower 64 of the counter's 128 bits, uint64
    laps      the upper 64 bits

    >>> [hex(word) for word in words(0, np.zeros(1, np.uint64))[0]]
    ['0x6627e8d5', '0xe169c58d', '0xbc57ac4c', '0x9b00dbd8']
    """
    counters, laps = np.broadcast_arrays(counters.astype(np.uint64), np.asarray(laps, np.uint64))
    a, b, c, d = counters & _LOW, counters >> _HALF, laps & _LOW, laps >> _HALF
    low, high = seed & 0xFFFFFFFF, seed >> 32 & 0xFFFFFFFF
    for _ in range(10):
        first, second = a * _FACTORS[0], c * _FACTORS[1]
        a = (second >> _HALF) ^ b ^ np.uint64(low)
        c = (first >> _HALF) ^ d ^ np.uint64(high)
        b, d = second & _LOW, first & _LOW
        low, high = (low + _STEPS[0]) & 0xFFFFFFFF, (high + _STEPS[1]) & 0xFFFFFFFF
    return np.stack([a, b, c, d], axis=-1).astype(np.uint32)


def uniform(seed: int, offset: int, count: int) -> np.ndarray:
    """Numbers uniform on [0, 1) in float32: number i is word i % 4 of counter offset + i // 4.

    >>> uniform(0, 0, 2).tolist() == [0x6627E8 / 2**24, 0xE169C5 / 2**24]
    True
    """
    counters = np.arange(-(-count // 4), dtype=np.uint64) + np.uint64(offset % 2**64)
    bits = words(seed, counters).reshape(-1)[:count] >> np.uint32(8)
    return bits.astype(np.float32) * np.float32(2.0**-24)
