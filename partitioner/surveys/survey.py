"""What to repartition: a survey's tables, the roles of their columns, what is nested in what. No data are read here."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from glob import escape
from pathlib import Path
from typing import Any

import pyarrow as pa

from lsdb_ts.errors import PlanError, did_you_mean
from lsdb_ts.schema import Roles, unit_of, with_unit
from partitioner.surveys.profiles import Profile, profile
from partitioner.surveys.section import Section

MAX_ROWS = 1_000_000
MAX_BYTES = 512 << 20
"""Where a table says neither, its partitions are split until they hold no more than both."""
MARGIN_ARCSEC = 5.0
UNTAGGED = Roles()
_KEYS = (
    *("files", "roles", "units", "max_rows", "max_bytes", "margin_arcsec", "nest", "standalone", "follow", "visit"),
    *("columns", "types", "reader", "csv", "storage", "on_bad"),
)


@dataclass(frozen=True)
class Nested:
    """A table whose rows become the light curves of another's."""

    table: str
    name: str
    """Name of the nested column."""
    columns: tuple[str, ...] = ()
    """What of the table is nested; nothing named means everything but the parent's id."""
    on_duplicates: str = "keep"
    """What to do with rows whose id comes in the same light curve before them: ``keep``, ``drop`` or ``raise``."""


@dataclass(frozen=True)
class VisitColumns:
    """Columns that the rows of a table get from the one row of another that tells about their visit."""

    table: str
    on: tuple[str, str]
    """The column that names the visit: here, and in the other table."""
    columns: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """One table of a survey: where its files are, and what becomes of its rows."""

    name: str
    files: tuple[str, ...]
    """Paths, folders, glob patterns or URLs."""
    roles: Roles = field(default_factory=Roles)
    """Roles that were given for this table: their columns must exist."""
    known_roles: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Columns that may play a role, the best first: of those that the table has, if any."""
    units: Mapping[str, str] = field(default_factory=dict)
    """Units of columns, where the files do not tell."""
    zero_point: float | None = None
    """AB magnitude of a flux of 1, where it is one number for the whole table: the unit of its fluxes."""
    max_rows: int | None = None
    max_bytes: int | None = None
    """A partition is split until it holds no more rows, or bytes in memory with its light curves, than this."""
    margin_arcsec: float = MARGIN_ARCSEC
    """Width of the margin catalog; 0 for none."""
    nest: tuple[Nested, ...] = ()
    """The tables whose rows become light curves of this one."""
    standalone: bool = False
    """Whether a nested table, or one that is only looked up, is also written as a catalog of its own."""
    follow: str | None = None
    """The table whose rows this one's are stored with, by the position of those; None for their own positions."""
    visit: VisitColumns | None = None
    columns: tuple[str, ...] = ()
    """What of the table is kept; nothing named means everything."""
    types: Mapping[str, str] = field(default_factory=dict)
    """Types of columns, by their Arrow names, where the files would lead to others."""
    reader: str | None = None
    """Format of the files, where their names do not tell."""
    csv: Mapping[str, Any] = field(default_factory=dict)
    """Options for reading text."""
    storage: Mapping[str, Any] = field(default_factory=dict)
    """What the file systems of URLs want to know, like ``{"anon": True}``; no part of what the result depends on."""
    on_bad: str | None = None
    """What to do with rows whose position is not on the sky, where it differs from the other tables."""

    @property
    def row_limit(self) -> int | None:
        """Most rows of a partition, or None where only bytes limit it."""
        return MAX_ROWS if self.max_rows is None and self.max_bytes is None else self.max_rows

    @property
    def byte_limit(self) -> int | None:
        """Most bytes of a partition, or None where only rows limit it."""
        return MAX_BYTES if self.max_rows is None and self.max_bytes is None else self.max_bytes


