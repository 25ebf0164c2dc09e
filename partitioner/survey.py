"""What to repartition: a survey's tables, the roles of their columns, what is nested in what. No data are read here."""

from __future__ import annotations

import glob
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from lsdb_ts.errors import PlanError, did_you_mean
from lsdb_ts.schema import PROFILES, Roles

MAX_ROWS = 1_000_000
MARGIN_ARCSEC = 5.0
UNTAGGED = Roles()


@dataclass(frozen=True)
class Table:
    """One table of a survey: where its files are, and what becomes of its rows."""

    name: str
    files: tuple[str, ...]
    """Paths, folders or glob patterns."""
    roles: Roles = field(default_factory=Roles)
    """Roles that were given for this table: their columns must exist."""
    known_roles: Roles = field(default_factory=Roles)
    """Roles from the survey's profile: used where the table has the column."""
    max_rows: int = MAX_ROWS
    """A partition is split until it holds no more rows than this."""
    margin_arcsec: float = MARGIN_ARCSEC
    """Width of the margin catalog; 0 for none."""
    nest: tuple[tuple[str, str], ...] = ()
    """(child table, name of the nested column) for every table whose rows become light curves of this one."""
    standalone: bool = False
    """Whether a nested table is also written as a catalog of its own."""


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
        """The table that the collection opens as: the one that nests others, or the only one, or ``object``."""
        nesting = [t for t in self.tables if t.nest]
        return (nesting or [t for t in self.tables if t.name == "object"] or list(self.tables))[0]

    def table(self, name: str) -> Table:
        """Return a table by its name."""
        return next(t for t in self.tables if t.name == name)

    @classmethod
    def of_single_table(
        cls,
        files: str | Sequence[str],
        ra: str,
        dec: str,
        max_rows: int = MAX_ROWS,
        margin_arcsec: float = MARGIN_ARCSEC,
        name: str = "catalog",
    ) -> Survey:
        """Describe a survey of one table, of which only the coordinates (ICRS degrees) need to be known."""
        listed = (files,) if isinstance(files, str) else tuple(str(f) for f in files)
        return cls(name, (Table(name, listed, Roles(ra=ra, dec=dec), Roles(), max_rows, margin_arcsec),))

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
        _known(content, ("name", "profile", "tables"), f"{file}")
        tables = content.get("tables")
        if not isinstance(tables, dict) or not tables:
            raise PlanError(
                f"{file} describes no table: it needs at least one section like [tables.object] with files = ..."
            )
        known = _profile(content.get("profile"), file)
        return cls(
            _text(content.get("name", file.stem), f"{file}: name"),
            tuple(_table(name, section, known.get(name, Roles()), file) for name, section in tables.items()),
        )


def _profile(name: object, file: Path) -> Mapping[str, Roles]:
    if name is None:
        return {}
    if name not in PROFILES:
        raise PlanError(f'{file}: there is no profile "{name}"; {did_you_mean(str(name), PROFILES)}')
    return PROFILES[str(name)].tables


def _table(name: str, section: Any, known_roles: Roles, file: Path) -> Table:
    where = f"{file}: [tables.{name}]"
    if not isinstance(section, dict):
        raise PlanError(f"{where} must be a section with files = ...")
    _known(section, ("files", "roles", "max_rows", "margin_arcsec", "nest", "standalone"), where)
    files = section.get("files")
    listed = [files] if isinstance(files, str) else files
    if not listed or not isinstance(listed, list) or not all(isinstance(f, str) for f in listed):
        raise PlanError(f'{where} needs files = "raw/{name}-*.parquet", or a list of such patterns; got {files!r}')
    roles = section.get("roles", {})
    _known(roles, Roles.names(), f"{where} roles")
    return Table(
        name=name,
        files=tuple(f if Path(f).is_absolute() else f"{glob.escape(str(file.parent))}/{f}" for f in listed),
        roles=Roles(**{role: _text(column, f"{where} roles.{role}") for role, column in roles.items()}),
        known_roles=known_roles,
        max_rows=_number(section.get("max_rows", MAX_ROWS), int, 1, f"{where} max_rows"),
        margin_arcsec=float(
            _number(section.get("margin_arcsec", MARGIN_ARCSEC), (int, float), 0, f"{where} margin_arcsec")
        ),
        nest=_nest(section.get("nest", ()), where),
        standalone=_flag(section.get("standalone", False), f"{where} standalone"),
    )


