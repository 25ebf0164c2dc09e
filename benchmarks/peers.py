"""How fast, beside LSDB and hats-import in their own environment, in one run: repartition, crossmatch, write.

    python benchmarks/peers.py [--rows N] [--repeats K]

Sides take turns, repeat by repeat, so that a busy machine is busy for all of them. Every number is of warm processes:
the first run of each side, which imports and compiles, is given apart. The rows of all sides are compared before any
time is believed. Prints tables, writes `benchmarks/results.json` (all repeats) and `benchmarks/RESULTS.md`.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from meter import REPLY, order_free_hash  # noqa: E402  (what follows is found from the root)

from lsdb_ts.store.hats import open_hats  # noqa: E402
from tests.interop.environment import PINS, peer_environment  # noqa: E402

FILES = 4
VALUES = 8
RADIUS_ARCSEC = 1.0
MARGIN_ARCSEC = 5.0
FEW = ["id_a", "id_b", "_dist_arcsec"]
OURS = "lsdb_ts"


@dataclass
class Case:
    """One piece of work and how each side is asked for it; the first side is the yardstick."""

    title: str
    sides: dict[str, dict]
    """Side -> request for side_ours.py or side_lsdb.py."""
    runs: dict[str, list[dict]] = field(default_factory=dict)


def raw_files(folder: Path, rows: int) -> tuple[list[str], list[str]]:
    """Write two tables of one patch of sky, unsorted, the second 0.2 arcsec off."""
    rng = np.random.default_rng(7)
    ra, dec = rng.uniform(0, 20, rows), np.degrees(np.arcsin(rng.uniform(-0.15, 0.15, rows)))
    shift = 0.2 / 3600
    return (
        _write(folder / "a", rng, ra, dec, 0),
        _write(folder / "b", rng, ra + rng.normal(0, shift, rows), dec + rng.normal(0, shift, rows), rows),
    )


def _write(folder: Path, rng: np.random.Generator, ra: np.ndarray, dec: np.ndarray, first_id: int) -> list[str]:
    folder.mkdir(parents=True)
    values = {f"value_{i}": rng.normal(size=ra.size) for i in range(VALUES)}
    table = pa.table({"id": np.arange(ra.size) + first_id, "ra": np.mod(ra, 360), "dec": dec, **values})
    paths = [folder / f"{i}.parquet" for i in range(FILES)]
    for path, part in zip(paths, np.array_split(np.arange(ra.size), FILES), strict=True):
        pq.write_table(table.slice(part[0], part.size), path)
    return [str(path) for path in paths]


def cases(folder: Path, left: list[str], right: list[str], rows: int) -> list[Case]:
    """Return the work in order: the catalogs hats-import makes of both tables are what all sides then match."""
    layout = {"max_rows": max(rows // 12, 1), "margin_arcsec": MARGIN_ARCSEC}
    match = {"left": str(folder / "peer" / "a"), "right": str(folder / "peer" / "b"), "radius_arcsec": RADIUS_ARCSEC}
    peer = {"job": "repartition", **layout}
    return [
        Case(
            "repartition",
            {
                "hats-import": {**peer, "files": left, "out": str(folder / "peer" / "a"), "zstd": False},
                "hats-import, zstd-3": {**peer, "files": left, "out": str(folder / "peer3" / "a"), "zstd": True},
                OURS: {**peer, "files": left, "out": str(folder / "ours" / "a")},
            },
        ),
        Case(
            "crossmatch, compute all columns",
            {
                "LSDB": {"job": "crossmatch", **match, "columns": None},
                OURS: {"job": "crossmatch", **match, "columns": None},
            },
        ),
        Case(
            "crossmatch, compute 3 columns",
            {
                "LSDB": {"job": "crossmatch", **match, "columns": FEW},
                OURS: {"job": "crossmatch", **match, "columns": FEW},
            },
        ),
        Case(
            "crossmatch, write all columns",
            {
                "LSDB": {"job": "write", **match, "out": str(folder / "peer" / "matched"), "zstd": False},
                "LSDB, zstd-3": {"job": "write", **match, "out": str(folder / "peer3" / "matched"), "zstd": True},
                OURS: {"job": "write", **match, "out": str(folder / "ours" / "matched")},
            },
        ),
    ]


class Side:
    """A process that does one job whenever it is asked to."""

    def __init__(self, python: str, script: str, request: dict) -> None:
        clean = {k: v for k, v in os.environ.items() if k not in {"PYTHONPATH", "VIRTUAL_ENV", "PYTHONWARNINGS"}}
        ours = {"PYTHONPATH": str(HERE.parent)} if script == "side_ours.py" else {}
        self._errors = tempfile.TemporaryFile(mode="w+")  # noqa: SIM115  (closed with the process)
        self._process = subprocess.Popen(
            [python, str(HERE / script), json.dumps(request)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env={**clean, **ours},
        )

    def run(self) -> dict:
        print("go", file=self._process.stdin, flush=True)
        for line in self._process.stdout:
            if line.startswith(REPLY):
                return json.loads(line.removeprefix(REPLY))
        self._errors.seek(0)
        raise SystemExit(f"a side failed:\n{self._errors.read()[-4000:]}")

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait(timeout=60)
        self._errors.close()


@contextmanager
def side(name: str, request: dict, peer_python: str) -> Iterator[Side]:
    ours = name == OURS
    started = Side(sys.executable if ours else peer_python, "side_ours.py" if ours else "side_lsdb.py", request)
    try:
        yield started
    finally:
        started.close()


def carry_out(case: Case, peer_python: str, repeats: int) -> None:
    """Warm every side up, then let them take turns; check what they wrote or returned."""
    with ExitStack() as stack:
        sides = {n: stack.enter_context(side(n, request, peer_python)) for n, request in case.sides.items()}
        for _ in range(1 + repeats):
            for name, process in sides.items():
                case.runs.setdefault(name, []).append(process.run())
    for name, request in case.sides.items():
        if "out" in request:
            rows, check, size = account_of(Path(request["out"]))
            case.runs[name][-1].update(rows=rows, check=check, bytes_written=size)
    found = {name: (runs[-1]["rows"], runs[-1]["check"]) for name, runs in case.runs.items()}
    if len(set(found.values())) != 1:
        raise SystemExit(f"{case.title}: the sides disagree on the rows, so times mean nothing: {found}")


def account_of(out: Path) -> tuple[int, int, int]:
    """Return rows and an order-free hash of the ids of the primary catalog, and the bytes of all its partitions."""
    primary = open_hats(out).path
    files = sorted((primary / "dataset").glob("Norder=*/Dir=*/Npix=*.parquet"))
    names = sorted({"id", "id_a", "id_b"} & set(pq.read_schema(files[0]).names))
    table = pa.concat_tables(pq.read_table(f, columns=names, partitioning=None) for f in files)
    ids = [table.column(c).to_numpy() for c in names]
    return table.num_rows, order_free_hash(*ids), sum(f.stat().st_size for f in files)


def summary(case: Case) -> list[dict]:
    """Return one row a side: medians of the warm repeats, and how many times as long the side takes as ours."""
    seconds = {n: statistics.median(r["seconds"] for r in runs[1:]) for n, runs in case.runs.items()}
    return [
        {
            "work": case.title,
            "side": name,
            "seconds": seconds[name],
            "times ours": seconds[name] / seconds[OURS],
            "first run s": runs[0]["seconds"],
            "tasks": runs[-1]["tasks"],
            "MB read": statistics.median(r["bytes_read"] for r in runs[1:]) / 1e6,
            "peak MB": max(r["peak_rss"] for r in runs) / 1e6,
            "MB written": runs[-1].get("bytes_written", 0) / 1e6,
            "rows": runs[-1]["rows"],
        }
        for name, runs in case.runs.items()
    ]


def as_markdown(rows: list[dict]) -> str:
    digits = {"seconds": ".2f", "times ours": ".2f", "first run s": ".1f", "rows": ","}
    lines = [f"| {' | '.join(rows[0])} |", f"|{' --- |' * 2}{' ---: |' * (len(rows[0]) - 2)}"]
    for row in rows:
        cells = [v if isinstance(v, str) else format(v, digits.get(k, ".0f")) for k, v in row.items()]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def page(rows: list[dict], n_rows: int, repeats: int) -> str:
    ours = {p: version(p) for p in ("lsdb_ts", "dask", "pyarrow", "pandas", "numba", "numpy")}
    return f"""# Beside the peers