@dataclass(frozen=True)
class Survey:
    """The tables to repartition together, and the name of the collection they become.

    >>> Survey.of_single_table("raw/*.parquet", ra="ra", dec="dec", name="gaia").primary.roles.items()
    [('ra', 'ra'), ('dec', 'dec')]
    """

    name: str
    tables: tuple[Table, ...]

    def __post_init__(self) -> None:
        _check(self)

    @property
    def primary(self) -> Table:
        """The table that the collection opens as: the first that nests others, or the only one, or ``object``."""
        nesting = [t for t in self.tables if t.nest]
        catalogs = [t for t in self.tables if t.name not in self.only_looked_up]
        return (nesting or [t for t in catalogs if t.name == "object"] or catalogs)[0]

    @property
    def only_looked_up(self) -> frozenset[str]:
        """Tables that others take columns from and that become no catalog: no positions are asked of them."""
        named = {t.visit.table for t in self.tables if t.visit is not None}
        return frozenset(t.name for t in self.tables if t.name in named and not t.standalone)

    @property
    def nested(self) -> Mapping[str, str]:
        """The tables that are nested, and the one in which each is."""
        return {n.table: t.name for t in self.tables for n in t.nest}

    @property
    def catalogs(self) -> tuple[Table, ...]:
        """The tables that become catalogs with a layout of their own, the primary one first."""
        apart = {*self.nested, *self.only_looked_up}
        others = [t for t in self.tables if t is not self.primary and (t.standalone or t.name not in apart)]
        return (self.primary, *others)

    def table(self, name: str) -> Table:
        """Return a table by its name."""
        return next(t for t in self.tables if t.name == name)

    @classmethod
    def of_single_table(
        cls,
        files: str | Sequence[str],
        ra: str | None = None,
        dec: str | None = None,
        name: str = "catalog",
        **options: Any,
    ) -> Survey:
        """Describe a survey of one table, of which only the coordinates (ICRS degrees) need to be known.

        Parameters
        ----------
        files : str or sequence of str
            Paths, folders, glob patterns or URLs.
        ra, dec : str, optional
            Columns of the position; HATS and HiPSCat catalogs tell theirs, and what else their columns mean.
        name : str, optional
            Name of the catalog.
        **options
            Fields of :class:`Table`, like ``max_rows=`` or ``margin_arcsec=``.
        """
        listed = (files,) if isinstance(files, str) else tuple(str(f) for f in files)
        return cls(name, (Table(name, listed, Roles(ra=ra, dec=dec), **options),))

    @classmethod
    def read(cls, path: str | Path) -> Survey:
        """Read a survey from a TOML file; relative paths in it start from the file's own folder.

        Raises
        ------
        PlanError
            The file cannot be read, or has keys, tables or roles that do not exist; names the nearest that do.
        """
        file = Path(path)
        try:
            content = tomllib.loads(file.read_text())
        except OSError as error:
            raise PlanError(f"cannot read the survey file {file}: {error.strerror}") from error
        except tomllib.TOMLDecodeError as error:
            raise PlanError(f"{file} is not valid TOML: {error}") from error
        whole = Section(str(file), content)
        whole.knows(("name", "profile", "tables"))
        tables = content.get("tables")
        if not isinstance(tables, dict) or not tables:
            raise PlanError(
                f"{file} describes no table: it needs at least one section like [tables.object] with files = ... "
                "(`lsdb-ts survey` lists examples)"
            )
        known = _profile(content.get("profile"), file)
        return cls(
            whole.text("name", file.stem),
            tuple(_table(name, section, known, file) for name, section in tables.items()),
        )


def _profile(name: object, file: Path) -> Profile:
    try:
        return Profile("", {}) if name is None else profile(str(name))
    except PlanError as error:
        raise PlanError(f"{file}: {error}") from error


