"""What a catalog is, from its metadata: kind, size, columns, margin, indexes, members. Its rows are not looked at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lsdb_ts.errors import CatalogError
from lsdb_ts.plan.explain import in_bytes
from lsdb_ts.store.files import AnyPath, located
from lsdb_ts.store.hats import HatsCatalog, open_hats
from lsdb_ts.store.index import index_folders
from lsdb_ts.store.source import HatsSource
from lsdb_ts.views.columns import Column, columns_of

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table


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
    indexes: Mapping[str, str] = field(default_factory=dict)
    """Folders of the indexes, by column."""
    sidecar: tuple[str, ...] = ()
    """Columns of the sidecar; empty without one."""
    members: tuple[Info, ...] = ()
    """Further collections in the folder."""

    def to_json(self) -> dict[str, Any]:
        """Return a JSON form."""
        told = {key: value for key, value in vars(self).items() if key not in {"columns", "margin", "members"}}
        return {
            **told,
            "orders": list(self.orders) if self.orders else None,
            "columns": [column.to_json() for column in self.columns],
            "margin": self.margin.to_json() if self.margin else None,
            "indexes": dict(self.indexes),
            "sidecar": list(self.sidecar) or None,
            "members": [member.to_json() for member in self.members],
        }

    def report(self) -> RenderableType:
        """Return the description for the terminal."""
        from rich.console import Group
        from rich.padding import Padding
        from rich.text import Text

        facts = [f"{self.kind} catalog", f"{self.rows:,} rows", _partitions(self), _size(self)]
        lines: list[RenderableType] = [
            Text.assemble((self.name, "bold"), "  ", ", ".join(facts)),
            Text(f"  {self.path}", style="dim", overflow="fold"),
            Text(f"  written by {self.builder or 'unknown'}{f', {self.created}' if self.created else ''}", style="dim"),
            Text(f"  positions: {self.ra}, {self.dec}"),
            Text(f"  margin: {_margin(self.margin)}"),
            Text(f"  indexes: {', '.join(self.indexes) or 'none'}"),
            Text(f"  sidecar: {', '.join(self.sidecar) or 'none'}"),
            Padding(column_table(self.columns), (1, 0, 0, 2), expand=False),
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
    return _described(open_hats(folder), tuple(_described(found) for found in _members(folder)))


def _described(catalog: HatsCatalog, members: tuple[Info, ...] = ()) -> Info:
    orders = catalog.layout.orders
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
        indexes={column: str(folder) for column, folder in sorted(index_folders(catalog).items())},
        sidecar=catalog.sidecar.columns if catalog.sidecar else (),
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


def _members(folder: AnyPath) -> Iterator[HatsCatalog]:
    """Yield the collections that lie inside a collection; those of a remote one cannot be listed everywhere."""
    if isinstance(folder, Path) and (folder / "collection.properties").exists():
        for inner in sorted(folder.iterdir()):
            if (inner / "collection.properties").exists():
                yield open_hats(inner)


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
