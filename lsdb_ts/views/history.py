"""What was done to a catalog since it was made, as it tells itself: nights that were added, and foldings.

What else it is stands next door.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lsdb_ts.store.hats import HatsCatalog
from lsdb_ts.store.provenance import ADDITIONS
from lsdb_ts.store.write import FOLDERS

_LINES = 8
"""So many of the last changes are shown."""
_NAMED = 3


@dataclass(frozen=True)
class Change:
    """Something that was done to a finished catalog."""

    date: str
    made_by: str
    """``append`` or ``compact``."""
    state: int
    """Number of the state of the catalog that it led to."""
    files: int
    bytes: int
    """Of the files that went in."""
    rows: Mapping[str, int]
    """Rows in them, by table."""
    known: Mapping[str, int]
    """Those of them that were there already."""

    def to_json(self) -> dict[str, Any]:
        """Return a JSON form."""
        return {**vars(self), "rows": dict(self.rows), "known": dict(self.known)}

    def __str__(self) -> str:
        when = self.date[:16].replace("T", " ")
        if self.made_by != "append":
            return f"{when}  folded in"
        known = {table: f" ({n:,} there already)" for table, n in self.known.items() if n}
        rows = ", ".join(f"{n:,} rows of {table}{known.get(table, '')}" for table, n in self.rows.items())
        return f"{when}  {rows or 'no rows'} in {self.files:,} file{'s' if self.files != 1 else ''}"


@dataclass(frozen=True)
class History:
    """All that was done to a catalog."""

    changes: tuple[Change, ...] = ()
    """The first one first."""
    due: tuple[str, ...] = ()
    """Why additions should be folded in; nothing where they need not be."""
    root: str = ""
    """Where they would be."""

    @property
    def nights(self) -> tuple[Change, ...]:
        """Those changes that added rows."""
        return tuple(change for change in self.changes if change.made_by == "append")

    def to_json(self) -> dict[str, Any] | None:
        """Return a JSON form; None where nothing was done."""
        if not self.changes:
            return None
        return {"changes": [change.to_json() for change in self.changes], "compaction_due": list(self.due)}

    def lines(self) -> Iterator[str]:
        """Yield it in lines: the last changes, and whether folding is due."""
        if not self.changes:
            return
        rows = sum(n for night in self.nights for n in night.rows.values())
        yield f"appended: {len(self.nights):,} night{'s' if len(self.nights) != 1 else ''}, {rows:,} rows"
        if len(self.changes) > _LINES:
            yield f"  {len(self.changes) - _LINES:,} before these: --json lists all"
        yield from (f"  {change}" for change in self.changes[-_LINES:])
        if self.due:
            yield f"compaction is due: {' and '.join(self.due)}"
            yield f"  lsdb-ts compact {self.root}"
        else:
            yield "compaction is not due"


def history_of(provenance: Mapping[str, Any] | None, catalogs: Sequence[HatsCatalog], root: str) -> History:
    """Return what was done to the catalogs of an archive.

    Parameters
    ----------
    provenance : mapping or None
        What the archive was made of.
    catalogs : sequence of HatsCatalog
        Those that lie in it.
    root : str
        Its folder.
    """
    told = (provenance or {}).get(ADDITIONS, ())
    changes = tuple(_change(one) for one in told)
    return History(changes, tuple(_due(told, catalogs)), root) if changes else History()


def _change(told: Mapping[str, Any]) -> Change:
    tables = told["account"].get("tables", ())
    # Of rows that are in a catalog and in light curves, the orphans are known in the one only.
    known: dict[str, int] = {}
    for t in tables:
        known[t["table"]] = max(known.get(t["table"], 0), t["known"])
    return Change(
        date=told["date"],
        made_by=told["made_by"],
        state=told["generation"],
        files=told["input_files"],
        bytes=told["input_bytes"],
        rows={t["table"]: t["rows_in"] for t in tables if t["rows_in"]},
        known=known,
    )


def _due(told: Sequence[Mapping[str, Any]], catalogs: Sequence[HatsCatalog]) -> Iterator[str]:
    """Yield what there is to fold in since that was last done."""
    folded = [i for i, one in enumerate(told) if one["made_by"] == "compact"]
    since = told[folded[-1] + 1 :] if folded else told
    large = list(dict.fromkeys(p for one in since for w in one["account"]["catalogs"] for p in w["too_large"]))
    if large:
        some = f"{', '.join(large[:_NAMED])}{', ...' if len(large) > _NAMED else ''}"
        yield f"{len(large):,} partition{'s' if len(large) != 1 else ''} too large ({some})"
    several = [catalog.name for catalog in catalogs if catalog.properties.get("hats_npix_suffix") == FOLDERS]
    if several and since:
        yield f"partitions of {', '.join(several)} in several files"
