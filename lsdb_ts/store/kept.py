"""Values made on demand and kept in memory, up to a number of bytes, for all threads of a process.

What the values are is decided by those who keep them.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future
from typing import Generic, TypeVar

CACHE_BYTES = int(os.environ.get("LSDB_TS_CACHE_MB", "256")) << 20
"""What a process may keep of decoded row groups, beside what its pieces of work take: ``LSDB_TS_CACHE_MB``."""

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Kept(Generic[Key, Value]):
    """A bounded memory: what was used least recently is forgotten first, and nothing is made twice at a time.

    Parameters
    ----------
    limit_bytes : int
        What all values together may take; one that is larger alone is handed out and not kept.
    size_of : callable
        Bytes a value takes.

    Examples
    --------
    >>> lengths = Kept(limit_bytes=100, size_of=lambda value: 10)
    >>> lengths.take(["a", "bbb"], lambda missing: [len(text) for text in missing])
    [1, 3]
    >>> lengths.take(["bbb"], lambda missing: 1 / 0)
    [3]
    """

    def __init__(self, limit_bytes: int, size_of: Callable[[Value], int]) -> None:
        self.limit_bytes = limit_bytes
        self._size_of = size_of
        self._lock = threading.Lock()
        self._slots: OrderedDict[Key, Future[Value]] = OrderedDict()
        self._sizes: dict[Key, int] = {}
        self._bytes = 0

    @property
    def bytes(self) -> int:
        """Bytes kept now."""
        return self._bytes

    def take(self, keys: Sequence[Key], make: Callable[[list[Key]], Sequence[Value]]) -> list[Value]:
        """Return the values of some keys; ``make`` is called once, with those that nobody has made or is making.

        What another thread is making is waited for; if it fails there, its error is raised here too.
        """
        missing: list[Key] = []
        with self._lock:
            slots = [self._slot(key, missing) for key in keys]
            mine = [self._slots[key] for key in missing]
        if missing:
            try:
                values = make(missing)
            except BaseException as error:
                with self._lock:
                    for key in missing:
                        self._slots.pop(key, None)
                for slot in mine:
                    slot.set_exception(error)
                raise
            for slot, value in zip(mine, values, strict=True):
                slot.set_result(value)
            self._keep(missing, mine)
        return [slot.result() for slot in slots]

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            for key in list(self._sizes):
                self._forget(key)

    def _slot(self, key: Key, missing: list[Key]) -> Future[Value]:
        slot = self._slots.get(key)
        if slot is None:
            slot = self._slots[key] = Future()
            missing.append(key)
        else:
            self._slots.move_to_end(key)
        return slot

    def _keep(self, keys: list[Key], slots: list[Future[Value]]) -> None:
        with self._lock:
            for key, slot in zip(keys, slots, strict=True):
                self._sizes[key] = self._size_of(slot.result())
                self._bytes += self._sizes[key]
            for key in list(self._slots) if self._bytes > self.limit_bytes else ():
                if self._bytes <= self.limit_bytes:
                    break
                # What is still being made has no size yet.
                if key in self._sizes:
                    self._forget(key)

    def _forget(self, key: Key) -> None:
        self._slots.pop(key)
        self._bytes -= self._sizes.pop(key)
