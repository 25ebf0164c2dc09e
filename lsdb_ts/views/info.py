"""What a catalog is, from its metadata: kind, size, columns, margin, indexes, members. Its rows are not looked at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lsdb_ts.errors import CatalogError
from lsdb_ts.plan.explain import in_bytes
from lsdb_ts.store.files import AnyPath, beside, located
from lsdb_ts.store.footers import footer
from lsdb_ts.store.hats import HatsCatalog, open_hats, read_properties
from lsdb_ts.store.index import index_folders
from lsdb_ts.store.provenance import PROVENANCE, PROVENANCE_KEY, read_provenance
from lsdb_ts.store.source import HatsSource
from lsdb_ts.store.statistics import STATISTICS
from lsdb_ts.store.thumbnail import THUMBNAIL
from lsdb_ts.views.columns import Column, columns_of
from lsdb_ts.views.history import History, history_of

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

_COLLECTION = "collection.properties"
_ACCOUNT = "account.json"
"""In the folder that a repartition made, of which further collections are a part."""
_MOST_COLUMNS = 28
"""Lines of columns that are shown, so that a catalog fits a screen."""
_LOOKED_AT = 32
"""Partitions that are asked whether their sidecar is of their present state."""
_NAMED = 4
"""Of the others, so many are named."""


@dataclass(frozen=True)
class Info:
    """A catalog on disk or behind a URL, described."""

    path: str
    name: str
    kind: str
    """HATS data product type: ``object``, ``source`` or ``margin``."""
    rows: int
    partitions: int
    orders: tuple[int, int] | None
    """Coarsest and finest HEALPix order of the partitions; None where there are none."""
    bytes: int | None
    """Size of the partition files; of remote ones as the properties estimate it, or None."""
    ra: str | None
    dec: str | None
    columns: tuple[Column, ...]
    builder: str
    created: str
    margin_arcsec: float | None = None
    """How far the margin reaches, or this catalog if it is one; None without."""
    margin: Info | None = None
    """The margin that the catalog opens with."""
    other_margins: Mapping[str, float] = field(default_factory=dict)
    """Further margins of the collection: how far each reaches, in arcsec."""
    indexes: Mapping[str, str] = field(default_factory=dict)
    """Folders of the indexes, by column."""
    sidecar: tuple[str, ...] = ()
    """Columns of the sidecar; empty without one."""
    sidecar_way_out: str = ""
    """The command that builds the sidecar again, where it is of another state of the partitions: a copy is one."""
    sky_fraction: float | None = None
    observed_mjd: tuple[float, float] | None = None
    """First and last time of observation, where it is known."""
    beside: Mapping[str, str] = field(default_factory=dict)
    """What else lies in the folder: files, and what they hold."""
    provenance: Mapping[str, Any] | None = None
    """What the catalog was made of, and by what; None where it does not say."""
    history: History = field(default_factory=History)
    """What was done to the catalog since it was made."""
    members: tuple[Info, ...] = ()
    """Further collections in the folder."""

    def to_json(self) -> dict[str, Any]:
        """Return a JSON form."""
        inner = {"columns", "margin", "members", "provenance", "history"}
        told = {key: value for key, value in vars(self).items() if key not in inner}
        return {
            **told,
            "orders": list(self.orders) if self.orders else None,
            "columns": [column.to_json() for column in self.columns],
            "margin": self.margin.to_json() if self.margin else None,
            "indexes": dict(self.indexes),
            "other_margins": dict(self.other_margins),
            "sidecar": list(self.sidecar) or None,
            "observed_mjd": list(self.observed_mjd) if self.observed_mjd else None,
            "beside": dict(self.beside),
            "provenance": _summary(self.provenance) if self.provenance else None,
            "additions": self.history.to_json(),
            "members": [member.to_json() for member in self.members],
        }

    def report(self) -> RenderableType:
        """Return the description for the terminal."""
        from rich.console import Group
        from rich.padding import Padding
        from rich.text import Text

        facts = [f"{self.kind} catalog", f"{self.rows:,} rows", _partitions(self), _size(self)]
        written = f"{self.builder or 'unknown'}{f', {self.created}' if self.created else ''}"
        shown, left = _first(self.columns, _MOST_COLUMNS)
        way_out = self.sidecar_way_out
        lines: list[RenderableType] = [
            Text.assemble((self.name, "bold"), "  ", ", ".join(facts)),
            Text(f"  {self.path}", style="dim", overflow="fold"),
            Text(f"  written by {written}{_made(self.provenance)}", style="dim"),
            Text(f"  positions: {self.ra}, {self.dec}{_sky(self)}"),
            Text(f"  margin: {_margin(self.margin)}{_others(self.other_margins)}"),
            Text(f"  indexes: {', '.join(self.indexes) or 'none'}"),
            Text(f"  sidecar: {', '.join(self.sidecar) or 'none'}"),
            *([Text(f"    not used, of another state (a copy is one): {way_out}")] if way_out else []),
            *([Text(f"  beside: {', '.join(self.beside.values())}")] if self.beside else []),
            *(Text(f"  {line}") for line in self.history.lines()),
            Padding(column_table(shown), (1, 0, 0, 2), expand=False),
            *([Text(f"  and {_more(left)}: --json lists all", style="dim")] if left else []),
        ]
        for member in self.members:
            lines += [Text(""), member.report()]
        return Group(*lines)


def info(path: str | Path) -> Info:
    """Describe a HATS catalog or collection, by its folder or URL; reads metadata only.

    Raises
    ------
    CatalogError
        The folder is not a catalog, or not a finished one; or the URL cannot be read.
    """
    place = located(path)
    folder = place.absolute() if isinstance(place, Path) else place
    opened = open_hats(folder)
    inside = tuple(_members(folder))
    told = _described(opened, tuple(_described(found) for found in inside), _other_margins(folder, opened.margin))
    is_inner = isinstance(folder, Path) and not (folder / _ACCOUNT).exists()
    history = history_of(told.provenance, (opened, *inside), str(folder.parent if is_inner else folder))
    return replace(told, history=history)


def _described(
    catalog: HatsCatalog, members: tuple[Info, ...] = (), margins: Mapping[str, float] | None = None
) -> Info:
    orders = catalog.layout.orders
    first, last = (_number(catalog, key) for key in ("t_min", "t_max"))
    promised = catalog if catalog.kind == "margin" else catalog.margin
    return Info(
        path=str(catalog.path),
        name=catalog.name,
        kind=catalog.kind,
        rows=HatsSource(catalog).count,
        partitions=len(catalog.layout),
        orders=(int(orders.min()), int(orders.max())) if orders.size else None,
        bytes=_bytes(catalog),
        ra=catalog.ra,
        dec=catalog.dec,
        columns=tuple(columns_of(HatsSource(catalog).schema)),
        builder=catalog.properties.get("hats_builder", ""),
        created=catalog.properties.get("hats_creation_date", ""),
        margin_arcsec=promised.margin_arcsec if promised else None,
        margin=_described(catalog.margin) if catalog.margin else None,
        other_margins=margins or {},
        indexes={column: str(folder) for column, folder in sorted(index_folders(catalog).items())},
        sidecar=catalog.sidecar.columns if catalog.sidecar else (),
        sidecar_way_out=_sidecar_way_out(catalog),
        sky_fraction=_number(catalog, "moc_sky_fraction"),
        observed_mjd=None if first is None or last is None else (first, last),
        beside=_beside(catalog),
        provenance=read_provenance(catalog.path, catalog.properties),
        members=members,
    )


def _bytes(catalog: HatsCatalog) -> int | None:
    if isinstance(catalog.path, Path):
        return sum(file.stat().st_size for file in _files(catalog))
    # A question to the server for each file would take as long as reading the catalog.
    kibibytes = catalog.properties.get("hats_estsize")
    return int(kibibytes) << 10 if kibibytes else None


def _files(catalog: HatsCatalog) -> Iterator[Path]:
    """Yield the partition files; raises CatalogError at the first that is missing."""
    for pixel in catalog.layout:
        for file in catalog.leaf_files(pixel):
            if not isinstance(file, Path) or not file.exists():
                raise CatalogError(
                    f"{file}, the file of the partition {pixel}, is missing: "
                    f"`lsdb-ts verify {catalog.path}` lists all that is"
                )
            yield file


def _sidecar_way_out(catalog: HatsCatalog) -> str:
    """Return the command that builds a sidecar again, where some partitions show that this has to be done."""
    if catalog.sidecar is None:
        return ""
    n = len(catalog.layout)
    leaves = [file for i in range(0, n, max(1, n // _LOOKED_AT)) for file in catalog.leaf_files(catalog.layout[i])]
    if not catalog.sidecar.stale([leaf for leaf in leaves if isinstance(leaf, Path)]):
        return ""
    collection = catalog.path.parent
    return f"lsdb-ts sidecar {collection if (collection / _COLLECTION).exists() else catalog.path}"


def _members(folder: AnyPath) -> Iterator[HatsCatalog]:
    """Yield the collections that lie inside a collection; those of a remote one cannot be listed everywhere."""
    if isinstance(folder, Path) and (folder / _COLLECTION).exists():
        for inner in sorted(folder.iterdir()):
            if (inner / _COLLECTION).exists():
                yield open_hats(inner)


def _other_margins(folder: AnyPath, default: HatsCatalog | None) -> dict[str, float]:
    """Return the margins of a collection that it does not open with."""
    if not (folder / _COLLECTION).exists():
        return {}
    listed = read_properties(folder / _COLLECTION).get("all_margins", "").replace(",", " ").split()
    found = {}
    for name in listed:
        place = beside(folder, name)
        if default is None or place != default.path:
            told = read_properties(place / "hats.properties")
            found[name] = float(told.get("hats_margin_threshold", 0))
    return found


def _number(catalog: HatsCatalog, key: str) -> float | None:
    try:
        return float(catalog.properties[key])
    except (KeyError, ValueError):
        return None


def _beside(catalog: HatsCatalog) -> dict[str, str]:
    """Return what lies in the folder of a catalog besides its rows."""
    told = catalog.properties
    found: dict[str, str] = {}
    if order := told.get("hats_skymap_order"):
        others = told.get("hats_skymap_alt_orders")
        found["skymap.fits"] = f"skymap of order {order}{f' (and {others})' if others else ''}"
    if not isinstance(catalog.path, Path):
        return found
    for name, holds in ((THUMBNAIL, "thumbnail of {:,} rows"), (STATISTICS, "statistics of {:,} row groups")):
        if (catalog.path / name).exists():
            found[name] = holds.format(footer(catalog.path / name).n_rows)
    if PROVENANCE_KEY in told:
        found[PROVENANCE] = told[PROVENANCE_KEY].removeprefix("../")
    return found


def _summary(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is said of a catalog's making in a line."""
    return {key: provenance.get(key) for key in ("made_by", "versions", "input_files", "input_bytes")}


