"""The function that gives rows their Galactic coordinates, as classifiers of stars and transients want them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import pyarrow as pa

from lsdb_ts.schema import with_unit


@dataclass(frozen=True)
class Galactic:
    """From ICRS positions in degrees to Galactic longitude, 0 to 360, and latitude (Blaauw et al. 1960, by astropy)."""

    __name__: ClassVar[str] = "galactic"

    positions: tuple[str, str]
    """Columns of right ascension and declination."""
    names: tuple[str, str]
    """Of longitude and latitude."""

    @property
    def fields(self) -> tuple[pa.Field, ...]:
        """The two columns."""
        return tuple(with_unit(pa.field(name, pa.float64()), "deg") for name in self.names)

    def __call__(self, table: pa.Table) -> pa.Table:
        """Convert."""
        from astropy.coordinates import SkyCoord

        ra, dec = (table.column(name).to_numpy() for name in self.positions)
        there = SkyCoord(ra, dec, unit="deg", frame="icrs").galactic
        return pa.table([there.l.deg, there.b.deg], schema=pa.schema(self.fields))

    def identity(self) -> Mapping[str, Any]:
        """Return the names."""
        return {"positions": list(self.positions), "names": list(self.names)}
