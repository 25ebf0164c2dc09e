"""Tables for the terminal: what a repartition plans and made, and the epochs of a light curve. No pictures."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from lsdb_ts.plan.explain import in_bytes
from lsdb_ts.views.epochs import Epochs, time_scale
from lsdb_ts.views.style import band_styles

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

_WORDS = {"band", "flag", "files", "becomes", "became"}
"""Columns of text; all others hold numbers."""


def plan_report(plan: Mapping[str, Any], *, dry_run: bool) -> RenderableType:
    """Return the plan of a repartition, given in its JSON form: what is read, what is made of it, what that takes."""
    from rich.console import Group
    from rich.text import Text

    read = _table("read", ("files", "size", "rows", "pieces", "becomes"))
    for name, table in plan["tables"].items():
        files = f"{table['files']:,} {', '.join(table['formats'])}"
        numbers = in_bytes(table["file_bytes"]), f"{table['rows']:,}", f"{table['units']:,}"
        read.add_row(name, files, *numbers, "\n".join(_fates(name, plan["catalogs"])))
    make = _table("make", ("rows", "partitions", "orders", "most rows", "most bytes", "margin"))
    for made in plan["catalogs"]:
        make.add_row(
            _name(made),
            f"{made['rows']:,}",
            f"{made['partitions']:,}",
            _orders(made["orders"]),
            f"{made['largest_partition_rows']:,}",
            in_bytes(made["largest_partition_bytes"]),
            f"{made['margin_arcsec']:g} arcsec" if made["margin_arcsec"] else "none",
        )
    notes = [f"{n:,} rows of {name} have no position on the sky" for name, n in plan["refused"].items() if n]
    for made in plan["catalogs"]:
        if made["too_dense"]:
            shown = ", ".join(made["too_dense"][:5]) + (", ..." if len(made["too_dense"]) > 5 else "")
            notes.append(f"{len(made['too_dense']):,} of {made['path']} hold too much at one position: {shown}")
    if dry_run:
        notes.append("nothing was written (--dry-run)")
    title = Text(f"plan for {plan['out']}", "bold")
    return Group(
        title, read, "", make, "", _needs(plan["estimate"]), *(Text(f"  {note}", style="dim") for note in notes), ""
    )


def _fates(table: str, catalogs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Say what becomes of a table, once for each catalog it is in."""
    made = [f"catalog {_name(c)}" for c in catalogs if c["table"] == table]
    nested = [f"{c['nested'][table]} of {_name(c)}" for c in catalogs if table in c["nested"]]
    return [*made, *nested] or ["looked up"]


def _name(catalog: Mapping[str, Any]) -> str:
    return str(catalog["path"]).rpartition("/")[2]


def _needs(estimate: Mapping[str, Any]) -> Table:
    """Return what a repartition takes beside what there is; what does not fit is red."""
    from rich.table import Table
    from rich.text import Text

    workers, threads = estimate["workers"], estimate["threads"]
    crew = (
        f"{threads:,} thread{'s' if threads > 1 else ''} in {'one' if workers == 1 else f'each of {workers:,}'} process"
    )
    there = "" if estimate["available_bytes"] is None else f" of {in_bytes(estimate['available_bytes'])}"
    scratch, result = in_bytes(estimate["scratch_bytes"]), in_bytes(estimate["output_bytes"])
    free = f" of {in_bytes(estimate['free_bytes'])} free"
    rows = (
        ("disk", in_bytes(estimate["disk_bytes"]), estimate["fits_disk"], free, f"scratch {scratch}, result {result}"),
        (
            "memory",
            in_bytes(estimate["memory_bytes"]),
            estimate["fits_memory"],
            there,
            f"{crew}{'es' if workers > 1 else ''}",
        ),
        ("time", _duration(estimate["seconds"]), True, "", "as measured on a few rows"),
    )
    table = Table.grid(padding=(0, 2))
    for name, needed, fits, of, about in rows:
        amount = Text.assemble((f"about {needed}", "" if fits else "bold red"), of)
        table.add_row(f"  {name}", amount, Text(about, style="dim"))
    return table


