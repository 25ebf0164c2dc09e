"""The account of a repartition against what is there: it balances, catalogs and light curves hold the rows it tells.

Rows that were set aside are read, too: orphans, and those that were refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from lsdb_ts.errors import CatalogError
from lsdb_ts.schema import Roles
from lsdb_ts.store.footers import footer
from partitioner.account import ACCOUNT, Tally, child_keys, integers
from partitioner.checks.fault import AGAIN, Fault
from partitioner.checks.files import parquet_faults, text_faults
from partitioner.checks.partition import row_groups
from partitioner.checks.subject import name_of

ASIDE = ("orphans", "refused")
_WAY_OUT = "make the catalog again, and please report this"


@dataclass(frozen=True, eq=False)
class Held:
    """What a catalog was found to hold, as far as all of it was read."""

    name: str
    rows: int
    partitions: int
    bytes: int
    margin_rows: int = 0
    margin_arcsec: float = 0.0
    """Of the margin that it opens with: another than it was made with may have been added."""
    is_whole: bool = True
    """Whether its rows were read; else only counted, from footers."""
    curves: Mapping[str, Tally] = field(default_factory=dict)
    """By nested column."""
    children: Tally = field(default_factory=Tally)
    """Of rows that belong to those of another catalog."""


def account_faults(base: Path, held: Mapping[str, Held]) -> Iterator[Fault]:
    """Hold the account of a repartition against its catalogs.

    Parameters
    ----------
    base : pathlib.Path
        Folder of the collection; without an account there is nothing to say.
    held : mapping of str to Held
        By the path of each catalog, from the folder.
    """
    path, file = base / ACCOUNT, ACCOUNT
    aside = _Aside(base)
    if path.exists():
        yield from text_faults(path, file, is_ours=True)
        try:
            told = json.loads(path.read_bytes())
            yield from _table_faults(told["tables"], file)
            yield from _catalog_faults(told["catalogs"], held, file)
            yield from _row_faults(told, held, aside, file)
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            yield Fault(file, None, f"cannot be read: {type(error).__name__}: {error}")
    for one in aside.files():
        yield from parquet_faults(one, name_of(base, one), is_ours=path.exists())


def _table_faults(tables: Sequence[Mapping[str, Any]], file: str) -> Iterator[Fault]:
    for told in tables:
        out = told["rows_out"] + _total(told.get("refused", 0)) + told.get("orphans", 0) + told.get("dropped", 0)
        if told["rows_in"] != out:
            what = f'the account of "{told["table"]}" ({told["became"]}) does not balance'
            need, got = f"{told['rows_in']} rows, as came in", f"{out} rows"
            yield Fault(file, None, what, got=got, need=need, way_out=_WAY_OUT)
        if told.get("hash_in") != told.get("hash_out"):
            what = f'the rows of "{told["table"]}" that came out ({told["became"]}) are not those that went in'
            yield Fault(file, None, what, way_out=_WAY_OUT)


def _total(refused: int | Mapping[str, int]) -> int:
    return sum(refused.values()) if isinstance(refused, Mapping) else refused


def _catalog_faults(catalogs: Sequence[Mapping[str, Any]], held: Mapping[str, Held], file: str) -> Iterator[Fault]:
    for told in catalogs:
        has = held.get(told["path"])
        if has is None:
            yield Fault(file, None, f"tells of the catalog {told['path']}, which is not there", way_out=AGAIN)
            continue
        counts = {"rows": has.rows, "partitions": has.partitions}
        if has.margin_arcsec == told.get("margin_arcsec", 0.0):
            counts["margin_rows"] = has.margin_rows
        for key, value in counts.items():
            if told.get(key, value) != value:
                what = f"tells of {told[key]} {key.replace('_', ' ')} in {told['path']}, it has {value}"
                yield Fault(file, None, what, way_out=_WAY_OUT)


def _row_faults(told: Mapping[str, Any], held: Mapping[str, Held], aside: _Aside, file: str) -> Iterator[Fault]:
    """Hold what was nested, set aside and stored by itself against the account, and against one another."""
    by_name = {has.name: has for has in held.values()}
    for table in told["tables"]:
        column, _, name = str(table["became"]).partition(" of ")
        has = by_name.get(name or column.removeprefix("catalog "))
        for kind, n in (("orphans", table.get("orphans", 0)), ("refused", _total(table.get("refused", 0)))):
            found = aside.rows(kind, table["table"])
            if n and found is not None and found != n:
                what = f"tells of {n} {kind} of {table['table']}, {aside.name(kind, table['table'])} has {found}"
                yield Fault(file, None, what, way_out=_WAY_OUT)
            if n and found is None:
                yield Fault(aside.name(kind, table["table"]), None, f"the file of {n} {kind} is missing")
        if has is None or not has.is_whole or not name or column not in has.curves:
            continue
        nested = has.curves[column]
        if nested.rows != table["rows_out"]:
            what = f"tells of {table['rows_out']} rows in {column} of {name}, it has {nested.rows}"
            yield Fault(file, None, what, way_out=_WAY_OUT)
            continue
        orphans = aside.tally("orphans", table["table"])
        if table.get("orphans", 0) and orphans is None:
            continue
        everything = nested + (orphans or Tally())
        if everything.hash != table.get("hash_out") and not table.get("dropped"):
            what = f"the rows in {column} of {name}, with the orphans, are not those that came in"
            yield Fault(file, None, what, way_out=_WAY_OUT)
        elif (alone := by_name.get(table["table"])) is not None and alone.is_whole:
            yield from _twin_faults(told, table, alone, everything, column, name)


def _twin_faults(
    told: Mapping[str, Any], table: Mapping[str, Any], alone: Held, everything: Tally, column: str, name: str
) -> Iterator[Fault]:
    """Hold nested rows and orphans against the catalog of the same table by itself."""
    own = next((t for t in told["tables"] if t["became"] == f"catalog {alone.name}"), None)
    if own is None or table.get("dropped"):
        return
    refused = _total(own.get("refused", 0)) + own.get("orphans", 0)
    if alone.rows + refused != everything.rows:
        what = f"{column} of {name} and its orphans have {everything.rows} rows, the catalog {alone.name} has "
        yield Fault(ACCOUNT, None, f"{what}{alone.rows} and {refused} were refused", way_out=_WAY_OUT)
    elif not refused and alone.children.rows and alone.children != everything:
        what = f"{column} of {name} and its orphans hold other rows than the catalog {alone.name}"
        yield Fault(ACCOUNT, None, what, way_out=_WAY_OUT)


class _Aside:
    """Files of rows that are in no catalog."""

    def __init__(self, base: Path) -> None:
        self._base = base

    def files(self) -> list[Path]:
        """Return all of them."""
        return sorted(path for kind in ASIDE for path in (self._base / kind).rglob("*.parquet"))

    def name(self, kind: str, table: str) -> str:
        """Return how the file of a table is named."""
        return f"{kind}/{table}.parquet"

    def _of(self, kind: str, table: str) -> list[Path]:
        single = self._base / self.name(kind, table)
        return [single] if single.exists() else sorted((self._base / kind / table).rglob("*.parquet"))

    def rows(self, kind: str, table: str) -> int | None:
        """Return the rows that were set aside of a table; None where there is no file."""
        paths = self._of(kind, table)
        try:
            return sum(footer(path).n_rows for path in paths) if paths else None
        except CatalogError:  # told of where the file itself is looked at
            return None

    def tally(self, kind: str, table: str) -> Tally | None:
        """Return which rows those are: by the id of the parent that they name, and their own."""
        total = Tally()
        for path in self._of(kind, table):
            try:
                found = footer(path)
                roles = Roles.of(found.schema)
                if roles.parent_id is None or not pa.types.is_integer(found.schema.field(roles.parent_id).type):
                    return None
                for _, rows in row_groups(path, found):
                    own = rows.column(roles.id) if roles.id is not None else None
                    keys = integers(own) if own is not None and pa.types.is_integer(own.type) else None
                    total += Tally.of(child_keys(integers(rows.column(roles.parent_id)), keys))
            except (CatalogError, OSError, pa.ArrowException):  # told of where the file itself is looked at
                return None
        return total
