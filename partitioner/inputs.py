"""The raw files of a table: found, opened, agreed on one schema, cut into units of work.

What becomes of the rows lives elsewhere.
"""

from __future__ import annotations

import functools
import glob
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from lsdb_ts.errors import InputError, SchemaError, did_you_mean
from lsdb_ts.schema import HEALPIX, Roles
from partitioner.survey import Table, resolved

UNIT_ROWS = 1_000_000
UNIT_BYTES = 128 << 20
"""A unit is closed before it holds more than this, in rows or in uncompressed bytes; one row group is never cut."""


@dataclass(frozen=True)
class InputFile:
    """One raw file, as it was when the job was planned."""

    path: str
    size: int
    mtime_ns: int
    group_rows: tuple[int, ...]
    """Rows of each row group."""
    group_bytes: tuple[int, ...]
    """Uncompressed bytes of each row group."""

    @property
    def rows(self) -> int:
        """Rows in the file."""
        return sum(self.group_rows)


@dataclass(frozen=True)
class Unit:
    """A run of row groups of one file: what is read at once."""

    table: str
    number: int
    path: str
    first_row: int
    """Where the unit begins in the file, counted from 0."""
    first_group: int
    stop_group: int
    rows: int

    @property
    def name(self) -> str:
        """Name for files that belong to this unit."""
        return f"{self.number:06d}"

    def __str__(self) -> str:
        return f"{self.table}: {self.path}, rows {self.first_row} to {self.first_row + self.rows - 1}"


@dataclass(frozen=True)
class TableInput:
    """All raw files of a table, and the one schema they share (with units and roles in the metadata of its fields)."""

    name: str
    files: tuple[InputFile, ...]
    schema: pa.Schema

    @property
    def roles(self) -> Roles:
        """Which column is what."""
        return Roles.of(self.schema)

    @property
    def rows(self) -> int:
        """Rows in all files."""
        return sum(f.rows for f in self.files)

    @property
    def bytes(self) -> int:
        """Uncompressed bytes in all files."""
        return sum(sum(f.group_bytes) for f in self.files)

    @property
    def units(self) -> tuple[Unit, ...]:
        """The work, cut in pieces."""
        found: list[Unit] = []
        for file in self.files:
            for row, first, stop in _runs(file):
                rows = sum(file.group_rows[first:stop])
                found.append(Unit(self.name, len(found), file.path, row, first, stop, rows))
        return tuple(found)


def _runs(file: InputFile) -> list[tuple[int, int, int]]:
    """Cut a file's row groups into runs that are not too large: (first row, first group, stop group)."""
    runs: list[tuple[int, int, int]] = []
    first, row = 0, 0
    for stop in range(1, len(file.group_rows) + 1):
        is_last = stop == len(file.group_rows)
        rows, size = sum(file.group_rows[first : stop + 1]), sum(file.group_bytes[first : stop + 1])
        if is_last or rows > UNIT_ROWS or size > UNIT_BYTES:
            runs.append((row, first, stop))
            row += sum(file.group_rows[first:stop])
            first = stop
    return runs


def open_table(table: Table) -> TableInput:
    """Find the files of a table, read their footers, and agree on one schema; no rows are read.

    Raises
    ------
    InputError
        There are no files, or one cannot be read; names it.
    SchemaError
        Two files disagree, or a column that a role needs is missing; names files and column.
    """
    files, schemas = [], []
    for path in find_files(table.files, table.name):
        file, schema = _open(path)
        files.append(file)
        schemas.append(schema)
    schema = unify(schemas, [f.path for f in files])
    roles = resolved(table, schema.names, Roles.of(schemas[0]))
    for role, column in roles.items():
        if column not in schema.names:
            raise SchemaError(
                f'{files[0].path} has no column "{column}", which is to be the {role} of the table "{table.name}"; '
                f"{did_you_mean(column, schema.names)}"
            )
    return TableInput(table.name, tuple(files), roles.tag(schema))


def find_files(patterns: Sequence[str], table: str) -> list[Path]:
    """Return the files that paths, folders and glob patterns name, each once, sorted by name."""
    found: set[Path] = set()
    for pattern in patterns:
        literal = Path(pattern)
        named = [literal] if literal.exists() else [Path(p) for p in glob.glob(pattern, recursive=True)]  # noqa: PTH207
        hits = [file for path in named for file in (_files_in(path) if path.is_dir() else [path])]
        if not hits:
            raise InputError(f'the table "{table}" has no files: nothing matches {pattern}')
        found.update(h.absolute() for h in hits)
    return sorted(found)


def _files_in(folder: Path) -> list[Path]:
    """Return the Parquet files in a folder; of a HATS catalog its partitions, and not the statistics beside them."""
    if (folder / "collection.properties").exists():
        raise InputError(f"{folder} is a collection of catalogs: name one of the catalogs in it")
    is_catalog = any((folder / name).exists() for name in ("hats.properties", "properties"))
    rows = folder / "dataset" if is_catalog else folder
    return [p for p in rows.rglob("*") if p.suffix in {".parquet", ".parq", ".pq"} and p.is_file()]


