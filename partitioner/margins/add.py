"""Add a margin to a finished HATS catalog, ours or another's: every row within a radius of each pixel's edge.

It is made, in a hidden folder, by the module next door, and moved to its place when it is whole.
"""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lsdb_ts.errors import OutputError, PlanError
from lsdb_ts.sky.pixel import finest_order_reaching
from lsdb_ts.store.files import beside, local
from lsdb_ts.store.finish import properties_stamp, write_collection
from lsdb_ts.store.hats import WORK, HatsCatalog, open_hats, read_properties
from lsdb_ts.store.index import stamp_of
from lsdb_ts.store.write import flush_names
from partitioner.margins.making import STAMP, Making
from partitioner.surveys.survey import margin_name

_COLLECTION = "collection.properties"


@dataclass(frozen=True)
class MarginReport:
    """A margin that is there now.

    Attributes
    ----------
    path : pathlib.Path
        Its folder.
    catalog : str
        Name of the catalog it belongs to.
    radius_arcsec : float
    rows, partitions, bytes : int
        What is in it.
    built : bool
        False where it was there and up to date.
    collection : pathlib.Path
        The folder to open to have it used: the catalog's collection.
    is_default : bool
        Whether it is the margin that the collection opens with.
    is_in_place : bool
        Whether the catalog lies in the collection's folder; else the collection only names it.
    """

    path: Path
    catalog: str
    radius_arcsec: float
    rows: int
    partitions: int
    bytes: int
    built: bool
    collection: Path
    is_default: bool
    is_in_place: bool

    def to_json(self) -> dict[str, Any]:
        """Return a JSON form."""
        return {**vars(self), "path": str(self.path), "collection": str(self.collection)}


def add_margin(
    path: str | Path, radius_arcsec: float, *, default: bool = False, show: bool | None = None
) -> MarginReport:
    """Add a margin to a finished catalog, and list it in the catalog's collection.

    It holds every row within the radius of the edge of each pixel, and of each pixel of the sky around the catalog; and
    somewhat more. A margin of this radius that is there and up to date is left as it is; one of an older state of the
    catalog is replaced. Killed anywhere and started again this does what is missing, and ends in the same bytes.

    Parameters
    ----------
    path : str or pathlib.Path
        A HATS catalog or collection on this machine, of any writer. A catalog that is in no collection stays where it
        is; a collection that holds it and its margin is made beside it.
    radius_arcsec : float
        Up to 39 degrees.
    default : bool, optional
        Whether the collection shall open with this margin, even if it has another one.
    show : bool, optional
        Whether to show progress; by default where a person is looking.

    Raises
    ------
    PlanError
        The radius is none, or the catalog is a margin, has no positions, or is not on this machine.
    OutputError
        Where the margin should be is something else; ResumeError: the catalog has changed since a run that was killed.
    RunError
        Some pieces of work failed; the others are done and are not repeated by the next start.
    """
    if not radius_arcsec > 0:
        raise PlanError(f"a margin of {radius_arcsec:g} arcsec: need a radius in arcseconds, more than 0")
    finest_order_reaching(radius_arcsec)
    home = _Home.of(path)
    margin = home.margin(radius_arcsec)
    hidden = margin.with_name(f".{margin.name}.tmp")
    built = not _is_current(margin, home.catalog, radius_arcsec)
    if built:
        making = Making(home.catalog, radius_arcsec, hidden / margin.name)
        making.run(margin.name, show)
        _replace(margin, making.root)
    for scratch in (hidden, margin / WORK):
        shutil.rmtree(scratch, ignore_errors=True)
    is_default = home.register(margin, default)
    told = open_hats(margin)
    return MarginReport(
        margin,
        home.catalog.name,
        radius_arcsec,
        rows=told.n_rows or 0,
        partitions=len(told.layout),
        bytes=sum(_size(file) for pixel in told.layout for file in told.leaf_files(pixel)),
        built=built,
        collection=home.collection,
        is_default=is_default,
        is_in_place=home.root.parent == home.collection,
    )


