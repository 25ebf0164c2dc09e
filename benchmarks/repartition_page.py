"""What repartitions took, as tables and a plot: medians by side, what issue 4 wanted of them, the physical limit.

What is asked of the sides is in repartition.py.
"""

import itertools
import statistics
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from phases import PHASES
from report import table, where_and_when
from sides import CORES, OURS, Case

from tests.interop.environment import PINS, POLARS_PINS

MILLION = 1_000_000
DEFAULT, LIKE, POLARS = "hats-import", "hats-import, zstd-3", "polars"
NESTED, SORTED = "LSDB, join_nested", "LSDB, join_nested, in time"
DIGITS = {"s": ".2f", "first s": ".2f", "CPU s": ".1f", "peer / ours": ".2f", "wanted": "g", "found": ".2f"}
_LIMIT_FILES = 4


@dataclass(frozen=True)
class Goal:
    """What issue 4 asks of a case."""

    case: str
    what: str
    peer: str | None
    """The side whose number is divided by ours; None where ours itself counts."""
    number: str
    wanted: float
    at_least: bool = True


GOALS = (
    Goal("sources", "time of its defaults / ours", DEFAULT, "s", 8.0),
    Goal("sources", "time like for like / ours", LIKE, "s", 5.0),
    Goal("sources", "peak GB of a worker", None, "worker GB", 2.0, at_least=False),
    Goal("sources", "size on disk / its defaults'", DEFAULT, "MB written", 1.06, at_least=False),
    Goal("wide", "time of polars / ours", POLARS, "s", 1.0),
    Goal("wide", "peak GB of a worker", None, "worker GB", 0.6, at_least=False),
    Goal("wide", "size on disk / hats-import's", DEFAULT, "MB written", 1.06, at_least=False),
    Goal("nested", "time / ours", SORTED, "s", 6.0),
    Goal("nested", "time without the sort / ours", NESTED, "s", 6.0),
    Goal("layout", "seconds", None, "s", 0.2, at_least=False),
)


def summary(case: Case) -> list[dict]:
    """Return one row a side: medians of the later calls, or of the first where there are no others."""
    found = []
    for name in case.sides:
        calls = case.warm.get(name) or case.cold[name]
        last = [*case.cold[name], *case.warm.get(name, [])][-1]
        found.append(
            {
                "work": case.title,
                "side": name,
                "s": _median(calls, "seconds"),
                "peer / ours": None,
                "first s": _median(case.cold[name], "seconds"),
                "CPU s": _median(calls, "cpu_seconds"),
                "peak MB": max(c["peak_bytes"] for c in calls) / 1e6,
                "scratch files": last.get("scratch_files"),
                "MB written": last["bytes_written"] / 1e6 if "bytes_written" in last else None,
                "rows": last["rows"],
            }
        )
    ours = next((row["s"] for row in found if row["side"] == OURS), None)
    for row in found:
        if ours is not None and row["side"] != OURS:
            row["peer / ours"] = row["s"] / ours
    return found


def _median(calls, name: str) -> float:
    return statistics.median(call[name] for call in calls)


def judged(found: Mapping[str, Case]) -> list[dict]:
    """Return one row a goal: what was wanted, what was found; also of what was not measured."""
    rows = []
    for goal in GOALS:
        value = _value(goal, found.get(goal.case))
        met = value is not None and (value >= goal.wanted if goal.at_least else value <= goal.wanted)
        sign = "at least" if goal.at_least else "at most"
        told = "not measured" if value is None else "yes" if met else "**no**"
        rows.append(
            {"work": goal.case, "what": f"{goal.what}, {sign}", "met": told, "wanted": goal.wanted, "found": value}
        )
    return rows


def _value(goal: Goal, case: Case | None) -> float | None:
    sides = {} if case is None else {row["side"]: row for row in summary(case)}
    if OURS not in sides or (goal.peer is not None and goal.peer not in sides):
        return None
    ours = sides[OURS]
    if goal.number == "worker GB":
        # One process with a thread for each core does the work of as many workers.
        return ours["peak MB"] / 1e3 / CORES
    if goal.peer is None:
        return ours[goal.number]
    theirs = sides[goal.peer][goal.number]
    return ours[goal.number] / theirs if goal.number == "MB written" else theirs / ours[goal.number]


