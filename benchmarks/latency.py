"""How soon the answer to a small question is there, cold and warm: ten thousand positions, one light curve, a start.

Called by ``crossmatch.py --low-latency``.
"""

import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import skies
from report import record, table, where_and_when
from sides import LSDB, OURS, Case, carry_out

from lsdb_ts.sky import Layout, spatial_index
from lsdb_ts.store.hats import open_hats
from lsdb_ts.testing import perturbed, simulate_survey
from partitioner import Survey, run

POSITIONS = 10_000
PARTITIONS = 12
CATALOGS = 10
ROWS = 1_000_000
OBJECTS = 20_000
STARTS = 5
IN_A_ROW = 9
"""Questions asked right before the one that is timed, where a program asks many."""
CALLS = 60
"""Warm calls of a question, at most: Python itself takes some ten calls to be warm."""
RADIUS_ARCSEC = 1.0
GOALS = {"one": 0.005, "ten": 0.5, "import lsdb_ts": 0.3, "lsdb-ts --help": 0.4, "first crossmatch": 1.0}


def measure(folder: Path, rounds: int) -> None:
    rows = [*questions(folder, rounds), *starts(folder)]
    text = f"""{where_and_when()}

{POSITIONS:,} positions in memory against catalogs of {PARTITIONS} partitions of {ROWS:,} rows each, nearest within
1 arcsec, four columns back: in one partition of one catalog, and all over ten such catalogs. One light curve, by id, of
a survey of {OBJECTS:,} objects.

{table(rows, {"warm s": ".4f", "cold s": ".2f", "goal s": ".3f", "MB of columns": ".1f"}, 2)}

* Warm: median of later calls, catalogs open and files in the system's cache; cold: the first call of a fresh process,
  imports and opening included, with compiled code cached. Starts are medians of {STARTS} processes, from start to end;
  of the first crossmatch also until its answer is printed: Python takes its time to tear down what was loaded.
* The answer is a frame. That a catalog is made of the positions counts, except for "positions open". "In a row": right
  after {IN_A_ROW} others; between all other calls the process waits, and the processor forgets what it held.
* "row groups" and "MB of columns" are what our store read in a warm call. "sidecar": with the files that
  `lsdb-ts sidecar` puts beside a catalog; "index": with what `lsdb-ts index` builds. LSDB looks objects up by a
  condition.
"""
    print(text)
    record("Low latency", text, {"rows": rows})


