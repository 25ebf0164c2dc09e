"""Look at one partition: every byte, row group by row group, and count what the checks of the catalog compare.

What can be wrong within a row group is told by the modules beside this one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from lsdb_ts.errors import CatalogError
from lsdb_ts.schema import HEALPIX, Roles, plain_nested
from lsdb_ts.sky import Pixel, halo_members
from lsdb_ts.sky.pixel import SKY_STOP, Indices, cell_of
from lsdb_ts.store.footers import Footer, footer
from lsdb_ts.store.sidecar_file import is_sound
from partitioner.account import Tally, child_keys, integers
from partitioner.checks.curves import curve_faults, curve_tallies
from partitioner.checks.fault import Fault, merged
from partitioner.checks.files import COLLECTION, reason, seal_faults
from partitioner.checks.fingerprints import row_hashes
from partitioner.checks.footers import listing_faults, listing_of, schema_faults, statistics_faults
from partitioner.checks.rows import Expected, row_faults
from partitioner.checks.subject import Subject


@dataclass(frozen=True)
class Piece:
    """A partition to be looked at."""

    pixel: Pixel
    deep: bool = True
    """Whether its rows are read; else its footers only."""

    def __str__(self) -> str:
        return str(self.pixel)


@dataclass(frozen=True, eq=False)
class Examination:
    """What every look at a partition of one catalog shares."""

    subject: Subject
    map_order: int | None = None
    """Order of the catalog's skymap, for which rows are counted."""


@dataclass(frozen=True, eq=False)
class Found:
    """What one partition had to say."""

    faults: tuple[Fault, ...]
    deep: bool
    files: int = 0
    rows: int = 0
    bytes: int = 0
    content: Tally = field(default_factory=Tally)
    """Of the rows of a margin, in all columns."""
    children: Tally = field(default_factory=Tally)
    """Of rows that belong to rows of another catalog: by the id of these, and their own."""
    curves: dict[str, Tally] = field(default_factory=dict)
    """Of what is nested, by column."""
    emitted: tuple[tuple[int, Tally], ...] = ()
    """(place among the margin targets, tally of the rows that belong into that pixel's margin)."""
    cells: Indices = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    counts: Indices = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    """Cells of the skymap, and rows in each."""


def examine(work: Examination, piece: Piece) -> Found:
    """Look at a partition."""
    looks = [
        _Look(work, piece, path) for path in work.subject.catalog.leaf_files(piece.pixel) if isinstance(path, Path)
    ]
    if not looks:
        file = work.subject.name_of(Path(str(work.subject.catalog.leaf_path(piece.pixel))))
        return Found((Fault(file, None, f"the partition {piece.pixel} has no file"),), piece.deep)
    for look in looks:
        look.run()
    total = _Counts.added(look.counts for look in looks)
    return Found(
        tuple(fault for look in looks for fault in merged(look.faults)),
        piece.deep,
        files=len(looks),
        rows=total.rows,
        bytes=sum(look.size for look in looks),
        content=total.content,
        children=total.children,
        curves=total.curves,
        emitted=tuple(sorted(total.emitted.items())),
        cells=np.fromiter(total.cells, dtype=np.int64),
        counts=np.fromiter(total.cells.values(), dtype=np.int64),
    )


@dataclass
class _Counts:
    """What is counted in a file while its row groups pass by."""

    rows: int = 0
    content: Tally = field(default_factory=Tally)
    children: Tally = field(default_factory=Tally)
    curves: dict[str, Tally] = field(default_factory=dict)
    emitted: dict[int, Tally] = field(default_factory=dict)
    cells: dict[int, int] = field(default_factory=dict)

    @classmethod
    def added(cls, parts: Iterator[_Counts]) -> _Counts:
        total = cls()
        for part in parts:
            total.rows += part.rows
            total.content += part.content
            total.children += part.children
            for name, tally in part.curves.items():
                total.curves[name] = total.curves.get(name, Tally()) + tally
            for target, tally in part.emitted.items():
                total.emitted[target] = total.emitted.get(target, Tally()) + tally
            for cell, n in part.cells.items():
                total.cells[cell] = total.cells.get(cell, 0) + n
        return total