def limit(files: list[str], out: Path, rows: int) -> float:
    """Return the seconds that decoding the raw files and encoding the partitions take, on all cores and from memory."""
    read = files[:_LIMIT_FILES]
    start = time.perf_counter()
    with ThreadPoolExecutor(CORES) as pool:
        tables = list(pool.map(lambda f: pq.read_table(f, use_threads=False), read))
    decoded = (time.perf_counter() - start) / sum(t.num_rows for t in tables)
    made = [p for p in sorted(out.rglob("Npix=*.parquet")) if "arcs" not in str(p.relative_to(out))][: 4 * CORES]
    leaves = [pq.read_table(p, partitioning=None) for p in made]
    start = time.perf_counter()
    with ThreadPoolExecutor(CORES) as pool:
        list(pool.map(_encoded, leaves))
    encoded = (time.perf_counter() - start) / sum(t.num_rows for t in leaves)
    return (decoded + encoded) * rows


def _encoded(rows: pa.Table) -> None:
    from lsdb_ts.store.encoding import Encoding

    pq.write_table(rows, pa.BufferOutputStream(), row_group_size=100_000, **Encoding.of(rows).options())


def phases(found: Mapping[str, Case], limits: Mapping[str, float]) -> list[dict]:
    """Return one row a size: seconds, by what the threads were at."""
    rows = []
    for title, case in sorted(found.items(), key=lambda item: item[1].rows):
        if title.startswith("growth"):
            call = (case.warm.get(OURS) or case.cold[OURS])[-1]
            each = {name: call["phases"].get(name, 0.0) / CORES for name in PHASES}
            size = f"{case.rows / MILLION:g} M"
            per_row = call["seconds"] / case.rows * 1e6
            rows.append({"rows": size, "s": call["seconds"], "us / row": per_row, "limit s": limits.get(title), **each})
    return rows


def drawn(found: Mapping[str, Case], limits: Mapping[str, float], path: Path) -> None:
    """Draw the seconds of each size, stacked by what the threads were at, and the physical limit."""
    import matplotlib.pyplot as plt

    rows = phases(found, limits)
    if not rows:
        return
    figure, axes = plt.subplots(figsize=(8, 5), layout="constrained")
    millions = [float(row["rows"].removesuffix(" M")) for row in rows]
    below = [0.0] * len(rows)
    for name, colour in zip(PHASES, plt.colormaps["tab10"].colors, strict=False):
        heights = [row[name] for row in rows]
        above = [a + b for a, b in zip(below, heights, strict=True)]
        axes.fill_between(millions, below, above, label=name, color=colour, alpha=0.85, linewidth=0)
        below = above
    axes.plot(millions, [row["s"] for row in rows], "k.-", label="whole run")
    axes.plot(millions, [row["limit s"] for row in rows], "k--", label="limit: decode + encode")
    axes.set(xlabel="million rows of ten columns", ylabel=f"seconds ({CORES} threads)", xlim=(0, None), ylim=(0, None))
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(handles[::-1], labels[::-1], frameon=False, loc="upper left")
    figure.savefig(path, dpi=150)
    plt.close(figure)


def page(found: Mapping[str, Case], limits: Mapping[str, float]) -> str:
    """Return the section's text; cases may have been measured one at a time."""
    rows = list(itertools.chain.from_iterable(summary(case) for case in found.values() if "growth" not in case.title))
    made = sorted(case.made for case in found.values())
    growth = phases(found, limits)
    digits = {**DIGITS, **dict.fromkeys(("limit s", *PHASES), ".2f"), "us / row": ".3f"}
    stacked = (
        f"Sources by the million, and what the threads were at (seconds over {CORES}; repartition.png):\n\n"
        f"{table(growth, digits, 1)}\n\n"
        if growth
        else ""
    )
    return f"""{where_and_when()} Cases measured from {made[0]} to {made[-1]} UTC.

{table(rows, DIGITS, 2) if rows else ""}

Against the goals:

{table(judged(found), DIGITS, 3)}

{stacked}* sources: 20 M rows of 10 columns in 10 unsorted Parquet files to a collection with a margin of 5 arcsec, a
  sky map, `_metadata`, statistics and (ours) checksums of pages. wide: 5 M rows of 20 columns, without a margin; polars
  only writes sorted pixels, without any of the rest. nested: 1 M objects with 20 sources each; LSDB begins with
  catalogs of both, we with raw files of both, and we make a margin, too. layout: pixels chosen from 12.6 million cells.
* "s": median of the calls after the first of a process, "first s" with imports and compiled code to be loaded. "peak
  MB" is resident memory without libraries and mapped files, all processes together; ours is one process of {CORES}
  threads, of which each counts as a worker. Raw files lie in the memory of the machine after the first call.
* hats-import and LSDB: Dask clusters of {CORES} worker processes, started before the clock. By default they write zstd
  at level 15; "zstd-3" is the level that we write. All sides wrote the same rows.
* Peers: {", ".join(p.replace("==", " ") for p in (*PINS, *POLARS_PINS))}.
"""
