"""What a catalog on disk is, from its metadata: kind, size, columns, margin, members. Its rows are not looked at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lsdb_ts.errors import CatalogError
from lsdb_ts.plan.explain import in_bytes
from lsdb_ts.store.hats import HatsCatalog, open_hats
from lsdb_ts.store.source import HatsSource
from lsdb_ts.views.columns import Column, columns_of

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table


@dataclass(frozen=True)
class Info:
    """A catalog on disk, described."""

    path: str
    name: str
    kind: str
    """HATS data product type: ``object``, ``source`` or ``margin``."""
    rows: int
    partitions: int
    orders: tuple[int, int] | None
    """Coarsest and finest HEALPix order of the partitions; None where there are none."""
    bytes: int
    """Size of the partition files."""
    ra: str | None
    dec: str | None
    columns: tuple[Column, ...]
    builder: str
    created: str
    margin_arcsec: float | None = None
    """Of a margin: how far it reaches."""
    margin: Info | None = None
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
            "members": [member.to_json() for member in self.members],
        }

    def report(self) -> RenderableType:
        """Return the description for the terminal."""
        from rich.console import Group
        from rich.padding import Padding
        from rich.text import Text

        facts = [f"{self.kind} catalog", f"{self.rows:,} rows", _partitions(self), in_bytes(self.bytes)]
        lines: list[RenderableType] = [
            Text.assemble((self.name, "bold"), "  ", ", ".join(facts)),
            Text(f"  {self.path}", style="dim", overflow="fold"),
            Text(f"  written by {self.builder or 'unknown'}{f', {self.created}' if self.created else ''}", style="dim"),
            Text(f"  positions: {self.ra}, {self.dec}"),
            Text(f"  margin: {_margin(self.margin)}"),
            Padding(column_table(self.columns), (1, 0, 0, 2), expand=False),
        ]
        for member in self.members:
            lines += [Text(""), member.report()]
        return Group(*lines)


def info(path: str | Path) -> Info:
    """Describe a HATS catalog or collection; reads metadata only.

    Raises
    ------
    CatalogError
        The folder is not a catalog, or not a finished one.
    """
    folder = Path(path).absolute()
    return _described(open_hats(folder), tuple(_described(found) for found in _members(folder)))


def _described(catalog: HatsCatalog, members: tuple[Info, ...] = ()) -> Info:
    orders = catalog.layout.orders
    return Info(
        path=str(catalog.path),
        name=catalog.name,
        kind=catalog.kind,
        rows=HatsSource(catalog).count,
        partitions=len(catalog.layout),
        orders=(int(orders.min()), int(orders.max())) if orders.size else None,
        bytes=sum(file.stat().st_size for file in _files(catalog)),
        ra=catalog.ra,
        dec=catalog.dec,
        columns=tuple(columns_of(HatsSource(catalog).schema)),
        builder=catalog.properties.get("hats_builder", ""),
        created=catalog.properties.get("hats_creation_date", ""),
        margin_arcsec=catalog.margin_arcsec if catalog.kind == "margin" else None,
        margin=_described(catalog.margin) if catalog.margin else None,
        members=members,
    )


def _files(catalog: HatsCatalog) -> Iterator[Path]:
    """Yield the partition files; raises CatalogError at the first that is missing."""
    for pixel in catalog.layout:
        for file in catalog.leaf_files(pixel):
            if not file.exists():
                raise CatalogError(
                    f"{file}, the file of the partition {pixel}, is missing: "
                    f"`lsdb-ts verify {catalog.path}` lists all that is"
                )
            yield file


def _members(folder: Path) -> Iterator[HatsCatalog]:
    """Yield the collections that lie inside a collection."""
    if (folder / "collection.properties").exists():
        for inner in sorted(folder.iterdir()):
            if (inner / "collection.properties").exists():
                yield open_hats(inner)


def _partitions(told: Info) -> str:
    text = f"{told.partitions:,} partition{'s' if told.partitions != 1 else ''}"
    if told.orders is None:
        return text
    low, high = told.orders
    return f"{text} (order {low})" if low == high else f"{text} (orders {low} to {high})"


def _margin(margin: Info | None) -> str:
    if margin is None:
        return "none"
    return f"{margin.margin_arcsec:g} arcsec ({margin.name}: {margin.rows:,} rows, {in_bytes(margin.bytes)})"


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
