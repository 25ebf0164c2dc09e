"""The columns of new files against those of the archive: what differs is allowed by name, or an error.

Which files are new, and where their rows go, is found next door.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from lsdb_ts.errors import PlanError, SchemaError, did_you_mean
from lsdb_ts.schema import HEALPIX, in_njy, unit_of
from partitioner.additions.archive import Archive
from partitioner.additions.report import ColumnNote
from partitioner.inputs.readers.reader import Contents
from partitioner.inputs.tables import InputFile, TableInput, agreed_on
from partitioner.inputs.unify import ALWAYS_KEPT, joint_type, plain_field, typed
from partitioner.surveys.survey import Table


@dataclass(frozen=True)
class Differing:
    """Columns, by name, in which new files may differ from the archive."""

    drop: tuple[str, ...] = ()
    """Left out: the archive has no such column."""
    null: tuple[str, ...] = ()
    """Without a value in the new rows: the files have no such column."""
    cast: tuple[str, ...] = ()
    """Converted to the type that the archive has, rounded where that is shorter."""

    def check(self, archive: Archive, tables: Sequence[str]) -> None:
        """Raise PlanError where a name cannot be meant for any of the tables with new files."""
        stored = {name: archive.stored_fields(name) for name in tables}
        known = {column for columns in stored.values() for column in columns}
        for how in ("null", "cast"):
            for column in getattr(self, how):
                if column not in known:
                    raise PlanError(f'{how} "{column}": the archive has no such column; {did_you_mean(column, known)}')
        for column in self.drop:
            if stored and all(column in columns for columns in stored.values()):
                raise PlanError(
                    f'drop "{column}": {archive.root} has this column, and only what it has not can be left out'
                )
        for name in tables:
            for role, column in archive.roles(name).items():
                if role in ALWAYS_KEPT and column in self.null:
                    raise PlanError(
                        f'null "{column}": it is the {role} of "{name}", without which rows do not find their place; '
                        "write files that have it"
                    )


SAME = Differing()
"""In none."""


def fitted_input(
    archive: Archive, table: Table, opened: Sequence[tuple[InputFile, Contents]], allowed: Differing
) -> tuple[TableInput, tuple[ColumnNote, ...]]:
    """Return new files of a table to be read with the types that the archive has, and what differs in them.

    Parameters
    ----------
    archive : Archive
    table : Table
        With the new files.
    opened : sequence of (InputFile, Contents)
    allowed : Differing

    Raises
    ------
    SchemaError
        A file has a column that the archive lacks, lacks one that it has, or has one of another type or unit; names
        file, column, and the way out.
    """
    files, schemas = tuple(file for file, _ in opened), [contents.schema for _, contents in opened]
    fit = _Fit.of(archive, table, allowed)
    if not fit.stored:
        return agreed_on(table, files, schemas), ()
    fits = list(fit.each(opened))
    raw = agreed_on(table, tuple(file for file, _ in fits), [schema for _, schema in fits])
    kept = [fit.stored.get(f.name, f) for f in raw.schema]
    return dataclasses.replace(raw, schema=pa.schema(kept, metadata=raw.schema.metadata)), fit.notes()


@dataclass(frozen=True, eq=False)
class _Fit:
    """What the files of one table are held against."""

    archive: Archive
    table: Table
    allowed: Differing
    stored: Mapping[str, pa.Field]
    needed: Mapping[str, pa.Field | None]
    """Columns that are not stored and yet read, of a certain type where others have to find them."""
    joined: frozenset[str]
    """Columns that come from the table of the visits."""
    chosen: bool
    """Whether the survey keeps some columns only, so that files have others."""
    counts: Counter[tuple[str, str, str]] = dataclasses.field(default_factory=Counter)

    @classmethod
    def of(cls, archive: Archive, table: Table, allowed: Differing) -> _Fit:
        stored = archive.stored_fields(table.name)
        needed: dict[str, pa.Field | None] = {}
        for role in ALWAYS_KEPT:
            column = getattr(table.roles, role)
            if column is not None and column not in stored:
                needed[column] = archive.parent_field(table.name) if role == "parent_id" else None
        if table.visit is not None:
            needed.setdefault(table.visit.on[0], None)
        nested = [n for t in archive.survey.tables for n in t.nest if n.table == table.name]
        is_whole = table.name in archive.collections or all(not n.columns for n in nested)
        joined = frozenset(table.visit.columns if table.visit is not None else ())
        return cls(archive, table, allowed, stored, needed, joined, bool(table.columns) or not is_whole)

    def each(self, opened: Sequence[tuple[InputFile, Contents]]) -> Iterator[tuple[InputFile, pa.Schema]]:
        """Yield each file, and its columns as they are to be read."""
        before: Contents | None = None
        for file, contents in opened:
            # A hundred thousand files of one night are mostly alike.
            if before is None or contents.guessed != before.guessed or not contents.schema.equals(before.schema, True):
                fields, absent, differs = self._fields(file.path, contents)
                before = contents
            self.counts.update(differs)
            yield _without(file, absent), pa.schema(fields, metadata=contents.schema.metadata)

    def notes(self) -> tuple[ColumnNote, ...]:
        """Return in what the files differed, as was allowed."""
        return tuple(ColumnNote(self.table.name, *key, files=n) for key, n in sorted(self.counts.items()))

    def _fields(
        self, path: str, contents: Contents
    ) -> tuple[list[pa.Field], tuple[str, ...], list[tuple[str, str, str]]]:
        """Return the columns of a file as they are to be read, those that it lacks, and what differs."""
        columns = [f for f in typed(self.table, contents.schema) if f.name != HEALPIX]
        has = {f.name: f for f in columns}
        if len(has) < len(columns):
            twice = next(name for name, n in Counter(f.name for f in columns).items() if n > 1)
            raise SchemaError(f'{path} has two columns called "{twice}"; rename one of them')
        missing = [name for name in self.stored if name not in has and name not in self.joined]
        others = [name for name in has if name not in self.stored and name not in self.needed]
        self._check_missing(path, missing, others)
        self._check_others(path, others)
        fields, differs = [], []
        for name, column in has.items():
            known = self.stored.get(name, self.needed.get(name))
            if name in others:
                differs += [(name, "drop", str(column.type))] if name in self.allowed.drop else []
            elif known is None:
                fields.append(column)
            else:
                if not contents.guessed and self._is_cast(path, column, known):
                    differs.append((name, "cast", str(column.type)))
                fields.append(column.with_type(plain_field(known).type))
        fields += [self.stored[name] for name in missing]
        return fields, tuple(missing), differs + [(name, "null", "") for name in missing]

    def _check_missing(self, path: str, missing: Sequence[str], others: Sequence[str]) -> None:
        lacks = [name for name in missing if name not in self.allowed.null]
        if lacks:
            nearest = did_you_mean(lacks[0], [*others, *(n for n in self.stored if n not in missing)])
            raise SchemaError(
                f"{path} has no {_columns(lacks)}, which the rows of {self._here} have: write the file again with "
                f"{_them(lacks)}, or let its rows have no value there, {_way_out('null', lacks)}; {nearest}"
            )

    def _check_others(self, path: str, others: Sequence[str]) -> None:
        more = [name for name in others if name not in self.allowed.drop]
        if more and not self.chosen:
            raise SchemaError(
                f"{path} has the {_columns(more)}, which the rows of {self._here} have not: leave {_them(more)} out, "
                f"{_way_out('drop', more)}, or repartition all files with {_them(more)}"
            )

    def _is_cast(self, path: str, column: pa.Field, known: pa.Field) -> bool:
        """Tell whether a column has to be converted; raises SchemaError where nobody allows that."""
        unit, wanted = unit_of(column), unit_of(known)
        # A number stands in the unit where the survey told the zero point of all files, whatever these say.
        told = wanted is not None and " " in wanted and in_njy(wanted) is not None and in_njy(unit) is None
        if unit is not None and wanted is not None and not told and not _same_unit(unit, wanted):
            raise SchemaError(
                f'the column "{column.name}" is in "{unit}" in {path} and in "{wanted}" among the rows of '
                f'{self._here}: write the file again in "{wanted}"'
            )
        new, held = plain_field(column).type, plain_field(known).type
        # Whether an integer fits another kind of integer is seen when it is read.
        if joint_type(new, held) == held or (pa.types.is_integer(new) and pa.types.is_integer(held)):
            return False
        if column.name not in self.allowed.cast:
            raise SchemaError(
                f'the column "{column.name}" is {new} in {path} and {held} among the rows of {self._here}: write the '
                f"file again with {held}, or have its values converted, and rounded: {_way_out('cast', [column.name])}"
            )
        return True

    @property
    def _here(self) -> str:
        return f'"{self.table.name}" in {self.archive.root}'


def _without(file: InputFile, absent: tuple[str, ...]) -> InputFile:
    """Return a file to be read with nothing in the columns that it lacks."""
    if not absent:
        return file
    options = dataclasses.replace(file.reader.options, absent=absent)
    return dataclasses.replace(file, reader=type(file.reader)(options))


def _same_unit(a: str, b: str) -> bool:
    if a.strip() == b.strip():
        return True
    from astropy.units import Unit, UnrecognizedUnit

    units = [Unit(text, parse_strict="silent") for text in (a, b)]
    # Nobody knows of units that astropy does not: they may be two spellings of one.
    return any(isinstance(unit, UnrecognizedUnit) for unit in units) or units[0] == units[1]


def _columns(names: Sequence[str]) -> str:
    listed = ", ".join(f'"{name}"' for name in names)
    return f"column{'s' if len(names) > 1 else ''} {listed}"


def _them(names: Sequence[str]) -> str:
    return "them" if len(names) > 1 else "it"


def _way_out(how: str, names: Sequence[str]) -> str:
    """Return what allows a difference, on the command line and in Python."""
    options = " ".join(f"--{how}-column {name}" for name in names)
    return f"{options} ({how}={list(names)} in Python)"
