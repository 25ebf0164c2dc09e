"""Features of whole catalogs, from disk to disk: time an object by the size of the catalog, and memory as projected.

    python benchmarks/scaling.py [--data FOLDER] [--sizes 10 100 1000] [--set fast] [--epochs-of-one 30] [--anew]

Objects of 100 epochs in six bands; ``catalog.features(...).write()`` of every catalog in a fresh process that has done
so with a small one before. Memory is what the processes hold beyond what they held then, against what ``explain()``
says. One partition of many millions of epochs is computed with less memory than it takes at once. Writes a section of
RESULTS.md.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import numpy as np  # noqa: E402  (what follows is found from the root)
import pyarrow as pa  # noqa: E402
from curves import BANDS  # noqa: E402
from features_page import judged  # noqa: E402
from report import record, recorded, table, where_and_when  # noqa: E402
from sides import CORES, OURS, Case, side  # noqa: E402

import lsdb_ts as lt  # noqa: E402
from lsdb_ts.features import FeatureSet  # noqa: E402
from lsdb_ts.schema import HEALPIX  # noqa: E402
from lsdb_ts.sky import Pixel  # noqa: E402
from lsdb_ts.sky.pixel import MAX_ORDER, centre  # noqa: E402
from lsdb_ts.store.finish import CatalogInfo, finish_catalog  # noqa: E402
from lsdb_ts.store.write import LeafFile  # noqa: E402

SECTION = "Features at scale"
EPOCHS = 100
SMALL = 600
MOST_OBJECTS = 10_000
"""In a partition of the catalogs that grow."""
DRAWN_AT_ONCE = 50_000
BUDGET_MB = 2_500
"""What the process may use that computes one partition of many epochs."""
ALLOWED = 1.5
"""Memory held over memory projected, at most."""
FLAT = 1.25
"""Time an object of the largest catalog over that of the smallest, at most."""
DIGITS = {"s": ".1f", "us / object": ".1f", "CPU us / object": ".1f", "held / projected": ".2f"}


def catalog(folder: Path, objects: int, order: int) -> Path:
    """Return a catalog of light curves with equally many objects in each pixel of an order; it is made if missing."""
    path = folder / f"curves_{objects}_{order}"
    if (path / "hats.properties").exists():
        return path
    pixels = [Pixel(order, n) for n in range(12 << (2 * order))]
    return _written(path, pixels, objects // len(pixels))


def partition(folder: Path, objects: int) -> Path:
    """Return a catalog of one partition."""
    path = folder / f"one_{objects}"
    return path if (path / "hats.properties").exists() else _written(path, [Pixel(2, 70)], objects)


def _written(path: Path, pixels: list[Pixel], each: int) -> Path:
    leaves = []
    for pixel in pixels:
        rng = np.random.default_rng([pixel.order, pixel.number, each])
        place = np.sort(rng.integers(pixel.start, pixel.stop, each))
        with LeafFile(path, pixel) as file:
            for start in range(0, each, DRAWN_AT_ONCE):
                rows = _drawn(rng, place[start : start + DRAWN_AT_ONCE])
                file.add_rows(rows)
            leaves.append(file.close().flush())
    finish_catalog(path, CatalogInfo(path.name, "object", rows.schema, "ra", "dec"), leaves)
    return path


def _drawn(rng: np.random.Generator, place: np.ndarray) -> pa.Table:
    n, shape = place.size, (place.size, EPOCHS)
    ra, dec = centre(place, MAX_ORDER)
    time = np.sort(60_980.0 + rng.uniform(0.0, 1826.0, shape), axis=1)
    level, period = rng.lognormal(9.0, 1.0, (n, 1)), rng.uniform(0.2, 1.2, (n, 1))
    error = level * rng.uniform(0.01, 0.04, shape)
    flux = level * (1.0 + 0.15 * (place[:, None] % 3) * (0.5 - time / period % 1.0)) + error * rng.normal(size=shape)
    offsets = pa.array(np.arange(n + 1, dtype=np.int32) * EPOCHS)
    parts = {
        "midpointMjdTai": pa.array(time.ravel()),
        "psfFlux": pa.array(flux.ravel().astype("f4")),
        "psfFluxErr": pa.array(error.ravel().astype("f4")),
        "band": pa.array(np.array(list(BANDS))[rng.integers(0, len(BANDS), n * EPOCHS)]),
    }
    lists = pa.StructArray.from_arrays([pa.ListArray.from_arrays(offsets, v) for v in parts.values()], list(parts))
    return pa.table({HEALPIX: place, "objectId": rng.integers(0, 1 << 60, n), "ra": ra, "dec": dec, "lc": lists})


def case(title: str, path: Path, small: Path, out: Path, modes: list[str], feature_set: str) -> Case:
    """Return how a catalog is asked for, and what is projected for it."""
    opened = lt.open_catalog(path)
    plan = opened.features(getattr(FeatureSet, feature_set)(BANDS), lightcurve="lc").explain()
    at_once = min(CORES, plan.tasks)
    asked = {"job": "at_scale", "catalogs": [str(small), str(path)], "out": str(out), "feature_set": feature_set}
    sides = {f"{OURS}, {feature_set}, {mode}": {**asked, "mode": mode, "workers": CORES} for mode in modes}
    found = Case(title, sides, opened.plan.count or 0, f"{datetime.now(tz=UTC):%Y-%m-%d %H:%M}")
    for name, request in sides.items():
        with side(name, request) as process:
            found.cold[name] = [process.call()]
            found.warm[name] = [
                {**process.call(), "projected_bytes": at_once * plan.bytes_per_task, "tasks": plan.tasks}
            ]
    return found


def streamed(path: Path, small: Path, out: Path, feature_set: str) -> Case:
    """Return what one partition took where a process may use less than it takes at once."""
    os.environ["LSDB_TS_MEMORY_MB"] = str(BUDGET_MB)
    rows = lt.open_catalog(path).plan.count or 0
    try:
        return case(
            f"one partition of {rows * EPOCHS // 1_000_000} M epochs", path, small, out, ["threads"], feature_set
        )
    finally:
        del os.environ["LSDB_TS_MEMORY_MB"]


def summary(case: Case) -> list[dict]:
    """Return one row a side."""
    rows = []
    for name, (*_, call) in case.warm.items():
        held = call["peak_bytes"] - call["idle_bytes"]
        rows.append(
            {
                "catalog": case.title,
                "side": name,
                "partitions": call["tasks"],
                "s": call["seconds"],
                "us / object": call["seconds"] / call["rows"] * 1e6,
                "CPU us / object": call["cpu_seconds"] / call["rows"] * 1e6,
                "projected MB": call["projected_bytes"] / 1e6,
                "held MB": held / 1e6,
                "held / projected": held / call["projected_bytes"],
                "process MB": call["peak_bytes"] / 1e6,
            }
        )
    return rows


def goals(found: Mapping[str, Case]) -> list[dict]:
    """Return one row a goal of issue 5."""
    growing = sorted((c for c in found.values() if not c.title.startswith("one")), key=lambda c: c.rows)
    judgements = []
    for name in dict.fromkeys(name for c in growing for name in c.warm):
        rows = [row for c in growing for row in summary(c) if row["side"] == name]
        slower = rows[-1]["CPU us / object"] / rows[0]["CPU us / object"] if len(rows) > 1 else None
        what = f"{name}: time an object, largest over smallest, at most"
        judgements.append(judged("growing", what, slower, FLAT, at_least=False))
    rows = [row for c in found.values() for row in summary(c)]
    whole = max((r["held / projected"] for r in rows), default=None)
    judgements.append(judged("all", "memory held / projected, at most", whole, ALLOWED, at_least=False))
    large = [row for c in found.values() if c.title.startswith("one") for row in summary(c)]
    used = max((row["process MB"] for row in large), default=None)
    judgements.append(judged("one partition", "MB of the process, at most", used, BUDGET_MB, at_least=False))
    return judgements


def page(found: Mapping[str, Case]) -> str:
    """Return the section's text."""
    cases = sorted(found.values(), key=lambda c: (c.title.startswith("one"), c.rows))
    made = sorted(c.made for c in cases)
    return f"""{where_and_when()} Cases measured from {made[0]} to {made[-1]} UTC.

{table([row for c in cases for row in summary(c)], DIGITS, 2)}

Against the goals:

{table(goals(found), {"found": ",.2f", "wanted": ",g"}, 3)}

* Objects of {EPOCHS} epochs in six bands, `catalog.features(FeatureSet.fast()).write()` (or another set, as named) to a
  catalog with its metadata; a call in a process that has written a small one before. "threads": one process of
  {CORES}; "distributed": a local cluster of {CORES} workers, all processes together.
* Memory: "projected" is what `explain()` expects of a task, times the tasks at a time; "held" is what was held beyond
  what lay there before the call, while the footers of all files become the catalog's metadata, too; libraries and
  mapped files do not count. One partition: the process was told to use
  {BUDGET_MB:,} MB (`LSDB_TS_MEMORY_MB`), so that the partition is computed in finer pixels; what is projected for it is
  all of it at once.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="keep the catalogs here, and use them again")
    parser.add_argument("--sizes", type=float, nargs="*", default=[10, 100, 1000], help="thousands of objects")
    parser.add_argument("--modes", nargs="+", default=["threads", "distributed"], choices=["threads", "distributed"])
    parser.add_argument("--set", default="fast", help="a constructor of FeatureSet (default %(default)s)")
    parser.add_argument("--epochs-of-one", type=int, default=30, help="millions, in one partition; 0 for none")
    parser.add_argument("--anew", action="store_true", help="forget what earlier runs found")
    asked = parser.parse_args()
    found = {} if asked.anew else {key: Case(**raw) for key, raw in recorded(SECTION).items()}
    with tempfile.TemporaryDirectory(prefix="lsdb_ts-bench-") as temporary:
        data = asked.data or Path(temporary)
        small, out = catalog(data, SMALL, 0), data / "out"

        def kept(case: Case, name: str) -> None:
            found[f"{name}, {asked.set}"] = case
            print(table(summary(case), DIGITS, 2), end="\n\n", flush=True)
            record(SECTION, page(found), {key: asdict(case) for key, case in found.items()})

        for thousands in asked.sizes:
            objects = round(thousands * 1000)
            order = next(k for k in range(9) if objects <= MOST_OBJECTS * (12 << (2 * k)))
            path, title = catalog(data, objects, order), f"{thousands:g} k objects"
            kept(case(title, path, small, out, asked.modes, asked.set), title)
        if asked.epochs_of_one:
            path = partition(data, asked.epochs_of_one * 1_000_000 // EPOCHS)
            kept(streamed(path, small, out, asked.set), f"one partition of {asked.epochs_of_one} M epochs")


if __name__ == "__main__":
    main()
