"""What a verification found, for the terminal. Nothing is looked for here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

_MOST = 200
"""So many faults are shown one by one."""


def verify_report(report: Any) -> RenderableType:
    """Return what a verification found: a line where all is sound, else faults, notes and the ways out.

    Parameters
    ----------
    report : partitioner.Report
    """
    from rich.console import Group
    from rich.text import Text

    n = len(report.faults)
    verdict = ("sound", "bold green") if report.ok else (f"{n:,} fault{'s' if n > 1 else ''}", "bold red")
    read = f"{', '.join(report.catalogs)}: {report.files:,} files, {report.rows:,} rows read"
    lines: list[RenderableType] = [Text.assemble(verdict, "  ", read)]
    if report.skipped:
        sampled = f"{report.partitions:,} of {report.of_partitions:,} partitions were read, and all metadata"
        lines.append(Text(f"  {sampled}; not looked at:", style="dim"))
        lines += [Text(f"    {skipped}", style="dim") for skipped in report.skipped]
    if report.faults or report.notes:
        lines += ["", _listed(report)]
    hidden = n - _MOST
    if hidden > 0:
        lines.append(Text(f"  ... and {hidden:,} more faults (--json has all)", style="dim"))
    if report.ways_out:
        lines += ["", Text("what to do:", style="bold"), *(Text(f"  {way_out}") for way_out in report.ways_out)]
    return Group(*lines)


def _listed(report: Any) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, show_edge=False)
    for name in ("", "file", "row", "what"):
        table.add_column(name, justify="right" if name == "row" else "left", overflow="fold")
    for kind, faults in ((Text("fault", "red"), report.faults[:_MOST]), (Text("note", "dim"), report.notes)):
        for fault in faults:
            table.add_row(kind, fault.file, "" if fault.row is None else f"{fault.row:,}", fault.told)
    return table
