"""How rows that a worker made reach the client: by a mapped file where both share a machine, else as Dask sends them.

A table sent by Dask is copied into a message, through the scheduler, and out of it. What rows mean is not known here.
"""

from __future__ import annotations

import functools
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from lsdb_ts.run.pool import active_client

_WORTH_A_FILE_BYTES = 1 << 20
_SHARED_MEMORY = Path("/dev/shm")
_ROOM_BYTES = 1 << 30
"""With less room in shared memory (containers often have 64 MiB), the temporary folder is used."""
_SIGN = "sign"


@dataclass(frozen=True)
class Left:
    """A table that waits in a file."""

    path: str


@dataclass(frozen=True)
class Desk:
    """A folder of the client's machine, where workers of the same machine leave their tables."""

    folder: str
    sign: str
    """What a file in the folder holds: who reads it there shares the folder."""

    def leave(self, table: pa.Table) -> pa.Table | Left:
        """Leave a table on the desk, or return it if it is small or the desk is out of reach."""
        if table.nbytes < _WORTH_A_FILE_BYTES or not _is_here(self.folder, self.sign):
            return table
        path = Path(self.folder) / secrets.token_hex(8)
        try:
            with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
                writer.write_table(table)
        except OSError:
            # No room left: then as Dask sends it.
            path.unlink(missing_ok=True)
            return table
        return Left(str(path))


@contextmanager
def desk() -> Iterator[Desk | None]:
    """Put up a desk while the context is open; None where no other processes work for this one."""
    if active_client() is None:
        yield None
        return
    folder = Path(tempfile.mkdtemp(prefix="lsdb_ts-", dir=_memory_folder()))
    sign = secrets.token_hex(16)
    (folder / _SIGN).write_text(sign)
    try:
        yield Desk(str(folder), sign)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def take(found: pa.Table | Left) -> pa.Table:
    """Return a table that a worker made; its file is removed, its pages stay as long as the table is used."""
    if not isinstance(found, Left):
        return found
    with pa.memory_map(found.path) as file:
        table = pa.ipc.open_file(file).read_all()
    Path(found.path).unlink()
    return table


def _memory_folder() -> str | None:
    """Return a folder whose files are memory: what is left there is in place, and no disk is waited for."""
    usable = _SHARED_MEMORY.is_dir() and os.access(_SHARED_MEMORY, os.W_OK)
    return str(_SHARED_MEMORY) if usable and shutil.disk_usage(_SHARED_MEMORY).free > _ROOM_BYTES else None


@functools.lru_cache(maxsize=64)
def _is_here(folder: str, sign: str) -> bool:
    try:
        return (Path(folder) / _SIGN).read_text() == sign
    except OSError:
        return False
