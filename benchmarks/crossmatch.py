"""How fast, and at what cost, a crossmatch is beside LSDB and pyacid, each in its own environment, in one run.

    python benchmarks/crossmatch.py [--sizes 1,4,10] [--low-latency]

Same rows, same two workers, sides in turns. A cold call is the first of a fresh process, imports included; warm ones
are later calls. The pairs of all sides are compared before any time is believed. Times of peers are divided by ours;
what we lose is printed like what we win. Writes sections of RESULTS.md.
"""

import argparse
import statistics
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import pyarrow as pa  # noqa: E402  (what follows is found from the root)
import pyarrow.parquet as pq  # noqa: E402
import skies  # noqa: E402
from meter import order_free_hash  # noqa: E402
from report import record, table, where_and_when  # noqa: E402
from sides import ACID, CORES, LSDB, OURS, Case, carry_out  # noqa: E402

from lsdb_ts.store.hats import open_hats  # noqa: E402
from tests.interop.environment import ACID_PINS, PINS  # noqa: E402

RADIUS_ARCSEC = 1.0
THREE = [f"{name}_{side}" for side in "ab" for name in ("id", "ra", "dec")] + ["_dist_arcsec"]
OF_300 = ["value_7_a", "value_9_b"]
WIDE_COLUMNS = 150
WIDE_ROWS = 250_000
ZSTD_3 = ", zstd-3"
MODES = ("threads", "distributed")
MILLION = 1_000_000


@dataclass(frozen=True)
class Goal:
    """How many times a peer's number ours has to be below."""

    case: str
    """How the title of the case begins."""
    what: str
    peer: str
    ours: str
    number: str
    """Of `summary`."""
    wanted: float


def goals() -> list[Goal]:
    """Return what issue 3 asks for: times to beat, memory not to exceed, bytes not to waste."""
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


def computes(left: Path, right: Path, columns: list | None) -> dict[str, dict]:
    """Return who computes into memory, and how each is asked; LSDB is told the columns when it opens the catalogs."""
    asked = {**_pair(left, right), "job": "compute", "columns": columns, "workers": CORES}
    sides: dict[str, dict] = {}
    for mode in MODES:
        sides[f"{LSDB}, {mode}"] = {**asked, "mode": mode, "named": "opening"}
        sides[f"{OURS}, {mode}"] = {**asked, "mode": mode}
    return {**sides, ACID: asked}


def writes(left: Path, right: Path, columns: list | None, out: Path) -> dict[str, dict]:
    """Return who writes a catalog, and how each is asked."""
    asked = {**_pair(left, right), "job": "write", "columns": columns, "workers": CORES}
    sides: dict[str, dict] = {}
    for mode in MODES:
        for zstd, style in ((False, ""), (True, ZSTD_3)):
            peer = f"{LSDB}, {mode}{style}"
            sides[peer] = {**asked, "mode": mode, "zstd": zstd, "out": str(out / f"lsdb_{mode}_{zstd}")}
        sides[f"{OURS}, {mode}"] = {**asked, "mode": mode, "out": str(out / f"ours_{mode}")}
    return {**sides, ACID: {**asked, "out": str(out / "acid")}}


def _pair(left: Path, right: Path) -> dict:
    return {"left": str(left), "right": str(right), "radius_arcsec": RADIUS_ARCSEC}


def matches(folder: Path, sizes: list[int], chosen: str) -> Iterator[tuple[int, Case]]:
    """Yield (rows a side, case); shuffled rows and other layouts are measured at the second size, or else the first."""
    for rows in sizes:
        here = folder / str(rows)
        even = skies.pair_of_catalogs(here / "even", rows)
        layouts = {"": even}
        if rows == sizes[min(1, len(sizes) - 1)]:
            shuffled = [skies.unsorted(p, here / "unsorted" / p.name) for p in even]
            layouts |= {", unsorted": shuffled, ", orders differ": skies.pair_of_catalogs(here / "uneven", rows, True)}
        for layout, (left, right) in layouts.items():
            for word, columns in (("3 columns", THREE), ("all columns", None)):
                if layout and columns is None:
                    continue
                titles = f"compute, {word}{layout}", f"write, {word}{layout}"
                made = computes(left, right, columns), writes(left, right, columns, here / "out")
                for title, sides in zip(titles, made, strict=True):
                    # LSDB takes a minute to match layouts this different, and would take four of them to write.
                    if chosen in title and not (title.startswith("write") and "differ" in title):
                        yield rows, Case(title, sides)


