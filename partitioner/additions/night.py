"""What is new: the files of a night, those that were added before left out, with the columns the archive has for them.

Where their rows go is found next door.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from lsdb_ts.errors import InputError, PlanError, SchemaError, did_you_mean
from lsdb_ts.schema import HEALPIX, Roles
from partitioner.additions.archive import ADDITIONS, Archive
from partitioner.inputs.readers.access import File
from partitioner.inputs.tables import InputFile, TableInput, open_table
from partitioner.planning.estimate import Estimate
from partitioner.planning.plan import Plan
from partitioner.surveys.survey import Survey, Table


@dataclass(frozen=True)
class NightFile:
    """A file whose rows were added, so that they are not added again."""

    table: str
    path: str
    size: int
    stamp: str
    sha256: str
    """Of its content; empty for one behind a URL, which is known by its size and stamp."""

    def is_same(self, other: NightFile) -> bool:
        """Tell whether two files of a table hold the same, whatever they are called."""
        if self.table != other.table or self.size != other.size:
            return False
        as_found = self.path == other.path and self.stamp == other.stamp
        return as_found or (self.sha256 != "" and self.sha256 == other.sha256)


@dataclass(frozen=True, eq=False)
class Night:
    """The new files, as a plan of what is to be read."""

    planned: Plan
    files: tuple[NightFile, ...]
    skipped: tuple[NightFile, ...]
    """Files that were given and that the archive has."""

    @property
    def tables(self) -> tuple[str, ...]:
        """Tables with new rows that become part of the archive; those that are only looked up are none."""
        looked_up = self.planned.survey.only_looked_up
        return tuple(name for name, raw in self.planned.inputs.items() if raw.files and name not in looked_up)


def open_night(archive: Archive, files: Mapping[str, Sequence[str]], scratch: Path, on_bad: str | None = None) -> Night:
    """Find new files, read their metadata, and hold their columns against those of the archive.

    Parameters
    ----------
    archive : Archive
    files : mapping of str to sequence of str
        Paths, folders, patterns or URLs, by table; those of the empty name are of the only table there is.
    scratch : pathlib.Path
        Folder for what is under way; it need not exist yet.
    on_bad : str, optional
        What to do with rows whose position is not on the sky; by default what was done so far.

    Raises
    ------
    PlanError
        There is no such table, or the visits of its rows are missing.
    InputError
        A file cannot be read or lacks a column (SchemaError).
    """
    named = _named(archive.survey, files)
    tables = tuple(_as_given(archive, table, named) for table in archive.survey.tables)
    opened = {t.name: open_table(t) for t in tables if t.files}
    for name in opened:
        visit = archive.survey.table(name).visit
        if visit is not None and visit.table not in opened:
            raise PlanError(
                f'rows of "{name}" get {", ".join(visit.columns)} from the table "{visit.table}": '
                f"name the files of their visits, too: {visit.table}=FILES"
            )
    known = _known(archive)
    new: dict[str, TableInput] = {}
    files_of: list[NightFile] = []
    skipped: list[NightFile] = []
    for table in tables:
        raw = opened.get(table.name)
        if raw is None:
            new[table.name] = TableInput(table.name, (), pa.schema([]), 1, 1)
            continue
        looked_up = table.name in archive.survey.only_looked_up
        fresh = []
        for file in raw.files:
            described = _described(table.name, file.file, [*known, *files_of])
            again = not looked_up and any(described.is_same(k) for k in (*known, *files_of))
            (skipped if again else files_of).append(described)
            if not again:
                fresh.append(file)
        new[table.name] = _fitted(archive, table, raw, tuple(fresh))
    survey = dataclasses.replace(archive.survey, tables=tables)
    planned = Plan(survey, scratch, on_bad or archive.on_bad, new, (), {}, Estimate.none())
    return Night(planned, tuple(files_of), tuple(skipped))


def _named(survey: Survey, files: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    names = [t.name for t in survey.tables]
    found: dict[str, tuple[str, ...]] = {}
    for name, paths in files.items():
        if not name and len(names) > 1:
            raise PlanError(
                f"the archive is made of the tables {', '.join(names)}: say which one {paths[0]} is of, "
                f"like {names[-1]}={paths[0]}"
            )
        table = name or names[0]
        if table not in names:
            raise PlanError(f'the archive has no table "{table}"; {did_you_mean(table, names)}')
        found[table] = tuple(str(path) for path in paths)
    return found


def _as_given(archive: Archive, table: Table, files: Mapping[str, tuple[str, ...]]) -> Table:
    """Return a table with its new files; one without has no visits to look up."""
    given = files.get(table.name, ())
    return dataclasses.replace(table, files=given, visit=table.visit if given else None)


def _known(archive: Archive) -> list[NightFile]:
    """Return every file whose rows the archive has."""
    first = [
        NightFile(name, path, int(told["size"]), str(told["stamp"]), "")
        for name, table in archive.account["identity"]["tables"].items()
        for path, told in table["files"].items()
    ]
    return first + [NightFile(**file) for night in archive.account.get(ADDITIONS, ()) for file in night["files"]]


def _described(table: str, file: File, known: Sequence[NightFile]) -> NightFile:
    """Describe a file; its content is read only where its name does not tell that it is known."""
    found = NightFile(table, file.path, file.size, file.stamp, "")
    same = next((k for k in known if found.is_same(k)), None)
    return same if same is not None else dataclasses.replace(found, sha256=_hash(file))


def _hash(file: File) -> str:
    if not isinstance(file.place, Path):
        return ""
    try:
        with file.place.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"cannot read {file.path}: {error}") from error


def _fitted(archive: Archive, table: Table, raw: TableInput, files: tuple[InputFile, ...]) -> TableInput:
    """Return new files with the types that the archive has for their columns."""
    stored = archive.stored_fields(table.name)
    if not stored:
        return dataclasses.replace(raw, files=files)
    joined = set(table.visit.columns) if table.visit is not None else set()
    missing = [name for name in stored if name not in raw.schema.names and name not in joined]
    if missing:
        raise SchemaError(
            f'{raw.files[0].path} has no column "{missing[0]}", which the rows of "{table.name}" in {archive.root} '
            f"have; {did_you_mean(missing[0], raw.schema.names)}"
        )
    kept = [stored.get(f.name, f) for f in raw.schema if f.name in stored or f.name in _needed(raw.schema, table)]
    return dataclasses.replace(raw, files=files, schema=pa.schema(kept, metadata=raw.schema.metadata))


def _needed(schema: pa.Schema, table: Table) -> Iterator[str]:
    """Yield columns that are not stored and yet needed: that of the parents' ids, of positions, of the visits."""
    roles = Roles.of(schema)
    yield from (c for c in (roles.parent_id, roles.id, roles.ra, roles.dec, roles.time, HEALPIX) if c is not None)
    if table.visit is not None:
        yield table.visit.on[0]


def to_json(files: Sequence[NightFile]) -> list[dict[str, Any]]:
    """Return files in JSON form, for the account."""
    return [dataclasses.asdict(file) for file in files]
