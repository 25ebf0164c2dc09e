"""Tables for the terminal: what an addition did to an archive, and what folding additions in did. No pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lsdb_ts.plan.explain import in_bytes

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table


def addition_report(done: Any) -> RenderableType:
    """Return what a night did: what became of its rows, and what was written."""
    from rich.console import Group
    from rich.text import Text

    known = "1 file was" if len(done.skipped) == 1 else f"{len(done.skipped):,} files were"
    skipped = [f"{known} added before, and left out"] if done.skipped else []
    if done.already_done:
        return Group(Text(f"nothing new for {done.out}: {'; '.join(skipped) or 'no rows'}"))
    rows = _rows(f"added to {done.out}", "added", done.tables)
    skipped += [str(column) for column in done.columns]
    large = [f"{w.path}: {', '.join(w.too_large[:5])}" for w in done.catalogs if w.too_large]
    notes = [*skipped, *(f"too large, to be split by lsdb-ts compact: {text}" for text in large)]
    written: list[RenderableType] = ["", _written(done.catalogs)] if done.catalogs else []
    return Group(rows, *written, *(Text(f"  {note}", style="dim") for note in notes))


def forecast_report(told: Any) -> RenderableType:
    """Return what a night would do, and that nothing was done."""
    from rich.console import Group
    from rich.text import Text

    notes = [f"{file.path}: added before, would be left out" for file in told.skipped]
    notes += [str(column) for column in told.columns]
    if told.already_done:
        return Group(Text(f"nothing new for {told.out}"), *(Text(f"  {note}", style="dim") for note in notes))
    rows = _rows(f"would be added to {told.out}", "added, at most", told.tables)
    touched = _table(None, "catalog", ("partitions with new rows", "of", "new ones", "bytes to write, about"))
    for t in told.catalogs:
        counts = (f"{t.partitions:,}", f"{t.of_partitions:,}", f"{t.new_partitions:,}", in_bytes(t.bytes))
        touched.add_row(t.path, *counts)
    notes.append("nothing was written; bytes are without margins, and rows that are there already are found on the way")
    return Group(rows, "", touched, *(Text(f"  {note}", style="dim") for note in notes))


def compaction_report(done: Any) -> RenderableType:
    """Return what folding additions in did."""
    from rich.console import Group
    from rich.text import Text

    if done.already_done:
        return Text(f"{done.out} has nothing to fold in")
    split = [f"split: {', '.join(done.split[:5])}{', ...' if len(done.split) > 5 else ''}"] if done.split else []
    return Group(_written(done.catalogs), *(Text(f"  {note}", style="dim") for note in split))


def _rows(title: str, added: str, tables: Sequence[Any]) -> Table:
    shown = _table(title, "rows of", ("in", "taken in", added, "known", "refused", "orphans"))
    for t in tables:
        counts = (t.rows_in, t.taken_in, t.added, t.known, t.refused, t.orphans)
        shown.add_row(f"{t.table}: {t.became}", *(f"{n:,}" for n in counts))
    return shown


def _written(catalogs: Sequence[Any]) -> Table:
    table = _table(None, "catalog", ("rows", "partitions", "size", "files written", "bytes written"))
    for w in catalogs:
        counts = (f"{w.rows:,}", f"{w.partitions:,}", in_bytes(w.size), f"{w.files:,}", in_bytes(w.bytes))
        table.add_row(w.path, *counts)
    return table


def _table(title: str | None, first: str, numbers: Sequence[str]) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, show_edge=False)
    table.add_column(first, overflow="fold")
    for name in numbers:
        table.add_column(name, justify="right", overflow="fold")
    return table
