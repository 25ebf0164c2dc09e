"""Files of a catalog by path or URL: where they are, their content, and their state. Local ones never meet fsspec.

What is in them is known by the modules that read them.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lsdb_ts.errors import CatalogError, PlanError
from lsdb_ts.store.remote import Range, RemotePath, contents
from lsdb_ts.store.seal import SEAL_BYTES, check_footer, footer_size

AnyPath = Path | RemotePath
"""A file or folder on this machine, or behind a URL."""

_SCHEME = re.compile("[A-Za-z][A-Za-z0-9+.-]+:")
_SIGN = b"PAR1"
_FOOTER_GUESS = 64 << 10
"""Most footers are shorter than this, so that one request gets them."""


def located(path: str | Path | RemotePath, storage_options: Mapping[str, Any] | None = None) -> AnyPath:
    """Return the path of a file or folder, given as a path or a URL.

    Parameters
    ----------
    path : str or path
        A path of this machine, or a URL of any protocol that ``fsspec`` knows: ``https://``, ``s3://``, ...
    storage_options : mapping, optional
        What the protocol's file system wants to know: ``{"anon": True}`` for a public bucket, keys, headers.

    >>> located("s3://survey/gaia", {"key": "K", "secret": "S"})
    RemotePath('s3://survey/gaia')
    >>> located("file:///data/gaia").as_posix()
    '/data/gaia'
    """
    if isinstance(path, Path | RemotePath):
        return path
    if path.startswith("file://"):
        return Path(path.removeprefix("file://"))
    return RemotePath.of(path, storage_options or {}) if "://" in path else Path(path)


def local(path: str | Path | RemotePath, what: str) -> Path:
    """Return the path of what only this machine's folders can hold.

    Parameters
    ----------
    path : str or path
        A path of this machine, or a URL of one, ``file://``.
    what : str
        What is done there, for the message.

    Raises
    ------
    PlanError
        It is a URL of another place.

    >>> local("file:///data/gaia", "writing").as_posix()
    '/data/gaia'
    """
    found = located(path)
    # A URL that was made a path has lost a slash, and would become a folder called "https:".
    if isinstance(found, Path) and not _SCHEME.fullmatch(found.parts[0] if found.parts else ""):
        return found
    raise PlanError(
        f"{found} is a URL, and {what} takes a folder of this machine: give one, and copy from or to the URL by a tool "
        f"made for it (rsync, aws s3 sync, rclone)"
    )


def beside(folder: AnyPath, name: str) -> AnyPath:
    """Return a member of a folder by its name in a property file, where it may also be a whole path or URL."""
    if isinstance(folder, RemotePath):
        return located(name, folder.options) if "://" in name else folder / name
    return located(name) if "://" in name else folder / name


def read_files(paths: Sequence[AnyPath]) -> list[bytes | None]:
    """Return small files of one folder whole, remote ones all at once; None for one that is not there."""
    remote = [path for path in paths if isinstance(path, RemotePath)]
    if remote:
        return contents(remote)
    return [path.read_bytes() if path.is_file() else None for path in paths if isinstance(path, Path)]


def state_of(path: AnyPath) -> list[Any] | None:
    """Return what changes when a file does, as JSON, or None where there is none.

    Size and time of a local file (bytes, ns); size, ETag and time of a remote one, as far as its server tells.
    """
    if isinstance(path, Path):
        try:
            status = path.stat()
        except FileNotFoundError:
            return None
        return [status.st_size, status.st_mtime_ns]
    told = path.info()
    if told is None:
        return None
    times = (told.get(name) for name in ("ETag", "Last-Modified", "LastModified", "mtime"))
    return [told.get("size"), *(str(value) for value in times if value)]


def key_of(path: AnyPath) -> tuple[Any, ...]:
    """Return what makes a file the same file again in this process; asks no server."""
    if isinstance(path, RemotePath):
        return (path.url, path.stamp)
    status = path.stat()
    return (str(path), status.st_mtime_ns, status.st_size)


def tail(path: AnyPath, n_bytes: int) -> bytes:
    """Return the last bytes of a file, or all where it has fewer."""
    if not isinstance(path, Path):
        return path.tail(n_bytes)
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - n_bytes))
        return file.read()


def read_footer(path: AnyPath, limit_bytes: int | None = None) -> pq.FileMetaData:
    """Read a Parquet file's footer; of a remote one with one request, or two where it is long.

    Raises
    ------
    CatalogError
        A remote file does not end as Parquet files do, its footer is longer than ``limit_bytes``, or the footer is not
        what was written.
    """
    end = tail(path, _FOOTER_GUESS)
    if isinstance(path, Path) and end[-4:] != _SIGN:
        # Arrow says best what is wrong, or knows how to read it.
        return pq.read_metadata(path)
    if len(end) < 12 or end[-4:] != _SIGN:
        raise CatalogError(f"cannot read {path}: it does not end as a Parquet file does")
    size = footer_size(end)
    if limit_bytes is not None and size > limit_bytes:
        raise CatalogError(f"{path}: the footer has {size} bytes, more than {limit_bytes}")
    if size + SEAL_BYTES > len(end) == _FOOTER_GUESS:
        end = tail(path, size + SEAL_BYTES)
    check_footer(end, path)
    return pq.read_metadata(pa.BufferReader(end[-size:]))


def opened(path: AnyPath, chunks: Iterable[pq.ColumnChunkMetaData]) -> Any:
    """Return what Arrow can read some column chunks of a Parquet file from; those of a remote one are fetched now."""
    if isinstance(path, Path):
        return path
    places = [_place(chunk) for chunk in chunks]
    return pa.PythonFile(_Fetched(dict(zip((a for a, _ in places), path.ranges(places), strict=True))), mode="r")


def _place(chunk: pq.ColumnChunkMetaData) -> Range:
    starts = [chunk.data_page_offset]
    if chunk.has_dictionary_page and chunk.dictionary_page_offset:
        starts.append(chunk.dictionary_page_offset)
    return min(starts), min(starts) + chunk.total_compressed_size


class _Fetched:
    """A file of which only some column chunks are there, each by the place it starts at."""

    def __init__(self, chunks: Mapping[int, bytes]) -> None:
        self._chunks = chunks
        self._place = 0
        self._starts = sorted(chunks)

    closed = False

    def close(self) -> None:
        """Let go of the chunks."""
        self._chunks = {}

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def tell(self) -> int:
        """Return the place of the next read."""
        return self._place

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move the place of the next read."""
        end = max((start + len(self._chunks[start]) for start in self._starts), default=0)
        self._place = offset + (0, self._place, end)[whence]
        return self._place

    def read(self, n_bytes: int = -1) -> bytes:
        """Return bytes of one chunk."""
        i = bisect.bisect_right(self._starts, self._place) - 1
        if i < 0:
            return b""
        start = self._starts[i]
        first = self._place - start
        found = self._chunks[start][first : None if n_bytes < 0 else first + n_bytes]
        self._place += len(found)
        return found
