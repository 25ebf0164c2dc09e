"""Hold a margin against its catalog: complete within its radius, and its rows those of the catalog in all columns.

Margins of this version hold just the rows that a rule says; those of others may hold more than they must.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lsdb_ts.errors import CatalogError
from lsdb_ts.run.pool import each
from lsdb_ts.schema import HEALPIX
from lsdb_ts.sky import Layout, Pixel, border, halo_members, propagate, spatial_index
from lsdb_ts.sky.pixel import Indices
from lsdb_ts.sky.ranges import Ranges
from lsdb_ts.store.hats import HatsCatalog
from lsdb_ts.store.read import read_rows
from partitioner.account import Tally, mixed, row_keys
from partitioner.checks.fault import NOTHING, Fault
from partitioner.checks.fingerprints import row_hashes
from partitioner.checks.partition import Found
from partitioner.checks.subject import Subject
from partitioner.inputs.tables import floats

_DIRECTIONS = 16


@dataclass(frozen=True, eq=False)
class Pair:
    """A catalog and a margin of it."""

    primary: Subject
    margin: Subject

    @property
    def is_exact(self) -> bool:
        """Whether this version wrote both: then it can be told exactly which rows a margin must hold."""
        return self.primary.is_exact and self.margin.is_exact

    @property
    def id_column(self) -> str | None:
        """Column of ids by which rows are told apart, where both have it."""
        name = self.primary.id_column
        return name if name in self.margin.catalog.schema.names else None

    @property
    def way_out(self) -> str:
        """What to do about a margin that is wrong."""
        radius = self.margin.catalog.margin_arcsec
        return f"make the margin again: lsdb-ts margin {self.primary.root} --radius {radius:g}"


def margin_faults(
    pair: Pair, rows: Mapping[Pixel, Found], margins: Mapping[Pixel, Found], chosen: frozenset[Pixel] | None
) -> Iterator[Fault]:
    """Yield where a margin lacks a row or holds one too many, or one that is not the catalog's.

    Parameters
    ----------
    pair : Pair
    rows, margins : mapping
        What the partitions of both had to say.
    chosen : frozenset of Pixel, optional
        The partitions that were looked at; None for all.
    """
    primary, margin = pair.primary.catalog, pair.margin.catalog
    if primary.schema.names != margin.schema.names:
        what = "the margin has other columns than the catalog"
        yield Fault(pair.margin.name, None, what, not pair.is_exact, "columns", way_out=pair.way_out)
    if HEALPIX not in primary.schema.names or HEALPIX not in margin.schema.names:
        what = f"without {HEALPIX} the margin cannot be checked"
        yield Fault(pair.margin.name, None, what, is_note=True, way_out=NOTHING)
        return
    # All leaves of the default margin of ours were counted while they were read; only the wrong ones are read again.
    is_counted = pair.is_exact and chosen is None and primary.margin is margin
    suspects = _miscounted(pair, rows, margins) if is_counted else _in_sequence({*primary.layout, *margin.layout})
    found: dict[Pixel, list[Fault]] = {}
    for outcome in each(_compare, [p for p in suspects if chosen is None or p in chosen], pair):
        if outcome.failure is not None:
            what = f"the margin of {outcome.item} cannot be checked: {outcome.failure.error}"
            found[outcome.item] = [Fault(pair.margin.name, None, what, way_out=pair.way_out)]
        else:
            found[outcome.item] = outcome.value or []
    for pixel in _in_sequence(found):
        yield from found[pixel]


def _miscounted(pair: Pair, rows: Mapping[Pixel, Found], margins: Mapping[Pixel, Found]) -> list[Pixel]:
    """Return the pixels whose margin does not hold the rows that partitions say belong there."""
    targets = pair.primary.margin_targets
    wanted: dict[Pixel, Tally] = {}
    for found in rows.values():
        for place, tally in found.emitted:
            wanted[targets[place]] = wanted.get(targets[place], Tally()) + tally
    held = {pixel: found.content for pixel, found in margins.items()}
    return [p for p in _in_sequence({*wanted, *held}) if wanted.get(p, Tally()) != held.get(p, Tally())]


def _in_sequence(pixels: Mapping[Pixel, object] | set[Pixel]) -> list[Pixel]:
    return sorted(pixels, key=lambda p: (p.start, p.order))


@dataclass(frozen=True, eq=False)
class _Rows:
    """Some rows, by what tells them apart."""

    place: Indices
    keys: NDArray[np.uint64]
    """Place and id, mixed."""
    content: NDArray[np.uint64]
    """All columns, hashed."""

    @classmethod
    def of(cls, table: pa.Table, pair: Pair) -> _Rows:
        keys = mixed(row_keys(table, pair.id_column))
        return cls(table.column(HEALPIX).to_numpy(), keys, row_hashes(table, pair.margin.compared))


def _compare(pair: Pair, pixel: Pixel) -> list[Fault]:
    """Look at the margin of one pixel, row by row."""
    margin, names = pair.margin.catalog, [HEALPIX, *(n for n in pair.margin.compared if n != HEALPIX)]
    path = Path(str(margin.leaf_path(pixel)))
    file, here = pair.margin.name_of(path), pixel in set(margin.layout)
    table = _read(margin, [pixel] if here else [], names)
    has = _Rows.of(table, pair)
    must_place, must_keys = _must(pair, pixel)
    homes = np.unique(pair.primary.catalog.layout.leaf_of(has.place))
    leaves = [pair.primary.catalog.layout[i] for i in homes.tolist() if i >= 0]
    known_table = _read(pair.primary.catalog, leaves, names, np.unique(has.place))
    known = _Rows.of(known_table, pair)
    radius = f"{margin.margin_arcsec:g} arcsec"
    found: list[Fault] = []

    def told(bad: NDArray[np.bool_], what: str, row: bool = True) -> None:
        n = int(bad.sum())
        if n:
            at = int(np.argmax(bad))
            got = _named(table, at, pair) if row else f"no row at {HEALPIX} {must_place[at]}"
            found.append(Fault(file, at if row else None, what, got=got, way_out=pair.way_out, rows=n))

    lacking = ~np.isin(must_keys, has.keys)
    told(lacking, f"the margin of {pixel} lacks {int(lacking.sum())} rows within {radius} of it", row=False)
    strange = ~np.isin(has.keys, known.keys)
    told(strange, f"the margin of {pixel} holds a row that the catalog does not have")
    changed = ~strange & ~np.isin(has.content, known.content)
    if changed.any():
        at = int(np.argmax(changed))
        other = int(np.flatnonzero(known.keys == has.keys[at])[0])
        name, got, need = _first_difference(table, at, known_table, other, names)
        what = f'has another "{name}" than the same row of the catalog'
        found.append(Fault(file, at, what, got=got, need=need, way_out=pair.way_out, rows=int(changed.sum())))
    if pair.is_exact:
        told(~strange & ~np.isin(has.keys, must_keys), f"does not belong into the margin of {pixel}")
    told(_again(has.content) & (not _again(known.content).any()), f"stands twice in the margin of {pixel}")
    if pair.is_exact and not found and has.place.size != must_keys.size:
        what = f"the margin of {pixel} holds {has.place.size} rows, the catalog has {must_keys.size} that belong there"
        found.append(Fault(file, None, what, way_out=pair.way_out))
    return found


def _again(content: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Tell which rows have stood before."""
    seen = np.ones(content.size, dtype=bool)
    seen[np.unique(content, return_index=True)[1]] = False
    return seen


