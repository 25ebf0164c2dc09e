"""Skymaps of catalogs on disk: rows per HEALPix cell, in FITS. What is counted, is known next door."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from lsdb_ts.errors import CatalogError
from lsdb_ts.sky.pixel import N_BASE, Indices
from lsdb_ts.store.files import AnyPath, read_files
from lsdb_ts.store.write import SKYMAP_ORDER, Leaf

SKYMAPS = ("skymap.fits", "point_map.fits")
"""Names of the map in a catalog, the newer one first."""
_COARSE_ORDERS = (4, 6, 8)
_LONG = 1 << 16
"""Beside maps of more cells than this, coarser ones are worth their files."""
_BLOCK, _ONES = 2880, 0xFFFFFFFF


@dataclass(frozen=True, eq=False)
class Skymap:
    """Rows in each cell of one order.

    Attributes
    ----------
    order : int
        HEALPix order.
    cells, rows : numpy.ndarray of int64, shape (n,)
        Occupied NESTED cells in rising order, and the rows in each.
    """

    order: int
    cells: Indices
    rows: Indices

    @classmethod
    def of(cls, leaves: Iterable[Leaf]) -> Skymap:
        """Put the counts of all leaves of a catalog together, at the finest order all were counted at."""
        counted = [(leaf.skymap_order, np.array(leaf.skymap, dtype=np.int64).reshape(-1, 2)) for leaf in leaves]
        order = min((own for own, _ in counted), default=0)
        order = min(order, SKYMAP_ORDER)
        pairs = [np.empty((0, 2), dtype=np.int64)]
        pairs += [np.column_stack([found[:, 0] >> np.int64(2 * (own - order)), found[:, 1]]) for own, found in counted]
        cells, rows = np.concatenate(pairs).T
        return cls(order, *_summed(cells, rows))

    def at(self, order: int) -> Skymap:
        """Return the map at a coarser order."""
        return Skymap(order, *_summed(self.cells >> np.int64(2 * (self.order - order)), self.rows))

    def coarser(self) -> list[Skymap]:
        """Return the maps to keep beside this one, for those who draw the whole sky: none where it is short itself."""
        return [self.at(order) for order in _COARSE_ORDERS if order < self.order and self.cells.size > _LONG]

    @property
    def sky_fraction(self) -> float:
        """Part of the sky that lies in cells with rows."""
        return self.cells.size / (N_BASE << (2 * self.order))


def _summed(cells: Indices, rows: Indices) -> tuple[Indices, Indices]:
    """Return the cells there are, in rising order, and the rows of each."""
    if np.any(cells[1:] < cells[:-1]):
        by_cell = np.argsort(cells, kind="stable")
        cells, rows = cells[by_cell], rows[by_cell]
    first = np.flatnonzero(np.append(True, cells[1:] != cells[:-1])) if cells.size else np.empty(0, dtype=np.int64)
    return cells[first], np.add.reduceat(rows, first) if cells.size else rows


def skymap_name(order: int) -> str:
    """Return the name of a coarser map in a catalog."""
    return f"skymap.{order}.fits"


def read_skymap(root: AnyPath) -> tuple[int, Indices, Indices] | None:
    """Read ``skymap.fits`` (or the older ``point_map.fits``) of a HATS catalog.

    Parameters
    ----------
    root : pathlib.Path or RemotePath
        Folder of the catalog.

    Returns
    -------
    (order, cells, rows) or None
        Order of the map, its occupied NESTED cells in rising order (int64), and the rows in each (int64). None where
        the catalog has no map, or one in RING order.

    Raises
    ------
    CatalogError
        The file is there and cannot be read.
    """
    paths = [root / name for name in SKYMAPS]
    found = [(path, content) for path, content in zip(paths, read_files(paths), strict=True) if content is not None]
    if not found:
        return None
    path, content = found[0]
    from astropy.io import fits

    if fits_is_sound(content) is False:
        raise CatalogError(f"cannot read the skymap {path}: its checksum differs; remove it, it is not needed")
    try:
        with fits.open(io.BytesIO(content)) as hdus:
            header, data = hdus[1].header, hdus[1].data
            columns = [np.asarray(data.field(i)).ravel().astype(np.int64) for i in range(len(data.columns))]
            order = int(header["NSIDE"]).bit_length() - 1
    except (OSError, IndexError, KeyError, TypeError, ValueError, fits.VerifyError) as error:
        raise CatalogError(f"cannot read the skymap {path}: {error}; remove it, it is not needed") from error
    if header.get("ORDERING", "NESTED").strip().upper().startswith("RING"):
        return None
    cells, rows = columns if len(columns) == 2 else (np.arange(columns[0].size), columns[0])
    occupied = np.flatnonzero(rows > 0)
    by_place = occupied[np.argsort(cells[occupied], kind="stable")]
    return order, cells[by_place], rows[by_place]


def fits_is_sound(content: bytes) -> bool | None:
    """Tell whether a FITS file is what was written; None where no part of it holds a checksum.

    Where every part has its CHECKSUM, the 32-bit words of the whole file add up to all ones, carries added at the end
    (W. Pence et al., FITS Checksum Proposal, 2002, section 2).
    """
    if b"CHECKSUM=" not in content:
        return None
    total = int(np.frombuffer(content, ">u4", len(content) // 4).sum(dtype=np.uint64))
    while total >> 32:
        total = (total & _ONES) + (total >> 32)
    return total == _ONES and len(content) % _BLOCK == 0


def skymap_file(skymap: Skymap) -> bytes:
    """Return the FITS file of a map: all cells in their order, or pairs of cell and value where few are occupied."""
    from astropy.io import fits

    order, cells, rows = skymap.order, skymap.cells, skymap.rows
    n = N_BASE << (2 * order)
    sparse = 2 * cells.size < n
    values = rows
    if not sparse:
        values = np.zeros(n, dtype=np.int64)
        values[cells] = rows
    columns = [fits.Column("VALUE", "K", array=values)]
    if sparse:
        columns.insert(0, fits.Column("PIXEL", "K", array=cells))
    hdu = fits.BinTableHDU.from_columns(columns)
    hdu.header.update(
        {
            "PIXTYPE": "HEALPIX",
            "INDXSCHM": "EXPLICIT" if sparse else "IMPLICIT",
            "ORDERING": "NESTED",
            "COORDSYS": "C",
            "NSIDE": 1 << order,
            **({"OBS_NPIX": cells.size} if sparse else {"FIRSTPIX": 0, "LASTPIX": n - 1}),
        }
    )
    file = io.BytesIO()
    parts = fits.HDUList([fits.PrimaryHDU(), hdu])
    parts.update_extend()
    for part in parts:
        # Without the time of day, which comes with it by default: the same map is the same bytes.
        part.add_checksum(when="of header and data")
    parts.writeto(file)
    return file.getvalue()