class _Look:
    """The look at one file."""

    def __init__(self, work: Examination, piece: Piece, path: Path) -> None:
        self.work, self.piece, self.path = work, piece, path
        self.subject = work.subject
        self.name = self.subject.name_of(path)
        self.faults: list[Fault] = []
        self.counts = _Counts()
        self.size = 0

    def run(self) -> None:
        """Look at the footer and, where the rows are wanted, at all of the file."""
        try:
            self.size = self.path.stat().st_size
            found = footer(self.path)
            self._footer(found)
            if self.piece.deep:
                self._rows(found)
        except (CatalogError, OSError, pa.ArrowException) as error:
            self.faults.append(Fault(self.name, None, f"the file cannot be read: {reason(error, self.path)}"))
            return
        if self.piece.deep:
            self.faults += seal_faults(self.path, self.name, is_ours=self.subject.is_exact)
            self.faults += self._sidecar()
        else:
            self.counts.rows = found.n_rows

    def _footer(self, found: Footer) -> None:
        catalog = self.subject.catalog
        schema = plain_nested(found.schema)
        self.faults += schema_faults(schema, catalog.schema, self.name, is_ours=self.subject.is_exact)
        try:
            listing = listing_of(self.subject.root)
        except (CatalogError, OSError, pa.ArrowException):  # told of where catalog-wide files are looked at
            return
        if listing is not None:
            dataset = self.subject.root / "dataset"
            self.faults += listing_faults(listing, self.path, dataset, found, self.name)

    def _rows(self, found: Footer) -> None:
        catalog = self.subject.catalog
        ids = self.subject.id_column if catalog.kind == "object" else None
        expected = Expected(
            *(self.name, self.piece.pixel, self.subject.is_margin, self.subject.is_ours),
            *(catalog.ra, catalog.dec, ids, self.subject.offset_arcsec),
        )
        before = -1
        for g, table in row_groups(self.path, found):
            first_row = self.counts.rows
            self.faults += statistics_faults(found, g, table, self.name, is_ours=self.subject.is_exact)
            self.faults += curve_faults(table, expected, first_row)
            self.faults += row_faults(table, expected, first_row, before)
            self.counts.rows += table.num_rows
            if HEALPIX in table.column_names and not table.column(HEALPIX).null_count:
                place = table.column(HEALPIX).to_numpy()
                before = int(place[-1]) if place.size else before
                self._count(table, place)

    def _count(self, table: pa.Table, place: NDArray[np.int64]) -> None:
        subject, counts = self.subject, self.counts
        if subject.is_margin:
            counts.content += _tally(row_hashes(table, _there(subject.compared, table)))
            return
        for name, tally in curve_tallies(table, subject.id_column).items():
            counts.curves[name] = counts.curves.get(name, Tally()) + tally
        counts.children += _children(table)
        sane = np.flatnonzero((place >= self.piece.pixel.start) & (place < self.piece.pixel.stop))
        if subject.emits:
            for target, tally in self._emitted(table, place, sane):
                counts.emitted[target] = counts.emitted.get(target, Tally()) + tally
        if self.work.map_order is not None:
            on_sky = place[(place >= 0) & (place < SKY_STOP)]
            cells, rows = np.unique(cell_of(on_sky, self.work.map_order), return_counts=True)
            for cell, n in zip(cells.tolist(), rows.tolist(), strict=True):
                counts.cells[cell] = counts.cells.get(cell, 0) + n

    def _emitted(
        self, table: pa.Table, place: NDArray[np.int64], sane: NDArray[np.int64]
    ) -> Iterator[tuple[int, Tally]]:
        """Yield which margins the rows belong into, by the rule they were written with."""
        catalog = self.subject.catalog
        assert catalog.margin is not None
        targets, radius_arcsec = self.subject.margin_targets, catalog.margin.margin_arcsec
        rows, places = halo_members(place[sane], self.piece.pixel, targets, radius_arcsec)
        members, which = np.unique(rows, return_inverse=True)
        hashes = row_hashes(table.take(pa.array(sane[members])), _there(self.subject.compared, table))
        unique, starts = np.unique(places, return_index=True)
        for target, start, stop in zip(unique.tolist(), starts, np.append(starts, rows.size)[1:], strict=True):
            yield target, _tally(hashes[which[start:stop]])

    def _sidecar(self) -> Iterator[Fault]:
        sidecar = self.subject.sidecar
        file = None if sidecar is None else sidecar.file_of(self.path)
        if file is None:
            return
        # That of a margin is built with that of its catalog.
        whole = self.subject.root.parent
        catalog = whole if (whole / COLLECTION).exists() else self.subject.root
        way_out = f"build it again: lsdb-ts sidecar {catalog}"
        if not file.exists():
            yield Fault(self.subject.name_of(file), None, "the file is missing", True, "sidecar", way_out=way_out)
        elif not is_sound(file):
            yield Fault(self.subject.name_of(file), None, "fails its checksum", way_out=way_out)
        elif sidecar is not None and not sidecar.is_current(self.path, (HEALPIX, *sidecar.columns)):
            what = "was built for another state of the catalog (a copy is one), or other columns, and is not used"
            yield Fault(self.subject.name_of(file), None, what, True, "sidecar", way_out=way_out)


def row_groups(path: Path, found: Footer) -> Iterator[tuple[int, pa.Table]]:
    """Read a file row group by row group, with page checksums; texts in nested columns written out."""
    with pq.ParquetFile(path, metadata=found.metadata, page_checksum_verification=True, pre_buffer=False) as file:
        for g in range(len(found)):
            table = file.read_row_group(g, use_threads=False)
            kinds = plain_nested(table.schema)
            yield g, table if table.schema.equals(kinds) else table.cast(kinds)


def _there(columns: Sequence[str], table: pa.Table) -> list[str]:
    return [name for name in columns if name in table.column_names]


def _children(table: pa.Table) -> Tally:
    """Tally rows that belong to others, by the id of these and their own."""
    roles = Roles.of(table.schema)
    if roles.parent_id is None or not pa.types.is_integer(table.schema.field(roles.parent_id).type):
        return Tally()
    own = table.column(roles.id) if roles.id is not None else None
    keys = integers(own) if own is not None and pa.types.is_integer(own.type) else None
    return Tally.of(child_keys(integers(table.column(roles.parent_id)), keys))


def _tally(hashes: NDArray[np.uint64]) -> Tally:
    return Tally.of(hashes.view(np.int64))