def _named(table: pa.Table, row: int, pair: Pair) -> str:
    name = pair.id_column
    told = f"{HEALPIX} {table.column(HEALPIX)[row].as_py()}"
    return told if name is None else f"{name} {table.column(name)[row].as_py()}, {told}"


def _first_difference(mine: pa.Table, row: int, other: pa.Table, there: int, names: list[str]) -> tuple[str, str, str]:
    for name in names:
        a, b = (t.select([name]).slice(i, 1) for t, i in ((mine, row), (other, there)))
        if row_hashes(a, [name])[0] != row_hashes(b, [name])[0]:
            return name, _short(a.column(name)[0].as_py()), _short(b.column(name)[0].as_py())
    return "", "", ""


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _read(catalog: HatsCatalog, pixels: list[Pixel], names: list[str], places: Indices | None = None) -> pa.Table:
    """Read the rows of some leaves, or those of them at some places; files that cannot be read were told of before."""
    found = [catalog.schema.empty_table().select(names).replace_schema_metadata(None)]
    within = None if places is None else Ranges.of(places, places + 1)
    for path in (path for pixel in pixels for path in catalog.leaf_files(pixel)):
        try:
            table = read_rows(path, names, within=within)
        except CatalogError:
            continue
        if places is not None:
            table = table.filter(pa.array(np.isin(table.column(HEALPIX).to_numpy(), places)))
        found.append(pa.table(table.columns, names=names).cast(found[0].schema))
    return pa.concat_tables(found)