Made by `make bench` ({datetime.now(tz=UTC):%Y-%m-%d}, {os.cpu_count()} cores, {platform.system()} {platform.machine()},
Python {platform.python_version()}): two tables of {n_rows:,} rows and {VALUES + 3} columns each over 20 x 17 degrees,
the second displaced by 0.2 arcsec.

{as_markdown(rows)}

* Medians of {repeats} repeats in warm processes, the sides taking turns; "first run" includes imports and compilation.
* "MB read" is what was asked of the operating system in read calls (our repartition maps its scratch files into
  memory, and those do not count); "peak MB" is the resident memory of the process and its workers, libraries
  included; "tasks" are pieces of work given to a scheduler or pool.
* Load average of the machine (five minutes) at the end: {os.getloadavg()[1]:.1f}; above the number of cores, others
  were at work on it too, which the taking of turns evens out but does not remove.
* The catalogs matched are those that hats-import wrote, margins included. All sides gave the same rows.
* hats-import runs on a Dask cluster of {os.cpu_count()} worker processes, as its documentation proposes,
  started before the clock; lsdb_ts and LSDB run on threads, without a client.
* "3 columns" are chosen after the match, on both sides. Who names columns when opening reads fewer in LSDB, too.
* "zstd-3": the compression level that lsdb_ts uses, in place of the peers' default of 15.
* Ours: {", ".join(f"{p} {v}" for p, v in ours.items())}. Peers: {", ".join(p.replace("==", " ") for p in PINS)}.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000, help="rows of each table (default %(default)s)")
    parser.add_argument("--repeats", type=int, default=3, help="measured repeats of each side (default %(default)s)")
    asked = parser.parse_args()
    peer_python = str(peer_environment().python)
    with tempfile.TemporaryDirectory(prefix="lsdb_ts-bench-") as folder:
        left, right = raw_files(Path(folder) / "raw", asked.rows)
        done = cases(Path(folder), left, right, asked.rows)
        second_catalog = {**done[0].sides["hats-import"], "files": right, "out": str(Path(folder) / "peer" / "b")}
        with side("hats-import", second_catalog, peer_python) as process:
            process.run()
        for case in done:
            carry_out(case, peer_python, asked.repeats)
            print(as_markdown(summary(case)), end="\n\n", flush=True)
    rows = [row for case in done for row in summary(case)]
    (HERE / "results.json").write_text(json.dumps({case.title: case.runs for case in done}, indent=1))
    (HERE / "RESULTS.md").write_text(page(rows, asked.rows, asked.repeats))


if __name__ == "__main__":
    main()
