"""From one state of an archive to the next in one step: what is made stays hidden until then, whatever is interrupted.

What is in the states is the business of the modules beside this one.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from lsdb_ts.errors import OutputError
from lsdb_ts.store.index_writer import build_index
from lsdb_ts.store.write import atomic, flush_names

SCRATCH = ".additions"
"""Folder inside an archive for what is under way; there is none at rest."""
_BEGUN, _DECIDED = "begun.json", "decided.json"


@dataclass(frozen=True)
class Step:
    """What leads from a state to the next; all paths are relative to the archive."""

    moves: Mapping[str, str]
    """New small files, finished, and whose place each takes, in this sequence."""
    retired: Sequence[str] = ()
    """Folders of states so old that nobody should be reading them."""
    indexes: Sequence[tuple[str, str]] = ()
    """(collection, column) of indexes that are built anew, once the new state is seen."""


@contextmanager
def locked(root: Path) -> Iterator[None]:
    """Keep other additions out while the context is open; a process that dies lets go.

    Raises
    ------
    OutputError
        Another process is adding to the archive.
    """
    folder = os.open(root, os.O_RDONLY)
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise OutputError(f"another process is adding to {root}: start again when it is done") from error
        yield
    finally:
        os.close(folder)


@contextmanager
def at_work(root: Path) -> Iterator[None]:
    """Keep other additions out, end or remove what a former one left, and remove what this one leaves if it fails."""
    with locked(root):
        recover(root)
        try:
            yield
        except Exception:
            recover(root)
            raise


def recover(root: Path) -> None:
    """Finish a step that was decided and cut short, and remove what is left of one that was not decided."""
    scratch = root / SCRATCH
    if (scratch / _DECIDED).exists():
        _finish(root, Step(**json.loads((scratch / _DECIDED).read_text())))
    elif (scratch / _BEGUN).exists():
        for folder in json.loads((scratch / _BEGUN).read_text()):
            shutil.rmtree(root / folder, ignore_errors=True)
    shutil.rmtree(scratch, ignore_errors=True)


def begin(root: Path, folders: Sequence[str]) -> Path:
    """Note which folders are about to be made, and return one for scratch files and for what is to be moved."""
    clash = [folder for folder in folders if (root / folder).exists()]
    if clash:
        raise OutputError(f"{root / clash[0]} is in the way: remove it, or give it another name")
    scratch = root / SCRATCH
    scratch.mkdir()
    with atomic(scratch / _BEGUN) as temporary:
        temporary.write_text(json.dumps(list(folders)))
    return scratch


def take(root: Path, step: Step) -> None:
    """Take a step: from the moment it is noted it will be completed, if not by this process then by the next.

    All that the new state consists of is flushed to disk before: files where they are written, their names here.
    """
    begun = [root / folder for folder in json.loads((root / SCRATCH / _BEGUN).read_text())]
    # After the first the others have little left to do: what file systems note of names, they note together.
    flush_names(folder for top in begun if top.exists() for folder, _, _ in os.walk(top))
    with atomic(root / SCRATCH / _DECIDED) as temporary:
        temporary.write_text(json.dumps(asdict(step)))
    _finish(root, step)
    shutil.rmtree(root / SCRATCH, ignore_errors=True)


def _finish(root: Path, step: Step) -> None:
    """Do what is missing of a step; may be done again and again."""
    for made, place in step.moves.items():
        if (root / made).exists():
            (root / place).parent.mkdir(parents=True, exist_ok=True)
            (root / made).replace(root / place)
            flush_names([(root / place).parent])
    for collection, column in step.indexes:
        build_index(root / collection, column)
    for folder in step.retired:
        shutil.rmtree(root / folder, ignore_errors=True)
    # In this sequence, so that at no time there is a note of what was begun and none of what was decided.
    for note in (_BEGUN, _DECIDED):
        (root / SCRATCH / note).unlink(missing_ok=True)
