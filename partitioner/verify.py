"""Check catalogs by reading the data itself: files, rows, light curves, counts, margins, ids. Nothing is mended here.

What can be wrong within one file is listed in faults, what can be wrong with a margin in margin_faults.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lsdb_ts.errors import CatalogError
from lsdb_ts.run.pool import each
from lsdb_ts.run.progress import stage
from lsdb_ts.schema import HEALPIX, Roles
from lsdb_ts.sky import Pixel, halo_members
from lsdb_ts.store.files import local
from lsdb_ts.store.finish import BUILDER
from lsdb_ts.store.footers import footer
from lsdb_ts.store.hats import HatsCatalog, open_hats
from lsdb_ts.store.read import read_rows
from partitioner.account import Tally, integers, mixed, row_keys
from partitioner.faults import Expected, Fault, table_faults
from partitioner.margin_faults import foreign_margin_faults
from partitioner.product import margin_targets

_IDS_AT_ONCE = 50_000_000
"""Ids compared in one pass; more take more passes, not more memory."""


@dataclass(frozen=True)
class Report:
    """What a verification found."""

    path: str
    catalogs: tuple[str, ...]
    files: int
    rows: int
    """Rows read, those of margins included."""
    faults: tuple[Fault, ...]
    notes: tuple[Fault, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong; notes do not count."""
        return not self.faults

    def to_json(self) -> dict[str, Any]:
        """Return a JSON form."""

        def listed(found: Sequence[Fault]) -> list[dict[str, Any]]:
            return [{"file": f.file, "row": f.row, "what": f.what} for f in found]

        return {
            "path": self.path,
            "ok": self.ok,
            "catalogs": list(self.catalogs),
            "files": self.files,
            "rows": self.rows,
            "faults": listed(self.faults),
            "notes": listed(self.notes),
        }


@dataclass(frozen=True, eq=False)
class _Subject:
    """One catalog under examination."""

    catalog: HatsCatalog
    base: Path
    """Files are named from here."""

    @property
    def is_margin(self) -> bool:
        return self.catalog.kind == "margin"

    @property
    def is_ours(self) -> bool:
        return self.catalog.properties.get("hats_builder", "").startswith(BUILDER)

    @property
    def is_exact(self) -> bool:
        """Whether this version wrote the catalog: then it can be told exactly which rows a margin must hold."""
        return self.catalog.properties.get("hats_builder") == f"{BUILDER} v{version('lsdb_ts')}"

    @property
    def id_column(self) -> str | None:
        return Roles.of(self.catalog.schema).id

    @property
    def emits(self) -> bool:
        """Whether its rows are to be held against its margin one by one."""
        return self.is_exact and self.catalog.margin is not None

    def name_of(self, path: Path) -> str:
        return path.relative_to(self.base).as_posix() if path.is_relative_to(self.base) else str(path)

    @property
    def name(self) -> str:
        return self.name_of(self.catalog.path)


@dataclass(frozen=True, eq=False)
class _LeafReport:
    """What one partition had to say."""

    faults: tuple[Fault, ...]
    files: int
    tally: Tally
    """Of its rows."""
    emitted: tuple[tuple[int, Tally], ...] = ()
    """(place among the margin targets, tally of its rows that belong into that pixel's margin)."""


def verify(path: str | Path, *, show: bool | None = None) -> Report:
    """Check a catalog, or a collection with its margins and the collections inside it, by reading all of it.

    Found are: files that cannot be read or fail their page checksums, files that are missing or that no partition
    lists, schemas that differ, rows outside their pixel, indices that are not those of the positions, rows and light
    curves out of sequence, lists of unequal length, counts that disagree with the metadata, ids that repeat, and
    margins that lack a row or hold one too many. Catalogs of other writers are held to what HATS asks; what else is
    unusual in them becomes a note.

    Parameters
    ----------
    path : str or pathlib.Path
        Folder of a HATS catalog or collection.
    show : bool, optional
        Whether to show progress; by default where a person is looking.

    Returns
    -------
    Report

    Raises
    ------
    CatalogError
        The folder is not a finished catalog at all.
    """
    base = local(path, "verifying a catalog").absolute()
    found: list[Fault] = []
    names: list[str] = []
    files = rows = 0
    for catalog in _catalogs(base):
        subjects = [_Subject(c, base) for c in (catalog, catalog.margin) if c is not None]
        reports = [_examine(subject, show) for subject in subjects]
        for subject, by_pixel in zip(subjects, reports, strict=True):
            names.append(subject.name)
            files += sum(r.files for r in by_pixel.values())
            rows += sum(r.tally.rows for r in by_pixel.values())
            found += _without_repeats([f for r in by_pixel.values() for f in r.faults])
            found += _catalog_faults(subject, by_pixel)
        found += _repeated_ids(subjects[0])
        if len(subjects) == 2:
            found += _margin_faults(subjects[0], subjects[1], reports[0], reports[1])
    sound, notes = [f for f in found if not f.is_note], [f for f in found if f.is_note]
    return Report(str(base), tuple(names), files, rows, tuple(sound), tuple(notes))


