"""One catalog under examination, and what can be asked of it. It is opened here; checks stand beside."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import pyarrow as pa

from lsdb_ts.errors import CatalogError
from lsdb_ts.schema import Roles
from lsdb_ts.sky import Layout
from lsdb_ts.store.hats import BUILDER, HatsCatalog, open_hats
from lsdb_ts.store.index import index_folders
from lsdb_ts.store.sidecar import Sidecar
from partitioner.checks.fault import Fault
from partitioner.planning.product import margin_targets

_TELLING = ("collection.properties", "hats.properties", "properties")


@dataclass(frozen=True, eq=False)
class Subject:
    """One catalog under examination."""

    catalog: HatsCatalog
    base: Path
    """Files are named from here."""
    primary: HatsCatalog | None = None
    """Of a margin: the catalog it belongs to."""

    @property
    def root(self) -> Path:
        """Folder of the catalog."""
        assert isinstance(self.catalog.path, Path)
        return self.catalog.path

    @property
    def is_margin(self) -> bool:
        """Whether its rows lie outside of the pixels they are kept for."""
        return self.catalog.kind == "margin"

    @property
    def is_ours(self) -> bool:
        """Whether this package wrote the catalog: then rows are sorted, and indices are exact."""
        return is_ours(self.catalog)

    @property
    def is_exact(self) -> bool:
        """Whether this version wrote the catalog: then it can be told exactly what it must hold."""
        return is_exact(self.catalog)

    @property
    def id_column(self) -> str | None:
        """Column of the ids, if the catalog says which it is."""
        return Roles.of(self.catalog.schema).id

    @functools.cached_property
    def margin_targets(self) -> Layout:
        """Every pixel that gets a margin."""
        return margin_targets(self.catalog.layout)

    @functools.cached_property
    def sidecar(self) -> Sidecar | None:
        """The catalog's sidecar, if it has one that can be used."""
        try:
            return self.catalog.sidecar
        except CatalogError:  # told of where its listing is looked at
            return None

    @property
    def offset_arcsec(self) -> float | None:
        """How far rows are at most from those they are stored with; None where they are stored by their own place."""
        told = self.catalog.properties.get("lsdb_ts_offset_arcsec")
        return None if told is None else float(told)

    @property
    def emits(self) -> bool:
        """Whether its rows are to be held against its margin one by one."""
        return self.is_exact and self.catalog.margin is not None and is_exact(self.catalog.margin)

    @functools.cached_property
    def compared(self) -> tuple[str, ...]:
        """Columns in which rows of a margin must be those of its catalog."""
        other = self.primary if self.is_margin else self.catalog.margin
        names = set(self.catalog.schema.names) & set(self.catalog.schema.names if other is None else other.schema.names)
        return tuple(sorted(names))

    def name_of(self, path: Path) -> str:
        """Return how a file is named in the report."""
        return name_of(self.base, path)

    @property
    def name(self) -> str:
        """How the catalog is named in the report."""
        return self.name_of(self.root)


def is_ours(catalog: HatsCatalog) -> bool:
    """Tell whether this package wrote a catalog."""
    return catalog.properties.get("hats_builder", "").startswith(BUILDER)


def is_exact(catalog: HatsCatalog) -> bool:
    """Tell whether this version of this package wrote a catalog."""
    return catalog.properties.get("hats_builder") == _this_version()


@functools.cache
def _this_version() -> str:
    return f"{BUILDER} v{version('lsdb_ts')}"


def name_of(base: Path, path: Path) -> str:
    """Return the path of a file from a folder, or all of it where it lies elsewhere."""
    return path.relative_to(base).as_posix() if path.is_relative_to(base) else str(path)


@dataclass(frozen=True, eq=False)
class Opened:
    """What lies at a path: catalogs with their margins, and what could not be opened."""

    groups: tuple[tuple[Subject, ...], ...]
    """Each a catalog, and its margins."""
    indexes: tuple[tuple[Subject, str, Path], ...]
    """(catalog, column, folder) of each index."""
    faults: tuple[Fault, ...]


def opened(base: Path) -> Opened:
    """Open a catalog or collection, all its margins, its indexes, and the collections in folders right inside it.

    Raises
    ------
    CatalogError
        The folder is no finished catalog at all.
    """
    if not any((base / name).exists() for name in _TELLING):
        open_hats(base)
    folders = [base]
    if (base / "collection.properties").exists():
        folders += sorted(path.parent for path in base.glob("*/collection.properties"))
    groups: list[tuple[Subject, ...]] = []
    indexes: list[tuple[Subject, str, Path]] = []
    faults: list[Fault] = []
    for folder in folders:
        try:
            catalog = open_hats(folder)
            margins = list(_margins(folder, catalog))
            primary = Subject(catalog, base)
            groups.append((primary, *(Subject(margin, base, catalog) for margin in margins)))
            found = index_folders(catalog)
        except (CatalogError, OSError, LookupError, ValueError, pa.ArrowException) as error:
            faults.append(Fault(name_of(base, folder), None, f"cannot be opened: {error}"))
            continue
        indexes += [(primary, column, path) for column, path in sorted(found.items()) if isinstance(path, Path)]
    return Opened(tuple(groups), tuple(indexes), tuple(faults))


def _margins(folder: Path, catalog: HatsCatalog) -> Iterator[HatsCatalog]:
    """Yield the default margin of a catalog, then the other margins of its collection."""
    from lsdb_ts.store.hats import read_properties

    if catalog.margin is None:
        return
    yield catalog.margin
    listed = read_properties(folder / "collection.properties").get("all_margins", "").replace(",", " ").split()
    for name in listed:
        if folder / name != catalog.margin.path:
            yield open_hats(folder / name)