def _table(name: str, content: Any, known: Profile, file: Path) -> Table:
    where = f"{file}: [tables.{name}]"
    if not isinstance(content, dict):
        raise PlanError(f"{where} must be a section with files = ...")
    section, expected = Section(where, content), known.table(name)
    section.knows(_KEYS)
    given, candidates, zero_point = _roles(section.part("roles"))
    return Table(
        name=name,
        files=_files(section, name, file),
        roles=Roles(**given),
        known_roles={**expected.roles, **candidates},
        units={**expected.units, **section.texts("units")},
        zero_point=zero_point,
        max_rows=section.number("max_rows", int, 1, None),
        max_bytes=section.size("max_bytes"),
        margin_arcsec=float(section.number("margin_arcsec", (int, float), 0, MARGIN_ARCSEC)),
        nest=_nest(section),
        standalone=section.flag("standalone"),
        follow=section.text("follow", None),
        visit=_visit(section),
        columns=section.names("columns"),
        types=_types(section),
        reader=section.text("reader", None),
        csv=section.part("csv").content,
        storage=section.part("storage").content,
        on_bad=section.choice("on_bad", ("raise", "refuse")),
    )


def _files(section: Section, name: str, file: Path) -> tuple[str, ...]:
    files = section.content.get("files")
    listed = [files] if isinstance(files, str) else files
    if not isinstance(listed, list) or not listed or not all(isinstance(f, str) and f for f in listed):
        raise PlanError(
            f'{section.where} needs files = "raw/{name}-*.parquet", or a list of such patterns; got {files!r}. '
            "Remove the section if there is no such table"
        )
    return tuple(f if Path(f).is_absolute() or "://" in f else f"{escape(str(file.parent))}/{f}" for f in listed)


def _roles(section: Section) -> tuple[dict[str, str], dict[str, tuple[str, ...]], float | None]:
    """Read ``time = "mjd"``, a column that must be there, or ``time = ["mjd", "jd"]``, the first that is.

    A zero point may be a column as well, or a number.
    """
    section.knows(Roles.names())
    fixed = section.content.get("zero_point")
    zero_point = section.number("zero_point", (int, float), -100, None) if isinstance(fixed, int | float) else None
    if zero_point is not None and zero_point > 100:
        raise PlanError(f"{section.where} zero_point must be an AB magnitude, or a column; got {zero_point!r}")
    named = {role: value for role, value in section.content.items() if role != "zero_point" or zero_point is None}
    given = {role: section.text(role) for role, value in named.items() if not isinstance(value, list)}
    return given, {role: section.names(role) for role in named if role not in given}, zero_point


def _nest(section: Section) -> tuple[Nested, ...]:
    """Read ``["source"]``, ``{source = "lc"}``, or with options ``[{table = "source", name = "lc", columns = []}]``."""
    found = section.content.get("nest", [])
    if isinstance(found, dict):
        return tuple(_nested(section, table, told) for table, told in found.items())
    if not isinstance(found, list):
        raise PlanError(
            f'{section.where} nest must be a list like ["source"] or a mapping like {{source = "lc"}}; got {found!r}'
        )
    listed = [t if isinstance(t, dict) else {"table": t} for t in found]
    return tuple(_nested(section, t.get("table"), t) for t in listed)


def _nested(section: Section, table: Any, told: Any) -> Nested:
    one = Section(f"{section.where} nest", told if isinstance(told, dict) else {"name": told})
    one.knows(("table", "name", "columns", "on_duplicates"))
    child = Section(one.where, {"table": table}).text("table")
    twice = one.choice("on_duplicates", ("keep", "drop", "raise"))
    return Nested(child, one.text("name", child), one.names("columns"), twice or "keep")


def _visit(section: Section) -> VisitColumns | None:
    if "visit" not in section.content:
        return None
    told = section.part("visit")
    told.knows(("table", "on", "columns"))
    on = told.content.get("on")
    pair = next(iter(on.items())) if isinstance(on, dict) and len(on) == 1 else (on, on)
    here, there = (c if isinstance(c, str) else "" for c in pair)
    if not here or not there:
        raise PlanError(
            f'{told.where} needs on = "visitId", or on = {{visit = "visitId"}} where the column has another name in '
            f"the other table; got {on!r}"
        )
    columns = told.names("columns")
    if not columns:
        raise PlanError(f'{told.where} needs columns = ["expMidptMJD", ...]: what to take from there')
    return VisitColumns(told.text("table"), (here, there), columns)


