"""How long planning a crossmatch takes, before any row is read: catalogs of up to a million partitions a side.

    python benchmarks/planning.py [--leaves N ...] [--peer PYTHON]

The catalogs are layouts without files: leaves as fine as the stars of the Galaxy are dense, their rows made when one is
read. Each case runs in a process of its own. "plan s" is from two opened catalogs to the pixels of their match, "align
s" the layouts' part of it; "peak MB" is what planning allocates beyond the layouts given, and "plan MB" what travels to
each worker, once. With --peer, the interpreter of an environment that has LSDB, both plan a match of 12,000 leaves a
side; LSDB's time is to the graph of its first partition, which holds all of them.
"""

import argparse
import json
import os
import pickle
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from report import record, table, where_and_when

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lsdb_ts.catalog import Catalog
from lsdb_ts.plan.node import check, whole
from lsdb_ts.plan.scan import Scan
from lsdb_ts.schema import HEALPIX
from lsdb_ts.sky import Layout, Ranges, align
from lsdb_ts.sky.pixel import centre
from lsdb_ts.sky.ranges import counted
from lsdb_ts.store.cost import Cost
from lsdb_ts.store.partition import Partition
from lsdb_ts.store.source import Request, split

RADIUS_ARCSEC = 1.0
COARSEST, FINEST = 3, 13
ROW_ORDER = 15
"""Both catalogs have a star at the centre of every cell of this order, and no other."""
GOALS = {200_000: 1.0, 600_000: 2.0}
"""Seconds that planning may take, by leaves a side."""
PEER_LEAVES = 12_000
GOAL_MB = 300.0
SECONDS = ("align s", "plan s", "check s", "first partition s", "another s", "seconds")
DIGITS = {**dict.fromkeys(SECONDS, ".3f"), "plan MB": ".1f"}
GOAL_FIRST_S = 0.5
CASES = [(200_000, 0), (600_000, 0), (600_000, 3), (600_000, -3), (1_000_000, 0)]
"""Leaves of the finer side, and by how many orders the right side is coarser, or (below 0) the left one."""


@dataclass(frozen=True, eq=False)
class Stars:
    """A catalog that is only a layout: the rows of a pixel are made when they are asked for."""

    name: str
    layout: Layout

    @property
    def schema(self) -> pa.Schema:
        return pa.schema([(c, pa.float64()) for c in ("ra", "dec", "mag")])

    @property
    def positions(self) -> tuple[str, str]:
        return "ra", "dec"

    @property
    def sky(self) -> Ranges | None:
        return None

    @property
    def count(self) -> int:
        return int(((self.layout.stops - self.layout.starts) >> _WIDTH).sum())

    def limits(self, column: str) -> tuple[Any, Any] | None:
        return None

    def partition(self, request: Request) -> Partition:
        cells = Ranges.of(request.wanted.starts >> _WIDTH, (request.wanted.stops - 1 >> _WIDTH) + 1)
        numbers = counted(cells.starts, cells.stops)
        ra, dec = centre(numbers, ROW_ORDER)
        place = (numbers << _WIDTH) + (1 << (_WIDTH - 1)) + (1 << (_WIDTH - 2))
        columns = {HEALPIX: place, "ra": ra, "dec": dec, "mag": np.zeros(numbers.size)}
        return split([pa.table({HEALPIX: place, **{c: columns[c] for c in request.columns}})], request)

    def estimate(self, request: Request) -> Cost:
        rows = int((request.wanted.stops - request.wanted.starts).sum() >> _WIDTH)
        return Cost(rows, rows, rows, 24 * rows, 24 * rows)

    def identity(self) -> Mapping[str, Any]:
        return {"name": self.name}


_WIDTH = 2 * (29 - ROW_ORDER)


def galaxy(cells: np.ndarray, order: int, patches: float) -> np.ndarray:
    """Return how many stars cells of an order hold, relative to others: a disc, with patches of a few degrees."""
    ra, dec = (np.radians(x) for x in centre(cells, order))
    pole_ra, pole_dec = np.radians(192.859), np.radians(27.128)
    sin_b = np.sin(dec) * np.sin(pole_dec) + np.cos(dec) * np.cos(pole_dec) * np.cos(ra - pole_ra)
    density = 0.02 + np.exp(-np.abs(np.degrees(np.arcsin(np.clip(sin_b, -1, 1)))) / 5)
    return density * (1 + 0.4 * np.sin(40 * ra + patches) * np.sin(40 * dec)) / 4.0**order


def layout_of(leaves: int, patches: float) -> Layout:
    """Split pixels until none holds too many stars; how many are too many is sought until there are enough leaves."""
    low, high = 1e-12, 1.0
    for _ in range(18):
        limit = float(np.sqrt(low * high))
        made = _split_until(limit, patches, 2 * leaves)
        if made is not None and abs(len(made) - leaves) < leaves / 200:
            break
        low, high = (limit, high) if made is None or len(made) > leaves else (low, limit)
    if made is None:
        raise SystemExit(f"no layout of {leaves} leaves was found")
    return made


def _split_until(limit: float, patches: float, most: int) -> Layout | None:
    orders, numbers = [], []
    cells = np.arange(12 << (2 * COARSEST))
    for order in range(COARSEST, FINEST + 1):
        fits = (galaxy(cells, order, patches) <= limit) | (order == FINEST)
        orders.append(np.full(int(fits.sum()), order))
        numbers.append(cells[fits])
        cells = (cells[~fits][:, None] * 4 + np.arange(4)).ravel()
        if cells.size + sum(n.size for n in numbers) > most:
            return None
    return Layout.of_arrays(np.concatenate(orders), np.concatenate(numbers))


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    start = time.perf_counter()
    found = work()
    return found, time.perf_counter() - start