@dataclass(frozen=True, eq=False)
class _Home:
    """A catalog, and the collection it is in or will be."""

    catalog: HatsCatalog
    root: Path
    """Folder of the catalog."""
    collection: Path

    @classmethod
    def of(cls, path: str | Path) -> _Home:
        folder = local(path, "adding a margin").absolute()
        catalog = replace(open_hats(folder), margin=None)
        if catalog.kind not in {"object", "source"}:
            raise PlanError(f"{folder} is a HATS {catalog.kind}: margins are made of catalogs of objects or sources")
        if catalog.ra is None or catalog.dec is None:
            raise PlanError(f"{folder}: hats.properties does not name hats_col_ra and hats_col_dec")
        root = local(catalog.path, "adding a margin")
        if (folder / _COLLECTION).exists():
            return cls(catalog, root, folder)
        beside_it = folder.with_name(f"{folder.name}_collection")
        known = [place for place in (folder.parent, beside_it) if _primary_of(place) == os.path.realpath(folder)]
        return cls(catalog, root, known[0] if known else beside_it)

    def margin(self, radius_arcsec: float) -> Path:
        """Return the folder of the margin of a radius: that of the one there is, or the one to be made."""
        for name in self._margins():
            folder = beside(self.collection, name)
            if isinstance(folder, Path) and _radius_of(folder) == radius_arcsec:
                return folder
        # Additions number the folders of their states: margin and catalog are named alike in each.
        is_state = re.fullmatch(re.escape(self.catalog.name) + "[.][0-9]+", self.root.name)
        return self.collection / margin_name(self.catalog.name if is_state else self.root.name, radius_arcsec)

    def register(self, margin: Path, default: bool) -> bool:
        """List a margin in the collection; return whether it is the default one."""
        told = self._told()
        names = self._margins()
        name = next((n for n in names if beside(self.collection, n) == margin), margin.name)
        if default or not told.get("default_margin"):
            told["default_margin"] = name
        listed = {**told, "all_margins": " ".join(dict.fromkeys([*names, name]))}
        if listed != self._told():
            write_collection(self.collection, listed)
        return told["default_margin"] == name

    def _margins(self) -> list[str]:
        return self._told().get("all_margins", "").replace(",", " ").replace(";", " ").split()

    def _told(self) -> dict[str, str]:
        listing = self.collection / _COLLECTION
        if listing.exists():
            return read_properties(listing)
        primary = Path(os.path.relpath(self.root, self.collection)).as_posix()
        return {"obs_collection": self.catalog.name, "hats_primary_table_url": primary, **properties_stamp()}


def _primary_of(collection: Path) -> str | None:
    """Return the folder of the primary catalog of a collection; None where there is none."""
    listing = collection / _COLLECTION
    if not listing.exists():
        return None
    return os.path.realpath(collection / read_properties(listing).get("hats_primary_table_url", ""))


def _radius_of(folder: Path) -> float | None:
    """Return how wide a margin is; None where there is none."""
    if not (folder / "hats.properties").exists():
        return None
    told = read_properties(folder / "hats.properties")
    return float(told.get("hats_margin_threshold", 0)) if told.get("dataproduct_type") == "margin" else None


def _is_current(margin: Path, catalog: HatsCatalog, radius_arcsec: float) -> bool:
    """Tell whether a margin is there and was made of the catalog as it is now.

    Raises
    ------
    OutputError
        Something else is there.
    """
    if not margin.exists():
        return False
    if _radius_of(margin) != radius_arcsec:
        raise OutputError(
            f"{margin} is not a margin of {radius_arcsec:g} arcsec, and that is where it would be: remove or rename it"
        )
    told = read_properties(margin / "hats.properties")
    if STAMP in told:
        return told[STAMP] == stamp_of(catalog)
    # Written by others, or together with the catalog: then it is not older.
    dates = [properties.get("hats_creation_date", "") for properties in (told, catalog.properties)]
    return not all(dates) or dates[0] >= dates[1]


def _size(path: Any) -> int:
    return path.stat().st_size if isinstance(path, Path) else 0


def _replace(margin: Path, made: Path) -> None:
    """Give a finished margin its place; one that is there is out of date."""
    old = margin.with_name(f".{margin.name}.old.tmp")
    shutil.rmtree(old, ignore_errors=True)
    if margin.exists():
        margin.rename(old)
    made.rename(margin)
    flush_names([margin.parent])
    shutil.rmtree(old, ignore_errors=True)