def questions(folder: Path, rounds: int) -> list[dict]:
    first = skies.four_columns(folder / "latency", PARTITIONS * ROWS, ROWS * 6 // 5)
    plain = [str(path) for path in skies.copies(first, CATALOGS)]
    beside = [str(_with_sidecar(Path(path))) for path in plain]
    survey, name = survey_with_curves(folder / "survey")
    one, ten = (seen_again(first, folder / f"seen_{n}.parquet", n) for n in (1, PARTITIONS))
    of_one = {"job": "positions", "radius_arcsec": RADIUS_ARCSEC, "positions": one}
    of_ten = {**of_one, "positions": ten}
    curve = {"job": "lightcurve", "survey": str(survey), "id": name}
    indexed = {**curve, "survey": str(_with_index(survey))}
    cases = {
        "one": Case(
            "10,000 positions, one partition",
            {
                LSDB: {**of_one, "catalogs": plain[:1]},
                OURS: {**of_one, "catalogs": plain[:1]},
                f"{OURS}, sidecar": {**of_one, "catalogs": beside[:1]},
                f"{OURS}, sidecar, positions open": {**of_one, "catalogs": beside[:1], "made": True},
                f"{OURS}, the same, in a row": {
                    **of_one,
                    "catalogs": beside[:1],
                    "made": True,
                    "asked_before": IN_A_ROW,
                },
            },
        ),
        "ten": Case(
            "10,000 positions, ten catalogs",
            {
                f"{LSDB}, one of the ten": {**of_ten, "catalogs": plain[:1]},
                OURS: {**of_ten, "catalogs": plain},
                f"{OURS}, sidecar": {**of_ten, "catalogs": beside},
            },
        ),
        "curve": Case("one light curve by id", {LSDB: curve, OURS: curve, f"{OURS}, index": indexed}),
    }
    found = []
    for key, case in cases.items():
        carry_out(case, rounds, CALLS, 3.0)
        answers = {calls[-1]["rows"] for calls in case.warm.values()}
        if len(answers) != 1:
            raise SystemExit(f"{case.title}: the sides disagree: {answers}")
        found += [_row(case, side, GOALS.get(key)) for side in case.sides]
    return found


def _linked(collection: Path, name: str) -> Path:
    """Return the same catalog under another name, its files shared."""
    made = collection.with_name(name)
    if not made.exists():
        shutil.copytree(collection, made, copy_function=os.link)
        # What is added to a catalog may change this file, and the two share theirs.
        listing = made / "collection.properties"
        text = listing.read_bytes()
        listing.unlink()
        listing.write_bytes(text)
    return made


def _with_sidecar(collection: Path) -> Path:
    from lsdb_ts.store.sidecar_writer import build_sidecar

    made = _linked(collection, f"{collection.name}_beside")
    build_sidecar(made, ["id"])
    return made


def _with_index(collection: Path) -> Path:
    from lsdb_ts.store.index_writer import build_index

    made = _linked(collection, f"{collection.name}_indexed")
    build_index(made, "objectId")
    return made


def _row(case: Case, side: str, goal: float | None) -> dict:
    calls, ours = case.warm[side], side.startswith(OURS)
    warm = statistics.median(call["seconds"] for call in calls)
    chosen = calls[-1]["bytes_chosen"]
    return {
        "question": case.title,
        "side": side,
        "warm s": warm,
        "cold s": statistics.median(call["seconds"] for call in case.cold[side]),
        "goal s": goal if ours else None,
        "met": None if not ours or goal is None else ("yes" if warm <= goal else "**no**"),
        "row groups": calls[-1]["tasks"] if ours else None,
        "MB of columns": None if chosen is None else chosen / 1e6,
        "rows": calls[-1]["rows"],
    }


def seen_again(collection: Path, out: Path, partitions: int) -> str:
    """Write positions in the first partitions, 0.2 arcsec off their rows, as the visit of a telescope finds them."""
    if not out.exists():
        catalog = open_hats(collection)
        pixels = list(catalog.layout)[:partitions]
        columns = ["id", "ra", "dec"]
        parts = [pq.read_table(f, columns=columns, partitioning=None) for p in pixels for f in catalog.leaf_files(p)]
        rows = pa.concat_tables(parts)
        rows = rows.take(pa.array(np.random.default_rng(5).permutation(rows.num_rows)[: 2 * POSITIONS]))
        ra, dec = perturbed(rows["ra"].to_numpy(), rows["dec"].to_numpy(), 0.2, seed=6)
        inside = np.flatnonzero(Layout.of(pixels).leaf_of(spatial_index(ra, dec)) >= 0)[:POSITIONS]
        seen = pa.table({"id": rows["id"], "ra": ra, "dec": dec}).take(pa.array(inside))
        pq.write_table(seen, out)
    return str(out)


def survey_with_curves(folder: Path) -> tuple[Path, int]:
    """Return a survey with nested light curves, and the id of one of its objects."""
    made = folder / "survey"
    if not made.exists():
        run(Survey.read(simulate_survey(folder / "simulated", n_objects=OBJECTS, seed=1).toml), made, show=False)
    files = sorted(open_hats(made).path.glob("dataset/Norder=*/Dir=*/Npix=*.parquet"))
    ids = pq.read_table(files[len(files) // 2], columns=["objectId"], partitioning=None)["objectId"]
    return made, ids[len(ids) // 2].as_py()


def starts(folder: Path) -> list[dict]:
    """Measure whole processes that do next to nothing."""
    left, right = skies.wide_pair(folder / "small", 20_000, 5)
    first = (
        "import lsdb_ts as lt; "
        f"print(len(lt.open_catalog({str(left)!r}).crossmatch(lt.open_catalog({str(right)!r})).compute()))"
    )
    asked = {
        "python alone": ["-c", ""],
        "import lsdb_ts": ["-c", "import lsdb_ts"],
        "lsdb-ts --help": ["-c", "from lsdb_ts.cli import main; main()", "--help"],
        "first crossmatch": ["-c", first],
    }
    found = []
    for question, arguments in asked.items():
        seconds = [_process_seconds(arguments) for _ in range(STARTS + 1)][1:]
        answered, ended = (statistics.median(times) for times in zip(*seconds, strict=True))
        found.append(_start(question, answered if question == "first crossmatch" else ended))
        if question == "first crossmatch":
            found.append(_start(f"{question}, until the process ends", ended))
    return found


def _start(question: str, took: float) -> dict:
    goal = GOALS.get(question)
    return {
        "question": question,
        "side": OURS,
        "warm s": took,
        "cold s": None,
        "goal s": goal,
        "met": None if goal is None else ("yes" if took <= goal else "**no**"),
        "row groups": None,
        "MB of columns": None,
        "rows": None,
    }


def _process_seconds(arguments: list[str]) -> tuple[float, float]:
    """Return when a process printed its first line, and when it ended."""
    start = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-u", *arguments], cwd=skies.ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        process.stdout.readline()
        answered = time.perf_counter() - start
        _, errors = process.communicate()
    ended = time.perf_counter() - start
    if process.returncode:
        raise SystemExit(errors.decode()[-2000:])
    return answered, ended