def _types(section: Section) -> Mapping[str, str]:
    types = section.texts("types")
    for column, name in types.items():
        try:
            pa.type_for_alias(name)
        except ValueError as error:
            raise PlanError(
                f'{section.where} types.{column}: "{name}" is no type; write it like int64, float32, string or bool'
            ) from error
    return types


def _check(survey: Survey) -> None:
    """Raise PlanError where the tables do not fit together."""
    names = [t.name for t in survey.tables]
    if set(names) <= survey.only_looked_up:
        raise PlanError(f"every table of the survey {survey.name} is only looked up: there is no catalog to make")
    nested: dict[str, str] = {}
    for table in survey.tables:
        for child in table.nest:
            _exists(survey, table, child.table, "nests")
            if child.table in nested:
                raise PlanError(
                    f'the table "{child.table}" is nested twice, in "{nested[child.table]}" and in "{table.name}"'
                )
            nested[child.table] = table.name
        _distinct([n.name for n in table.nest], f'nested columns of "{table.name}"')
        if table.visit is not None:
            _exists(survey, table, table.visit.table, "looks its visits up in")
        if table.follow is not None:
            _exists(survey, table, table.follow, "follows")
            if (leader := survey.table(table.follow)).follow is not None:
                raise PlanError(
                    f'the table "{table.name}" follows "{leader.name}", which itself follows "{leader.follow}": '
                    f'let it follow "{leader.follow}" or stand alone'
                )
    for parent in nested.values():
        if parent in nested:
            raise PlanError(
                f'the table "{parent}" nests others and is nested itself in "{nested[parent]}": light curves have none '
                "of their own; nest all of them in one table"
            )
    _check_folders(survey)


def _check_folders(survey: Survey) -> None:
    for name in (survey.name, *(t.name for t in survey.tables)):
        if not name or name.startswith(".") or "/" in name:
            raise PlanError(f'"{name}" cannot be the name of a folder: use letters, digits, "_" and "-"')
    reserved = {survey.name, margin_name(survey.name, survey.primary.margin_arcsec), "orphans", "refused"}
    clash = sorted(reserved & {t.name for t in survey.catalogs[1:]})
    if clash:
        raise PlanError(f'"{clash[0]}" would be the name of two folders in the output; give the survey another name')


def _exists(survey: Survey, table: Table, other: str, verb: str) -> None:
    others = [t.name for t in survey.tables if t is not table]
    if other not in others:
        raise PlanError(f'the table "{table.name}" {verb} "{other}": no such table; {did_you_mean(other, others)}')


def margin_name(catalog: str, margin_arcsec: float) -> str:
    """Return the folder name of a catalog's margin.

    >>> margin_name("gaia", 10.0)
    'gaia_10arcs'
    """
    return f"{catalog}_{margin_arcsec:g}arcs"


def _distinct(names: list[str], what: str) -> None:
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice:
        raise PlanError(
            f'two {what} are called "{twice[0]}"; give them names of their own: nest = {{source = "lc", ...}}'
        )


def resolved(table: Table, columns: Sequence[str], tagged: Roles = UNTAGGED) -> Roles:
    """Return the roles of a table's columns: given, else known, else written in the files, else guessed by name.

    Parameters
    ----------
    table : Table
    columns : sequence of str
        The columns the table really has. Given roles are kept even where their column is missing.
    tagged : Roles, optional
        Roles that the files themselves tell.
    """
    found = dict(table.roles.items())
    taken, guessed = set(found.values()), Roles.guess(columns)
    for role in Roles.names():
        if role in found:
            continue
        for column in (*table.known_roles.get(role, ()), getattr(tagged, role), getattr(guessed, role)):
            if column in columns and column not in taken:
                found[role] = column
                taken.add(column)
                break
    return Roles(**found)


def with_units(table: Table, schema: pa.Schema) -> pa.Schema:
    """Return the schema with the table's units stored where its fields tell none."""
    told = table.units
    fields = [with_unit(f, told[f.name]) if f.name in told and unit_of(f) is None else f for f in schema]
    return pa.schema(fields, metadata=schema.metadata)
