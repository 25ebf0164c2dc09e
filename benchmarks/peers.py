"""How fast a table becomes a catalog with its margin, beside hats-import in its own environment, in one run.

    python benchmarks/peers.py [--rows N] [--rounds K]

The rows of all sides are compared before any time is believed. Writes a section of RESULTS.md. Crossmatches are
measured by crossmatch.py.
"""

import argparse
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import numpy as np  # noqa: E402  (what follows is found from the root)
import pyarrow as pa  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402
from crossmatch import account_of, compare, median  # noqa: E402
from report import record, table, where_and_when  # noqa: E402
from sides import CORES, OURS, Case, carry_out  # noqa: E402

from tests.interop.environment import PINS  # noqa: E402

FILES = 4
VALUES = 8
MARGIN_ARCSEC = 5.0


def raw_files(folder: Path, rows: int) -> list[str]:
    """Write a table of one patch of sky, unsorted."""
    rng = np.random.default_rng(7)
    folder.mkdir(parents=True)
    values = {f"value_{i}": rng.normal(size=rows) for i in range(VALUES)}
    ra, dec = rng.uniform(0, 20, rows), np.degrees(np.arcsin(rng.uniform(-0.15, 0.15, rows)))
    made = pa.table({"id": np.arange(rows), "ra": ra, "dec": dec, **values})
    paths = [folder / f"{i}.parquet" for i in range(FILES)]
    for path, part in zip(paths, np.array_split(np.arange(rows), FILES), strict=True):
        pq.write_table(made.slice(part[0], part.size), path)
    return [str(path) for path in paths]


def repartition(folder: Path, files: list[str], rows: int) -> Case:
    asked = {"job": "repartition", "files": files, "max_rows": max(rows // 12, 1), "margin_arcsec": MARGIN_ARCSEC}
    return Case(
        "repartition",
        {
            "hats-import": {**asked, "out": str(folder / "peer"), "zstd": False},
            "hats-import, zstd-3": {**asked, "out": str(folder / "peer3"), "zstd": True},
            OURS: {**asked, "out": str(folder / "ours")},
        },
    )


def summary(case: Case) -> list[dict]:
    """Return one row a side: medians of the warm calls, and how many times as long the side takes as ours."""
    ours = median(case.warm[OURS], "seconds")
    return [
        {
            "side": name,
            "warm s": median(calls, "seconds"),
            "peer / ours": median(calls, "seconds") / ours,
            "cold s": median(case.cold[name], "seconds"),
            "tasks": calls[-1]["tasks"],
            "MB read": median(calls, "bytes_read") / 1e6,
            "peak MB": max(c["peak_bytes"] for c in calls) / 1e6,
            "MB written": account_of(Path(case.sides[name]["out"]))[2] / 1e6,
            "rows": calls[-1]["rows"],
        }
        for name, calls in case.warm.items()
    ]


def page(rows: list[dict], n_rows: int) -> str:
    return f"""{where_and_when()}

A table of {n_rows:,} rows and {VALUES + 3} columns over 20 x 17 degrees becomes a collection of some 16 partitions and
a margin of {MARGIN_ARCSEC:g} arcsec.

{table(rows, {"warm s": ".2f", "peer / ours": ".2f", "cold s": ".1f"}, 1)}

* Warm: medians of later calls; cold: the first call of a process, imports and compilation included.
* "MB read" is what was asked of the operating system in read calls (our repartition maps its scratch files into memory,
  and those do not count); "peak MB" is resident memory without libraries and mapped files, workers included.
* hats-import runs on a Dask cluster of {CORES} worker processes, as its documentation proposes, started before the
  clock; lsdb_ts on threads. "zstd-3": the level that lsdb_ts uses, in place of hats-import's default of 15.
* All sides wrote the same rows. Peers: {", ".join(p.replace("==", " ") for p in PINS)}.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000, help="rows of the table (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=2, help="fresh processes of each side (default %(default)s)")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lsdb_ts-bench-") as folder:
        case = repartition(Path(folder), raw_files(Path(folder) / "raw", asked.rows), asked.rows)
        carry_out(case, asked.rounds, 2, 30.0)
        compare(case)
        found = summary(case)
    print(page(found, asked.rows))
    record("Repartition", page(found, asked.rows), asdict(case))


if __name__ == "__main__":
    main()
