"""Files behind URLs: whole, their ends, or many ranges at once, through fsspec; with retries, and never cut short.

What the bytes mean is known by those who ask.
"""

from __future__ import annotations

import base64
import bisect
import functools
import itertools
import os
import pickle
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import unquote, urlsplit

from lsdb_ts.errors import CatalogError

Range = tuple[int, int]
"""First byte, and one past the last."""

_TRIES = 4
_FIRST_WAIT_S = 0.1
_MOST_WASTE = 0.2
_LARGEST_GAP = 1 << 20
_LARGEST_ASK = 16 << 20
"""One request for more would take longer than some at the same time."""
_HTTP = {"http", "https"}
_CONTAINERS = {"abfs", "abfss"}
"""What stands before the @ of these is no one's name but a part of the place."""
_ABSENT = {403, 404, 410}
"""Stores that do not let us list say "forbidden" of a file that is not there."""
_BUSY = {408, 429}
_EXTRAS = {"s3": "s3", "s3a": "s3", "http": "http", "https": "http"}


@dataclass(frozen=True, order=True)
class RemotePath:
    """A file or folder behind a URL; joins like a path.

    Credentials are no part of its text, its identity or its order; they travel with it to the workers.

    >>> RemotePath.of("https://me:secret@host/hats/gaia/?token=abc", {}) / "hats.properties"
    RemotePath('https://host/hats/gaia/hats.properties')
    """

    url: str
    """Without credentials, query and trailing slash."""
    stamp: str = field(default="", repr=False)
    """What the catalog's own files said when it was opened: another stamp is another state of the same file."""
    query: str = field(default="", repr=False, compare=False)
    """What follows the question mark, which may be a key: added to every URL asked for."""
    options: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False, hash=False)
    """Options of fsspec's file system."""

    @classmethod
    def of(cls, url: str, options: Mapping[str, Any]) -> RemotePath:
        """Take a URL apart."""
        parts = urlsplit(url)
        known = dict(options)
        host = parts.netloc
        if "@" in host and parts.scheme not in _CONTAINERS:
            who = {"username": parts.username, "password": parts.password}
            known = {**{key: unquote(value) for key, value in who.items() if value is not None}, **known}
            host = host.rpartition("@")[2]
        return cls(f"{parts.scheme}://{host}{parts.path.rstrip('/')}", "", parts.query, known)

    def __truediv__(self, name: object) -> RemotePath:
        return replace(self, url=f"{self.url}/{str(name).strip('/')}")

    def __str__(self) -> str:
        return self.url

    def __repr__(self) -> str:
        return f"RemotePath({self.url!r})"

    @property
    def name(self) -> str:
        """Last part of the URL."""
        return self.url.rpartition("/")[2]

    @property
    def parent(self) -> RemotePath:
        """The folder it is in."""
        return replace(self, url=self.url.rpartition("/")[0])

    @property
    def protocol(self) -> str:
        """What stands before ``://``."""
        return self.url.partition("://")[0]

    def stamped(self, stamp: str) -> RemotePath:
        """Return the same place in a known state."""
        return replace(self, stamp=stamp)

    def exists(self) -> bool:
        """Tell whether there is such a file."""
        return self.info() is not None

    def info(self) -> Mapping[str, Any] | None:
        """Return what the server tells of the file without sending it (size, ETag, ...); None where there is none."""
        (found,) = _tried(1, lambda _: [_answer(self._system.info, self._address)])
        return None if _is_absent(found) else self._sent(found)

    def glob(self, pattern: str) -> list[RemotePath]:
        """List files by a pattern; none over http, which cannot list."""
        if self.protocol in _HTTP:
            return []
        root = self._system._strip_protocol(self.url)
        found = self._sent(_tried(1, lambda _: [_answer(self._system.glob, f"{root}/{pattern}")])[0])
        return sorted(self / path.removeprefix(root) for path in found)

    def tail(self, n_bytes: int) -> bytes:
        """Return the last bytes of the file, or all of one that is shorter."""
        (found,) = _tried(1, lambda _: self._asked([(-n_bytes, None)]))
        return bytes(self._sent(_too_long(self, found, n_bytes)))

    def ranges(self, wanted: Sequence[Range]) -> list[bytes]:
        """Return parts of the file, all at once.

        Raises
        ------
        CatalogError
            They cannot be had, or not in full.
        """
        todo = joined(wanted)

        def ask(places: list[int]) -> list[Any]:
            found = self._asked([todo[i] for i in places])
            return [_in_full(self, part, todo[i][1] - todo[i][0]) for i, part in zip(places, found, strict=True)]

        parts = [self._sent(part) for part in _tried(len(todo), ask)]
        starts = [start for start, _ in todo]
        holding = [bisect.bisect_right(starts, start) - 1 for start, _ in wanted]
        return [parts[i][a - starts[i] : b - starts[i]] for i, (a, b) in zip(holding, wanted, strict=True)]

    def _asked(self, ranges: Sequence[tuple[int | None, int | None]]) -> list[Any]:
        starts, stops = [list(ends) for ends in zip(*ranges, strict=True)]
        return list(self._system.cat_ranges([self._address] * len(ranges), starts, stops, on_error="return"))

    def _sent(self, answer: Any) -> Any:
        """Return an answer, or raise the error it is, without what may be a key."""
        if not isinstance(answer, Exception):
            return answer
        if isinstance(answer, CatalogError):
            raise answer
        if isinstance(answer, FileNotFoundError):
            raise CatalogError(f"cannot read {self}: there is no such file")
        told = (
            f"HTTP status {answer.status}"
            if hasattr(answer, "status")
            else str(answer).replace(self._address, self.url)
        )
        raise CatalogError(f"cannot read {self}: {type(answer).__name__}: {told}") from (None if self.query else answer)

    @property
    def _address(self) -> str:
        return f"{self.url}?{self.query}" if self.query else self.url

    @functools.cached_property
    def _system(self) -> Any:
        try:
            return _file_system(self.url, pickle.dumps(dict(self.options)), os.getpid())
        except ImportError as error:
            extra = _EXTRAS.get(self.protocol)
            way_out = f'pip install "lsdb_ts[{extra}]"' if extra else str(error)
            raise CatalogError(
                f"{self}: reading over {self.protocol} needs a package that is not installed: {way_out}"
            ) from error
        except ValueError as error:
            raise CatalogError(f"{self}: there is no file system for {self.protocol}:// ({error})") from error
        except OSError as error:
            # Some connect already when they are made.
            raise CatalogError(f"cannot read {self}: {type(error).__name__}: {error}") from error

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in vars(self).items() if key != "_system"}


