"""All new rows of a night on their way: who is named, what is known, where each row belongs, which orphans may come in.

What one unit of rows does is written next door, and what the partitions make of them elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from partitioner.account import Tally
from partitioner.additions import aside
from partitioner.additions.archive import Archive, bare
from partitioner.additions.deal import Dealing, Dealt, check_ids, deal, deal_orphans, ids_of, united
from partitioner.additions.growing import carried_out
from partitioner.additions.homes import Homes, find_homes
from partitioner.additions.night import Night
from partitioner.additions.report import Received
from partitioner.planning.product import margin_targets
from partitioner.surveys.survey import Nested


@dataclass(eq=False)
class Sorting:
    """The rows of a night, and where they belong."""

    archive: Archive
    night: Night
    scratch: Path | None
    """Folder for scratch files; None where rows are only counted."""
    show: bool | None
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

    def run(self) -> None:
        """Send all new rows where they belong; tables that others name come first."""
        names = self.night.tables
        noted = {name: self._ids(name) for name in names}
        for parent in self._named():
            self._find(parent, noted)
        for name in sorted(names, key=lambda n: n not in self.homes):
            units = self.night.planned.units(name)
            self.reports[name] = carried_out(deal, self._dealing(name), units, f"deal {name}", self.show)
            if name in self.homes:
                self.fresh[name] = Homes.joined([r["fresh"] for r in self.reports[name]])
        for table in self.archive.survey.tables:
            leader = next(iter(self.archive.parents_of(table.name)), None)
            if leader in self.fresh and len(self.fresh[leader].ids):
                self._take_in(table.name, leader)

    def tiles_of(self, name: str, kind: str) -> dict[int, int]:
        """Return the pixels that rows of a table go to, ``placed`` or ``nested``, and how many go to each."""
        found: dict[int, int] = {}
        for report in self.reports.get(name, ()):
            for tile, rows in zip(*report[kind], strict=True):
                found[tile] = found.get(tile, 0) + rows
        return found

    def placed(self, name: str, added: Tally, known: int) -> Received:
        """Return what became of the new rows of a table in its own catalog, where some were added and some known."""
        dealt = self._dealt(name)
        return Received(
            table=name,
            became=f"catalog {self.archive.collections[name].catalog.name}",
            rows_in=dealt.rows,
            taken_in=self.taken.get(name, Tally()).rows if self.archive.survey.table(name).follow is not None else 0,
            added=added.rows,
            known=dealt.known + known,
            refused=dealt.refused,
            orphans=dealt.lost,
            unvisited=dealt.unvisited,
            hash=added.hash,
        )

    def nested(self, name: str, nested: Nested, added: Tally, known: int) -> Received:
        """Return what became of the new rows of a table in the light curves of another."""
        dealt, taken = self._dealt(nested.table), self.taken.get(nested.table, Tally())
        orphaned = sum((r["orphaned"] for r in self.reports[nested.table]), Tally())
        return Received(
            table=nested.table,
            became=f"{nested.name} of {self.archive.collections[name].catalog.name}",
            rows_in=dealt.rows,
            taken_in=taken.rows,
            added=added.rows,
            known=known,
            refused=0,
            orphans=dealt.orphans,
            unvisited=dealt.unvisited,
            hash=(added + orphaned + Tally(0, -taken.hash)).hash,
        )

    def _dealt(self, name: str) -> Dealt:
        return sum((r["dealt"] for r in self.reports[name]), Dealt())

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
        own: Sequence[pa.Array] = noted[parent]["own"] if parent in noted else []
        column = str(self.archive.roles(parent).id)
        check_ids(parent, column, own)
        wanted = united([*own, *(noted[n]["parents"] for n in naming)])
        near = [noted[n]["near"] for n in (*naming, *([parent] if parent in noted else []))]
        places = np.concatenate([np.empty(0, np.int64), *near])
        self.homes[parent] = find_homes(self.archive.collections[parent].catalog, column, wanted, places)
        self.fresh[parent] = Homes.none()

    def _dealing(self, name: str, columns: pa.Schema | None = None) -> Dealing:
        archive = self.archive
        collections, parent = archive.collections, archive.survey.nested.get(name)
        catalogs = [n for n in (name, parent) if n is not None and n in collections]
        return Dealing(
            planned=self.night.planned,
            table=archive.survey.table(name),
            columns=self.night.planned.columns[name] if columns is None else columns,
            tiles={n: margin_targets(collections[n].catalog.layout) for n in catalogs},
            homes={n: self._now(n) for n in archive.parents_of(name) if n in self.homes},
            own=self.homes.get(name, Homes.none()),
            parent=parent,
            counted_id=self._counted_id(name),
            leads=any(name in archive.parents_of(t.name) for t in archive.survey.tables),
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
        return Homes.joined([self.homes[name], self.fresh[name]])

    def _take_in(self, name: str, parent: str) -> None:
        """Take in rows that had no object before."""
        file = self.archive.root / aside.ORPHANS / f"{name}.parquet"
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
