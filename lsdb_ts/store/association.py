"""Association tables as HATS lays them out: which rows of two catalogs belong together, and what their properties say.

Their rows are read like those of any catalog; joining through them is a plan's work.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lsdb_ts.errors import CatalogError
from lsdb_ts.store.finish import CatalogInfo
from lsdb_ts.store.footers import footer
from lsdb_ts.store.hats import HatsCatalog
from lsdb_ts.store.read import limits
from lsdb_ts.store.source import HatsSource
from lsdb_ts.store.write import Leaf, leaf_path

DISTANCE = "_dist_arcsec"
KIND = "association"


@dataclass(frozen=True)
class Association:
    """What an association says of the two catalogs it links.

    Attributes
    ----------
    primary, other : str
        Names or paths of the left and the right catalog, as their folders are called.
    primary_on, other_on : str
        Columns of ids in these catalogs.
    primary_ids, other_ids : str
        Columns of the same ids in the association.
    max_separation_arcsec : float or None
        Largest distance between linked rows, where it is known.
    has_rows : bool
        Whether it has rows of its own; if not, equal ids of the two columns are the links.
    """

    primary: str
    other: str
    primary_on: str
    other_on: str
    primary_ids: str
    other_ids: str
    max_separation_arcsec: float | None = None
    has_rows: bool = True

    @classmethod
    def of(cls, catalog: HatsCatalog) -> Association:
        """Read the properties of an association.

        Raises
        ------
        CatalogError
            It is none, or a property or column is missing.
        """
        told = catalog.properties
        if told.get("dataproduct_type") != KIND:
            raise CatalogError(f"{catalog.path} is no association but {told.get('dataproduct_type')} catalog")
        needed = ("hats_primary_table_url", "hats_assn_join_table_url", "hats_col_assn_primary", "hats_col_assn_join")
        missing = [key for key in needed if not told.get(key)]
        if missing:
            raise CatalogError(f"{catalog.path}: hats.properties does not say {missing[0]}, which an association must")
        primary, other, primary_on, other_on = (told[key] for key in needed)
        has_rows = told.get("hats_assn_leaf_files", "true").strip().lower() == "true"
        ids = told.get("hats_col_assn_primary_assn", primary_on), told.get("hats_col_assn_join_assn", other_on)
        absent = [name for name in ids if has_rows and name not in catalog.schema.names]
        if absent:
            raise CatalogError(
                f'{catalog.path} has no column "{absent[0]}", where its hats.properties has the ids; there are: '
                f"{', '.join(catalog.schema.names)}"
            )
        separation = told.get("hats_assn_max_separation")
        if separation:
            largest: float | None = float(separation)
        else:
            ends = HatsSource(catalog).limits(DISTANCE) if has_rows and DISTANCE in catalog.schema.names else None
            largest = None if ends is None else float(ends[1])
        return cls(primary, other, primary_on, other_on, *ids, largest, has_rows)

    def info(self, written: CatalogInfo, root: Path, leaves: Sequence[Leaf]) -> CatalogInfo:
        """Return what a catalog of links says of itself once its leaves are written.

        The largest separation is that of the rows, rounded up.
        """
        largest = self.max_separation_arcsec
        if DISTANCE in written.schema.names:
            ends = limits((footer(leaf_path(root, leaf.pixel)) for leaf in leaves), DISTANCE)
            largest = 0.0 if ends is None else ends[1] * (1 + 1e-9)
        extra = {
            "hats_col_assn_primary": self.primary_on,
            "hats_col_assn_primary_assn": self.primary_ids,
            "hats_assn_join_table_url": self.other,
            "hats_col_assn_join": self.other_on,
            "hats_col_assn_join_assn": self.other_ids,
            "hats_assn_leaf_files": "True",
            **({"hats_assn_max_separation": repr(float(largest))} if largest is not None else {}),
        }
        return replace(written, kind=KIND, ra=None, dec=None, primary=self.primary, extra={**written.extra, **extra})