def _nest(nest: object, where: str) -> tuple[tuple[str, str], ...]:
    """Read ``["source"]`` or ``{source = "lc"}``."""
    pairs = (
        nest.items() if isinstance(nest, dict) else [(n, n) for n in nest] if isinstance(nest, list | tuple) else None
    )
    if pairs is None:
        raise PlanError(
            f'{where} nest must be a list like ["source"] or a mapping like {{source = "lc"}}; got {nest!r}'
        )
    return tuple((_text(child, f"{where} nest"), _text(column, f"{where} nest")) for child, column in pairs)


def _check(survey: Survey) -> None:
    """Raise PlanError where the tables do not fit together."""
    names = [t.name for t in survey.tables]
    nested: dict[str, str] = {}
    for table in survey.tables:
        for child, _ in table.nest:
            if child not in names or child == table.name:
                others = [n for n in names if n != table.name]
                raise PlanError(
                    f'the table "{table.name}" nests "{child}": no such table; {did_you_mean(child, others)}'
                )
            if child in nested:
                raise PlanError(f'the table "{child}" is nested twice, in "{nested[child]}" and in "{table.name}"')
            nested[child] = table.name
        _distinct([column for _, column in table.nest], f'nested columns of "{table.name}"')
    parents = sorted(set(nested.values()))
    if len(parents) > 1:
        raise PlanError(f"the tables {' and '.join(parents)} both nest others; a survey has one table that does")
    for name in (survey.name, *names):
        if not name or name.startswith(".") or "/" in name:
            raise PlanError(f'"{name}" cannot be the name of a folder: use letters, digits, "_" and "-"')
    catalogs = [t.name for t in survey.tables if t is not survey.primary and (t.name not in nested or t.standalone)]
    reserved = {survey.name, margin_name(survey.name, survey.primary.margin_arcsec), "orphans", "refused"}
    clash = sorted(reserved & set(catalogs))
    if clash:
        raise PlanError(f'"{clash[0]}" would be the name of two folders in the output; give the survey another name')


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


def _known(section: Mapping[str, Any], keys: Iterable[str], where: str) -> None:
    known = list(keys)
    for key in section:
        if key not in known:
            raise PlanError(f'{where} has an unknown key "{key}"; {did_you_mean(key, known)}')


def _text(value: object, where: str) -> str:
    if not isinstance(value, str) or not value:
        raise PlanError(f"{where} must be a text; got {value!r}")
    return value


def _flag(value: object, where: str) -> bool:
    if not isinstance(value, bool):
        raise PlanError(f"{where} must be true or false; got {value!r}")
    return value


def _number(value: Any, kind: Any, least: float, where: str) -> Any:
    if isinstance(value, bool) or not isinstance(value, kind) or not value >= least:
        raise PlanError(f"{where} must be a number of at least {least}; got {value!r}")
    return value


def resolved(table: Table, columns: Sequence[str], tagged: Roles = UNTAGGED) -> Roles:
    """Return the roles of a table's columns: given, else of the profile, else written in the files, else by name.

    Parameters
    ----------
    table : Table
    columns : sequence of str
        The columns the table really has. Roles of the profile whose column is missing are dropped; given ones are kept.
    tagged : Roles, optional
        Roles that the files themselves tell.
    """
    given, known, guessed = table.roles, table.known_roles, Roles.guess(columns)
    taken = {column for _, column in given.items()}
    found: dict[str, str] = {}
    for role in (f.name for f in fields(Roles)):
        if (column := getattr(given, role)) is not None:
            found[role] = column
            continue
        for source in (known, tagged, guessed):
            column = getattr(source, role)
            if column in columns and column not in taken:
                found[role] = column
                taken.add(column)
                break
    return Roles(**found)
