"""The sidecar of a catalog: places, positions and a few columns of its leaves once more, sorted and uncompressed.

Such a file is mapped into memory rather than read: a few rows of a large leaf cost the pages they lie on, and nothing
is decoded. It is built next door, and used only while the leaf is the one it was built from.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from lsdb_ts.errors import CatalogError
from lsdb_ts.schema import HEALPIX
from lsdb_ts.sky.ranges import Ranges
from lsdb_ts.store.cost import Cost
from lsdb_ts.store.files import key_of, state_of
from lsdb_ts.store.kept import Kept
from lsdb_ts.store.partition import slices
from lsdb_ts.store.read import Read, record
from lsdb_ts.store.seal import check_text
from lsdb_ts.store.sidecar_file import SidecarFile, open_file

FOLDER = "sidecar"
"""Folder inside a catalog, beside ``dataset``, where other readers do not look."""
LISTING = "sidecar.json"

_COUNTED = 100
_MAPPED: Kept[tuple[Any, ...], SidecarFile | None] = Kept(256, lambda _: 1)
"""Files that are mapped; they take addresses and a file handle each, not memory."""


@dataclass(frozen=True)
class Sidecar:
    """The sidecar of one catalog."""

    root: Path
    """Folder of the catalog."""
    columns: tuple[str, ...]
    """Columns it holds, besides ``_healpix_29``."""

    def file_of(self, leaf: Path) -> Path:
        """Return the sidecar file of a file of the catalog."""
        return _file_of(self.root, leaf)

    def rows(self, leaf: Path, schema: pa.Schema, wanted: Ranges) -> pa.Table | None:
        """Return the rows of a leaf inside a set of sky, sorted by place; views of the file, unless they are scattered.

        Parameters
        ----------
        leaf : pathlib.Path
            A file of the catalog.
        schema : pyarrow.Schema
            Columns wanted, of the types wanted; ``_healpix_29`` among them.
        wanted : Ranges
            The sky.

        Returns
        -------
        pyarrow.Table or None
            None where the sidecar lacks a column, or was built from another state of the leaf.
        """
        file = self._current(leaf, schema)
        if file is None:
            return None
        table, which = file.rows.select(schema.names), file.within(wanted)
        found = table[which] if isinstance(which, slice) else table.take(pa.array(which))
        record(Read(self.file_of(leaf), tuple(schema.names), (), found.nbytes))
        return found

    def estimate(self, leaf: Path, schema: pa.Schema, wanted: Ranges) -> Cost | None:
        """Return what :meth:`rows` would take; of many pieces of sky a guess: to look is to take."""
        file = self._current(leaf, schema)
        if file is None:
            return None
        n = _expected(file, wanted)
        size = sum(file.rows.column(name).nbytes for name in schema.names) * n // max(file.rows.num_rows, 1)
        return Cost(n, n, n, size, size)

    def is_current(self, leaf: Path, columns: Sequence[str]) -> bool:
        """Tell whether a leaf's sidecar file holds some columns of its present state."""
        try:
            file = self._mapped(leaf)
        except CatalogError:
            return False
        return file is not None and set(columns) <= set(file.rows.column_names)

    def stale(self, leaves: Sequence[Path]) -> list[Path]:
        """Return those of some leaves that it does not serve, because it was built from another state of them."""
        return [leaf for leaf in leaves if not self.is_current(leaf, self.columns)]

    def _current(self, leaf: Path, schema: pa.Schema) -> SidecarFile | None:
        if not set(schema.names) <= {HEALPIX, *self.columns}:
            return None
        file = self._mapped(leaf)
        if file is None:
            return None
        held = file.rows.schema
        return file if all(f.name in held.names and held.field(f.name).equals(f) for f in schema) else None

    def _mapped(self, leaf: Path) -> SidecarFile | None:
        path = self.file_of(leaf)
        try:
            key = (*key_of(leaf), *key_of(path))
        except FileNotFoundError:
            return None

        def mapped(_: object) -> list[SidecarFile | None]:
            try:
                file = open_file(path)
            except (OSError, ValueError, KeyError, pa.ArrowException) as error:
                raise CatalogError(
                    f"cannot read {path}: {error}; build it again: lsdb-ts sidecar {self.root}"
                ) from error
            return [file if file.about.get("leaf") == state_of(leaf) else None]

        return _MAPPED.take([key], mapped)[0]


def _expected(file: SidecarFile, wanted: Ranges) -> int:
    place = file.rows.column(HEALPIX).to_numpy()
    if len(wanted) <= _COUNTED or place.size == 0:
        return int(slices(place, wanted)[1].sum())
    start, stop = int(place[0]), int(place[-1]) + 1
    here = wanted.clipped(start, stop)
    return int(place.size * (float((here.stops - here.starts).sum()) / (stop - start)))


@functools.lru_cache(maxsize=1 << 16)
def _file_of(root: Path, leaf: Path) -> Path:
    # Not by HATS' own names, under which other readers would take them for further leaves.
    parts = (part.rpartition("=")[2] for part in leaf.relative_to(root / "dataset").parts)
    return root.joinpath(FOLDER, *parts).with_suffix(".arrow")


def open_sidecar(root: Path) -> Sidecar | None:
    """Open the sidecar of a catalog, or return None where there is none."""
    try:
        text = (root / FOLDER / LISTING).read_bytes()
    except FileNotFoundError:
        return None
    try:
        check_text(text, root / FOLDER / LISTING)
        return Sidecar(root, tuple(json.loads(text)["columns"]))
    except (CatalogError, KeyError, ValueError) as error:
        raise CatalogError(
            f"cannot read {root / FOLDER / LISTING}: {error}; build the sidecar again: lsdb-ts sidecar {root}"
        ) from error