def _made(provenance: Mapping[str, Any] | None) -> str:
    if provenance is None:
        return ""
    files = provenance.get("input_files")
    what = f"{files:,} file{'s' if files != 1 else ''} of {in_bytes(provenance['input_bytes'])}" if files else ""
    names = [str(each["name"]) for each in provenance.get("inputs", ()) if not files and "name" in each]
    return f": {provenance['made_by']} of {what or ' and '.join(names) or 'rows in memory'}"


def _sky(told: Info) -> str:
    found = "" if told.sky_fraction is None else f"; {told.sky_fraction:.3g} of the sky"
    if told.observed_mjd is None:
        return found
    first, last = told.observed_mjd
    return f"{found}; MJD {first:.1f} to {last:.1f}"


def _others(margins: Mapping[str, float]) -> str:
    told = [f"{radius:g} arcsec ({name})" for name, radius in sorted(margins.items(), key=lambda one: one[1])]
    return f"; also {', '.join(told)}" if told else ""


def _first(columns: Sequence[Column], most: int) -> tuple[Sequence[Column], Sequence[Column]]:
    """Return as many columns as fit in some lines, and those that are left."""
    lines = 0
    for i, column in enumerate(columns):
        lines += 1 + len(column.parts)
        if lines > most and i:
            return columns[:i], columns[i:]
    return columns, ()


