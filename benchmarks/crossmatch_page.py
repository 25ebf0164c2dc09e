"""What crossmatches took, as tables: medians by side, what issue 3 wanted of them, and the section's text.

What is asked of the sides is in crossmatch.py.
"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from report import table, where_and_when
from sides import ACID, LSDB, OURS, Case

from tests.interop.environment import ACID_PINS, PINS

MILLION = 1_000_000
MODES = ("threads", "distributed")
ZSTD_3 = ", zstd-3"
OF_300 = "2 columns of 300"
MOST_READ = 1.2
"""Goal for bytes read over those of the columns wanted and the coordinates."""
DIGITS = {
    "warm s": ".2f",
    "cold s": ".1f",
    "CPU s": ".1f",
    "peer / ours": ".2f",
    "CPU peer / ours": ".2f",
    "wanted": "g",
    "found": ".2f",
    "read / needed": ".2f",
}


@dataclass(frozen=True)
class Goal:
    """How many times a peer's number ours has to be below."""

    work: str
    """How the title of the case begins."""
    what: str
    peer: str
    ours: str
    number: str
    """Of `summary`."""
    wanted: float


def goals() -> list[Goal]:
    """Return what issue 3 asks of crossmatches: times to beat, memory not to exceed."""
    distributed = f"{OURS}, distributed"
    found = [
        Goal("compute, 3 columns", "time", f"{LSDB}, distributed", distributed, "warm s", 5.0),
        Goal("compute, all columns", "time", f"{LSDB}, distributed", distributed, "warm s", 3.0),
    ]
    for columns in ("3 columns", "all columns"):
        for mode in MODES:
            ours, least = f"{OURS}, {mode}", {"threads": 4.0, "distributed": 6.0}[mode]
            found += [
                Goal(f"write, {columns}", "time, defaults", f"{LSDB}, {mode}", ours, "warm s", 12.0),
                Goal(f"write, {columns}", "time, like for like", f"{LSDB}, {mode}{ZSTD_3}", ours, "warm s", least),
                Goal(f"write, {columns}", "peak memory", f"{LSDB}, {mode}", ours, "peak MB", 1.0),
                Goal(f"compute, {columns}", "peak memory", f"{LSDB}, {mode}", ours, "peak MB", 1.0),
            ]
    return found


def summary(case: Case) -> list[dict]:
    """Return one row a side: medians of the warm calls, and how many times ours in the same mode the side takes."""
    found = []
    for name, calls in case.warm.items():
        last = calls[-1]
        tasks, pickled = last["tasks"], last["bytes_pickled"]
        found.append(
            {
                "work": case.title,
                "rows": f"{case.rows / MILLION:g} M",
                "side": name,
                "warm s": median(calls, "seconds"),
                "peer / ours": None,
                "cold s": median(case.cold[name], "seconds"),
                "CPU s": median(calls, "cpu_seconds"),
                "CPU peer / ours": None,
                "tasks": tasks,
                "B / task": None if pickled is None else pickled / max(tasks, 1),
                "MB read": median(calls, "bytes_read") / 1e6,
                "peak MB": max(c["peak_bytes"] for c in calls) / 1e6,
                "MB written": last["bytes_written"] / 1e6 if "bytes_written" in last else None,
                "pairs": last["rows"],
            }
        )
    sides = {row["side"]: row for row in found}
    for row in found:
        ours = sides.get(f"{OURS}, {'distributed' if 'distributed' in row['side'] else 'threads'}")
        if ours is not None and not row["side"].startswith(OURS):
            row["peer / ours"] = row["warm s"] / ours["warm s"]
            row["CPU peer / ours"] = row["CPU s"] / ours["CPU s"]
    return found


def median(calls: Sequence[Mapping], name: str) -> float:
    return statistics.median(call[name] for call in calls)


