"""How far a repartition is, for the terminal: stages, who is at work, what failed, what to call. No pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lsdb_ts.plan.explain import in_bytes

if TYPE_CHECKING:
    from rich.console import RenderableType

_SHOWN = 20


def status_report(state: Any) -> RenderableType:
    """Return the state of a repartition, a :class:`partitioner.JobState`."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    if state.finished:
        return Text(f"{state.out} is finished")
    stages = Table(box=SIMPLE_HEAD, show_edge=False)
    stages.add_column("stage")
    for name in ("pieces", "done", "at work", "failed", "left", "rows", "size"):
        stages.add_column(name, justify="right")
    for s in state.stages:
        failed = Text(f"{s.failed:,}", "bold red") if s.failed else Text("-")
        counts = [f"{n:,}" if n else "-" for n in (s.pieces, s.done, s.at_work)]
        stages.add_row(s.name, *counts, failed, f"{s.left:,}" if s.left else "-", f"{s.rows:,}", in_bytes(s.bytes))
    lines: list[RenderableType] = [Text(state.out, "bold"), stages, ""]
    lines += [Text(f"at work: {worker}: {worker.command}") for worker in state.workers] or [Text("nobody is at work")]
    lines += [Text(f"failed: {f.item}: {f.error}", "red") for f in state.failures[:_SHOWN]]
    if len(state.failures) > _SHOWN:
        lines.append(Text(f"... and {len(state.failures) - _SHOWN:,} more", "red"))
    if state.next is not None:
        lines.append(Text(f"next: {state.next}"))
    return Group(*lines)