def _duration(seconds: float) -> str:
    """Return a time as far as it matters.

    >>> _duration(7.2), _duration(200), _duration(9000)
    ('8 s', '4 min', '2 h 30 min')
    """
    if seconds < 100:
        return f"{math.ceil(seconds):,} s"
    minutes = math.ceil(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60:,} h {minutes % 60} min"


def account_report(account: Any) -> RenderableType:
    """Return the account of a repartition: what became of every row, and the catalogs that were written."""
    from rich.console import Group
    from rich.text import Text

    title = f"{account.out} was finished before; nothing was done" if account.already_done else f"made {account.out}"
    rows = _table("rows of", ("became", "in", "out", "refused", "orphans", "balance"))
    for t in account.tables:
        numbers = (f"{n:,}" for n in (t.rows_in, t.rows_out, t.rows_refused, t.orphans))
        rows.add_row(t.table, t.became, *numbers, Text("ok", "green") if t.balances else Text("wrong", "bold red"))
    catalogs = _table("catalog", ("rows", "partitions", "size", "margin", "margin rows"))
    for made in account.catalogs:
        margin = f"{made.margin_arcsec:g} arcsec" if made.margin_arcsec else "none"
        numbers = (f"{made.rows:,}", f"{made.partitions:,}", in_bytes(made.bytes))
        catalogs.add_row(made.path, *numbers, margin, f"{made.margin_rows:,}")
    notes = (Text(f"  {note}", "dim") for t in account.tables for note in _account_notes(t))
    return Group(Text(title, "bold"), rows, *notes, "", catalogs)


def _account_notes(t: Any) -> Iterator[str]:
    """Tell what became of rows that are not just where they should be."""
    for reason, n in t.refused.items():
        yield f"{n:,} rows of {t.table} refused: {reason}; they are in refused/"
    if t.orphans:
        yield f"{t.orphans:,} rows of {t.table} have no parent; they are in orphans/"
    if t.duplicated:
        kept = "they are kept" if not t.dropped else f"{t.dropped:,} of them were left out, as asked"
        yield f"{t.duplicated:,} rows of {t.table} have the id of another row of the same light curve; {kept}"
    if t.unvisited:
        yield f"{t.unvisited:,} rows of {t.table} have a visit that is not known; they are kept"


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
    bands = ", ".join(f"{counts[band]:,} {band}" for band in band_styles(counts) if band)
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
    shown = _table(time_scale(epochs.time_days) or "time (d)", (*phase, "band", what, "error", *flagged))
    phases = _phases(epochs, period_days) if period_days is not None else np.empty(0)
    digits = 4 if epochs.is_mag else 2
    for i in range(min(len(epochs), limit if limit is not None else len(epochs))):
        cells = [f"{epochs.time_days[i]:.5f}", *([f"{phases[i]:.4f}"] if phase else []), epochs.band[i]]
        cells += [_number(epochs.value[i], digits), _number(epochs.error[i], digits)]
        shown.add_row(*cells, *(["" if epochs.good[i] else "bad"] if flagged else []))
    return shown


def _phases(epochs: Epochs, period_days: float) -> np.ndarray:
    start = epochs.time_days[0] if len(epochs) else 0.0
    return np.mod((epochs.time_days - start) / period_days, 1.0)


def _number(value: float, digits: int) -> str:
    return f"{value:,.{digits}f}" if np.isfinite(value) else "-"


def _orders(orders: Sequence[int]) -> str:
    if not orders:
        return "-"
    return f"{orders[0]}" if len(orders) == 1 else f"{orders[0]} to {orders[-1]}"


def _table(first: str, numbers: Sequence[str]) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True)
    table.add_column(first, overflow="fold")
    for name in numbers:
        # Words may go on in the next line, numbers would become others.
        is_text = name in _WORDS
        table.add_column(name, justify="left" if is_text else "right", overflow="fold", no_wrap=not is_text)
    return table
