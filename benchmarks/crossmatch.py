"""How fast, and at what cost, a crossmatch is beside LSDB and pyacid, each in its own environment.

    python benchmarks/crossmatch.py [--sizes 1,4,10] [--only "write, 3 columns*" ...] [--sides threads,pyacid]
    python benchmarks/crossmatch.py --low-latency

Same rows, same two workers, sides in turns. A cold call is the first of a fresh process, imports included; warm ones
are later calls. The pairs of all sides are compared before any time is believed. Times of peers are divided by ours;
what we lose is printed like what we win. Writes sections of RESULTS.md after each case; what earlier runs found of
other cases, sizes and sides stays, so that it may be measured in pieces.
"""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from fnmatch import fnmatch
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import pyarrow as pa  # noqa: E402  (what follows is found from the root)
import pyarrow.parquet as pq  # noqa: E402
import skies  # noqa: E402
from crossmatch_page import DIGITS, MILLION, MODES, OF_300, ZSTD_3, median, page, summary, wide_page  # noqa: E402
from meter import order_free_hash  # noqa: E402
from report import record, recorded, table  # noqa: E402
from sides import ACID, CORES, LSDB, OURS, Case, carry_out  # noqa: E402

from lsdb_ts.store.hats import open_hats  # noqa: E402

RADIUS_ARCSEC = 1.0
THREE = [f"{name}_{side}" for side in "ab" for name in ("id", "ra", "dec")] + ["_dist_arcsec"]
TWO_OF_300 = ["value_7_a", "value_9_b"]
WIDE_COLUMNS = 150
WIDE_ROWS = 250_000
LEAST_DIFFERING = 4 * MILLION
"""Fewer rows are one right partition of some order, without a margin, which pyacid does not match."""
LAYOUTS = ("", ", unsorted", ", orders differ")
SECTION, WIDE_SECTION = "Crossmatch", "Two columns of 300"


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


def titles() -> Iterator[tuple[str, str, list | None, str]]:
    """Yield (title of a case, job, columns, layout) of all cases but that of 300 columns."""
    for layout in LAYOUTS:
        for word, columns in (("3 columns", THREE), ("all columns", None)):
            for job in ("compute", "write"):
                yield f"{job}, {word}{layout}", job, columns, layout


def catalogs(here: Path, rows: int, layout: str) -> list[Path]:
    """Return both sides in a layout; they are made where they are not there."""
    if layout == ", orders differ":
        return list(skies.pair_of_catalogs(here / "uneven", rows, orders_differ=True))
    even = skies.pair_of_catalogs(here / "even", rows)
    return [skies.unsorted(p, here / "unsorted" / p.name) for p in even] if layout else list(even)


def cases(folder: Path, sizes: list[int], chosen: list[str], sides: list[str]) -> Iterator[Case]:
    """Yield the chosen cases, smallest first, each of the chosen sides only."""
    for rows in sizes:
        here = folder / str(rows)
        for title, job, columns, layout in titles():
            if not any(fnmatch(title, pattern) for pattern in chosen):
                continue
            if "differ" in layout and rows < LEAST_DIFFERING:
                continue
            left, right = catalogs(here, rows, layout)
            asked = computes(left, right, columns) if job == "compute" else writes(left, right, columns, here / "out")
            made = f"{datetime.now(tz=UTC):%Y-%m-%d %H:%M}"
            yield Case(title, {n: r for n, r in asked.items() if any(word in n for word in sides)}, rows, made)


def compare(case: Case, earlier: Case | None = None) -> Case:
    """Read what was written, put what was found of other sides before beside it; stop if any disagree on the pairs."""
    for name, request in case.sides.items():
        if "out" in request:
            rows, check, size = account_of(Path(request["out"]))
            case.warm[name][-1].update(rows=rows, check=check, bytes_written=size)
    whole = case if earlier is None else earlier.with_sides_of(case)
    found = {name: (calls[-1]["rows"], calls[-1]["check"]) for name, calls in whole.warm.items()}
    if len(set(found.values())) != 1:
        raise SystemExit(
            f"{case.title}: the sides disagree on the pairs, so times mean nothing (if the catalogs were drawn anew "
            f"since, start with --anew): {found}"
        )
    return whole