def _more(columns: Sequence[Column]) -> str:
    names = ", ".join(column.name for column in columns[:_NAMED])
    more = f", {len(columns) - _NAMED} more" if len(columns) > _NAMED else ""
    return f"{names}{more}"


def _partitions(told: Info) -> str:
    text = f"{told.partitions:,} partition{'s' if told.partitions != 1 else ''}"
    if told.orders is None:
        return text
    low, high = told.orders
    return f"{text} (order {low})" if low == high else f"{text} (orders {low} to {high})"


def _size(told: Info) -> str:
    return "size unknown" if told.bytes is None else in_bytes(told.bytes)


def _margin(margin: Info | None) -> str:
    if margin is None:
        return "none"
    return f"{margin.margin_arcsec:g} arcsec ({margin.name}: {margin.rows:,} rows, {_size(margin)})"


def column_table(columns: Sequence[Column]) -> Table:
    """Return the columns as a table for the terminal, parts of nested ones indented."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    shown = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for head in ("column", "type", "unit", "role"):
        shown.add_column(head, overflow="fold")
    for column in columns:
        shown.add_row(column.name, column.kind, column.unit, column.role)
        for part in column.parts:
            shown.add_row(f"  {column.name}.{part.name}", part.kind, part.unit, part.role, style="dim")
    return shown
