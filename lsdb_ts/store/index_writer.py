"""Build the id index of a catalog as HATS lays it out: sorted by id, in bounded memory. Looking up is next door."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from lsdb_ts.errors import PlanError
from lsdb_ts.schema import HEALPIX, plain, require
from lsdb_ts.store.files import local
from lsdb_ts.store.finish import properties_stamp, write_collection, write_properties
from lsdb_ts.store.hats import HatsCatalog, open_hats, read_properties
from lsdb_ts.store.index import NUMBER, ORDER, STAMP, index_folders, stamp_of
from lsdb_ts.store.seal import seal
from lsdb_ts.store.source import HatsSource, Request
from lsdb_ts.store.write import atomic

PART_ROWS = 8_000_000
"""Rows sorted in memory at a time, and so rows of an index file."""
GROUP_ROWS = 32_768
_MOST_PARTS = 512
_MOST_GROUPS = 16_384
"""More row groups would make `_metadata`, which every first look-up reads, slow to read."""
_GROWN = 2
"""A part with so many times its rows is dealt again."""
_SAMPLED_LEAVES = 64
_SAMPLE = 4096
"""Ids drawn from each sampled leaf, to cut the ids into parts of like size."""


@dataclass(frozen=True)
class IndexReport:
    """What was indexed, and where."""

    path: Path
    column: str
    rows: int
    """Pairs of id and place in the index."""
    nameless: int
    """Rows of the catalog without an id, which no index can find."""
    built: bool
    """False where the index was there and up to date."""

    def to_json(self) -> dict[str, Any]:
        """Return a JSON form."""
        return {**vars(self), "path": str(self.path)}


def build_index(
    path: str | Path, column: str, part_rows: int = PART_ROWS, advance: Callable[[int], object] = lambda n: None
) -> IndexReport:
    """Build the index of a column beside a catalog, and list it in the catalog's collection, if it is in one.

    The index appears under its name when it is complete; one that is there and up to date is left as it is.

    Parameters
    ----------
    path : str or pathlib.Path
        A HATS catalog or collection.
    column : str
        Column of ids, integers or text. They may repeat, as those of sources do.
    part_rows : int
        Rows held in memory at a time.
    advance : callable
        Called with the number of leaves done, as they are read.

    Raises
    ------
    PlanError
        There is no such column, or it does not hold ids.
    """
    catalog = open_hats(path)
    require(catalog.schema, [column], catalog.name)
    kind = plain(catalog.schema.field(column).type)
    if not (pa.types.is_integer(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        raise PlanError(f'"{column}" of {catalog.name} is {kind}: an index is of ids, whole numbers or text')
    folder = index_folders(catalog).get(column, catalog.path.parent / f"{catalog.path.name}_{column}_index")
    folder = local(folder, "building an index")
    there = read_properties(folder / "hats.properties") if (folder / "hats.properties").exists() else {}
    # Before anything is read: what is written meanwhile makes the new index stale.
    stamp = stamp_of(catalog)
    if there.get(STAMP) == stamp:
        return IndexReport(folder, column, int(there["hats_nrows"]), int(there["lsdb_ts_nameless"]), built=False)
    work = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    shutil.rmtree(work, ignore_errors=True)
    try:
        rows, nameless = _Build(catalog, column, kind, work, part_rows).run(advance)
        about = {
            "obs_collection": folder.name,
            "dataproduct_type": "index",
            "hats_nrows": rows,
            "hats_primary_table_url": catalog.path.name,
            "hats_index_column": column,
            "hats_estsize": max(1, sum(f.stat().st_size for f in work.rglob("*.parquet")) >> 10),
            **properties_stamp(),
            "lsdb_ts_nameless": nameless,
            STAMP: stamp,
        }
        write_properties(work, about)
        if folder.exists():
            shutil.rmtree(folder)
        work.rename(folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    _list_in_collection(catalog, column, folder)
    return IndexReport(folder, column, rows, nameless, built=True)


@dataclass(frozen=True, eq=False)
class _Edges:
    """The smallest (id, place) of every part but the first. One id may fill many parts: then places tell them apart."""

    ids: NDArray[Any]
    places: NDArray[np.int64]

    @classmethod
    def between(cls, sample: pa.Table, parts: int) -> _Edges:
        """Cut a sorted sample of ids and places into parts of like size."""
        cuts = np.unique(np.linspace(0, sample.num_rows, parts + 1)[1:-1].astype(int))
        chosen = sample.take(pa.array(cuts[cuts > 0]))
        return cls(_values(chosen.column(0)), chosen.column(1).to_numpy())

    def cuts(self, table: pa.Table) -> list[int]:
        """Return the row at which each part of a sorted table begins, and one past its last row."""
        ids, places = _values(table.column(0)), table.column(1).to_numpy()
        first = np.searchsorted(ids, self.ids, side="left").tolist()
        last = np.searchsorted(ids, self.ids, side="right").tolist()
        of_equals = zip(first, last, self.places.tolist(), strict=True)
        return [0, *(a + int(np.searchsorted(places[a:b], place)) for a, b, place in of_equals), table.num_rows]


@dataclass(frozen=True, eq=False)
class _Build:
    """One build: leaves are read once, dealt to spill files by ranges of ids, and these sorted one by one."""

    catalog: HatsCatalog
    column: str
    kind: pa.DataType
    work: Path
    part_rows: int

    def run(self, advance: Callable[[int], object]) -> tuple[int, int]:
        """Write the index's files; return (rows indexed, rows without an id)."""
        (self.work / "dataset" / "index").mkdir(parents=True)
        total = HatsSource(self.catalog).count
        nameless = 0

        def named() -> Iterator[pa.Table]:
            nonlocal nameless
            for table in self._leaves(range(len(self.catalog.layout))):
                nameless += table.column(self.column).null_count
                yield self._sorted(table.filter(pc.is_valid(table.column(self.column))))
                advance(1)

        group_rows = max(GROUP_ROWS, total // _MOST_GROUPS)
        rows, footers = 0, []
        for i, table in enumerate(self._parts(self._deal(named(), self._edges(total), self.work))):
            name = f"index/part.{i}.parquet"
            self._write_part(table, self.work / "dataset" / name, group_rows)
            rows += table.num_rows
            footers.append(pq.read_metadata(self.work / "dataset" / name))
            footers[-1].set_file_path(name)
        with atomic(self.work / "dataset" / "_common_metadata") as temporary:
            pq.write_metadata(self._schema, temporary)
            seal(temporary)
        first = footers[0]
        for metadata in footers[1:]:
            first.append_row_groups(metadata)
        with atomic(self.work / "dataset" / "_metadata") as temporary:
            first.write_metadata_file(temporary)
            seal(temporary)
        return rows, nameless

    @property
    def _schema(self) -> pa.Schema:
        return pa.schema([(self.column, self.kind), (HEALPIX, pa.int64()), (ORDER, pa.uint8()), (NUMBER, pa.uint64())])

    def _leaves(self, which: Iterator[int] | range) -> Iterator[pa.Table]:
        source = HatsSource(self.catalog)
        for i in which:
            pixel = source.layout[i]
            read = source.partition(Request(pixel, [HEALPIX, self.column])).table
            ids, n = read.column(self.column).cast(self.kind), read.num_rows
            order, number = pa.array(np.full(n, pixel.order, np.uint8)), pa.array(np.full(n, pixel.number, np.uint64))
            yield pa.table([ids, read.column(HEALPIX), order, number], schema=self._schema)

    def _edges(self, total: int) -> _Edges:
        """Return where parts begin: quantiles of a sample of leaves."""
        parts = min(-(-total // self.part_rows), _MOST_PARTS)
        if parts <= 1:
            return _Edges.between(self._schema.empty_table(), 1)
        n = len(self.catalog.layout)
        rng = np.random.default_rng(0)
        sample = [self._schema.empty_table()]
        for table in self._leaves(iter(np.unique(np.linspace(0, n - 1, min(n, _SAMPLED_LEAVES)).astype(int)).tolist())):
            known = table.filter(pc.is_valid(table.column(self.column)))
            if known.num_rows:
                sample.append(known.take(pa.array(rng.integers(0, known.num_rows, min(_SAMPLE, known.num_rows)))))
        return _Edges.between(self._sorted(pa.concat_tables(sample)), parts)

    def _deal(self, tables: Iterator[pa.Table], edges: _Edges, folder: Path) -> list[Path]:
        """Write the rows of sorted tables to the spill files of their parts; return these by id."""
        paths = [folder / f"{i}.arrow" for i in range(edges.ids.size + 1)]
        with ExitStack() as stack:
            streams = [stack.enter_context(pa.ipc.new_stream(str(path), self._schema)) for path in paths]
            for table in tables:
                cuts = edges.cuts(table)
                for stream, start, stop in zip(streams, cuts[:-1], cuts[1:], strict=True):
                    if stop > start:
                        stream.write_table(table.slice(start, stop - start))
        return paths

    def _parts(self, spilled: list[Path]) -> Iterator[pa.Table]:
        """Yield spill files sorted, by id; what the sample let grow too large is dealt again, by a sample of itself."""
        for path in spilled:
            with pa.memory_map(str(path)) as file:
                held = pa.ipc.open_stream(file).read_all()
                if held.num_rows <= _GROWN * self.part_rows:
                    yield self._sorted(held)
                else:
                    yield from self._parts(self._dealt_again(held, path.with_suffix("")))
            path.unlink()

    def _dealt_again(self, held: pa.Table, folder: Path) -> list[Path]:
        folder.mkdir()
        drawn = np.random.default_rng(0).integers(0, held.num_rows, _SAMPLED_LEAVES * _SAMPLE)
        edges = _Edges.between(self._sorted(held.take(pa.array(drawn))), -(-held.num_rows // self.part_rows))
        # Batches as they were written: each is sorted already.
        return self._deal((pa.Table.from_batches([batch]) for batch in held.to_batches()), edges, folder)

    def _sorted(self, table: pa.Table) -> pa.Table:
        """Sort by id, then place, and drop what stands twice."""
        table = table.take(pc.sort_indices(table, [(self.column, "ascending"), (HEALPIX, "ascending")]))
        table = table.combine_chunks()
        if table.num_rows < 2:
            return table
        new = np.ones(table.num_rows, dtype=bool)
        same_id = pc.equal(table.column(self.column)[1:], table.column(self.column)[:-1]).to_numpy()
        place = table.column(HEALPIX).to_numpy()
        new[1:] = ~same_id | (place[1:] != place[:-1])
        return table if new.all() else table.filter(pa.array(new))

    def _write_part(self, table: pa.Table, path: Path, group_rows: int) -> None:
        whole = [n for n in (self.column, HEALPIX) if pa.types.is_integer(self._schema.field(n).type)]
        with atomic(path) as temporary:
            pq.write_table(
                table,
                temporary,
                row_group_size=group_rows,
                data_page_size=16 << 10,
                compression="zstd",
                compression_level=3,
                use_dictionary=[ORDER, NUMBER],
                column_encoding=dict.fromkeys(whole, "DELTA_BINARY_PACKED"),
                write_page_index=True,
                write_page_checksum=True,
                sorting_columns=pq.SortingColumn.from_ordering(self._schema, [(self.column, "ascending")]),
            )
            seal(temporary)


def _values(ids: pa.ChunkedArray) -> NDArray[Any]:
    return np.asarray(ids.to_numpy())


def _list_in_collection(catalog: HatsCatalog, column: str, folder: Path) -> None:
    """Name the index in `collection.properties`, where the catalog is in a collection."""
    listing = folder.parent / "collection.properties"
    if not listing.exists():
        return
    collection = read_properties(listing)
    if collection.get("hats_primary_table_url") != catalog.path.name:
        return
    words = collection.get("all_indexes", "").replace(",", " ").split()
    indexes = dict(zip(words[::2], words[1::2], strict=True))
    if indexes.get(column) == folder.name:
        return
    named = [word for pair in {**indexes, column: folder.name}.items() for word in pair]
    write_collection(folder.parent, {**collection, "all_indexes": named})
