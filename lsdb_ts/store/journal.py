"""What a run has finished, on disk, and whose run it is; so that a second start does only what is missing.

What the pieces of work are, and what they write, is known elsewhere.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lsdb_ts.errors import OutputError, ResumeError
from lsdb_ts.store.write import atomic

Json = Mapping[str, Any]
_LOCK = threading.Lock()
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

    Every process appends to a file of its own, one whole line at a time, flushed to disk; a line cut short by a kill is
    ignored, and its piece is done again.
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
                changes = _listed(differences(found, wanted))
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
        with atomic(self._identity_file) as temporary:
            temporary.write_text(json.dumps(wanted, indent=1, sort_keys=True))

    def record(self, key: str, value: Json) -> None:
        """Append that a piece is done: its files must be on disk already.

        The line itself is not waited for: what a power failure takes of it is done again.
        """
        line = (canonical({**value, "key": key}) + "\n").encode()
        path = self.folder / f"done-{os.uname().nodename}-{os.getpid()}.jsonl"
        with _LOCK, path.open("ab") as file:
            if file.tell() and not _ends_in_newline(path):
                file.write(b"\n")
            file.write(line)

    def done(self) -> dict[str, dict[str, Any]]:
        """Return what is done, by key."""
        found: dict[str, dict[str, Any]] = {}
        for path in sorted(self.folder.glob("done-*.jsonl")):
            for line in path.read_text(errors="replace").splitlines():
                try:
                    entry = json.loads(line)
                except json.JSONDecodeError:
                    continue
                found[entry.pop("key")] = entry
        return found


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


def _listed(changes: Iterator[tuple[str, Any, Any]]) -> str:
    """Return the first changes, a line each, long values cut short."""
    lines = [f"  {where}: {_cut(old)} -> {_cut(new)}" for where, old, new in changes]
    more = [f"  ... and {len(lines) - _MOST_CHANGES} more"] if len(lines) > _MOST_CHANGES else []
    return "\n".join(lines[:_MOST_CHANGES] + more)


def _cut(value: Any) -> str:
    text = str(value).replace("\n", " ")
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 3] + "..."


def _ends_in_newline(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"