def _open(path: Path) -> tuple[InputFile, pa.Schema]:
    try:
        status = path.stat()
        metadata = pq.read_metadata(path)
        schema = metadata.schema.to_arrow_schema()
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"cannot read {path} as Parquet: {error}; mend or remove the file") from error
    groups = [metadata.row_group(g) for g in range(metadata.num_row_groups)]
    file = InputFile(
        str(path),
        status.st_size,
        status.st_mtime_ns,
        tuple(g.num_rows for g in groups),
        tuple(g.total_byte_size for g in groups),
    )
    return file, schema


def unify(schemas: Sequence[pa.Schema], paths: Sequence[str]) -> pa.Schema:
    """Return the schema all files can be read with: the first file's columns and metadata.

    Columns may come in another sequence, integers of another width of the same sign are widened, and dictionaries
    count as what they hold. Anything else that differs raises SchemaError: the result would depend on the file.
    """
    first = [_plain(f) for f in schemas[0] if f.name != HEALPIX]
    names = [f.name for f in first]
    if len(set(names)) < len(names):
        twice = next(n for n in names if names.count(n) > 1)
        raise SchemaError(f'{paths[0]} has two columns called "{twice}"; rename one of them')
    types = {f.name: f.type for f in first}
    for schema, path in zip(schemas[1:], paths[1:], strict=True):
        others = {f.name: _plain(f).type for f in schema if f.name != HEALPIX}
        for name in (*types, *others):
            if name not in others or name not in types:
                has, lacks = (path, paths[0]) if name in others else (paths[0], path)
                raise SchemaError(f'{lacks} has no column "{name}", which {has} has: the files of a table must agree')
            joint = _joint(types[name], others[name])
            if joint is None:
                raise SchemaError(
                    f'the column "{name}" is {types[name]} in {paths[0]} and {others[name]} in {path}: '
                    "the files of a table must agree; write one of them again with the other type"
                )
            types[name] = joint
    metadata = {k: v for k, v in (schemas[0].metadata or {}).items() if k not in {b"pandas", b"ARROW:schema"}}
    return pa.schema([f.with_type(types[f.name]) for f in first], metadata=metadata or None)


def _plain(column: pa.Field) -> pa.Field:
    metadata = {k: v for k, v in (column.metadata or {}).items() if k != b"role" and not k.startswith(b"PARQUET:")}
    return pa.field(column.name, _without_dictionaries(column.type), nullable=True, metadata=metadata or None)


def _without_dictionaries(kind: pa.DataType) -> pa.DataType:
    """Return the type of the same values written out.

    Files have dictionaries of their own, and Arrow cannot join different ones inside of lists.
    """
    if pa.types.is_dictionary(kind):
        return kind.value_type
    if pa.types.is_struct(kind):
        return pa.struct([f.with_type(_without_dictionaries(f.type)) for f in kind])
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        of = pa.list_ if pa.types.is_list(kind) else pa.large_list
        return of(kind.value_field.with_type(_without_dictionaries(kind.value_type)))
    return kind


def _joint(a: pa.DataType, b: pa.DataType) -> pa.DataType | None:
    if a == b:
        return a
    for same_sign in (pa.types.is_signed_integer, pa.types.is_unsigned_integer):
        if same_sign(a) and same_sign(b):
            return a if a.bit_width >= b.bit_width else b
    strings = [k for k in (a, b) if pa.types.is_large_string(k) or pa.types.is_string(k)]
    return pa.large_string() if len(strings) == 2 else None


def read_unit(unit: Unit, schema: pa.Schema, columns: Sequence[str] | None = None) -> pa.Table:
    """Read the rows of a unit, with the types of the table's schema; ``columns`` limits what is read.

    Raises
    ------
    InputError
        The file cannot be read; names it.
    """
    wanted = schema.names if columns is None else [n for n in schema.names if n in set(columns)]
    try:
        with pq.ParquetFile(unit.path, page_checksum_verification=True) as file:
            kept = pa.schema([schema.field(n) for n in wanted], metadata=schema.metadata)
            groups = (
                file.read_row_group(g, columns=wanted, use_threads=False).select(wanted).cast(kept)
                for g in range(unit.first_group, unit.stop_group)
            )
            return pa.concat_tables([kept.empty_table(), *groups])
    except (OSError, pa.ArrowException, KeyError) as error:
        raise InputError(f"cannot read {unit.path}: {error}; mend or remove the file") from error


def floats(column: pa.ChunkedArray) -> NDArray[np.float64]:
    """Return a numeric column as float64, nulls as NaN."""
    return column.cast(pa.float64()).to_numpy(zero_copy_only=False)


def bad_input_as_value(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Make a piece of work return an InputError rather than raise it.

    What is wrong with the input will be wrong again: there is no use in a retry, and the caller wants the error itself.
    """

    @functools.wraps(function)
    def careful(shared: Any, item: Any) -> Any:
        try:
            return function(shared, item)
        except InputError as error:
            return error

    return careful
