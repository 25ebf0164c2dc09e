"""Skymaps of catalogs on disk: rows per HEALPix cell, in FITS. What is counted, is known next door."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from lsdb_ts.errors import CatalogError
from lsdb_ts.sky.pixel import N_BASE, Indices
from lsdb_ts.store.files import AnyPath, read_files
from lsdb_ts.store.write import atomic


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
    paths = [root / name for name in ("skymap.fits", "point_map.fits")]
    found = [(path, content) for path, content in zip(paths, read_files(paths), strict=True) if content is not None]
    if not found:
        return None
    path, content = found[0]
    from astropy.io import fits

    try:
        with fits.open(io.BytesIO(content)) as hdus:
            header, data = hdus[1].header, hdus[1].data
            columns = [np.asarray(data.field(i)).ravel().astype(np.int64) for i in range(len(data.columns))]
            order = int(header["NSIDE"]).bit_length() - 1
    except (OSError, IndexError, KeyError, TypeError, ValueError) as error:
        raise CatalogError(f"cannot read the skymap {path}: {error}; remove it, it is not needed") from error
    if header.get("ORDERING", "NESTED").strip().upper().startswith("RING"):
        return None
    cells, rows = columns if len(columns) == 2 else (np.arange(columns[0].size), columns[0])
    occupied = np.flatnonzero(rows > 0)
    by_place = occupied[np.argsort(cells[occupied], kind="stable")]
    return order, cells[by_place], rows[by_place]


def write_skymap(path: Path, order: int, cells: Indices, rows: Indices) -> None:
    """Write a map of the whole sky: all cells in their order, or pairs of cell and value where most are empty.

    Parameters
    ----------
    path : pathlib.Path
        The FITS file; it appears whole or not at all.
    order : int
        HEALPix order.
    cells, rows : numpy.ndarray of int64, shape (n,)
        Occupied NESTED cells in rising order, and the value of each.
    """
    from astropy.io import fits

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
    with atomic(path) as temporary:
        fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(temporary)
