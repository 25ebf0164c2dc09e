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

from lsdb_ts.errors import PlanError
from lsdb_ts.schema import HEALPIX, plain, require
from lsdb_ts.store.files import local
from lsdb_ts.store.finish import properties_stamp, write_collection, write_properties
from lsdb_ts.store.hats import HatsCatalog, open_hats, read_properties
from lsdb_ts.store.index import NUMBER, ORDER, STAMP, index_folders, stamp_of
from lsdb_ts.store.source import HatsSource, Request
from lsdb_ts.store.write import atomic

PART_ROWS = 8_000_000
"""Rows sorted in memory at a time, and so rows of an index file."""
GROUP_ROWS = 32_768
_MOST_PARTS = 512
_MOST_GROUPS = 16_384
"""More row groups would make `_metadata`, which every first look-up reads, slow to read."""
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
        nameless = self._deal(self._edges(total), advance)
        group_rows = max(GROUP_ROWS, total // _MOST_GROUPS)
        rows, footers = 0, []
        for i, spilled in enumerate(sorted(self.work.glob("*.arrow"), key=lambda p: int(p.stem))):
            with pa.memory_map(str(spilled)) as file:
                table = self._sorted(pa.ipc.open_stream(file).read_all())
            name = f"index/part.{i}.parquet"
            self._write_part(table, self.work / "dataset" / name, group_rows)
            spilled.unlink()
            rows += table.num_rows
            footers.append(pq.read_metadata(self.work / "dataset" / name))
            footers[-1].set_file_path(name)
        with atomic(self.work / "dataset" / "_common_metadata") as temporary:
            pq.write_metadata(self._schema, temporary)
        first = footers[0]
        for metadata in footers[1:]:
            first.append_row_groups(metadata)
        with atomic(self.work / "dataset" / "_metadata") as temporary:
            first.write_metadata_file(temporary)
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

    def _edges(self, total: int) -> pa.Array:
        """Return the smallest ids of all parts but the first: quantiles of a sample."""
        parts = min(-(-total // self.part_rows), _MOST_PARTS)
        n = len(self.catalog.layout)
        if parts <= 1:
            return pa.array([], self.kind)
        rng = np.random.default_rng(0)
        sample = []
        for table in self._leaves(iter(np.unique(np.linspace(0, n - 1, min(n, _SAMPLED_LEAVES)).astype(int)).tolist())):
            ids = table.column(self.column).drop_null()
            if len(ids):
                sample.append(ids.take(pa.array(rng.integers(0, len(ids), min(_SAMPLE, len(ids))))).combine_chunks())
        if not sample:
            return pa.array([], self.kind)
        ids = pa.chunked_array(sample, self.kind).combine_chunks()
        ids = ids.take(pc.sort_indices(ids))
        cuts = np.linspace(0, len(ids), parts + 1)[1:-1].astype(int)
        return pc.unique(ids.take(pa.array(cuts)))

    def _deal(self, edges: pa.Array, advance: Callable[[int], object]) -> int:
        """Write every row to the spill file of its part; return how many have no id."""
        bounds = edges.to_numpy(zero_copy_only=False)
        nameless = 0
        with ExitStack() as stack:
            streams = [
                stack.enter_context(pa.ipc.new_stream(str(self.work / f"{i}.arrow"), self._schema))
                for i in range(len(edges) + 1)
            ]
            for table in self._leaves(range(len(self.catalog.layout))):
                nameless += table.column(self.column).null_count
                known = self._sorted(table.filter(pc.is_valid(table.column(self.column))))
                values = known.column(self.column).to_numpy(zero_copy_only=False)
                cuts = [0, *np.searchsorted(values, bounds, side="left").tolist(), known.num_rows]
                for stream, start, stop in zip(streams, cuts[:-1], cuts[1:], strict=True):
                    stream.write_table(known.slice(start, stop - start))
                advance(1)
        return nameless

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