def fresh(sides: list[Layout]) -> tuple[Layout, Layout]:
    """Return the same layouts, that have computed nothing yet."""
    left, right = (Layout(layout.orders, layout.numbers) for layout in sides)
    return left, right


def planned(left: Layout, right: Layout) -> Catalog:
    """Plan a crossmatch down to its pixels."""
    a, b = (Catalog(Scan(Stars(name, layout))) for name, layout in (("a", left), ("b", right)))
    matched = a.crossmatch(b, RADIUS_ARCSEC)
    matched.layout  # noqa: B018  (it is computed when first asked for)
    return matched


def one_case(leaves: int, coarser: int) -> dict[str, Any]:
    """Plan one crossmatch in this process."""
    fewer = [max(leaves >> (2 * max(steps, 0)), 100) for steps in (-coarser, coarser)]
    sides = [layout_of(n, float(i)) for i, n in enumerate(fewer)]
    small = [Catalog(Scan(Stars(f"warm_{i}", layout_of(2000, float(i))))) for i in (0, 1)]
    small[0].crossmatch(small[1], RADIUS_ARCSEC).partitions[0].compute(progress=False)
    _, align_s = timed(lambda: align(*fresh(sides), RADIUS_ARCSEC, keep_unmatched=False))
    left, right = fresh(sides)
    matched, plan_s = timed(lambda: planned(left, right))
    _, check_s = timed(lambda: check(matched.plan, whole(matched.plan)))
    _, first_s = timed(lambda: matched.partitions[0].compute(progress=False))
    frame, middle_s = timed(lambda: matched.partitions[matched.npartitions // 2].compute(progress=False))
    if len(frame) == 0 or frame["_dist_arcsec"].max() > 1e-6:
        raise SystemExit("the partition computed is wrong, so times mean nothing")
    weight = len(pickle.dumps(matched.plan))
    left, right = fresh(sides)
    # Once more, slowly: every allocation is followed.
    tracemalloc.start()
    again = planned(left, right)
    check(again.plan, whole(again.plan))
    peak = tracemalloc.get_traced_memory()[1]
    return {
        "left": len(left),
        "right": len(right),
        "orders": f"{left.orders.min()}-{left.orders.max()} x {right.orders.min()}-{right.orders.max()}",
        "tasks": matched.npartitions,
        "align s": align_s,
        "plan s": plan_s,
        "check s": check_s,
        "peak MB": peak / 1e6,
        "first partition s": first_s,
        "another s": middle_s,
        "plan MB": weight / 1e6,
    }


def beside(python: str) -> list[dict[str, Any]]:
    """Plan one match of fewer leaves with LSDB and with ours, each in a fresh process that has planned a small one."""
    sides = [layout_of(PEER_LEAVES, patches) for patches in (0.0, 1.0)]
    with tempfile.NamedTemporaryFile(suffix=".npz") as file:
        arrays = {
            f"{s}_{what}": getattr(x, what) for s, x in zip("ab", sides, strict=True) for what in ("orders", "numbers")
        }
        np.savez(file, **arrays)
        file.flush()
        clean = {k: v for k, v in os.environ.items() if k not in {"PYTHONPATH", "VIRTUAL_ENV"}}
        theirs = answer([python, str(Path(__file__).with_name("planning_lsdb.py")), file.name], clean)
    ours = answer([sys.executable, __file__, "--one", str(PEER_LEAVES), "0"])
    seconds = ours["plan s"] + ours["check s"]
    return [
        {"side": "LSDB", "partitions": theirs["partitions"], "graph of": theirs["tasks"], "seconds": theirs["seconds"]},
        {"side": "lsdb_ts", "partitions": ours["tasks"], "graph of": 0, "seconds": seconds},
    ]


def answer(call: list[str], env: dict[str, str] | None = None) -> dict[str, Any]:
    """Return the last line that a process prints, which is JSON."""
    done = subprocess.run(call, capture_output=True, text=True, env=env)
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def missed(leaves: int, row: dict[str, Any]) -> list[str]:
    """Say which goals a case misses."""
    goals = {"first partition s": GOAL_FIRST_S}
    if leaves in GOALS:
        goals |= {"plan s": GOALS[leaves] - row["check s"], "peak MB": GOAL_MB}
    return [
        f"{leaves:,}: {name} is {row[name]:.3f}, the goal {most:g}" for name, most in goals.items() if row[name] > most
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--leaves", type=int, nargs="+", help="only cases of so many leaves a side")
    parser.add_argument("--peer", help="the Python of an environment with LSDB, to be measured beside")
    parser.add_argument("--one", type=int, nargs=2, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        print(json.dumps(one_case(*asked.one)))
        return
    cases = CASES if asked.leaves is None else [(n, 0) for n in asked.leaves]
    rows, late = [], []
    for leaves, coarser in cases:
        rows.append(answer([sys.executable, __file__, "--one", str(leaves), str(coarser)]))
        late += missed(leaves, rows[-1])
    peers = beside(asked.peer) if asked.peer else []
    tables = [table(r, DIGITS, n_words=0) for r in (rows, peers) if r]
    text = "\n\n".join([where_and_when(), tables[0], "; ".join(late) or "All goals are met.", *tables[1:]])
    print(text)
    if asked.leaves is None:
        record("Planning", text, {"planning": rows, "beside": peers})


if __name__ == "__main__":
    main()
