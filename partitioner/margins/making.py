"""Make a margin in two stages: find the rows near edges, leaf by leaf; put them together, target by target.

Each piece of work is journaled when its file is in place. For which catalog, and where, is decided next door.
"""

from __future__ import annotations

import base64
import functools
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lsdb_ts.errors import Failure, RunError
from lsdb_ts.run.pool import each
from lsdb_ts.run.progress import stage
from lsdb_ts.schema import HEALPIX
from lsdb_ts.sky import Pixel
from lsdb_ts.sky.pixel import Indices, cell_of
from lsdb_ts.store.encoding import Encoding
from lsdb_ts.store.files import read_footer
from lsdb_ts.store.finish import CatalogInfo, finish_catalog
from lsdb_ts.store.hats import WORK, HatsCatalog
from lsdb_ts.store.index import stamp_of
from lsdb_ts.store.journal import Journal
from lsdb_ts.store.provenance import PROVENANCE, PROVENANCE_KEY, Provenance, versions
from lsdb_ts.store.seal import seal
from lsdb_ts.store.write import (
    SKYMAP_ORDER,
    Leaf,
    LeafFile,
    atomic,
    flush_names,
    leaf_path,
    remove_leftovers,
    row_group_edges,
)
from partitioner.margins.members import Edges
from partitioner.moving.gather import TARGET
from partitioner.moving.merge import Ordered, in_order
from partitioner.moving.spill import Place, Spill, read_bucket, write_index
from partitioner.planning.estimate import IN_MEMORY_BYTES

STAMP = "lsdb_ts_margin_of"
"""Property of our margins: the state of the catalog they were made of."""
_MOST_PIECES = 512
"""Pieces of work, and so scratch files, of each of the two stages."""


@dataclass(frozen=True, eq=False)
class Making:
    """A margin on its way; the workers share it."""

    catalog: HatsCatalog
    radius_arcsec: float
    root: Path
    """Folder where it is made, inside a hidden one."""

    @property
    def work(self) -> Path:
        """Folder of the journal and the scratch files."""
        return self.root / WORK

    @property
    def scratch(self) -> Place:
        """Where the rows wait that were found."""
        return Place(self.work / "near")

    @functools.cached_property
    def edges(self) -> Edges:
        """What finds the rows."""
        return Edges(self.catalog, self.radius_arcsec)

    @functools.cached_property
    def schema(self) -> pa.Schema:
        """Columns of the margin: those of the catalog, as they were when it was written.

        What Parquet reads has other names for the values of lists, which files of other bytes would hold.
        """
        read = self.catalog.schema
        listing = self.catalog.path / "dataset" / "_common_metadata"
        told = read_footer(listing).metadata or {} if listing.exists() else {}
        if b"ARROW:schema" not in told:
            return read
        original = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(told[b"ARROW:schema"])))
        kinds = {f.name: f.type for f in original}
        fields = [f.with_type(kinds[f.name]) if kinds.get(f.name) == f.type else f for f in read]
        return pa.schema(fields, metadata=read.metadata or None)

    @property
    def buckets(self) -> int:
        """Into how many runs of contiguous targets the margin is cut."""
        return min(len(self.edges.targets), _MOST_PIECES)

    @property
    def identity(self) -> dict[str, Any]:
        """What the result depends on."""
        return {
            "catalog": stamp_of(self.catalog),
            "radius_arcsec": self.radius_arcsec,
            "versions": {name: found for name, found in versions().items() if name != "python"},
        }

    def run(self, name: str, show: bool | None) -> None:
        """Make it, or what is missing of it, under the name of a catalog."""
        journal = Journal(self.work)
        journal.begin(self.identity)
        cuts = itertools.pairwise(_cuts(len(self.catalog.layout)))
        found = self._stage("find", find, journal, [_Piece(i, range(*cut)) for i, cut in enumerate(cuts)], show)
        write_index(self.scratch, [(i, entry["batches"]) for i, entry in enumerate(found)])
        written = self._stage("write", assemble, journal, range(self.buckets), show)
        leaves = [Leaf.from_json(leaf) for entry in written for leaf in entry["leaves"]]
        near, kept = sum(sum(entry["batches"][1]) for entry in found), sum(leaf.rows for leaf in leaves)
        if near != kept:
            raise RunError(f"{near} rows are near an edge and {kept} were written: remove {self.root} and start again")
        remove_leftovers(self.root)
        self._finish(name, leaves)

    def _stage(
        self, name: str, function: Callable[..., Any], journal: Journal, pieces: Sequence[Any], show: bool | None
    ) -> list[dict[str, Any]]:
        """Do what is missing of one of the two stages; return the journal's entries of all of its pieces."""
        keys = {piece: f"{name}/{i:06d}" for i, piece in enumerate(pieces)}
        done = journal.done()
        todo = [piece for piece in pieces if keys[piece] not in done]
        failures: list[Failure] = []
        with stage(f"margin: {name}", len(pieces), "pieces", show) as advance:
            advance(len(pieces) - len(todo))
            for outcome in each(function, todo, self):
                if outcome.failure is not None:
                    failures.append(outcome.failure)
                    continue
                journal.record(keys[outcome.item], outcome.value or {})
                advance(1)
        if failures:
            raise RunError(
                f"{len(failures)} of {len(pieces)} pieces of the margin failed, the first: {failures[0].error}; "
                "the others are done. Start the same command again to do just those",
                failures,
            )
        done = journal.done()
        return [done[keys[piece]] for piece in pieces]

    def _finish(self, name: str, leaves: Sequence[Leaf]) -> None:
        catalog = self.catalog
        rows = sum(leaf.rows for leaf in leaves)
        told = {"name": catalog.name, "path": str(catalog.path), "state": stamp_of(catalog)}
        Provenance(
            "margin",
            {"radius_arcsec": self.radius_arcsec},
            ({**told, "rows": catalog.n_rows},),
            {"rows": rows, "partitions": len(leaves)},
        ).write(self.root)
        same = ("hats_col_healpix", "hats_col_healpix_order", "hats_cols_sort")
        info = CatalogInfo(
            name=name,
            kind="margin",
            schema=self.schema,
            ra=catalog.ra,
            dec=catalog.dec,
            primary=catalog.path.name,
            margin_arcsec=self.radius_arcsec,
            default_columns=tuple(catalog.properties.get("hats_cols_default", "").replace(",", " ").split()),
            extra={
                **{key: catalog.properties[key] for key in same if key in catalog.properties},
                STAMP: stamp_of(catalog),
                PROVENANCE_KEY: PROVENANCE,
            },
        )
        finish_catalog(self.root, info, leaves)