def _without_repeats(found: Sequence[Fault]) -> Iterator[Fault]:
    """Yield all faults of a catalog, but of each kind of note only the first, with the number of files it is in."""
    notes: dict[str, list[Fault]] = {}
    for fault in found:
        if fault.is_note:
            notes.setdefault(fault.kind, []).append(fault)
        else:
            yield fault
    for alike in notes.values():
        more = f"; the same in {len(alike) - 1} more files" if len(alike) > 1 else ""
        yield replace(alike[0], what=alike[0].what + more)


def _catalogs(base: Path) -> Iterator[HatsCatalog]:
    """Open what is at a path, and the collections in folders right inside a collection."""
    yield open_hats(base)
    if (base / "collection.properties").exists():
        for inner in sorted(base.glob("*/collection.properties")):
            yield open_hats(inner.parent)


def _examine(subject: _Subject, show: bool | None) -> dict[Pixel, _LeafReport]:
    pixels = list(subject.catalog.layout)
    reports: dict[Pixel, _LeafReport] = {}
    with stage(f"verify {subject.name}", len(pixels), "pixels", show) as advance:
        for outcome in each(_examine_leaf, pixels, subject):
            if outcome.failure is not None:
                fault = Fault(subject.name, None, f"{outcome.item} could not be checked: {outcome.failure.error}")
                reports[outcome.item] = _LeafReport((fault,), 0, Tally())
            else:
                reports[outcome.item] = outcome.value
            advance(1)
    return {pixel: reports[pixel] for pixel in pixels}


def _examine_leaf(subject: _Subject, pixel: Pixel) -> _LeafReport:
    catalog = subject.catalog
    faults: list[Fault] = []
    tally, emitted = Tally(), dict[int, Tally]()
    files = catalog.leaf_files(pixel)
    for path in files:
        name = subject.name_of(path)
        try:
            schema = footer(path).schema
            table = read_rows(path, schema.names)
        except CatalogError as error:
            faults.append(Fault(name, None, f"the file cannot be read: {_reason(error, path)}"))
            continue
        faults += _schema_faults(schema, catalog.schema, name)
        expected = Expected(name, pixel, subject.is_margin, subject.is_ours, catalog.ra, catalog.dec)
        faults += table_faults(table, expected)
        if HEALPIX not in table.column_names:
            tally += Tally(table.num_rows)
            continue
        id_column = subject.id_column if subject.id_column in table.column_names else None
        keys = row_keys(table, id_column)
        tally += Tally.of(keys)
        if subject.emits:
            for target, part in _emitted(subject, pixel, table.column(HEALPIX).to_numpy(), keys):
                emitted[target] = emitted.get(target, Tally()) + part
    return _LeafReport(tuple(faults), len(files), tally, tuple(sorted(emitted.items())))


def _reason(error: CatalogError, path: Path) -> str:
    return str(error.__cause__ or error).replace(f"{path}: ", "").replace(f"cannot read {path}", "")


def _emitted(
    subject: _Subject, pixel: Pixel, place: NDArray[np.int64], keys: NDArray[np.int64]
) -> Iterator[tuple[int, Tally]]:
    """Yield which margins the rows of a leaf belong into, by the rule they were written with."""
    catalog = subject.catalog
    assert catalog.margin is not None
    sane = np.flatnonzero((place >= pixel.start) & (place < pixel.stop))
    rows, targets = halo_members(place[sane], pixel, margin_targets(catalog.layout), catalog.margin.margin_arcsec)
    unique, starts = np.unique(targets, return_index=True)
    stops = np.append(starts, rows.size)[1:]
    for target, start, stop in zip(unique.tolist(), starts.tolist(), stops.tolist(), strict=True):
        yield target, Tally.of(keys[sane[rows[start:stop]]])


def _schema_faults(found: pa.Schema, wanted: pa.Schema, file: str) -> Iterator[Fault]:
    types = {f.name: f.type for f in wanted}
    for name in found.names:
        if name not in types:
            yield Fault(file, None, f'has a column "{name}" that the catalog does not have')
        elif found.field(name).type != types[name]:
            yield Fault(
                file, None, f'the column "{name}" is {found.field(name).type} here and {types[name]} in the catalog'
            )
    for name in types:
        if name not in found.names:
            yield Fault(file, None, f'has no column "{name}", which the catalog has')