def account_of(out: Path) -> tuple[int, int, int]:
    """Return rows and an order-free hash of the ids of a written catalog, and the bytes of all its partitions."""
    files = sorted((open_hats(out).path / "dataset").glob("Norder=*/Dir=*/Npix=*.parquet"))
    names = [n for n in ("id", "id_a", "id_b") if n in pq.read_schema(files[0]).names]
    pairs = pa.concat_tables(pq.read_table(f, columns=names, partitioning=None) for f in files)
    check = order_free_hash(*(pairs.column(c).to_numpy() for c in names))
    return pairs.num_rows, check, sum(f.stat().st_size for f in files)


def wide(folder: Path, rounds: int, calls: int) -> list[dict]:
    """Measure two columns of 300 after the match: what is read, against those columns and the coordinates."""
    left, right = skies.wide_pair(folder / "wide", WIDE_ROWS, WIDE_COLUMNS)
    asked = {**_pair(left, right), "job": "compute", "columns": TWO_OF_300, "workers": CORES, "mode": "threads"}
    case = Case(
        OF_300,
        {
            f"{LSDB}, named after": {**asked, "named": "after"},
            f"{LSDB}, named on opening": {**asked, "named": "opening"},
            OURS: {**asked, "count": True},
        },
    )
    # LSDB needs to be told of the positions when it opens the catalogs.
    case.sides[f"{LSDB}, named on opening"]["columns"] = [*TWO_OF_300, "ra_a", "dec_a", "ra_b", "dec_b"]
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


def in_order(found: dict[str, Case]) -> list[Case]:
    """Return cases by size, then as `titles` has them."""
    places = {title: i for i, (title, *_) in enumerate(titles())}
    return sorted(found.values(), key=lambda case: (case.rows, places[case.title]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="1,4", help="millions of rows a side (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=2, help="fresh processes of each side (default %(default)s)")
    parser.add_argument("--calls", type=int, default=3, help="warm calls in each, at most (default %(default)s)")
    parser.add_argument("--budget", type=float, default=5.0, help="stop warm calls after so many seconds (%(default)s)")
    parser.add_argument("--only", nargs="+", default=["*"], help='titles, such as "write, 3 columns*" or "2 columns*"')
    parser.add_argument("--sides", default="", help="sides with one of these words in their names (default: all)")
    parser.add_argument("--data", type=Path, help="keep the catalogs here, and use them again")
    parser.add_argument("--anew", action="store_true", help="forget what earlier runs found")
    parser.add_argument("--list", action="store_true", help="print the titles and do nothing")
    parser.add_argument("--low-latency", action="store_true", help="only positions, light curves, and start-up")
    asked = parser.parse_args()
    if asked.list:
        print(*(title for title, *_ in titles()), OF_300, sep="\n")
        return
    sizes = [round(float(size) * MILLION) for size in asked.sizes.split(",")]
    with tempfile.TemporaryDirectory(prefix="lsdb_ts-bench-") as temporary:
        folder = asked.data or Path(temporary)
        if asked.low_latency:
            from latency import measure

            measure(folder, asked.rounds)
            return
        found = {} if asked.anew else {key: Case(**raw) for key, raw in recorded(SECTION).items()}
        columns = [] if asked.anew else recorded(WIDE_SECTION).get("rows", [])
        if any(fnmatch(OF_300, pattern) for pattern in asked.only):
            columns = wide(folder, asked.rounds, asked.calls)
            text = wide_page(columns, WIDE_ROWS, WIDE_COLUMNS)
            print(text, flush=True)
            record(WIDE_SECTION, text, {"rows": columns})
        for case in cases(folder, sizes, asked.only, asked.sides.split(",")):
            carry_out(case, asked.rounds, asked.calls, asked.budget)
            key = f"{case.title}, {case.rows}"
            found[key] = compare(case, found.get(key))
            shutil.rmtree(folder / str(case.rows) / "out", ignore_errors=True)
            print(table(summary(case), DIGITS, 3), end="\n\n", flush=True)
            record(SECTION, page(in_order(found), columns), {key: asdict(case) for key, case in found.items()})
        if found:
            record(SECTION, page(in_order(found), columns), {key: asdict(case) for key, case in found.items()})


if __name__ == "__main__":
    main()
