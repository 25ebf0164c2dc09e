"""Footers against what they speak of: statistics against values, schemas and `_metadata` against the files.

Footers that are damaged are told by their checksum; these checks also find those that were written wrong.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lsdb_ts.store.files import key_of
from lsdb_ts.store.footers import Footer, footer
from partitioner.checks.curves import whole
from partitioner.checks.fault import AGAIN, Fault

_ORDERED = (
    *(pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean),
    *(pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary),
)


def statistics_faults(found: Footer, group: int, table: pa.Table, file: str, *, is_ours: bool) -> Iterator[Fault]:
    """Hold the statistics of a row group against its values: where they are too narrow, reads would lose rows.

    Parameters
    ----------
    found : Footer
    group : int
        Number of the row group.
    table : pyarrow.Table
        All of its rows and columns.
    file : str
    is_ours : bool
        Whether statistics must be just those of the values; those of others may be wider.
    """
    told = found.group(group)
    if told.num_rows != table.num_rows:
        yield _fault(file, group, "", "rows", told.num_rows, table.num_rows)
    leaves = [leaf for name in table.column_names for leaf in _leaves(name, whole(table.column(name)), nested=False)]
    if len(leaves) != told.num_columns:
        return
    for number, (name, values, nested) in enumerate(leaves):
        known = told.column(number).statistics
        if known is None:
            if is_ours:
                yield Fault(file, None, f'row group {group} has no statistics of "{name}"', kind="statistics")
            continue
        if not nested and known.has_null_count and known.null_count != values.null_count:
            yield _fault(file, group, name, "nulls", known.null_count, values.null_count)
        yield from _limit_faults(known, name, values, file, group, is_ours)


def _limit_faults(known: Any, name: str, values: pa.Array, file: str, group: int, is_ours: bool) -> Iterator[Fault]:
    if not known.has_min_max or not any(test(values.type) for test in _ORDERED) or pa.types.is_float16(values.type):
        return
    ends = pc.min_max(values)
    least, most = ends["min"].as_py(), ends["max"].as_py()
    if least is None or least != least:
        return
    if known.min > least or (is_ours and known.min != least):
        yield _fault(file, group, name, "a minimum", known.min, least)
    if known.max < most or (is_ours and known.max != most):
        yield _fault(file, group, name, "a maximum", known.max, most)


def _fault(file: str, group: int, name: str, what: str, got: Any, need: Any) -> Fault:
    of = f' of "{name}"' if name else ""
    what = f"the statistics of row group {group} tell {what}{of} that the data do not have"
    return Fault(file, None, what, got=str(got), need=str(need))


def _leaves(name: str, array: pa.Array, *, nested: bool) -> Iterator[tuple[str, pa.Array, bool]]:
    """Yield (name, values, whether inside a list) of the Parquet columns that a column is stored as."""
    kind = array.type
    if isinstance(array, pa.ExtensionArray):
        yield from _leaves(name, array.storage, nested=nested)
    elif pa.types.is_struct(kind):
        for field, part in zip(kind, array.flatten(), strict=True):
            yield from _leaves(f"{name}.{field.name}", part, nested=nested)
    elif pa.types.is_map(kind):
        yield from _leaves(f"{name}.key", array.keys, nested=True)
        yield from _leaves(f"{name}.value", array.items, nested=True)
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        yield from _leaves(name, array.flatten(), nested=True)
    elif pa.types.is_dictionary(kind):
        yield name, array.dictionary_decode(), nested
    else:
        yield name, array, nested


def schema_faults(found: pa.Schema, wanted: pa.Schema, file: str, *, is_ours: bool) -> Iterator[Fault]:
    """Hold the columns of a file against those of its catalog; of our own files units and roles, too."""
    known = {f.name: f for f in wanted}
    for field in found:
        like = known.get(field.name)
        if like is None:
            yield Fault(file, None, f'has a column "{field.name}" that the catalog does not have')
        elif field.type != like.type:
            what = f'the column "{field.name}" is {field.type} here and {like.type} in the catalog'
            yield Fault(file, None, what)
        elif is_ours and not field.equals(like, check_metadata=True):
            what = f'the column "{field.name}" has another unit, role or rule of nulls here than in the catalog'
            yield Fault(file, None, what, got=_told(field), need=_told(like))
    for name in known:
        if name not in found.names:
            yield Fault(file, None, f'has no column "{name}", which the catalog has')
    if is_ours and [n for n in found.names if n in known] != [n for n in known if n in found.names]:
        yield Fault(file, None, "has its columns in another sequence than the catalog")


def _told(field: pa.Field) -> str:
    about = {k.decode(): v.decode(errors="replace") for k, v in (field.metadata or {}).items()}
    return f"{about}{'' if field.nullable else ', not null'}"


@dataclass(frozen=True, eq=False)
class Listing:
    """What `_metadata` tells of all files."""

    metadata: pq.FileMetaData
    groups: Mapping[str, list[int]]
    """Row groups by the path of their file, from the folder ``dataset``."""


def listing_of(root: Path) -> Listing | None:
    """Return what the `_metadata` of a catalog tells; None where it has none.

    Raises
    ------
    CatalogError
        It is damaged.
    """
    path = root / "dataset" / "_metadata"
    return _listing(path, key_of(path)) if path.exists() else None


@functools.lru_cache(maxsize=2)
def _listing(path: Path, key: tuple[Any, ...]) -> Listing:
    metadata = footer(path).metadata
    groups: dict[str, list[int]] = {}
    for g in range(metadata.num_row_groups):
        groups.setdefault(metadata.row_group(g).column(0).file_path, []).append(g)
    return Listing(metadata, groups)


def listing_faults(listing: Listing, path: Path, dataset: Path, found: Footer, file: str) -> Iterator[Fault]:
    """Hold the footer of one file against what `_metadata` tells of it: rows, places in the file, statistics."""
    name = path.relative_to(dataset).as_posix()
    groups = listing.groups.get(name)
    way_out = f"{AGAIN}; if `_metadata` alone is old, remove it: it is not needed"
    if groups is None:
        yield Fault(file, None, "is not told of by dataset/_metadata", way_out=way_out)
        return
    if len(groups) != len(found):
        what = "has another number of row groups than dataset/_metadata tells"
        yield Fault(file, None, what, got=str(len(found)), need=str(len(groups)), way_out=way_out)
        return
    for g, told in enumerate(groups):
        here, there = found.group(g), listing.metadata.row_group(told)
        if (here.num_rows, here.num_columns) != (there.num_rows, there.num_columns):
            what = f"row group {g} has other rows or columns than dataset/_metadata tells"
            got, need = (f"{x.num_rows} rows of {x.num_columns} columns" for x in (here, there))
            yield Fault(file, None, what, got=got, need=need, way_out=way_out)
            continue
        for c in range(here.num_columns):
            if not here.column(c).equals(there.column(c)):
                where = f'row group {g}, column "{here.column(c).path_in_schema}"'
                got, need = _difference(here.column(c), there.column(c))
                what = f"{where}: the footer differs from dataset/_metadata"
                yield Fault(file, None, what, got=got, need=need, way_out=way_out)
                return


def _difference(here: pq.ColumnChunkMetaData, there: pq.ColumnChunkMetaData) -> tuple[str, str]:
    mine, theirs = here.to_dict(), there.to_dict()
    for key in mine:
        if key != "file_path" and mine[key] != theirs[key]:
            return f"{key} {mine[key]}", f"{key} {theirs[key]}"
    return "", ""
