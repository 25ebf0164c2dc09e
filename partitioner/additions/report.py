"""What an addition did: of every table what became of its new rows, of every catalog what was written. For the account.

The counting is done where the work is.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from lsdb_ts.errors import RunError


@dataclass(frozen=True)
class NightFile:
    """A file whose rows were added, so that they are not added again."""

    table: str
    path: str
    size: int
    stamp: str
    sha256: str
    """Of its content; empty for one behind a URL, which is known by its size and stamp."""

    def is_same(self, other: NightFile) -> bool:
        """Tell whether two files of a table hold the same, whatever they are called."""
        if self.table != other.table or self.size != other.size:
            return False
        as_found = self.path == other.path and self.stamp == other.stamp
        return as_found or (self.sha256 != "" and self.sha256 == other.sha256)


@dataclass(frozen=True)
class ColumnNote:
    """A column in which new files of a table differed from the archive, as was allowed."""

    table: str
    column: str
    how: str
    """``drop``, ``null`` or ``cast``."""
    type: str
    """What it is in the files; empty where they lack it."""
    files: int

    def __str__(self) -> str:
        did = {"drop": f"left out ({self.type})", "null": "without values", "cast": f"converted from {self.type}"}
        return f"{self.table}.{self.column} {did[self.how]}, in {self.files:,} file{'s' if self.files != 1 else ''}"


@dataclass(frozen=True)
class Received:
    """What became of the new rows of a table in one catalog."""

    table: str
    became: str
    """``catalog object``, or ``lc of object``."""
    rows_in: int
    taken_in: int
    """Rows that had been set aside because they had no object, and have one now."""
    added: int
    known: int
    """Rows that were there already, by their id, or where there is none by all their values."""
    refused: int
    orphans: int
    unvisited: int
    hash: int = 0
    """Of the rows that the account did not have before: what to add to its hashes."""

    @property
    def balances(self) -> bool:
        """Whether nothing was lost and nothing counted twice."""
        return self.rows_in + self.taken_in == self.added + self.known + self.refused + self.orphans


@dataclass(frozen=True)
class Written:
    """What was written of one catalog or margin, beside the files that it shares with its former state."""

    path: str
    replaces: str
    """Folder of the former state; both relative to the archive."""
    rows: int
    partitions: int
    size: int
    """Bytes of all its partition files."""
    new_partitions: int
    files: int
    """Partition files that were written."""
    bytes: int
    """Of these files."""
    too_large: tuple[str, ...] = ()
    """Partitions that hold more than they should; ``compact`` splits them."""


@dataclass(frozen=True)
class Addition:
    """Everything that one night did."""

    out: str
    date: str
    generation: int
    """Number of the state that it led to."""
    files: tuple[NightFile, ...]
    skipped: tuple[NightFile, ...]
    """Files that were given and had been added before."""
    columns: tuple[ColumnNote, ...] = ()
    """In what the files differed from the archive."""
    tables: tuple[Received, ...] = ()
    catalogs: tuple[Written, ...] = ()

    @property
    def already_done(self) -> bool:
        """Whether there was nothing new."""
        return not self.files

    def to_json(self) -> dict[str, Any]:
        """Return a JSON form."""
        return {**dataclasses.asdict(self), "already_done": self.already_done}

    def check(self) -> None:
        """Raise RunError unless every table balances."""
        for t in self.tables:
            if not t.balances:
                raise RunError(
                    f'the books do not balance for the new rows of "{t.table}" ({t.became}): {t.rows_in} rows in and '
                    f"{t.taken_in} taken in, {t.added} added + {t.known} known + {t.refused} refused + {t.orphans} "
                    "orphans; nothing was added. Please report this"
                )


@dataclass(frozen=True)
class Touched:
    """What adding rows would write of one catalog."""

    path: str
    """Relative to the archive."""
    rows: int
    """New rows, at most: some may be there already."""
    partitions: int
    """That would get some of them."""
    new_partitions: int
    of_partitions: int
    """Partitions that there are."""
    bytes: int
    """About: of the files that are written anew, and of new rows before they are compressed; without margins."""


@dataclass(frozen=True)
class Forecast:
    """What adding a night would do."""

    out: str
    files: tuple[NightFile, ...]
    skipped: tuple[NightFile, ...]
    """Files that were given and had been added before."""
    columns: tuple[ColumnNote, ...] = ()
    """In what the files differ from the archive."""
    tables: tuple[Received, ...] = ()
    """What would become of the rows; of those ``added`` some may turn out to be known."""
    catalogs: tuple[Touched, ...] = ()

    @property
    def already_done(self) -> bool:
        """Whether there is nothing new."""
        return not self.files

    def to_json(self) -> dict[str, Any]:
        """Return a JSON form."""
        told = {**dataclasses.asdict(self), "already_done": self.already_done}
        for table in told["tables"]:
            del table["hash"]
        return told


@dataclass(frozen=True)
class Compaction:
    """What folding the additions in did."""

    out: str
    generation: int
    catalogs: tuple[Written, ...]
    split: tuple[str, ...]
    """Partitions that held too much, and were split."""

    @property
    def already_done(self) -> bool:
        """Whether there was nothing to fold in."""
        return not self.catalogs

    def to_json(self) -> dict[str, Any]:
        """Return a JSON form."""
        return {**dataclasses.asdict(self), "already_done": self.already_done}