def _must(pair: Pair, pixel: Pixel) -> tuple[Indices, NDArray[np.uint64]]:
    """Return places and keys of the rows outside of a pixel that its margin must hold."""
    catalog, radius_arcsec = pair.primary.catalog, pair.margin.catalog.margin_arcsec
    near = border(pixel, radius_arcsec)
    positions = [n for n in (catalog.ra, catalog.dec) if n is not None and not pair.is_exact]
    names = list(dict.fromkeys([HEALPIX, *positions, *([pair.id_column] if pair.id_column else [])]))
    places, keys = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.uint64)]
    for i in np.flatnonzero(near.overlaps(catalog.layout.starts, catalog.layout.stops)).tolist():
        home = catalog.layout[i]
        for path in catalog.leaf_files(home):
            try:
                table = read_rows(path, names, within=near)
            except CatalogError:  # told of where the file itself was looked at
                continue
            place = table.column(HEALPIX).to_numpy()
            if pair.is_exact:
                rows, _ = halo_members(place, home, Layout.of([pixel]), radius_arcsec)
            else:
                outside = (place < pixel.start) | (place >= pixel.stop)
                rows = np.flatnonzero(near.contains(place) & outside)
                rows = rows[_reaches(_positions(table, catalog, rows), pixel, radius_arcsec)]
            places.append(place[rows])
            keys.append(mixed(row_keys(table, pair.id_column)[rows]))
    return np.concatenate(places), np.concatenate(keys)


def _positions(table: pa.Table, catalog: HatsCatalog, rows: Indices) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if catalog.ra is None or catalog.dec is None:
        return np.full(rows.size, np.nan), np.full(rows.size, np.nan)
    return floats(table.column(catalog.ra))[rows], floats(table.column(catalog.dec))[rows]


def _reaches(
    position: tuple[NDArray[np.float64], NDArray[np.float64]], pixel: Pixel, radius_arcsec: float
) -> NDArray[np.bool_]:
    """Tell which positions have a point of a pixel within a radius for certain, found by trying some around each."""
    ra, dec = position
    reached = np.zeros(ra.size, dtype=bool)
    sane = np.flatnonzero(np.isfinite(ra) & np.isfinite(dec))
    for angle in np.linspace(0, 2 * np.pi, _DIRECTIONS, endpoint=False):
        for part in (0.5, 0.999):
            step = radius_arcsec * part * 1000.0
            moved = propagate(ra[sane], dec[sane], step * np.sin(angle), step * np.cos(angle), 1.0)
            place = spatial_index(*moved)
            reached[sane] |= (place >= pixel.start) & (place < pixel.stop)
    return reached
