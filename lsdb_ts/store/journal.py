"""What a run has finished, on disk, and whose run it is; so that a second start does only what is missing.

What the pieces of work are, and what they write, is known elsewhere.
"""

from __future__ import annotations

import errno
import functools
import hashlib
import json
import os
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lsdb_ts.errors import Failure, OutputError, ResumeError
from lsdb_ts.store.write import flush_names

Json = Mapping[str, Any]
_LOCK = threading.Lock()
_DONE, _FAILED = "done", "failed"
_MOST_CHANGES = 8
_LONGEST_VALUE = 100


def canonical(value: Any) -> str:
    """Return the one JSON text of a value: sorted keys, no spaces."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)


def fingerprint(value: Any) -> str:
    """Return the SHA-256 of a value's canonical JSON.

    >>> fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    True
    """
    return hashlib.sha256(canonical(value).encode()).hexdigest()


@dataclass(frozen=True)
class Journal:
    """A folder with the identity of a run and one line for each piece that is safely on disk.

    Every process appends to a file of its own, so that processes on several nodes may share the folder; one whole line
    at a time. A line cut short by a kill is ignored, and its piece is done again.
    """

    folder: Path

    @property
    def _identity_file(self) -> Path:
        return self.folder / "run.json"

    def exists(self) -> bool:
        """Tell whether a run was begun here."""
        return self._identity_file.exists()

    def begin(self, identity: Json) -> None:
        """Start a run, or take up the same one again.

        Raises
        ------
        ResumeError
            A run with another identity was begun here; names each value that changed.
        OutputError
            The folder's parent already holds something else.
        """
        wanted = json.loads(canonical(identity))
        if self.exists():
            found = json.loads(self._identity_file.read_text())
            if canonical(found) != canonical(wanted):
                changes = listed(differences(found, wanted))
                raise ResumeError(
                    f"{self.folder.parent} holds a half-done run of something else; what changed since:\n{changes}\n"
                    f"Finish the old run with its own parameters, or remove {self.folder.parent} and start again."
                )
            return
        parent = self.folder.parent
        # Our own folder alone is a start that was killed before its identity was written.
        if parent.exists() and any(path != self.folder for path in parent.iterdir()):
            raise OutputError(
                f"{parent} is not empty and holds no half-done run: name another folder, or remove this one."
            )
        self.folder.mkdir(parents=True, exist_ok=True)
        if not write_once(self._identity_file, json.dumps(wanted, indent=1, sort_keys=True)):
            # Somebody else was quicker.
            self.begin(identity)

    def record(self, key: str, value: Json) -> None:
        """Append that a piece is done: its files must be on disk already.

        The line itself is not waited for: what a power failure takes of it is done again.
        """
        self._append(_DONE, key, value)

    def record_failure(self, key: str, failure: Failure) -> None:
        """Append that a piece failed, for those who ask; it is done again like any that was not begun."""
        at = datetime.now(tz=UTC).isoformat(timespec="microseconds")
        told = {"item": failure.item, "error": failure.error, "traceback": failure.traceback}
        self._append(_FAILED, key, {**told, "at": at, "host": os.uname().nodename})

    def done(self) -> dict[str, dict[str, Any]]:
        """Return what is done, by key."""
        pages = Pages(self.folder)
        return {key: pages.entry(key) for key in pages.keys()}  # noqa: SIM118

    def failures(self) -> dict[str, Failure]:
        """Return the last failure of each piece that is not done, by key."""
        done = Pages(self.folder)
        last: dict[str, tuple[str, Failure]] = {}
        for key, lines in Pages(self.folder, _FAILED).lines.items():
            for line in lines if key not in done else ():
                told = json.loads(line)
                if key not in last or told["at"] >= last[key][0]:
                    last[key] = told["at"], Failure(told["item"], told["error"], told["traceback"])
        return {key: failure for key, (_, failure) in last.items()}

    def _append(self, kind: str, key: str, value: Json) -> None:
        # The key comes first, so that it can be read without the rest.
        line = f"{_HEAD}{json.dumps(key)}{',' if value else ''}{canonical(value)[1:]}\n".encode()
        path = self.folder / f"{kind}-{process_name()}.jsonl"
        with _LOCK, path.open("ab", buffering=0) as file:
            whole = _whole_length(path, file.tell())
            try:
                file.truncate(whole)
                if file.write(line) != len(line):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
            except OSError:
                file.truncate(whole)
                raise


class Pages:
    """What the processes of a run have written into its journal so far; read on by :meth:`refresh`.

    Entries are taken apart only when they are asked for.
    """

    def __init__(self, folder: Path, kind: str = _DONE) -> None:
        self.lines: dict[str, list[bytes]] = {}
        """What was written of each key."""
        self._folder, self._kind = folder, kind
        self._read: dict[str, int] = {}
        self.refresh()

    def __contains__(self, key: str) -> bool:
        return key in self.lines

    def keys(self) -> list[str]:
        """Return the keys of all entries."""
        return list(self.lines)

    def entry(self, key: str) -> dict[str, Any]:
        """Return the last entry that was read of a key."""
        entry: dict[str, Any] = json.loads(self.lines[key][-1])
        del entry["key"]
        return entry

    def forget(self, key: str) -> None:
        """Leave out what was read of a key: its piece has to be done again."""
        self.lines.pop(key, None)

    def refresh(self) -> list[str]:
        """Read what has been written since, and return the keys of that; a line that is not whole yet waits."""
        found: list[str] = []
        for path in sorted(self._folder.glob(f"{self._kind}-*.jsonl")):
            start = self._read.get(path.name, 0)
            try:
                content = _from(path, start)
            except FileNotFoundError:
                # The run was finished by somebody, and its folder removed.
                continue
            whole = content.rfind(b"\n") + 1
            self._read[path.name] = start + whole
            for line in content[:whole].splitlines():
                key = _key_of(line)
                if key is not None:
                    self.lines.setdefault(key, []).append(line)
                    found.append(key)
        return found


_HEAD = '{"key":'
_DECODER = json.JSONDecoder()


def _key_of(line: bytes) -> str | None:
    text = line.decode(errors="replace")
    if not text.startswith(_HEAD) or not text.endswith("}"):
        return None
    key, _ = _DECODER.raw_decode(text, len(_HEAD))
    return str(key)


def _from(path: Path, start: int) -> bytes:
    if path.stat().st_size <= start:
        return b""
    with path.open("rb") as file:
        file.seek(start)
        return file.read()


def _whole_length(path: Path, length: int) -> int:
    """Return the length of a journal without a line that was cut short."""
    if length == 0:
        return 0
    with path.open("rb") as file:
        file.seek(length - 1)
        if file.read(1) == b"\n":
            return length
        file.seek(0)
        return file.read().rfind(b"\n") + 1


def process_name() -> str:
    """Return a name that no other process has, on no node that shares the disk."""
    return _process_name(os.getpid())


@functools.cache
def _process_name(pid: int) -> str:
    # Containers may have equal names and process numbers.
    return f"{os.uname().nodename}-{pid}-{os.urandom(3).hex()}"


def write_once(path: Path, text: str) -> bool:
    """Write a file that is there whole or not at all, unless there is one; return whether it was written.

    Of several processes that try at the same time, on whatever nodes, one succeeds.
    """
    whole = path.with_name(f".{path.name}.{process_name()}-{threading.get_ident()}.tmp")
    try:
        with whole.open("w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(whole, path)
        except FileExistsError:
            return False
        except OSError:
            # The file system has no links.
            if path.exists():
                return False
            whole.replace(path)
    finally:
        whole.unlink(missing_ok=True)
    flush_names([path.parent])
    return True


def differences(old: Any, new: Any, place: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yield (where, old value, new value) for everything in which two JSON values differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted({*old, *new}):
            yield from differences(old.get(key), new.get(key), f"{place}.{key}" if place else str(key))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for i, (a, b) in enumerate(zip(old, new, strict=True)):
            yield from differences(a, b, f"{place}[{i}]")
    elif old != new:
        yield place, old, new


def listed(changes: Iterator[tuple[str, Any, Any]]) -> str:
    """Return the first of some :func:`differences`, a line each, long values cut short; empty where there are none."""
    lines = [f"  {where}: {_cut(old)} -> {_cut(new)}" for where, old, new in changes]
    more = [f"  ... and {len(lines) - _MOST_CHANGES} more"] if len(lines) > _MOST_CHANGES else []
    return "\n".join(lines[:_MOST_CHANGES] + more)


def _cut(value: Any) -> str:
    text = str(value).replace("\n", " ")
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 3] + "..."
