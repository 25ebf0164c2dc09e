"""What is new: the files of a night, those that were added before left out, with the columns the archive has for them.

Where their rows go is found next door.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from lsdb_ts.errors import InputError, PlanError, did_you_mean
from partitioner.additions.archive import ADDITIONS, Archive
from partitioner.additions.columns import SAME, Differing, fitted_input
from partitioner.additions.report import ColumnNote, NightFile
from partitioner.inputs.readers.access import File
from partitioner.inputs.tables import TableInput, opened_files
from partitioner.planning.estimate import Estimate
from partitioner.planning.plan import Plan
from partitioner.surveys.survey import Survey, Table


@dataclass(frozen=True, eq=False)
class Night:
    """The new files, as a plan of what is to be read."""

    planned: Plan
    files: tuple[NightFile, ...]
    skipped: tuple[NightFile, ...]
    """Files that were given and that the archive has."""
    columns: tuple[ColumnNote, ...]
    """In what the files differ from the archive."""

    @property
    def tables(self) -> tuple[str, ...]:
        """Tables with new rows that become part of the archive; those that are only looked up are none."""
        looked_up = self.planned.survey.only_looked_up
        return tuple(name for name, raw in self.planned.inputs.items() if raw.files and name not in looked_up)


def open_night(
    archive: Archive,
    files: Mapping[str, Sequence[str]],
    scratch: Path,
    on_bad: str | None = None,
    allowed: Differing = SAME,
) -> Night:
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
    allowed : Differing, optional
        In which columns the files may differ from the archive.

    Raises
    ------
    PlanError
        There is no such table or column, or the visits of its rows are missing.
    InputError
        A file cannot be read, or its columns are not those of the archive (SchemaError).
    """
    named = _named(archive.survey, files)
    tables = tuple(dataclasses.replace(table, files=named.get(table.name, ())) for table in archive.survey.tables)
    opened = {t.name: opened_files(t) for t in tables if t.files}
    allowed.check(archive, list(opened))
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
    notes: list[ColumnNote] = []
    for table in tables:
        looked_up = table.name in archive.survey.only_looked_up
        fresh = []
        for file, contents in opened.get(table.name, ()):
            described = _described(table.name, file.file, [*known, *files_of])
            again = not looked_up and any(described.is_same(k) for k in (*known, *files_of))
            (skipped if again else files_of).append(described)
            if not again:
                fresh.append((file, contents))
        new[table.name], differs = fitted_input(archive, table, fresh, allowed) if fresh else (_nothing(table), ())
        notes += differs
    # What has no new rows has no visits to look up.
    tables = tuple(t if new[t.name].files else dataclasses.replace(t, visit=None) for t in tables)
    survey = dataclasses.replace(archive.survey, tables=tables)
    planned = Plan(survey, scratch, on_bad or archive.on_bad, new, (), {}, Estimate.none())
    return Night(planned, tuple(files_of), tuple(skipped), tuple(notes))


def _nothing(table: Table) -> TableInput:
    return TableInput(table.name, (), pa.schema([]), 1, 1)


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
