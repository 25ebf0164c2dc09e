"""Let a worker use its freed memory again, instead of giving it back to the system between any two pages it writes.

Dask's nannies set ``MALLOC_TRIM_THRESHOLD_`` so that workers shrink; what compresses a page then asks the system for
its memory anew each time, and writing Parquet takes more than twice as long.
"""

from __future__ import annotations

import ctypes
import functools
import os

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Parameters of glibc's ``mallopt``."""
_KEPT_BYTES = 64 << 20


@functools.cache
def reuse_freed_memory() -> bool:
    """Keep up to 64 MiB of freed memory in a worker that was told to keep none; tell whether that was done."""
    if "MALLOC_TRIM_THRESHOLD_" not in os.environ:
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(_TRIM_THRESHOLD, _KEPT_BYTES) and mallopt(_MMAP_THRESHOLD, _KEPT_BYTES // 2))
