"""A set of pixels as a region: a multi-order coverage map (MOC). Regions in general live in region.py."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lsdb_ts.errors import PlanError
from lsdb_ts.sky.layout import Layout
from lsdb_ts.sky.pixel import Pixel, bad_positions, spatial_index
from lsdb_ts.sky.ranges import Ranges
from lsdb_ts.sky.region import fingerprint

_PRINTED = 20
_FORMATS = {".json": "json", ".txt": "ascii", ".ascii": "ascii", ".moc": "ascii"}


@dataclass(frozen=True, eq=False, repr=False)
class Moc:
    """All positions in a set of pixels of any orders (IVOA MOC 2.0, ICRS).

    >>> Moc.of_pixels([Pixel(0, 4), Pixel(1, 7)])
    Moc('1/7 0/4')
    """

    sky: Ranges
    """The pixels as order-29 intervals."""

    @classmethod
    def of(cls, moc: Any) -> Moc:
        """Take a MOC in any of its forms.

        Parameters
        ----------
        moc : mocpy.MOC, str or pathlib.Path
            A map, the path of its file (``.fits``; ``.json``; ``.txt``, ``.ascii`` or ``.moc`` for the text form), or
            its text itself: ``"3/17 4/100-102"``. All but the first need ``pip install lsdb_ts[moc]``.

        Raises
        ------
        PlanError
            It is none of these, or cannot be read.
        """
        if isinstance(moc, Moc):
            return moc
        if isinstance(moc, str | os.PathLike):
            moc = _read(moc)
        if not hasattr(moc, "to_depth29_ranges"):
            raise PlanError(
                f"got a {type(moc).__name__}: need a mocpy.MOC of space, the path of a MOC file, or its text"
            )
        intervals = np.asarray(moc.to_depth29_ranges).astype(np.int64).reshape(-1, 2)
        return cls(Ranges.of(intervals[:, 0], intervals[:, 1]))

    @classmethod
    def of_pixels(cls, pixels: Iterable[Pixel | tuple[int, int]] | Layout) -> Moc:
        """Take pixels, as :class:`Pixel` or (order, number), of any orders; they may overlap."""
        if isinstance(pixels, Layout):
            return cls(pixels.ranges)
        try:
            listed = [p if isinstance(p, Pixel) else Pixel(int(p[0]), int(p[1])) for p in pixels]
        except (ValueError, TypeError, IndexError) as error:
            raise PlanError(f"not a list of pixels: need Pixel(order, number) or (order, number): {error}") from error
        return cls(Ranges.of([p.start for p in listed], [p.stop for p in listed]))

    def __repr__(self) -> str:
        if len(self.sky) <= _PRINTED:
            pixels = list(Layout.of_ranges(self.sky))
            if len(pixels) <= _PRINTED:
                return f"Moc('{' '.join(f'{p.order}/{p.number}' for p in pixels)}')"
        return f"Moc({len(self.sky)} intervals, {fingerprint(self.sky.starts, self.sky.stops)})"

    def contains(self, ra_deg: ArrayLike, dec_deg: ArrayLike) -> NDArray[np.bool_]:
        """Tell which positions (degrees) lie in one of the pixels; those not on the sky do not."""
        ra, dec = (np.asarray(x, dtype=np.float64).ravel() for x in (ra_deg, dec_deg))
        inside = ~bad_positions(ra, dec)
        inside[inside] = self.sky.contains(spatial_index(ra[inside], dec[inside]))
        return inside.reshape(np.shape(ra_deg))

    def ranges(self) -> Ranges:
        """Return the pixels' sky, no more."""
        return self.sky


def _read(text: str | os.PathLike[str]) -> Any:
    """Read a MOC from a file, or from its own text."""
    try:
        from mocpy import MOC
    except ImportError as error:
        raise PlanError("reading a MOC needs mocpy: pip install lsdb_ts[moc]") from error
    path = Path(text)
    try:
        if isinstance(text, str) and "/" in text and text.lstrip()[:1].isdigit() and not path.exists():
            return MOC.from_string(text)
        return MOC.load(path, format=_FORMATS.get(path.suffix.lower(), "fits"))
    # mocpy and astropy have errors of many kinds for files that are no MOC.
    except Exception as error:
        raise PlanError(
            f'"{os.fspath(text)}" is neither the path of a MOC (.fits, .json, .txt) nor the text of one, such as '
            f'"3/17 4/100-102": {error}'
        ) from error