def judged(rows: Sequence[Mapping], wide: Sequence[Mapping]) -> list[dict]:
    """Return one row for each goal and case: what was wanted, what was found; goals that nothing was measured for too.

    Parameters
    ----------
    rows, wide : sequences of mappings
        Rows of :func:`summary`, and of the two columns of many.
    """
    by_case: dict[tuple, dict] = {}
    for row in rows:
        by_case.setdefault((row["work"], row["rows"]), {})[row["side"]] = row
    found = []
    for goal in goals():
        cases = [
            (work, size, sides[goal.peer][goal.number] / sides[goal.ours][goal.number])
            for (work, size), sides in by_case.items()
            if work.startswith(goal.work) and goal.peer in sides and goal.ours in sides
        ]
        for work, size, ratio in cases or [(goal.work, "", None)]:
            met = "not measured" if ratio is None else "yes" if ratio >= goal.wanted else "**no**"
            found.append(_verdict(work, size, goal.what, goal.peer, met, goal.wanted, ratio))
    ours = next((row["read / needed"] for row in wide if row["side"] == OURS), None)
    met = "not measured" if ours is None else "yes" if ours <= MOST_READ else "**no**"
    found.append(_verdict(OF_300, "", "bytes read / needed, at most", "", met, MOST_READ, ours))
    return found


def _verdict(work: str, size: str, what: str, peer: str, met: str, wanted: float, found: float | None) -> dict:
    return {"work": work, "rows": size, "what": what, "peer": peer, "met": met, "wanted": wanted, "found": found}


def page(cases: Sequence[Case], wide: Sequence[Mapping]) -> str:
    """Return the section's text; cases may have been measured one at a time."""
    rows = [row for case in cases for row in summary(case)]
    made = sorted(case.made for case in cases)
    return f"""{where_and_when()} Cases measured from {made[0]} to {made[-1]} UTC.

Two catalogs of 20 columns, 250 thousand rows a partition (3e5 per square degree), nearest within 1 arcsec; seven
right rows in ten are left ones, 0.2 arcsec off along each axis.

{table(rows, DIGITS, 3)}

Against the goals ("found": the peer's time or peak memory over ours; of bytes read, ours over what is needed):

{table(judged(rows, wide), DIGITS, 5)}

* The goals of the kernel, of planning, of small questions and of starting up have sections of their own.
* Warm: median of the later calls of all fresh processes of a side, the sides taking turns. Cold: the first calls,
  imports and loading of compiled code included, the start of Dask's workers not. A call opens both catalogs too.
* "threads": no Dask client, two cores. "distributed": two worker processes of one thread. pyacid: two workers, compared
  with our threads. "peer / ours" compares times in the same mode; where others were at work on the machine, the ratio
  of CPU seconds (all processes, of a call) is the steadier one.
* "3 columns" are id and position of each side, and the distance. LSDB is told them when it opens the catalogs, which
  is the fastest it can do; we and pyacid, after the match.
* LSDB writes zstd level 15 by default; "zstd-3" is the level that we write. All write partitions and metadata; we also
  checksums of pages, flushes to disk and a journal, LSDB also a `_metadata` file and a sky map, as we do.
* "unsorted": rows shuffled inside each partition, as LSDB leaves those of a table in memory. "orders differ": left
  partitions of order 8, right ones of order 5.
* "CPU s", "MB read" (asked of the operating system in read calls; {ACID} maps files, which does not count) and
  "peak MB" (resident, without libraries and mapped files) are of the process and its workers together. "B / task": what
  the client pickles, by task, of a warm call. All sides gave the same pairs.
* Peers: {", ".join(p.replace("==", " ") for p in (*PINS, *ACID_PINS))}.
"""


def wide_page(rows: Sequence[Mapping], n_rows: int, n_columns: int) -> str:
    """Return the text of the section on two columns of many."""
    ours = next(row for row in rows if row["side"] == OURS)
    met = "met" if ours["read / needed"] <= MOST_READ else "**not met**"
    return f"""{where_and_when()}

{n_rows:,} rows a side, {n_columns} columns a side, one column of each kept after the match. Goal: bytes read at
most {MOST_READ:g} of those columns and the coordinates (ra, dec, `_healpix_29`): {met}.

{table(rows, {**DIGITS, "MB read": ".1f", "MB of columns": ".1f", "MB needed": ".1f"}, 1)}

* "MB read" is what was asked of the operating system, footers included; "MB of columns" the compressed bytes of the
  column chunks, as our store counts them. The ratio is of the latter where it is known.
"""