@dataclass(frozen=True)
class _Piece:
    """Some leaves of a catalog, as a piece of work."""

    number: int
    leaves: range

    def __str__(self) -> str:
        return f"partitions {self.leaves.start} to {self.leaves.stop - 1} of the catalog"


def _cuts(n: int) -> list[int]:
    """Return where pieces begin, and n; how many there are must not depend on the machine."""
    return [0, *np.unique(np.linspace(0, n, min(n, _MOST_PIECES) + 1).round().astype(int))[1:].tolist()]


def find(making: Making, piece: _Piece) -> dict[str, Any]:
    """Put the rows of some leaves that belong into margins into one scratch file, by the bucket of their target.

    Returns
    -------
    dict
        For the journal: which batches of the file are of which bucket.
    """
    edges = making.edges
    with Spill(making.scratch.file(piece.number), edges.schema, making.buckets, flush=True) as spill:
        for i in piece.leaves:
            for rows in edges.near(making.catalog.layout[i]):
                spill.add(rows, rows.column(TARGET).to_numpy() * making.buckets // len(edges.targets))
    return {"batches": spill.to_json()}


def assemble(making: Making, bucket: int) -> dict[str, Any]:
    """Write the margins of the pixels of one bucket; pixels with nothing near get no file.

    Returns
    -------
    dict
        For the journal: the leaves.
    """
    edges = making.edges
    batches = read_bucket(making.scratch, bucket)
    if not batches:
        return {"leaves": []}
    stream = sum(batch.nbytes for batch in batches) > IN_MEMORY_BYTES
    with in_order(batches, edges.schema, _by_target, making.work, stream=stream) as rows:
        targets = np.asarray(rows.keys[0])
        present = np.unique(targets).tolist()
        spans = [np.searchsorted(targets, [target, target + 1]).tolist() for target in present]
        margin = _Margin(making, making.schema)
        leaves = [margin.write(rows, edges.targets[t], *span) for t, span in zip(present, spans, strict=True)]
        flush_names({leaf_path(making.root, leaf.pixel).parent for leaf in leaves})
    return {"leaves": [leaf.to_json() for leaf in leaves]}


def _by_target(rows: pa.RecordBatch) -> list[Indices]:
    return [rows.column(TARGET).to_numpy(), rows.column(HEALPIX).to_numpy()]


@dataclass(frozen=True)
class _Margin:
    """Writes the files of a margin, with the columns of the catalog."""

    making: Making
    schema: pa.Schema

    def write(self, rows: Ordered, pixel: Pixel, first: int, stop: int) -> Leaf:
        """Write the file of one pixel, a row group at a time."""
        place = rows.keys[1][first:stop]
        size = rows.bits(first, stop, self.schema.names) // 8
        cuts = [first + edge for edge in row_group_edges(place, size, pixel.order)]
        groups = (self._group(rows, start, end) for start, end in itertools.pairwise(cuts))
        if HEALPIX not in self.schema.names:
            return self._write_bare(groups, np.asarray(place), pixel)
        with LeafFile(self.making.root, pixel) as file:
            for group in groups:
                file.add(group.select(self.schema.names).cast(self.schema))
            return file.close().flush()

    def _group(self, rows: Ordered, start: int, stop: int) -> pa.Table:
        return rows.table(start, stop, list(dict.fromkeys([HEALPIX, *self.schema.names])))

    def _write_bare(self, groups: Iterator[pa.Table], place: Indices, pixel: Pixel) -> Leaf:
        """Write rows without their place, as the files of their catalog have them."""
        path = leaf_path(self.making.root, pixel)
        path.parent.mkdir(parents=True, exist_ok=True)
        first = next(groups)
        options = Encoding.of(first).options()
        del options["sorting_columns"]
        for key in ("column_encoding", "compression", "compression_level"):
            options[key] = {name: value for name, value in options[key].items() if name != HEALPIX}
        with atomic(path) as temporary:
            options |= {"write_page_checksum": True, "write_page_index": True}
            with pq.ParquetWriter(temporary, self.schema, **options) as writer:
                for group in itertools.chain([first], groups):
                    writer.write_table(group.select(self.schema.names).cast(self.schema), group.num_rows)
            seal(temporary)
            size = temporary.stat().st_size
        order = max(SKYMAP_ORDER, pixel.order)
        cells, counts = np.unique(cell_of(place, order), return_counts=True)
        return Leaf(pixel, place.size, size, order, tuple(zip(cells.tolist(), counts.tolist(), strict=True)))
