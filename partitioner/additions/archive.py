"""What a repartition left behind, as additions see it: collections, the survey they were made from, and the account.

Nothing is changed here.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from lsdb_ts.errors import CatalogError, PlanError
from lsdb_ts.schema import HEALPIX, Roles, is_nested
from lsdb_ts.store.files import local
from lsdb_ts.store.finish import properties_stamp
from lsdb_ts.store.hats import HatsCatalog, open_hats, read_properties
from lsdb_ts.store.index import index_folders, open_index
from partitioner.account import ACCOUNT
from partitioner.surveys.survey import Nested, Survey, Table, VisitColumns

GENERATION, KEPT, ADDITIONS = "generation", "kept", "additions"
"""Keys of the account: number of the present state, folders of former ones that are still there, and the nights."""
LISTING = "collection.properties"


@dataclass(frozen=True, eq=False)
class Collection:
    """A collection at one moment: its catalog and its margins."""

    folder: Path
    properties: Mapping[str, str]
    catalog: HatsCatalog
    margins: tuple[HatsCatalog, ...]

    @classmethod
    def open(cls, folder: Path) -> Collection:
        """Open a collection by what its property file names, at one reading of it."""
        properties = read_properties(folder / LISTING)
        catalog = open_hats(folder / properties["hats_primary_table_url"])
        margins = tuple(open_hats(folder / name) for name in _words(properties.get("all_margins", "")))
        return cls(folder, properties, catalog, margins)

    @functools.cached_property
    def indexes(self) -> Mapping[str, Path]:
        """Folders of the indexes that are of the catalog's present state, by column."""
        found = index_folders(self.catalog)
        return {column: Path(str(path)) for column, path in found.items() if self._is_current(column)}

    def _is_current(self, column: str) -> bool:
        try:
            return open_index(self.catalog, column) is not None
        except CatalogError:
            return False

    @property
    def folders(self) -> list[Path]:
        """Return the folders of all members."""
        return [Path(str(c.path)) for c in (self.catalog, *self.margins)] + list(self.indexes.values())

    def listing(self, names: Mapping[str, str], indexes: Mapping[str, str]) -> dict[str, Any]:
        """Return the properties of the collection with other names of its members.

        Parameters
        ----------
        names : mapping of str to str
            The new name of the catalog and of each margin, by the old one.
        indexes : mapping of str to str
            Column and name of each index.
        """
        told: dict[str, Any] = dict(self.properties)
        told["hats_primary_table_url"] = names[told["hats_primary_table_url"]]
        if self.margins:
            told["all_margins"] = [names[name] for name in _words(told["all_margins"])]
            told["default_margin"] = names[told.get("default_margin") or _words(self.properties["all_margins"])[0]]
        for key in ("all_indexes", "default_index"):
            told.pop(key, None)
        if indexes:
            told["all_indexes"] = [word for pair in indexes.items() for word in pair]
        default = self.properties.get("default_index")
        return {**told, **({"default_index": default} if default in indexes else {}), **properties_stamp()}