def compare(case: Case) -> None:
    """Read what was written; stop if the sides disagree on the pairs."""
    for name, request in case.sides.items():
        if "out" in request:
            rows, check, size = account_of(Path(request["out"]))
            case.warm[name][-1].update(rows=rows, check=check, bytes_written=size)
    found = {name: (calls[-1]["rows"], calls[-1]["check"]) for name, calls in case.warm.items()}
    if len(set(found.values())) != 1:
        raise SystemExit(f"{case.title}: the sides disagree on the pairs, so times mean nothing: {found}")


def account_of(out: Path) -> tuple[int, int, int]:
    """Return rows and an order-free hash of the ids of a written catalog, and the bytes of all its partitions."""
    files = sorted((open_hats(out).path / "dataset").glob("Norder=*/Dir=*/Npix=*.parquet"))
    names = [n for n in ("id", "id_a", "id_b") if n in pq.read_schema(files[0]).names]
    pairs = pa.concat_tables(pq.read_table(f, columns=names, partitioning=None) for f in files)
    check = order_free_hash(*(pairs.column(c).to_numpy() for c in names))
    return pairs.num_rows, check, sum(f.stat().st_size for f in files)


def summary(case: Case, rows: int) -> list[dict]:
    """Return one row a side: medians of the warm calls, and how many times ours in the same mode the side takes."""
    found = []
    for name, calls in case.warm.items():
        last = calls[-1]
        tasks, pickled = last["tasks"], last["bytes_pickled"]
        found.append(
            {
                "work": case.title,
                "rows": f"{rows / MILLION:g} M",
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
        if not row["side"].startswith(OURS):
            ours = sides[f"{OURS}, {'distributed' if 'distributed' in row['side'] else 'threads'}"]
            row["peer / ours"] = row["warm s"] / ours["warm s"]
            row["CPU peer / ours"] = row["CPU s"] / ours["CPU s"]
    return found


def median(calls: list[dict], name: str) -> float:
    return statistics.median(call[name] for call in calls)


def judged(rows: list[dict]) -> list[dict]:
    """Return one row for each goal and size: what was wanted, what was found."""
    by_case: dict[tuple, dict] = {}
    for row in rows:
        by_case.setdefault((row["work"], row["rows"]), {})[row["side"]] = row
    found = []
    for (work, size), sides in by_case.items():
        for goal in goals():
            if work.startswith(goal.case) and goal.peer in sides:
                ratio = sides[goal.peer][goal.number] / sides[goal.ours][goal.number]
                found.append(
                    {
                        "work": work,
                        "rows": size,
                        "what": goal.what,
                        "peer": goal.peer,
                        "peer / ours": ratio,
                        "wanted": goal.wanted,
                        "met": "yes" if ratio >= goal.wanted else "**no**",
                    }
                )
    return found


DIGITS = {
    "warm s": ".2f",
    "cold s": ".1f",
    "CPU s": ".1f",
    "peer / ours": ".2f",
    "CPU peer / ours": ".2f",
    "wanted": ".1f",
    "read / needed": ".2f",
}


def page(rows: list[dict], rounds: int) -> str:
    return f"""{where_and_when()}

Two catalogs of 20 columns, 250 thousand rows a partition (3e5 per square degree), nearest within 1 arcsec; seven
right rows in ten are left ones, 0.2 arcsec off along each axis.

{table(rows, DIGITS, 3)}

Against the goals (work that peers do in more than our seconds, times so many; peak memory likewise):

{table(judged(rows), DIGITS, 4)}

* Warm: median of the later calls of {rounds} fresh processes a side, the sides taking turns. Cold: the first calls,
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
* "CPU s", "MB read" (asked of the operating system in read calls; pyacid maps files, which does not count) and
  "peak MB" (resident, without libraries and mapped files) are of the process and its workers together. "B / task": what
  the client pickles, by task, of a warm call. All sides gave the same pairs.
* Peers: {", ".join(p.replace("==", " ") for p in (*PINS, *ACID_PINS))}.
"""


def wide(folder: Path, rounds: int, calls: int) -> list[dict]:
    """Measure two columns of 300 after the match: what is read, against those columns and the coordinates."""
    left, right = skies.wide_pair(folder / "wide", WIDE_ROWS, WIDE_COLUMNS)
    asked = {**_pair(left, right), "job": "compute", "columns": OF_300, "workers": CORES, "mode": "threads"}
    case = Case(
        "2 columns of 300",
        {
            f"{LSDB}, named after": {**asked, "named": "after"},
            f"{LSDB}, named on opening": {**asked, "named": "opening"},
            OURS: {**asked, "count": True},
        },
    )
    # LSDB needs to be told of the positions when it opens the catalogs.
    case.sides[f"{LSDB}, named on opening"]["columns"] = [*OF_300, "ra_a", "dec_a", "ra_b", "dec_b"]
    carry_out(case, rounds, calls, 60.0)
    place = ["ra", "dec", "_healpix_29"]
    needed = skies.bytes_at_rest(left, [*place, "value_7"]) + skies.bytes_at_rest(right, [*place, "value_9"])
    return [
        {
            "side": name,
            "warm s": median(found, "seconds"),
            "cold s": median(case.cold[name], "seconds"),
            "MB read": median(found, "bytes_read") / 1e6,
            "MB of columns": None if found[-1]["bytes_chosen"] is None else found[-1]["bytes_chosen"] / 1e6,
            "MB needed": needed / 1e6,
            "read / needed": (found[-1]["bytes_chosen"] or median(found, "bytes_read")) / needed,
            "peak MB": max(c["peak_bytes"] for c in found) / 1e6,
        }
        for name, found in case.warm.items()
    ]


def wide_page(rows: list[dict]) -> str:
    ours = next(row for row in rows if row["side"] == OURS)
    met = "met" if ours["read / needed"] <= 1.2 else "**not met**"
    return f"""{where_and_when()}

{WIDE_ROWS:,} rows a side, {WIDE_COLUMNS} columns a side, one column of each kept after the match. Goal: bytes read at
most 1.2 of those columns and the coordinates (ra, dec, `_healpix_29`): {met}.

{table(rows, {**DIGITS, "MB read": ".1f", "MB of columns": ".1f", "MB needed": ".1f"}, 1)}

* "MB read" is what was asked of the operating system, footers included; "MB of columns" the compressed bytes of the
  column chunks, as our store counts them. The ratio is of the latter where it is known.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="1,4", help="millions of rows a side (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=2, help="fresh processes of each side (default %(default)s)")
    parser.add_argument("--calls", type=int, default=3, help="warm calls in each, at most (default %(default)s)")
    parser.add_argument("--budget", type=float, default=5.0, help="stop warm calls after so many seconds (%(default)s)")
    parser.add_argument("--only", default="", help='cases with this in their title, such as "write, 3 columns"')
    parser.add_argument("--data", type=Path, help="keep the catalogs here, and use them again")
    parser.add_argument("--low-latency", action="store_true", help="only positions, light curves, and start-up")
    asked = parser.parse_args()
    sizes = [round(float(size) * MILLION) for size in asked.sizes.split(",")]
    with tempfile.TemporaryDirectory(prefix="lsdb_ts-bench-") as temporary:
        folder = asked.data or Path(temporary)
        if asked.low_latency:
            from latency import measure

            measure(folder, asked.rounds)
            return
        rows: list[dict] = []
        raw: dict[str, Mapping] = {}
        for n, case in matches(folder, sizes, asked.only):
            carry_out(case, asked.rounds, asked.calls, asked.budget)
            compare(case)
            found = summary(case, n)
            print(table(found, DIGITS, 3), end="\n\n", flush=True)
            rows += found
            raw[f"{case.title}, {n}"] = asdict(case)
            record("Crossmatch", page(rows, asked.rounds), raw)
        if asked.only in "2 columns of 300":
            columns = wide(folder, asked.rounds, asked.calls)
            print(wide_page(columns))
            record("Two columns of 300", wide_page(columns), {"rows": columns})


if __name__ == "__main__":
    main()
