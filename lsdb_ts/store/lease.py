"""Who works in a folder, and on which pieces: so that two runs at once neither do a piece twice nor wait for the dead.

What the pieces are is known elsewhere.
"""

from __future__ import annotations

import functools
import itertools
import json
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from lsdb_ts.store.journal import process_name, write_once

HEARTBEAT_S = 10.0
"""So often does a process say that it is alive."""
EXPIRY_S = 120.0
"""A process of another node that has not said so for this long counts as dead: longer than file systems cache."""

_SUFFIX = ".process"
_SHOWN_COMMAND = 200
_NUMBER = itertools.count()
"""Two runs in one process are two as well."""


@dataclass(frozen=True)
class Worker:
    """A process that works in a folder."""

    host: str
    pid: int
    since: str
    """ISO 8601, UTC."""
    command: str
    machine: str
    """Node, its boot and the process numbers' name space: processes of the same one can see each other."""
    started: str
    """What tells the process from a later one with the same number."""

    @classmethod
    def here(cls) -> Worker:
        """Describe this process."""
        since = datetime.now(tz=UTC).isoformat(timespec="seconds")
        command = " ".join(sys.argv)[:_SHOWN_COMMAND]
        return cls(os.uname().nodename, os.getpid(), since, command, _machine(), _started(os.getpid()) or "")

    @property
    def is_local(self) -> bool:
        """Whether this process can see whether that one lives."""
        return self.machine == _machine()

    def runs(self) -> bool:
        """Tell whether the process is still there; it must be local."""
        return _started(self.pid) == self.started

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}, since {self.since}"


class Presence:
    """A process at work in a folder, namely this one: a context in which it says so, and claims pieces.

    A claim is a symbolic link to the file of the process: it is made whole or not at all, on every file system that
    several nodes share. A process is alive as long as it touches its file, or, on the same node, as it is running. The
    claim of one that is not alive is not removed, which two could do at the same time, but followed by another of the
    next number: of several processes one makes that.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._name = f"{process_name()}-{next(_NUMBER)}{_SUFFIX}"
        self._held: dict[str, Path] = {}
        self._left = threading.Event()

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        write_once(self._file, json.dumps(asdict(Worker.here())))
        threading.Thread(target=self._beat, name="heartbeat", daemon=True).start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._left.set()
        # The run may be finished, and the folder gone.
        with suppress(OSError):
            for path in self._held.values():
                path.unlink(missing_ok=True)
            self._file.unlink(missing_ok=True)

    @property
    def _file(self) -> Path:
        return self.folder / self._name

    def _beat(self) -> None:
        while not self._left.wait(HEARTBEAT_S):
            with suppress(OSError):
                os.utime(self._file)

    def claim(self, key: str) -> bool:
        """Claim a piece; False where a process that is alive has it.

        Who gets it has to look whether the piece is done by now.
        """
        generation = 0
        while True:
            path = self.folder / f"{claim_name(key)}.{generation}"
            try:
                path.symlink_to(self._name)
            except FileExistsError:
                owner = _owner_of(path)
                if owner is None:
                    # It was given back between the two calls.
                    continue
                if owner != self._name:
                    if _alive(self.folder / owner):
                        return False
                    generation += 1
                    continue
            self._held[key] = path
            return True

    def release(self, key: str) -> None:
        """Give a piece back, done or not."""
        path = self._held.pop(key, None)
        if path is not None:
            path.unlink(missing_ok=True)

    def others(self) -> list[Worker]:
        """Return the other processes at work here."""
        return [w for name, w in _present(self.folder) if name != self._name]


def workers(folder: Path) -> list[Worker]:
    """Return the processes that are at work in a folder."""
    return [w for _, w in _present(folder)]


def held(folder: Path) -> dict[str, Worker]:
    """Return who has claimed what, by the name that :func:`claim_name` gives to a piece."""
    alive = dict(_present(folder))
    found: dict[str, Worker] = {}
    for path in folder.glob("*.[0-9]*"):
        owner = _owner_of(path)
        if owner in alive:
            found[path.name.rpartition(".")[0]] = alive[owner]
    return found


def claim_name(key: str) -> str:
    """Return the name of a piece among the claims.

    >>> claim_name("shard/object/000001")
    'shard.object.000001'
    """
    return key.replace("/", ".")


def _owner_of(path: Path) -> str | None:
    try:
        return str(path.readlink())
    except FileNotFoundError:
        return None


def _present(folder: Path) -> Iterator[tuple[str, Worker]]:
    for path in sorted(folder.glob(f"*{_SUFFIX}")):
        worker = _worker(path)
        if worker is not None and _alive(path):
            yield path.name, worker


def _worker(path: Path) -> Worker | None:
    try:
        return Worker(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return None


def _alive(path: Path) -> bool:
    """Tell whether the process is alive whose file this is; one that has left has none."""
    worker = _worker(path)
    if worker is None:
        return False
    return worker.runs() if worker.is_local else _age_s(path) < EXPIRY_S


def _age_s(path: Path) -> float:
    """Return how long ago a file was touched, by the clock of its own disk: nodes' clocks differ."""
    probe = path.with_name(f".{process_name()}-{threading.get_ident()}.tmp")
    try:
        probe.touch()
        return probe.stat().st_mtime - path.stat().st_mtime
    except FileNotFoundError:
        return float("inf")
    finally:
        with suppress(OSError):
            probe.unlink(missing_ok=True)


@functools.cache
def _machine() -> str:
    parts = [os.uname().nodename]
    with suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text().strip())
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    return " ".join(parts)


def _started(pid: int) -> str | None:
    """Return when a process was started, in ticks of its machine; None where there is none, or a dead one."""
    try:
        # The name, in parentheses, may hold blanks and parentheses.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return _runs_without_proc(pid)
    except OSError:
        return None
    return None if fields[0] in {"Z", "X"} else fields[19]


def _runs_without_proc(pid: int) -> str | None:
    if Path("/proc/self/stat").exists():
        return None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass
    return ""
