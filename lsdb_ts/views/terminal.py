"""Tables for the terminal: what a repartition plans and made, and the epochs of a light curve. No pictures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from lsdb_ts.plan.explain import in_bytes
from lsdb_ts.views.epochs import Epochs
from lsdb_ts.views.style import band_style

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

_WORDS = {"band", "flag", "nested", "became", "file", "what"}
"""Columns of text; all others hold numbers."""


def plan_report(plan: Mapping[str, Any], *, dry_run: bool) -> RenderableType:
    """Return the plan of a repartition, given in its JSON form."""
    from rich.console import Group
    from rich.text import Text

    read = _table(f"plan for {plan['out']}", "read", ("files", "rows", "size", "pieces"))
    for name, table in plan["tables"].items():
        read.add_row(name, f"{table['files']:,}", f"{table['rows']:,}", in_bytes(table["bytes"]), f"{table['units']:,}")
    make = _table(None, "make", ("partitions", "orders", "largest", "margin", "nested"))
    for made in plan["catalogs"]:
        make.add_row(
            made["path"],
            f"{made['partitions']:,}",
            _orders(made["orders"]),
            f"{made['largest_partition_rows']:,} rows",
            f"{made['margin_arcsec']:g} arcsec" if made["margin_arcsec"] else "none",
            ", ".join(f"{column} ({child})" for child, column in made["nested"].items()) or "-",
        )
    notes = [f"scratch space while it runs: about {in_bytes(plan['scratch_bytes'])}"]
    notes += [f"{n:,} rows of {name} have no position on the sky" for name, n in plan["refused"].items() if n]
    for made in plan["catalogs"]:
        if made["too_dense"]:
            shown = ", ".join(made["too_dense"][:5])
            notes.append(f"{len(made['too_dense'])} partitions of {made['path']} cannot be split further: {shown}")
    if dry_run:
        notes.append("nothing was written (--dry-run)")
    return Group(read, "", make, "", *(Text(f"  {note}", style="dim") for note in notes), "")


def account_report(account: Any) -> RenderableType:
    """Return the account of a repartition: what became of every row, and the catalogs that were written."""
    from rich.console import Group
    from rich.text import Text

    title = f"{account.out} was finished before; nothing was done" if account.already_done else f"made {account.out}"
    rows = _table(title, "rows of", ("became", "in", "out", "refused", "orphans", "balance"))
    for t in account.tables:
        numbers = (f"{n:,}" for n in (t.rows_in, t.rows_out, t.refused, t.orphans))
        rows.add_row(t.table, t.became, *numbers, Text("ok", "green") if t.balances else Text("wrong", "bold red"))
    catalogs = _table(None, "catalog", ("rows", "partitions", "size", "margin", "margin rows"))
    for made in account.catalogs:
        margin = f"{made.margin_arcsec:g} arcsec" if made.margin_arcsec else "none"
        numbers = (f"{made.rows:,}", f"{made.partitions:,}", in_bytes(made.bytes))
        catalogs.add_row(made.path, *numbers, margin, f"{made.margin_rows:,}")
    return Group(rows, "", catalogs)


def verify_report(report: Any) -> RenderableType:
    """Return what a verification found: a line where all is sound, else a table of faults and notes."""
    from rich.console import Group
    from rich.text import Text

    read = f"{', '.join(report.catalogs)}: {report.files:,} files, {report.rows:,} rows read"
    verdict = ("sound", "bold green") if report.ok else (f"{len(report.faults):,} faults", "bold red")
    head = Text.assemble(verdict, "  ", read)
    if report.ok and not report.notes:
        return head
    found = _table(None, "", ("file", "row", "what"))
    for kind, faults in ((Text("fault", "red"), report.faults), (Text("note", "dim"), report.notes)):
        for fault in faults:
            found.add_row(kind, fault.file, "" if fault.row is None else f"{fault.row:,}", fault.what)
    return Group(head, "", found)


def epochs_report(
    row: pa.Table,
    heading: str,
    nested: str,
    others: Sequence[str],
    period_days: float | None,
    limit: int | None,
    *,
    as_mag: bool,
) -> RenderableType:
    """Return one object and the epochs of its light curve.

    Parameters
    ----------
    row : pyarrow.Table
        One row: id, position, nested column.
    heading : str
        Name of the object.
    nested, others : str, sequence of str
        The nested column shown, and the further ones there are.
    period_days : float or None
        Adds the phase ``t / period mod 1``.
    limit : int or None
        Epochs to show.
    as_mag : bool
        Show AB magnitudes.
    """
    from rich.console import Group
    from rich.text import Text

    epochs = Epochs.of(row.column(nested)[0])
    epochs = epochs.as_mag() if as_mag else epochs
    counts = Counter(epochs.band.tolist())
    bands = ", ".join(f"{n:,} {band}" for band, n in sorted(counts.items(), key=_bluest_first) if band)
    position = [
        f"{name} {value[0].as_py():.6f}"
        for name, value in zip(row.column_names, row.columns, strict=True)
        if pa.types.is_floating(value.type)
    ]
    facts = [*position, f"{nested}: {len(epochs):,} epochs" + (f" ({bands})" if bands else "")]
    lines: list[RenderableType] = [Text.assemble((heading, "bold"), "  ", ", ".join(facts))]
    if others:
        lines.append(Text(f"  further light curves, by --name: {', '.join(others)}", style="dim"))
    lines.append("")
    lines.append(_epoch_table(epochs, period_days, limit))
    if limit is not None and len(epochs) > limit:
        lines.append(Text(f"  ... and {len(epochs) - limit:,} more (--limit 0 shows all)", style="dim"))
    return Group(*lines)


def epochs_json(row: pa.Table, id_column: str, nested: str, period_days: float | None) -> dict[str, Any]:
    """Return one object and its light curve, column by column as stored, in JSON form."""
    curve = row.column(nested)[0].as_py() or {}
    told = {name: row.column(name)[0].as_py() for name in row.column_names if name != nested}
    phase = {}
    if period_days is not None:
        phase = {"period_days": period_days, "phase": _phases(Epochs.of(row.column(nested)[0]), period_days).tolist()}
    return {"id": told[id_column], **told, "lightcurve": nested, "epochs": curve, **phase}


def _epoch_table(epochs: Epochs, period_days: float | None, limit: int | None) -> Table:
    what = ("mag" if epochs.is_mag else "flux") + (f" ({epochs.unit})" if epochs.unit else "")
    flagged = [] if epochs.good.all() else ["flag"]
    phase = ["phase"] if period_days is not None else []
    shown = _table(None, "MJD", (*phase, "band", what, "error", *flagged))
    phases = _phases(epochs, period_days) if period_days is not None else np.empty(0)
    digits = 4 if epochs.is_mag else 2
    for i in range(min(len(epochs), limit if limit is not None else len(epochs))):
        cells = [f"{epochs.time_mjd[i]:.5f}", *([f"{phases[i]:.4f}"] if phase else []), epochs.band[i]]
        cells += [_number(epochs.value[i], digits), _number(epochs.error[i], digits)]
        shown.add_row(*cells, *(["" if epochs.good[i] else "bad"] if flagged else []))
    return shown


def _phases(epochs: Epochs, period_days: float) -> np.ndarray:
    start = epochs.time_mjd[0] if len(epochs) else 0.0
    return np.mod((epochs.time_mjd - start) / period_days, 1.0)


def _number(value: float, digits: int) -> str:
    return f"{value:,.{digits}f}" if np.isfinite(value) else "-"


def _bluest_first(item: tuple[str, int]) -> tuple[int, str]:
    return band_style(item[0]).rank, item[0]


def _orders(orders: Sequence[int]) -> str:
    if not orders:
        return "-"
    return f"{orders[0]}" if len(orders) == 1 else f"{orders[0]} to {orders[-1]}"


def _table(title: str | None, first: str, numbers: Sequence[str]) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, show_edge=False)
    table.add_column(first, overflow="fold")
    for name in numbers:
        table.add_column(name, justify="left" if name in _WORDS else "right", overflow="fold")
    return table
