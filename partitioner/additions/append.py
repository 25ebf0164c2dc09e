"""Add a night's rows to a finished archive: only the partitions they belong in are touched, all at once or not at all.

What is done to one collection is written next door; folding additions in is another verb.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lsdb_ts.store.provenance import Provenance
from lsdb_ts.store.write import FILE, FOLDERS
from partitioner.account import Tally
from partitioner.additions import aside
from partitioner.additions.archive import Archive, schema_of
from partitioner.additions.bookkeeping import STAGED, folders_in, stage_provenance, staged_for, switch, with_addition
from partitioner.additions.columns import Differing
from partitioner.additions.deal import place_of
from partitioner.additions.growing import Growing, carried_out, member_of
from partitioner.additions.leaves import Done, Growth, Nested
from partitioner.additions.night import Night, open_night
from partitioner.additions.report import Addition, Received
from partitioner.additions.sorting import Sorting
from partitioner.additions.switch import SCRATCH, at_work, begin
from partitioner.additions.union import Curve
from partitioner.moving.lookup import collect_visits, visited_tables
from partitioner.moving.spill import Place, write_index
from partitioner.planning.census import Limits
from partitioner.planning.product import margin_targets
from partitioner.running.provenance import inputs_of

OFFSET = "lsdb_ts_offset_arcsec"
"""Property of a catalog that follows another: the largest distance between a row and the one that it follows."""
KEEP = 1
"""So many former states stay, for those who are reading them."""


def append(
    path: str | Path,
    files: Mapping[str, Sequence[str]],
    *,
    on_bad: str | None = None,
    drop: Sequence[str] = (),
    null: Sequence[str] = (),
    cast: Sequence[str] = (),
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
    drop, null, cast : sequence of str, optional
        Columns in which the files may differ from the archive: those that it has not are left out, those that the files
        have not are null in the new rows, those of another type are converted, and rounded. All else that differs is
        an error, as columns that are lost without a word would be.
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
        The archive was not made by a repartition, or has no such table or column.
    InputError
        Files, columns, positions or ids that would make the result wrong; nothing was added.
    OutputError
        Another process is adding to the archive, or its disk knows no hard links.
    """
    root = Archive.open(path).root
    with at_work(root):
        archive = Archive.open(root)
        allowed = Differing(tuple(drop), tuple(null), tuple(cast))
        night = open_night(archive, files, root / SCRATCH, on_bad, allowed)
        date = datetime.now(tz=UTC).isoformat(timespec="seconds")
        if not night.tables:
            return Addition(str(root), date, archive.generation, (), night.skipped)
        return _Append(archive, night, keep, show, date, Sorting(archive, night, root / SCRATCH, show)).run()


@dataclass(eq=False)
class _Append:
    """One night on its way."""

    archive: Archive
    night: Night
    keep: int
    show: bool | None
    date: str
    sorting: Sorting

    @property
    def root(self) -> Path:
        return self.archive.root

    @property
    def scratch(self) -> Path:
        return self.root / SCRATCH

    @property
    def generation(self) -> int:
        return self.archive.generation + 1

    @property
    def reports(self) -> Mapping[str, Sequence[Mapping[str, Any]]]:
        return self.sorting.reports

    def _place(self, kind: str, name: str) -> Place:
        return place_of(self.scratch, kind, name)

    def run(self) -> Addition:
        """Do everything, and let it be seen at the end."""
        begin(self.root, folders_in(self.archive, self.generation))
        planned = self.night.planned
        carried_out(collect_visits, planned, visited_tables(planned), "look up visits", self.show)
        self.sorting.run()
        for name in self.reports:
            for kind in ("placed", "nested"):
                write_index(self._place(kind, name), [(r["number"], r[kind]) for r in self.reports[name]])
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
            columns=self.night.columns,
            tables=tuple(self._received({name: done for name, (_, done) in grown.items()})),
            catalogs=tuple(w for each in written.values() for w in each),
        )
        addition.check()
        self._set_aside()
        stage_provenance(self.archive, self._provenance(addition), self.date, addition.generation)
        account = with_addition(self.archive, addition)
        switch(self.archive, account, list(written), self.keep)
        return addition

    def _provenance(self, addition: Addition) -> Provenance:
        """Return what went in, and what became of it."""
        told = addition.to_json()
        asked = {"on_bad": self.night.planned.on_bad, "columns": told["columns"]}
        counted = {key: told[key] for key in ("tables", "catalogs")}
        return Provenance("append", asked, inputs_of(self.night.planned), counted)

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
        touched = {tile for n, kind in kinds for tile in self.sorting.tiles_of(n, kind)}
        return growing, growing.tiles_done(sorted(touched))

    def _received(self, done: Mapping[str, Sequence[Done]]) -> Iterator[Received]:
        """Yield what became of the new rows of each table in each catalog."""
        for name, tiles in done.items():
            if name in self.reports:
                placed = sum((d.placed for d in tiles), Tally())
                yield self.sorting.placed(name, placed, sum(d.known for d in tiles))
            for nested in self.archive.survey.table(name).nest:
                if nested.table in self.reports:
                    counts = [d.nested[nested.table] for d in tiles if nested.table in d.nested]
                    added = sum((tally for tally, _ in counts), Tally())
                    yield self.sorting.nested(name, nested, added, sum(n for _, n in counts))

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
        left = self.sorting.left
        if new or path in left:
            aside.collect(path, left.get(path), new, self.scratch / STAGED / kind / path.name)
