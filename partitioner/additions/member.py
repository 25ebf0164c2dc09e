"""A catalog in its next state: a folder of links to the files that stay, and of files that are new. Nothing is copied.

Which files are new, and what is in them, is decided next door.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from lsdb_ts.errors import CatalogError, OutputError
from lsdb_ts.schema import HEALPIX
from lsdb_ts.sky import Layout, Pixel
from lsdb_ts.sky.pixel import cell_of
from lsdb_ts.store.finish import CatalogInfo, finish_catalog, write_properties
from lsdb_ts.store.footers import footer
from lsdb_ts.store.hats import HatsCatalog, read_properties
from lsdb_ts.store.read import read_rows
from lsdb_ts.store.sidecar import FOLDER, LISTING, Sidecar
from lsdb_ts.store.skymap import read_skymap
from lsdb_ts.store.write import FILE, FOLDERS, Leaf, atomic, begin_leaf, leaf_path
from partitioner.additions.archive import schema_of

_MAPS = "hats_skymap"
"""How properties begin that tell of maps which may no longer be there."""


@dataclass(frozen=True, eq=False)
class Member:
    """A catalog, or a margin, on its way from one state to the next."""

    old: HatsCatalog
    root: Path
    """Folder of the next state."""
    form: str
    """Form of its partitions: ``FILE`` or ``FOLDERS``."""
    primary: str | None
    """Of a margin: the folder of its catalog in the next state."""
    mark: str
    """What tells files of this addition from others in the folder of a partition."""

    @property
    def adds(self) -> bool:
        """Whether what is new of a pixel lies beside what it had, and does not replace it."""
        return self.form == FOLDERS

    @property
    def schema(self) -> pa.Schema:
        """Columns as they are written."""
        return schema_of(self.old)

    def rows(self, pixel: Pixel, columns: Sequence[str] | None = None) -> pa.Table:
        """Return what the present state has in a pixel; nothing where that is no leaf."""
        schema = self.schema if columns is None else pa.schema([self.schema.field(c) for c in columns])
        tables = [read_rows(file, schema.names).cast(schema) for file in self.files(pixel)]
        return pa.concat_tables([schema.empty_table(), *tables])

    def files(self, pixel: Pixel) -> list[Path]:
        """Return the files that the present state has of a pixel."""
        here = pixel in self._pixels
        return [Path(str(file)) for file in self.old.leaf_files(pixel)] if here else []

    def count(self, pixel: Pixel) -> int:
        """Return how many rows the present state has in a pixel."""
        return sum(footer(file).n_rows for file in self.files(pixel))

    @property
    def _pixels(self) -> Collection[Pixel]:
        layout = self.old.layout
        return _Pixels(layout)

    def write(self, rows: pa.Table, pixel: Pixel) -> Leaf:
        """Write the rows of a pixel: as its only file, or as one more in its folder."""
        begun = begin_leaf(rows.replace_schema_metadata(self.schema.metadata), self.root, pixel)
        if self.form == FILE:
            return begun.flush()
        folder = leaf_path(self.root, pixel, FOLDERS)
        folder.mkdir(exist_ok=True)
        return replace(begun, path=folder / self.file_name(pixel)).flush()

    def file_name(self, pixel: Pixel) -> str:
        """Return the name of the file with the new rows in the folder of a pixel."""
        return f"Npix={pixel.number}{self.mark}.parquet"

    def link(self, pixel: Pixel) -> None:
        """Let the next state have the files of a pixel, too."""
        place = leaf_path(self.root, pixel, self.form)
        for file in self.files(pixel):
            target = place / file.name if self.form == FOLDERS else place
            target.parent.mkdir(parents=True, exist_ok=True)
            _link(file, target)
            self._link_sidecar(file, target)

    def _link_sidecar(self, file: Path, target: Path) -> None:
        if self.old.sidecar is None:
            return
        held = self.old.sidecar.file_of(file)
        if held.exists():
            beside = Sidecar(self.root, self.old.sidecar.columns).file_of(target)
            beside.parent.mkdir(parents=True, exist_ok=True)
            _link(held, beside)

    def kept_leaves(self, kept: Sequence[Pixel], gone: Sequence[Pixel]) -> dict[Pixel, Leaf]:
        """Describe leaves that stay by what the metadata of the present state tell; of those that go, places are read.

        The map of what is where is that of all of them together, and stands with the first.
        """
        order, cells = self._map_without(gone)
        described: dict[Pixel, Leaf] = {}
        for pixel in kept:
            files = self.files(pixel)
            rows = self.count(pixel)
            size = sum(file.stat().st_size for file in files)
            described[pixel] = Leaf(pixel, rows, size, order, () if described else cells)
        return described

    def _map_without(self, gone: Sequence[Pixel]) -> tuple[int, tuple[tuple[int, int], ...]]:
        """Return (order, ((cell, rows), ...)) of all rows but those in some pixels."""
        found = read_skymap(self.old.path)
        if found is None:
            raise CatalogError(f"{self.old.path} has no skymap, or one in RING order: write the catalog again")
        order, cells, rows = found
        left = rows.copy()
        for pixel in gone:
            places = self.rows(pixel, [HEALPIX]).column(HEALPIX).to_numpy()
            there, n = np.unique(cell_of(places, order), return_counts=True)
            left[np.searchsorted(cells, there)] -= n
        some = left > 0
        return order, tuple(zip(cells[some].tolist(), left[some].tolist(), strict=True))

    def finish(self, leaves: Sequence[Leaf], extra: Mapping[str, str]) -> None:
        """Write the metadata of the next state, and what is said besides; what properties tell else is kept."""
        told = self.old.properties
        info = CatalogInfo(
            name=self.old.name,
            kind=self.old.kind,
            schema=self.schema,
            ra=self.old.ra,
            dec=self.old.dec,
            primary=self.primary,
            margin_arcsec=self.old.margin_arcsec or None,
            suffix=self.form,
            extra=extra,
        )
        finish_catalog(self.root, info, leaves)
        new = read_properties(self.root / "hats.properties")
        kept = {k: v for k, v in told.items() if k not in new and not k.startswith(_MAPS)}
        write_properties(self.root, {**kept, **new})
        if self.old.sidecar is not None:
            folder = self.root / FOLDER
            folder.mkdir(exist_ok=True)
            with atomic(folder / LISTING) as temporary:
                temporary.write_bytes((Path(str(self.old.path)) / FOLDER / LISTING).read_bytes())


class _Pixels(Collection[Pixel]):
    """The pixels of a layout, searched rather than listed."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    def __contains__(self, pixel: object) -> bool:
        if not isinstance(pixel, Pixel):
            return False
        place = self._layout.overlapping(pixel.start, pixel.stop)
        return len(place) == 1 and self._layout[place[0]] == pixel

    def __iter__(self) -> Any:
        return iter(self._layout)

    def __len__(self) -> int:
        return len(self._layout)


def joined(parts: Sequence[Leaf]) -> Leaf:
    """Describe a leaf of several files."""
    order = min(leaf.skymap_order for leaf in parts)
    cells: dict[int, int] = {}
    for leaf in parts:
        for cell, n in leaf.skymap:
            coarse = cell >> (2 * (leaf.skymap_order - order))
            cells[coarse] = cells.get(coarse, 0) + n
    rows, size = sum(leaf.rows for leaf in parts), sum(leaf.bytes for leaf in parts)
    return replace(parts[0], rows=rows, bytes=size, skymap_order=order, skymap=tuple(sorted(cells.items())))


def _link(file: Path, target: Path) -> None:
    try:
        os.link(file, target)
    except OSError as error:
        raise OutputError(
            f"cannot link {target} to {file}: {error.strerror}; rows are added without copying the others, for which "
            "the disk must know hard links: move the archive to one that does"
        ) from error
