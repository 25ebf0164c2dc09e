"""Check catalogs by reading the data itself: files, rows, light curves, counts, margins, ids. Nothing is mended here.

What is looked for is written in the files beside this one, a kind in each.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from lsdb_ts.errors import CatalogError
from lsdb_ts.run.pool import each
from lsdb_ts.run.progress import stage
from lsdb_ts.sky import Pixel
from lsdb_ts.store.files import local
from lsdb_ts.store.footers import footer
from partitioner.account import Tally
from partitioner.checks.accounts import Held, account_faults
from partitioner.checks.associations import association_faults
from partitioner.checks.counts import count_faults, map_order, skymap_faults, statistics_table_faults
from partitioner.checks.fault import Fault, without_repeats
from partitioner.checks.files import (
    catalog_file_faults,
    collection_faults,
    listing_of_folder,
)
from partitioner.checks.ids import id_faults
from partitioner.checks.indexes import IndexCheck, index_faults
from partitioner.checks.margins import Pair, margin_faults
from partitioner.checks.partition import Examination, Found, Piece, examine
from partitioner.checks.report import Report
from partitioner.checks.sample import Sample
from partitioner.checks.subject import Opened, Subject, opened

_SKIPPED = (
    "rows of the other partitions, and of the margins of these",
    "ids that repeat, and whether indexes and associations hold every id",
    "whether light curves, orphans and stand-alone sources are the rows of the account",
)


def verify(path: str | Path, *, sample: str | float | None = None, seed: int = 0, show: bool | None = None) -> Report:
    """Check a catalog, or a collection with its margins, indexes and the collections inside it, by reading all of it.

    Found are: files that cannot be read, fail the checksums of their pages or are not byte for byte what was written;
    files that are missing or that no partition lists; schemas, statistics and footers that differ from the data or from
    `_metadata`; rows outside their pixel, indices that are not those of the positions, rows and light curves out of
    sequence, null lists and lists of unequal length; counts that disagree with the metadata or the skymap; ids that
    repeat; margins that lack a row, hold one too many or one that differs from the catalog's; indexes that lack an id
    or point elsewhere; associations of rows that there are not; and accounts that do not balance with all that.
    Catalogs of other writers are held to what HATS asks; what else is unusual in them becomes a note.

    Works on the Dask client that is active, else on all local cores; reads a row group at a time.

    Parameters
    ----------
    path : str or pathlib.Path
        Folder of a HATS catalog or collection.
    sample : str or float, optional
        Read only some partitions, chosen by a hash: a share like 0.01, or a number like 100. All metadata and footers
        are looked at even so. The report says what was not.
    seed : int, optional
        Chooses other partitions.
    show : bool, optional
        Whether to show progress; by default where a person is looking.

    Returns
    -------
    Report

    Raises
    ------
    CatalogError
        The folder is not a finished catalog at all.
    PlanError
        The sample is neither a share nor a number, or the path is a URL.
    """
    base = local(path, "verifying a catalog").absolute()
    chosen = None if sample is None else Sample.of(sample, seed)
    return _Verification(base, opened(base), chosen, show).run()


@dataclass
class _Verification:
    """A verification under way."""

    base: Path
    there: Opened
    sample: Sample | None
    show: bool | None
    faults: list[Fault] = field(default_factory=list)
    held: dict[str, Held] = field(default_factory=dict)
    files: int = 0
    rows: int = 0
    partitions: int = 0
    of_partitions: int = 0

    def run(self) -> Report:
        """Look at everything."""
        self.faults += self.there.faults
        for folder in sorted({self.base, *(group[0].root.parent for group in self.there.groups)}):
            if (folder / "collection.properties").exists():
                self.faults += collection_faults(self.base, folder)
        for group in self.there.groups:
            self._catalog(group)
        for subject, column, folder in self.there.indexes:
            self._index(IndexCheck(subject, column, folder))
        self.faults += account_faults(self.base, self.held)
        sound = [f for f in self.faults if not f.is_note]
        return Report(
            path=str(self.base),
            catalogs=tuple(subject.name for group in self.there.groups for subject in group),
            files=self.files,
            rows=self.rows,
            faults=tuple(sound),
            notes=tuple(f for f in self.faults if f.is_note),
            partitions=self.partitions,
            of_partitions=self.of_partitions,
            skipped=() if self.sample is None else _SKIPPED,
        )

    def _catalog(self, group: tuple[Subject, ...]) -> None:
        """Look at a catalog and its margins."""
        found = [self._examined(subject) for subject in group]
        for subject, by_pixel in zip(group, found, strict=True):
            leaves = {p for pixel in by_pixel for p in subject.catalog.leaf_files(pixel) if isinstance(p, Path)}
            told = [*(f for one in by_pixel.values() for f in one.faults), *catalog_file_faults(subject)]
            told += [*count_faults(subject, by_pixel), *skymap_faults(subject, by_pixel)]
            told += statistics_table_faults(subject, by_pixel)
            self.faults += without_repeats([*told, *listing_of_folder(subject, leaves)])
        primary = group[0]
        if self.sample is None:
            self.faults += id_faults(primary, self._orphans(primary), self.show)
            if primary.catalog.kind == "association":
                self.faults += association_faults(primary)
        for margin, by_pixel in zip(group[1:], found[1:], strict=True):
            read = None if self.sample is None else frozenset(p for f in found for p, one in f.items() if one.deep)
            self.faults += margin_faults(Pair(primary, margin), found[0], by_pixel, read)
        self.held[primary.name] = _held(primary, found)

    def _examined(self, subject: Subject) -> dict[Pixel, Found]:
        """Look at the partitions of one catalog, those of the sample by reading them."""
        layout = subject.catalog.layout
        deep = [True] * len(layout) if self.sample is None else self.sample.chosen(layout).tolist()
        pieces = [Piece(pixel, read) for pixel, read in zip(layout, deep, strict=True)]
        by_pixel: dict[Pixel, Found] = {}
        work = Examination(subject, map_order(subject))
        expected = sum(_rows_of(subject, piece.pixel) for piece in pieces if piece.deep)
        with stage(f"verify {subject.name}", expected, "rows", self.show) as advance:
            for outcome in each(examine, pieces, work):
                pixel = outcome.item.pixel
                if outcome.failure is not None or outcome.value is None:
                    what = f"{pixel} could not be checked: {outcome.failure and outcome.failure.error}"
                    by_pixel[pixel] = Found((Fault(subject.name, None, what),), outcome.item.deep)
                else:
                    by_pixel[pixel] = outcome.value
                advance(_rows_of(subject, pixel) if outcome.item.deep else 0)
        read = [one for one in by_pixel.values() if one.deep]
        self.files += sum(one.files for one in read)
        self.rows += sum(one.rows for one in read)
        self.partitions += len(read)
        self.of_partitions += len(layout)
        return {pixel: by_pixel[pixel] for pixel in layout}

    def _index(self, work: IndexCheck) -> None:
        for found in index_faults(work, self.show, rows=self.sample is None):
            if isinstance(found, Fault):
                self.faults.append(found)
            else:
                self.files += 1
                self.rows += found

    def _orphans(self, subject: Subject) -> list[Path]:
        """Return the files of rows that were set aside because no object of a catalog has their id."""
        told = self.base / "account.json"
        is_primary = told.exists() and subject.root.parent == self.base
        return sorted((self.base / "orphans").rglob("*.parquet")) if is_primary else []


def _rows_of(subject: Subject, pixel: Pixel) -> int:
    """Return the rows of a partition as its footers tell them, 1 at least."""
    try:
        return max(1, sum(footer(path).n_rows for path in subject.catalog.leaf_files(pixel)))
    except (CatalogError, OSError, pa.ArrowException):
        return 1


def _held(primary: Subject, found: list[dict[Pixel, Found]]) -> Held:
    own = list(found[0].values())
    curves: dict[str, Tally] = {}
    for name, tally in (item for one in own for item in one.curves.items()):
        curves[name] = curves.get(name, Tally()) + tally
    return Held(
        name=primary.catalog.name,
        rows=sum(one.rows for one in own),
        partitions=len(own),
        bytes=sum(one.bytes for one in own),
        margin_rows=sum(one.rows for by_pixel in found[1:2] for one in by_pixel.values()),
        margin_arcsec=0.0 if (margin := primary.catalog.margin) is None else margin.margin_arcsec,
        is_whole=all(one.deep for one in own),
        curves=curves,
        children=sum((one.children for one in own), Tally()),
    )
