"""The bytes of raw files, here or behind a URL, as they are or unpacked. What they mean is for the readers."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from lsdb_ts.errors import CatalogError, InputError
from lsdb_ts.store.files import AnyPath, located, state_of
from lsdb_ts.store.remote import RemotePath

_BUFFER_BYTES = 1 << 20
_REMOTE_BUFFER_BYTES = 8 << 20
"""So much is asked for at once of a file behind a URL that is read from front to back."""
PACKED = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd"}
"""Ends of names of files that are compressed as a whole."""


@dataclass(frozen=True)
class File:
    """One raw file, as it was when it was found."""

    place: AnyPath
    size: int
    """Bytes."""
    stamp: str
    """What tells that the file has changed: its time of modification (ns), or what its server says of it."""

    @property
    def path(self) -> str:
        """Path or URL, without what may be a key."""
        return str(self.place)

    @property
    def codec(self) -> str | None:
        """How the file is compressed as a whole, or None."""
        return PACKED.get("." + self.path.rpartition(".")[2].lower())


def found(place: str | AnyPath) -> File:
    """Return a file in its present state.

    Raises
    ------
    InputError
        There is no such file, or it cannot be asked about.
    """
    where = located(place)
    try:
        state = state_of(where)
    except (CatalogError, OSError) as error:
        raise InputError(f"cannot read {where}: {error}") from error
    if state is None or state[0] is None:
        raise InputError(f"there is no file {where}, or its size is not told: copy it to this machine")
    return File(where, int(state[0]), " ".join(str(part) for part in state[1:]))


@contextmanager
def raw(file: File) -> Iterator[Any]:
    """Open the bytes of a file as they are: something that reads and seeks."""
    if isinstance(file.place, Path):
        with file.place.open("rb", buffering=_BUFFER_BYTES) as stream:
            yield stream
    else:
        with io.BufferedReader(_Remote(file.place, file.size), _REMOTE_BUFFER_BYTES) as stream:
            yield stream


@contextmanager
def unpacked(file: File) -> Iterator[Any]:
    """Open the bytes of a file, decompressed while they are read: something that reads, but may not seek."""
    with raw(file) as stream:
        if file.codec is None:
            yield stream
        else:
            with pa.CompressedInputStream(pa.PythonFile(stream, mode="r"), file.codec) as through:
                yield through


def with_packed(*endings: str) -> tuple[str, ...]:
    """Return ends of names, alone and followed by those of compressed files.

    >>> with_packed(".csv")
    ('.csv', '.csv.gz', '.csv.bz2', '.csv.zst')
    """
    return tuple(f"{ending}{packed}" for ending in endings for packed in ("", *PACKED))


class _Remote(io.RawIOBase):
    """A file behind a URL, asked for in ranges."""

    def __init__(self, place: RemotePath, size: int) -> None:
        super().__init__()
        self._from, self._size, self._place = place, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = 0) -> int:
        self._place = max(0, offset + (0, self._place, self._size)[whence])
        return self._place

    def readinto(self, buffer: Any) -> int:
        stop = min(self._size, self._place + len(buffer))
        if stop <= self._place:
            return 0
        (content,) = self._from.ranges([(self._place, stop)])
        buffer[: len(content)] = content
        self._place += len(content)
        return len(content)