def contents(paths: Sequence[RemotePath]) -> list[bytes | None]:
    """Return whole files of one place, all at once; None for one that is not there, or is kept from us."""
    system = paths[0]._system

    def ask(places: list[int]) -> list[Any]:
        none = [None] * len(places)
        return list(system.cat_ranges([paths[i]._address for i in places], none, none, on_error="return"))

    found = zip(paths, _tried(len(paths), ask), strict=True)
    return [None if _is_absent(part) else path._sent(part) for path, part in found]


def joined(wanted: Iterable[Range]) -> list[Range]:
    """Join ranges to fewer, larger ones: over the smallest gaps first, while these stay a fifth of what is wanted.

    >>> joined([(0, 100), (110, 200), (900, 1000)])
    [(0, 200), (900, 1000)]
    """
    ordered = sorted({r for r in wanted if r[1] > r[0]})
    if not ordered:
        return []
    gaps = [max(0, after[0] - before[1]) for before, after in itertools.pairwise(ordered)]
    spare = _MOST_WASTE * sum(stop - start for start, stop in ordered)
    bridged = set()
    for i in sorted(range(len(gaps)), key=gaps.__getitem__):
        spare -= gaps[i]
        if spare < 0 or gaps[i] > _LARGEST_GAP:
            break
        bridged.add(i)
    found = [ordered[0]]
    for i, (start, stop) in enumerate(ordered[1:]):
        if i in bridged and stop - found[-1][0] <= _LARGEST_ASK:
            found[-1] = (found[-1][0], max(stop, found[-1][1]))
        else:
            found.append((start, stop))
    return found


def _file_system(url: str, options: bytes, process: int) -> Any:
    from fsspec import get_filesystem_class  # type: ignore[import-untyped]

    protocol = url.partition("://")[0]
    # What the URL says of the system itself, as a host to log in to.
    known = {**get_filesystem_class(protocol)._get_kwargs_from_urls(url), **pickle.loads(options)}
    if protocol in _HTTP:
        known = _http_options(known)
    return _shared_system(protocol, pickle.dumps(known), process)


@functools.lru_cache(maxsize=64)
def _shared_system(protocol: str, options: bytes, process: int) -> Any:
    """Make a file system once for all threads of a process, so that they share its connections."""
    import fsspec

    return fsspec.filesystem(protocol, skip_instance_cache=True, **pickle.loads(options))


def _http_options(options: dict[str, Any]) -> dict[str, Any]:
    """Ask for bytes as they are, and log in as the URL says."""
    found = dict(options)
    headers = {"Accept-Encoding": "identity", **found.pop("headers", {})}
    name, password = found.pop("username", None), found.pop("password", "")
    if name is not None:
        headers.setdefault("Authorization", f"Basic {base64.b64encode(f'{name}:{password}'.encode()).decode()}")
    return {**found, "headers": headers}


def _tried(n: int, ask: Callable[[list[int]], Sequence[Any]]) -> list[Any]:
    """Ask for n things, and again for those that failed in a way that may pass; returns values and errors."""
    found: list[Any] = [None] * n
    todo = list(range(n))
    for attempt in range(_TRIES):
        if attempt:
            time.sleep(_FIRST_WAIT_S * 3 ** (attempt - 1))
        for i, answer in zip(todo, ask(todo) if todo else [], strict=True):
            found[i] = answer
        todo = [i for i in todo if _may_pass(found[i])]
        if not todo:
            break
    return found


def _answer(function: Callable[[str], Any], address: str) -> Any:
    try:
        return function(address)
    except FileNotFoundError as error:
        # fsspec says so of any failure to learn about a file over http; why, its cause tells.
        return error.__cause__ or error
    except Exception as error:
        return error


def _is_absent(answer: Any) -> bool:
    return isinstance(answer, FileNotFoundError | PermissionError) or getattr(answer, "status", None) in _ABSENT


def _may_pass(answer: Any) -> bool:
    if not isinstance(answer, Exception) or isinstance(answer, CatalogError) or _is_absent(answer):
        return False
    status = getattr(answer, "status", None)
    return not (isinstance(status, int) and 400 <= status < 500) or status in _BUSY


def _in_full(path: RemotePath, answer: Any, size: int) -> Any:
    """Return an answer, or an error for one of another length than asked for."""
    if isinstance(answer, Exception) or len(answer) == size:
        return answer
    if len(answer) < size:
        return EOFError(f"asked for {size} bytes and got {len(answer)}: the answer or the file was cut short")
    return _too_long(path, answer, size)


def _too_long(path: RemotePath, answer: Any, size: int) -> Any:
    if isinstance(answer, Exception) or len(answer) <= size:
        return answer
    return CatalogError(
        f"{path}: asked for {size} bytes and got {len(answer)}: the server does not send parts of files (HTTP ranges); "
        f"put the catalog on one that does (nginx, Apache, S3), or copy it to this machine"
    )
