"""Keeping freed memory in the process, where the C library would hand it back at once.

A training step frees its arrays and the next one asks for the same again. By default glibc returns
every large block to the operating system, which then gives out fresh pages, zeroed one by one: that
is most of the time of a small convolutional network. PyTorch's answer is another allocator
(jemalloc, tcmalloc); ours is to tell the one at hand.
"""

from __future__ import annotations

import ctypes
import sys

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h of glibc


def keep_freed(trim_bytes: int = 256 << 20, map_bytes: int = 32 << 20) -> bool:
    """Keep up to `trim_bytes` of freed memory; blocks of up to `map_bytes` (32 MiB at most) count.

    Says whether the C library took the advice; where it is not glibc nothing happens. The variables
    MALLOC_TRIM_THRESHOLD_ and MALLOC_MMAP_THRESHOLD_ of glibc do the same from outside.

    >>> keep_freed() in (True, False)
    True
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, map_bytes) and mallopt(_M_TRIM_THRESHOLD, trim_bytes))