def _catalog_faults(subject: _Subject, reports: dict[Pixel, _LeafReport]) -> Iterator[Fault]:
    """Yield what concerns the catalog as a whole: counts, and files nobody lists."""
    catalog = subject.catalog
    rows = sum(r.tally.rows for r in reports.values())
    if catalog.n_rows is not None and catalog.n_rows != rows:
        yield Fault(
            f"{subject.name}/hats.properties", None, f"says hats_nrows={catalog.n_rows}, the files hold {rows} rows"
        )
    metadata = catalog.path / "dataset" / "_metadata"
    if metadata.exists():
        try:
            counted = footer(metadata).metadata.num_rows
        except CatalogError as error:
            yield Fault(subject.name_of(metadata), None, f"the file cannot be read: {_reason(error, metadata)}")
        else:
            if counted != rows:
                yield Fault(subject.name_of(metadata), None, f"counts {counted} rows, the files hold {rows}")
    listed = {path for pixel in catalog.layout for path in catalog.leaf_files(pixel)}
    for path in sorted((catalog.path / "dataset").glob("Norder=*/**/*")):
        if path.is_file() and path not in listed and not path.name.startswith((".", "_")):
            yield Fault(subject.name_of(path), None, "no partition of the catalog is kept in this file")


@dataclass(frozen=True, eq=False)
class _IdPass:
    """One pass over the ids of a catalog."""

    subject: _Subject
    part: int
    parts: int


def _ids_of(work: _IdPass, pixel: Pixel) -> NDArray[np.uint64]:
    found = [np.empty(0, dtype=np.uint64)]
    for path in work.subject.catalog.leaf_files(pixel):
        try:
            keys = mixed(integers(read_rows(path, [str(work.subject.id_column)]).column(0)))
        except CatalogError:  # reported where the file itself was examined
            continue
        found.append(keys[keys % np.uint64(work.parts) == work.part])
    return np.concatenate(found)


def _repeated_ids(subject: _Subject) -> Iterator[Fault]:
    """Yield the first id of an object catalog that comes more than once, and where."""
    column = subject.id_column
    if column is None or subject.catalog.kind != "object":
        return
    if not pa.types.is_integer(subject.catalog.schema.field(column).type):
        return
    parts = 1 + (subject.catalog.n_rows or 0) // _IDS_AT_ONCE
    for part in range(parts):
        by_pixel = {
            o.item: o.value
            for o in each(_ids_of, list(subject.catalog.layout), _IdPass(subject, part, parts))
            if o.value is not None
        }
        keys = np.sort(np.concatenate(list(by_pixel.values()))) if by_pixel else np.empty(0, dtype=np.uint64)
        twice = np.unique(keys[1:][keys[1:] == keys[:-1]])
        if twice.size:
            homes = sorted(pixel for pixel, found in by_pixel.items() if (found == twice[0]).any())
            path = subject.catalog.leaf_files(homes[0])[0]
            here = mixed(integers(read_rows(path, [column]).column(0)))
            row = int(np.flatnonzero(here == twice[0])[0])
            value = read_rows(path, [column]).column(0)[row].as_py()
            where = "" if len(homes) == 1 else f", again in {homes[1]}"
            yield Fault(subject.name_of(path), row, f"{twice.size} ids repeat, this one first: {column} {value}{where}")


def _margin_faults(
    primary: _Subject, margin: _Subject, rows: dict[Pixel, _LeafReport], margins: dict[Pixel, _LeafReport]
) -> Iterator[Fault]:
    """Hold a margin against the primary catalog."""
    if margin.catalog.schema.names != primary.catalog.schema.names:
        yield Fault(margin.name, None, "the margin has other columns than the catalog")
    if not (primary.is_exact and margin.is_exact):
        yield from foreign_margin_faults(primary.catalog, margin.catalog, primary.name_of)
        return
    targets = margin_targets(primary.catalog.layout)
    wanted: dict[Pixel, Tally] = {}
    for report in rows.values():
        for place, tally in report.emitted:
            wanted[targets[place]] = wanted.get(targets[place], Tally()) + tally
    for pixel in _in_sequence({*wanted, *margins}):
        file = margin.name_of(margin.catalog.leaf_path(pixel))
        has = margins[pixel].tally if pixel in margins else Tally()
        must = wanted.get(pixel, Tally())
        if has.rows != must.rows:
            yield Fault(
                file,
                None,
                f"the margin of {pixel} holds {has.rows} rows, the catalog has {must.rows} that belong there",
            )
        elif has != must:
            yield Fault(
                file, None, f"the margin of {pixel} holds other rows than those of the catalog that belong there"
            )


def _in_sequence(pixels: Iterable[Pixel]) -> list[Pixel]:
    return sorted(pixels, key=lambda p: (p.start, p.order))
