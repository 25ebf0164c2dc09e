"""Add a night's rows to a finished archive: only the partitions they belong in are touched, all at once or not at all.

What is done to one collection is written next door; folding additions in is another verb.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from lsdb_ts.schema import HEALPIX
from lsdb_ts.store.write import FILE, FOLDERS
from partitioner.account import Tally
from partitioner.additions import aside
from partitioner.additions.archive import Archive, bare, schema_of
from partitioner.additions.bookkeeping import STAGED, folders_in, staged_for, switch, with_addition
from partitioner.additions.deal import Dealing, Dealt, check_ids, deal, deal_orphans, ids_of, united
from partitioner.additions.growing import Growing, carried_out, member_of
from partitioner.additions.homes import Homes, find_homes, keys_of
from partitioner.additions.leaves import Done, Growth, Nested
from partitioner.additions.night import Night, open_night
from partitioner.additions.report import Addition, Received
from partitioner.additions.switch import SCRATCH, at_work, begin
from partitioner.additions.union import Curve
from partitioner.moving.lookup import collect_visits, visited_tables
from partitioner.moving.spill import Place, write_index
from partitioner.planning.census import Limits
from partitioner.planning.product import margin_targets
from partitioner.surveys.survey import Nested as Told

OFFSET = "lsdb_ts_offset_arcsec"
"""Property of a catalog that follows another: the largest distance between a row and the one that it follows."""
KEEP = 1
"""So many former states stay, for those who are reading them."""


def append(
    path: str | Path,
    files: Mapping[str, Sequence[str]],
    *,
    on_bad: str | None = None,
    keep: int = KEEP,
    show: bool | None = None,
) -> Addition:
    """Add new rows to a finished archive.

    Killed anywhere and started again, all of them are added once or none is. Files that were added before, under
    whatever name, are left out. Who opened a collection before goes on reading its former state.

    Parameters
    ----------
    path : str or pathlib.Path
        Folder that a repartition made.
    files : mapping of str to sequence of str
        Paths, folders, patterns or URLs, by table; ``""`` for the only table there is.
    on_bad : str, optional
        What to do with rows whose position is not on the sky, ``"raise"`` or ``"refuse"``; by default what the
        repartition did.
    keep : int, optional
        How many former states are kept; a later addition removes older ones.
    show : bool, optional
        Whether to show progress; by default where a person is looking.

    Returns
    -------
    Addition
        What became of every row; also in ``account.json``.

    Raises
    ------
    PlanError
        The archive was not made by a repartition, or has no such table.
    InputError
        Files, columns, positions or ids that would make the result wrong; nothing was added.
    OutputError
        Another process is adding to the archive, or its disk knows no hard links.
    """
    root = Archive.open(path).root
    with at_work(root):
        archive = Archive.open(root)
        night = open_night(archive, files, root / SCRATCH, on_bad)
        date = datetime.now(tz=UTC).isoformat(timespec="seconds")
        if not night.tables:
            return Addition(str(root), date, archive.generation, (), night.skipped)
        return _Append(archive, night, keep, show, date).run()


@dataclass(eq=False)
class _Append:
    """One night on its way."""

    archive: Archive
    night: Night
    keep: int
    show: bool | None
    date: str
    homes: dict[str, Homes] = field(default_factory=dict)
    """Rows that others name, and that new ones are known by, by table: as they were before this night."""
    fresh: dict[str, Homes] = field(default_factory=dict)
    """New rows that others may name."""
    reports: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """What dealing said of the units of each table."""
    taken: dict[str, Tally] = field(default_factory=dict)
    """Orphans taken in, by table."""
    left: dict[Path, pa.Table] = field(default_factory=dict)
    """What is left of files of orphans."""

    @property
    def root(self) -> Path:
        return self.archive.root

    @property
    def scratch(self) -> Path:
        return self.root / SCRATCH

    @property
    def generation(self) -> int:
        return self.archive.generation + 1

    def run(self) -> Addition:
        """Do everything, and let it be seen at the end."""
        begin(self.root, folders_in(self.archive, self.generation))
        planned = self.night.planned
        carried_out(collect_visits, planned, visited_tables(planned), "look up visits", self.show)
        self._deal()
        grown = {name: self._grown(name) for name in self.archive.collections if self._gets_rows(name)}
        new = {name: found for name, found in grown.items() if any(d.leaf for d in found[1])}
        written = {
            name: growing.finish(done, staged_for(self.archive, name), self._offset(name))
            for name, (growing, done) in new.items()
        }
        addition = Addition(
            out=str(self.root),
            date=self.date,
            generation=self.generation if written else self.archive.generation,
            files=self.night.files,
            skipped=self.night.skipped,
            tables=tuple(self._received({name: done for name, (_, done) in grown.items()})),
            catalogs=tuple(w for each in written.values() for w in each),
        )
        addition.check()
        self._set_aside()
        account = with_addition(self.archive, addition)
        switch(self.archive, account, list(written), self.keep)
        return addition

    def _deal(self) -> None:
        """Send all new rows where they belong; tables that others name come first."""
        names = self.night.tables
        noted = {name: self._ids(name) for name in names}
        for parent in self._named():
            self._find(parent, noted)
        for name in sorted(names, key=lambda n: n not in self.homes):
            units = self.night.planned.units(name)
            self.reports[name] = carried_out(deal, self._dealing(name), units, f"deal {name}", self.show)
            if name in self.homes:
                self._note_fresh(name)
        for table in self.archive.survey.tables:
            leader = next(iter(self.archive.parents_of(table.name)), None)
            if leader in self.fresh and len(self.fresh[leader].ids):
                self._take_in(table.name, leader)
        for name, reports in self.reports.items():
            for kind in ("placed", "nested"):
                write_index(self._place(kind, name), [(r["number"], r[kind]) for r in reports])

    def _place(self, kind: str, name: str) -> Place:
        return Place(self.scratch / kind / name)

    def _ids(self, name: str) -> dict[str, Any]:
        """Return the ids that the rows of a table have and name, and where they lie themselves."""
        dealing = self._dealing(name)
        found = carried_out(ids_of, dealing, self.night.planned.units(name), f"look at {name}", self.show)
        return {
            "own": [ids for f in found for ids in f["own"]],
            "parents": united([f["parents"] for f in found]),
            "near": np.unique(np.concatenate([np.empty(0, np.int64), *(f["near"] for f in found)])),
        }

    def _named(self) -> list[str]:
        """Return the tables whose ids are looked up: those that new rows name, and those of new objects."""
        named = [parent for name in self.night.tables for parent in self.archive.parents_of(name)]
        return list(dict.fromkeys([*named, *(n for n in self.night.tables if self._has_unique_ids(n))]))

    def _has_unique_ids(self, name: str) -> bool:
        """Tell whether the ids of a catalog are unique in all of it: those of objects are."""
        roles = self.archive.roles(name)
        return name in self.archive.collections and roles.id is not None and roles.parent_id is None

    def _find(self, parent: str, noted: Mapping[str, Mapping[str, Any]]) -> None:
        """Find the rows that new ones name, and which of the new ones of the table itself are known."""
        naming = [n for n in noted if parent in self.archive.parents_of(n)]
        own = noted[parent]["own"] if parent in noted else []
        column = str(self.archive.roles(parent).id)
        check_ids(parent, column, own)
        wanted = united([*own, *(noted[n]["parents"] for n in naming)])
        near = [noted[n]["near"] for n in (*naming, *([parent] if parent in noted else []))]
        places = np.concatenate([np.empty(0, np.int64), *near])
        self.homes[parent] = find_homes(self.archive.collections[parent].catalog, column, wanted, places)
        self.fresh[parent] = Homes.none()

    def _dealing(self, name: str, columns: pa.Schema | None = None) -> Dealing:
        collections, parent = self.archive.collections, self.archive.survey.nested.get(name)
        catalogs = [n for n in (name, parent) if n is not None and n in collections]
        return Dealing(
            planned=self.night.planned,
            table=self.archive.survey.table(name),
            columns=self.night.planned.columns[name] if columns is None else columns,
            tiles={n: margin_targets(collections[n].catalog.layout) for n in catalogs},
            homes={n: self._now(n) for n in self.archive.parents_of(name) if n in self.homes},
            own=self.homes.get(name, Homes.none()),
            parent=parent,
            counted_id=self._counted_id(name),
            scratch=self.scratch,
        )

    def _counted_id(self, name: str) -> str | None:
        """Return the column with the rows' own ids, where the light curves have it."""
        own, parent = self.archive.roles(name).id, self.archive.survey.nested.get(name)
        if own is None or parent is None:
            return None
        column = next(n.name for n in self.archive.survey.table(parent).nest if n.table == name)
        curves = self.archive.collections[parent].catalog.schema.field(column)
        return own if curves.type.get_field_index(own) >= 0 else None

    def _now(self, name: str) -> Homes:
        return self.homes[name].with_more(self.fresh[name].ids, self.fresh[name].places)

    def _note_fresh(self, name: str) -> None:
        """Note which rows of a table others can name from now on."""
        files = [self._place("placed", name).file(r["number"]) for r in self.reports[name]]
        rows = pa.concat_tables([pa.ipc.open_file(pa.memory_map(str(file))).read_all() for file in files])
        ids = keys_of(rows.column(str(self.archive.roles(name).id)))
        self.fresh[name] = Homes(ids, rows.column(HEALPIX).to_numpy())

    def _take_in(self, name: str, parent: str) -> None:
        """Take in rows that had no object before."""
        file = self.root / aside.ORPHANS / f"{name}.parquet"
        found = aside.take_in(file, str(self.archive.roles(name).parent_id), self.fresh[parent])
        if found.rows is None:
            return
        columns = pa.schema([bare(f) for f in found.rows.schema])
        number = len(self.night.planned.units(name))
        dealing = self._dealing(name, columns)
        report = deal_orphans(dealing, number, found.rows.cast(columns))
        self.reports.setdefault(name, []).append({**report, "dealt": Dealt()})
        self.left[file] = found.left
        self.taken[name] = Tally.of(dealing.keys(found.rows))

    def _offset(self, name: str) -> dict[str, str]:
        """Return how far the rows of a catalog are at most from those that they follow, as properties say it."""
        told = self.archive.collections[name].catalog.properties.get(OFFSET)
        if told is None:
            return {}
        return {OFFSET: repr(max(float(told), *(r["offset_arcsec"] for r in self.reports.get(name, ()))))}

    def _gets_rows(self, name: str) -> bool:
        nested = [n.table for n in self.archive.survey.table(name).nest]
        return any(n in self.reports for n in (name, *nested))

    def _grown(self, name: str) -> tuple[Growing, list[Done]]:
        """Write the partitions of a collection that get new rows."""
        archive, table, collection = self.archive, self.archive.survey.table(name), self.archive.collections[name]
        stored = schema_of(collection.catalog)
        curves = {n.table: Curve(stored.field(n.name), archive.roles(n.table)) for n in table.nest}
        form = FILE if curves else FOLDERS
        work = Growth(
            catalog=member_of(collection, collection.catalog, self.generation, form),
            margins=tuple(member_of(collection, m, self.generation, form) for m in collection.margins),
            tiles=margin_targets(collection.catalog.layout),
            id_column=archive.roles(name).id,
            placed=self._place("placed", name) if name in self.reports else None,
            nested=tuple(
                Nested(child, curve, str(archive.roles(child).parent_id), self._place("nested", child))
                for child, curve in curves.items()
                if child in self.reports
            ),
            curves=tuple(curves.values()),
            scratch=self.scratch / "growing" / name,
        )
        limits = Limits(table.row_limit, table.byte_limit)
        growing = Growing(collection, work, limits, self.generation, self.root, self.show)
        kinds = [(name, "placed"), *((n.table, "nested") for n in work.nested)]
        touched = {tile for n, kind in kinds for r in self.reports.get(n, ()) for tile in r[kind][0]}
        return growing, growing.tiles_done(sorted(touched))

    def _received(self, done: Mapping[str, Sequence[Done]]) -> Iterator[Received]:
        """Yield what became of the new rows of each table in each catalog."""
        for name, tiles in done.items():
            if name in self.reports:
                yield self._placed(name, tiles)
            for nested in self.archive.survey.table(name).nest:
                if nested.table in self.reports:
                    yield self._nested(name, nested, tiles)

    def _placed(self, name: str, tiles: Sequence[Done]) -> Received:
        dealt = sum((r["dealt"] for r in self.reports[name]), Dealt())
        added = sum((d.placed for d in tiles), Tally())
        return Received(
            table=name,
            became=f"catalog {self.archive.collections[name].catalog.name}",
            rows_in=dealt.rows,
            taken_in=self.taken.get(name, Tally()).rows if self.archive.survey.table(name).follow is not None else 0,
            added=added.rows,
            known=dealt.known + sum(d.known for d in tiles),
            refused=dealt.refused,
            orphans=dealt.lost,
            unvisited=dealt.unvisited,
            hash=added.hash,
        )

    def _nested(self, name: str, nested: Told, tiles: Sequence[Done]) -> Received:
        reports = self.reports[nested.table]
        dealt = sum((r["dealt"] for r in reports), Dealt())
        counts = [d.nested[nested.table] for d in tiles if nested.table in d.nested]
        added, orphaned = sum((t for t, _ in counts), Tally()), sum((r["orphaned"] for r in reports), Tally())
        taken = self.taken.get(nested.table, Tally())
        return Received(
            table=nested.table,
            became=f"{nested.name} of {self.archive.collections[name].catalog.name}",
            rows_in=dealt.rows,
            taken_in=taken.rows,
            added=added.rows,
            known=sum(n for _, n in counts),
            refused=0,
            orphans=dealt.orphans,
            unvisited=dealt.unvisited,
            hash=(added + orphaned + Tally(0, -taken.hash)).hash,
        )

    def _set_aside(self) -> None:
        """Put files of rows that are in no catalog, and have changed, where the switch finds them."""
        for name in self.reports:
            # Rows that are nested and follow, too, wait for the same object.
            waiting = aside.ORPHANS if name in self.archive.survey.nested else "lost"
            self._collect(name, waiting, aside.ORPHANS)
            self._collect(name, aside.REFUSED, aside.REFUSED)

    def _collect(self, name: str, scratch: str, kind: str) -> None:
        new = sorted((self.scratch / scratch / name).glob("*.parquet"))
        path = self.root / kind / f"{name}.parquet"
        if new or path in self.left:
            aside.collect(path, self.left.get(path), new, self.scratch / STAGED / kind / path.name)