@dataclass(frozen=True, eq=False)
class Archive:
    """The folder that a repartition made, with everything in it."""

    root: Path
    account: Mapping[str, Any]
    """As it stands in ``account.json``."""

    @classmethod
    def open(cls, path: str | Path) -> Archive:
        """Open an archive.

        Raises
        ------
        PlanError
            It was not made by a repartition, so that nobody knows which rows belong where.
        """
        root = local(path, "adding to a catalog").absolute()
        if not (root / ACCOUNT).exists():
            raise PlanError(
                f"{root} has no {ACCOUNT}: rows are added to what lsdb-ts repartition made, in the folder that was its "
                f"--out; for another catalog, make it one first: lsdb-ts repartition {root} --out NEW"
            )
        return cls(root, json.loads((root / ACCOUNT).read_text()))

    @functools.cached_property
    def survey(self) -> Survey:
        """The tables it was made from, with the roles their columns have; of files nothing is known."""
        told = self.account["identity"]
        return Survey(told["name"], tuple(_table(name, table) for name, table in told["tables"].items()))

    @property
    def on_bad(self) -> str:
        """What is done with rows whose position is not on the sky."""
        return str(self.account["identity"]["on_bad"])

    @property
    def generation(self) -> int:
        """Number of the present state; 0 as it was made."""
        return int(self.account.get(GENERATION, 0))

    @property
    def additions(self) -> Sequence[Mapping[str, Any]]:
        """What was added, night by night."""
        found: Sequence[Mapping[str, Any]] = self.account.get(ADDITIONS, ())
        return found

    @property
    def tables(self) -> tuple[Table, ...]:
        """Tables that are catalogs, the primary one first."""
        return self.survey.catalogs

    @functools.cached_property
    def collections(self) -> Mapping[str, Collection]:
        """The collections, by the table whose rows they hold."""
        primary = self.survey.primary.name
        return {t.name: Collection.open(self.root / ("" if t.name == primary else t.name)) for t in self.tables}

    def parents_of(self, table: str) -> Iterator[str]:
        """Yield the tables among whose ids the rows of a table look for theirs."""
        named = (self.survey.nested.get(table), self.survey.table(table).follow)
        yield from dict.fromkeys(name for name in named if name is not None)

    def stored_fields(self, table: str) -> dict[str, pa.Field]:
        """Return the columns of a table as they are stored, in its own catalog or in light curves."""
        found: dict[str, pa.Field] = {}
        for name, collection in self.collections.items():
            nested = {n.table: n.name for n in self.survey.table(name).nest}
            if table in nested:
                curves = collection.catalog.schema.field(nested[table])
                found |= {p.name: bare(p.with_type(p.type.value_type)) for p in curves.type}
        if table in self.collections:
            schema = self.collections[table].catalog.schema
            found |= {f.name: bare(f) for f in schema if f.name != HEALPIX and f.name not in self._curves(table)}
        return found

    def parent_field(self, table: str) -> pa.Field | None:
        """Return the column of the ids that the rows of a table name as their parent's, as it is stored."""
        parent = next(self.parents_of(table), None)
        return None if parent is None else self.stored_fields(parent)[str(self.roles(parent).id)]

    def roles(self, table: str) -> Roles:
        """Return which column of a table is what."""
        return self.survey.table(table).roles

    def _curves(self, table: str) -> set[str]:
        return {n.name for n in self.survey.table(table).nest}


def bare(column: pa.Field) -> pa.Field:
    """Return a field without what reading a file adds to it."""
    told = {k: v for k, v in (column.metadata or {}).items() if not k.startswith(b"PARQUET:")}
    kind = column.type
    if is_nested(column):
        # What the items of a list are called is up to Parquet when it is read.
        kind = pa.struct([bare(part.with_type(pa.list_(part.type.value_type))) for part in kind])
    return pa.field(column.name, kind, nullable=column.nullable, metadata=told or None)


def schema_of(catalog: HatsCatalog) -> pa.Schema:
    """Return the columns of a catalog as they are written."""
    return pa.schema([bare(f) for f in catalog.schema], metadata=catalog.schema.metadata or None)


def name_in(generation: int, name: str) -> str:
    """Return the name of a member's folder in a state.

    >>> name_in(3, "gaia"), name_in(4, "gaia.3"), name_in(1, "gaia_0.5arcs")
    ('gaia.3', 'gaia.4', 'gaia_0.5arcs.1')
    """
    return f"{re.sub(r'[.][0-9]+$', '', name)}.{generation}"


def _table(name: str, told: Mapping[str, Any]) -> Table:
    known = {f.name for f in dataclasses.fields(Table)}
    options: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in told.items() if k in known}
    visit = told.get("visit")
    options["nest"] = tuple(Nested(**{**n, "columns": tuple(n.get("columns", ()))}) for n in told["nest"])
    options["visit"] = VisitColumns(visit["table"], tuple(visit["on"]), tuple(visit["columns"])) if visit else None
    return Table(**{**options, "name": name, "files": (), "roles": Roles(**told["roles"])})


def _words(text: str) -> list[str]:
    return text.replace(",", " ").split()
