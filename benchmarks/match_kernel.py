"""How fast the crossmatch kernel is on one thread, beside trees and other matchers, in one run.

    python benchmarks/match_kernel.py [--rows N] [--repeats K] [--only WORD ...]

Sides take turns, repeat by repeat, so that a busy machine is busy for all of them; medians are compared. Everything
counts from arrays of degrees to arrays of pairs: unit vectors and trees of the peers, the whole call of ours. Our input
is sorted by ``_healpix_29``, as catalogs are. The number of pairs of all sides must agree. A whole run writes a
section of RESULTS.md.
"""

import argparse
import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

for variable in ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS"):
    # Read when the libraries below are imported.
    os.environ[variable] = "1"

from report import record, table, where_and_when  # noqa: E402

from lsdb_ts.kernels.matching.match import Positions, match  # noqa: E402  (found from the root)
from lsdb_ts.sky import spatial_index  # noqa: E402
from lsdb_ts.sky.pixel import centre  # noqa: E402
from lsdb_ts.testing.skies import perturbed  # noqa: E402

OURS, TREE = "lsdb_ts", "scipy KDTree, as LSDB calls it"
GOAL, LEAST = 12.0, 0.8
SMATCH_PYTHON = "LSDB_TS_SMATCH_PYTHON"
"""Environment variable: the interpreter of an environment with smatch, that of E. Sheldon; PyPI's is another."""
DIGITS = {"ms": ",.3f", "times ours": ".2f", "floor ms": ".2f"}


@dataclass
class Case:
    """Two sorted sides and what is asked of them."""

    title: str
    sides: Callable[[], tuple[Positions, Positions]]
    radius_arcsec: float = 1.0
    n_neighbors: int = 1
    all_peers: bool = False
    smatch: bool = False


def in_order(ra, dec) -> Positions:
    place = spatial_index(ra, dec)
    order = np.argsort(place, kind="stable")
    return Positions.of(place[order], np.asarray(ra)[order], np.asarray(dec)[order])


def pixel_field(n: int, m: int, ra: float = 45.0, dec: float = 30.0, order: int = 5):
    """Spread rows evenly over one pixel; 70 % of the right rows are left rows, 0.2 arcsec off along each axis."""
    rng = np.random.default_rng(1)
    shift = 2 * (29 - order)
    start = spatial_index([ra], [dec])[0] >> shift << shift
    left = centre(start + rng.integers(0, 1 << shift, n), 29)
    common = int(0.7 * min(n, m))
    picked = rng.choice(n, common, replace=False)
    near = perturbed(left[0][picked], left[1][picked], 0.2, seed=2)
    far = centre(start + rng.integers(0, 1 << shift, m - common), 29)
    return in_order(*left), in_order(*(np.concatenate(pair) for pair in zip(near, far, strict=True)))


def disc_field(n: int, ra: float, dec: float, degrees: float):
    """Spread rows around a point; the right rows are the left ones, 0.2 arcsec off."""
    left = perturbed(np.full(n, ra), np.full(n, dec), degrees * 1800.0, seed=1)
    return in_order(*left), in_order(*perturbed(*left, 0.2, seed=2))


def clusters(n: int, size: int, ra: float | None = None, dec: float = 0.0, spread_arcsec: float = 0.25):
    """Gather rows in groups of one size, all within the radius of one another, within one pixel or at one point."""
    rng = np.random.default_rng(1)
    places = 1 if ra is not None else max(n // size, 1)
    start = spatial_index([45.0], [30.0])[0] >> 48 << 48
    where = ([ra], [dec]) if ra is not None else centre(start + rng.integers(0, 1 << 48, places), 29)
    members = [np.repeat(part, n // places) for part in where]
    left, right = (in_order(*perturbed(*members, spread_arcsec, seed=seed)) for seed in (1, 2))
    return left, right


def repeats(n: int, copies: int):
    """Repeat every right position many times; left rows are near them."""
    left, _ = pixel_field(n // copies, 1)
    near = in_order(*(np.repeat(part, copies) for part in (left.ra_deg, left.dec_deg)))
    return in_order(*perturbed(near.ra_deg, near.dec_deg, 0.2, seed=3)), near


def whole_sky(n: int, m: int):
    """Spread rows evenly over the sphere, half of the right rows near left ones."""
    rng = np.random.default_rng(1)
    ra, dec = rng.uniform(0, 360, n), np.degrees(np.arcsin(rng.uniform(-1, 1, n)))
    near = perturbed(ra[: m // 2], dec[: m // 2], 0.3, seed=2)
    far = rng.uniform(0, 360, m - m // 2), np.degrees(np.arcsin(rng.uniform(-1, 1, m - m // 2)))
    return in_order(ra, dec), in_order(*(np.concatenate(pair) for pair in zip(near, far, strict=True)))


def cases(n: int) -> list[Case]:
    corner = math.degrees(math.asin(2.0 / 3.0))
    few, some = max(n // 200, 1), max(n // 100, 1)
    found = [
        Case(f"one field, {n:,} x {n:,}", lambda: pixel_field(n, n), all_peers=True, smatch=True),
        Case("the same, 5 nearest", lambda: pixel_field(n, n), n_neighbors=5, smatch=True),
        Case("the same, 5 arcsec", lambda: pixel_field(n, n), radius_arcsec=5.0, smatch=True),
        Case("the same, 60 arcsec", lambda: pixel_field(n, n), radius_arcsec=60.0),
    ]
    for size in (200, 1000, 10_000):
        for k in (1, 5):
            title = f"clusters of {size:,}, {k} nearest"
            found.append(Case(title, lambda size=size: clusters(n, size), n_neighbors=k, smatch=size == 200))
    return [
        *found,
        Case("one cluster of 10,000 at a pole", lambda: clusters(10_000, 10_000, 0.0, 90.0)),
        Case("one cluster of 10,000 at a corner", lambda: clusters(10_000, 10_000, 0.0, corner)),
        Case("100 copies of each position", lambda: repeats(n, 100)),
        Case("100 copies of each position, 5 nearest", lambda: repeats(n, 100), n_neighbors=5),
        Case("10,000 rows at one position", lambda: clusters(10_000, 10_000, 10.0, 10.0, 0.0)),
        Case("around the pole, 0.1 degrees", lambda: disc_field(n, 0.0, 90.0, 0.1)),
        Case("polar field, dec 75", lambda: pixel_field(n, n, 5.0, 75.0)),
        Case("RA 0/360", lambda: disc_field(n, 0.0, 20.0, 1.0), smatch=True),
        Case("a corner of base pixels", lambda: disc_field(n, 0.0, corner, 1.0)),
        Case("the whole sky", lambda: whole_sky(n, n), smatch=True),
        Case("10 x 10", lambda: pixel_field(10, 10)),
        Case("1,000 x 1,000", lambda: pixel_field(1000, 1000)),
        Case(f"100 x {n:,}", lambda: pixel_field(100, n)),
        Case(f"{n:,} x 100", lambda: pixel_field(n, 100)),
        Case(f"{n:,} x {few:,}", lambda: pixel_field(n, few)),
        Case(f"{some:,} x {n:,}", lambda: pixel_field(some, n)),
    ]  # fmt: skip


def unit_vectors(side: Positions):
    ra, dec = np.radians(side.ra_deg), np.radians(side.dec_deg)
    return np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=1)


def ours(left, right, case: Case) -> int:
    return match(left, right, case.radius_arcsec, case.n_neighbors)[0].size


def tree(name: str) -> Callable[..., int]:
    def run(left, right, case: Case) -> int:
        import scipy.spatial

        a, b = unit_vectors(left), unit_vectors(right)
        built = getattr(scipy.spatial, name)(b, compact_nodes=True, balanced_tree=True, copy_data=False)
        chord = 2.0 * math.sin(math.radians(case.radius_arcsec / 3600.0) / 2.0)
        distance, _ = built.query(a, k=case.n_neighbors, distance_upper_bound=chord)
        return int(np.isfinite(distance).sum())

    return run


def astropy(left, right, case: Case) -> int:
    from astropy.coordinates import SkyCoord

    a, b = (SkyCoord(side.ra_deg, side.dec_deg, unit="deg") for side in (left, right))
    _, distance, _ = a.match_to_catalog_sky(b)
    return int((distance.arcsec <= case.radius_arcsec).sum())


@contextmanager
def smatch(left, right, case: Case) -> Iterator[Callable[..., tuple[float, int]]]:
    """Start smatch in its own environment; the seconds are those of its call, measured there."""
    here = Path(__file__).with_name("side_smatch.py")
    with tempfile.TemporaryDirectory() as folder:
        paths = [f"{folder}/{name}.npy" for name in ("left", "right")]
        for side, path in zip((left, right), paths, strict=True):
            np.save(path, np.stack([side.ra_deg, side.dec_deg]))
        asked = {"paths": paths, "radius_arcsec": case.radius_arcsec, "n_neighbors": case.n_neighbors}
        clean = {k: v for k, v in os.environ.items() if k not in {"PYTHONPATH", "VIRTUAL_ENV"}}
        with subprocess.Popen(
            [os.environ[SMATCH_PYTHON], str(here)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=clean
        ) as process:
            process.stdin.write(json.dumps(asked) + "\n")

            def run(left, right, case: Case) -> tuple[float, int]:
                process.stdin.write("again\n")
                process.stdin.flush()
                return tuple(json.loads(process.stdout.readline()))

            yield run
            process.stdin.close()


@contextmanager
def stilts(left, right) -> Iterator[Callable[..., int]]:
    """Write both sides as FITS; the time is that of the command, its start and reading included."""
    from astropy.table import Table

    with tempfile.TemporaryDirectory() as folder:
        paths = [f"{folder}/{name}.fits" for name in ("left", "right")]
        for side, path in zip((left, right), paths, strict=True):
            Table({"ra": side.ra_deg, "dec": side.dec_deg}).write(path)

        def run(left, right, case: Case) -> int:
            command = ["stilts", "tskymatch2", *(f"in{k + 1}={path}" for k, path in enumerate(paths))]
            command += ["ra1=ra", "dec1=dec", "ra2=ra", "dec2=dec", f"error={case.radius_arcsec}", "find=best1"]
            done = subprocess.run([*command, "omode=count"], capture_output=True, text=True, check=True)
            return int(done.stdout.split("rows:")[1].split()[0].replace(",", ""))

        yield run


def measure(case: Case, repeat_count: int) -> dict:
    """Run all sides of a case, taking turns."""
    left, right = case.sides()
    sides: dict[str, Callable[..., int | tuple[float, int]]] = {OURS: ours, TREE: tree("KDTree")}
    with ExitStack() as others:
        if case.all_peers:
            sides |= {"scipy cKDTree": tree("cKDTree"), "astropy match_to_catalog_sky": astropy}
        if case.smatch and os.environ.get(SMATCH_PYTHON):
            sides["smatch"] = others.enter_context(smatch(left, right, case))
        if case.all_peers and shutil.which("stilts"):
            sides["STILTS tskymatch2, whole command"] = others.enter_context(stilts(left, right))
        return timed(case, sides, left, right, repeat_count)


def once(run: Callable[..., int | tuple[float, int]], left, right, case: Case) -> tuple[float, int]:
    """Return the seconds of one call and its pairs; sides in other processes tell their own seconds."""
    start = time.perf_counter()
    found = run(left, right, case)
    return found if isinstance(found, tuple) else (time.perf_counter() - start, found)


def timed(case: Case, sides: dict[str, Callable[..., int | tuple[float, int]]], left, right, repeat_count: int) -> dict:
    pairs = {name: once(run, left, right, case)[1] for name, run in sides.items()}
    # Peers that compare cosines round the radius, by some 1e-5 of it.
    if pairs[OURS] != pairs[TREE] or any(abs(n - pairs[OURS]) > 1e-4 * pairs[OURS] for n in pairs.values()):
        raise SystemExit(f"{case.title}: the sides do not agree: {pairs}")
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(repeat_count):
        for name, run in sides.items():
            seconds[name].append(once(run, left, right, case)[0])
    moved = 24 * (left.place.size + right.place.size + pairs[OURS])
    return {"case": case.title, "pairs": pairs, "seconds": seconds, "bytes": moved}


def copy_speed() -> float:
    """Return bytes read and written a second by a plain copy of 64 MB."""
    source, target = np.ones(8 << 20), np.zeros(8 << 20)
    took = []
    for _ in range(9):
        start = time.perf_counter()
        np.copyto(target, source)
        took.append(time.perf_counter() - start)
    return 2 * source.nbytes / statistics.median(took)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rows", type=int, default=1_000_000)
    options.add_argument("--repeats", type=int, default=5)
    options.add_argument("--only", nargs="*", default=[], help="cases whose title holds one of these words")
    chosen = options.parse_args()
    speed, results, rows = copy_speed(), [], []
    for case in cases(chosen.rows):
        if chosen.only and not any(word in case.title for word in chosen.only):
            continue
        result = measure(case, chosen.repeats)
        results.append(result)
        medians = {name: statistics.median(took) for name, took in result["seconds"].items()}
        for name, median in medians.items():
            rows.append(
                {
                    "case": case.title,
                    "side": name,
                    "ms": median * 1e3,
                    "times ours": median / medians[OURS],
                    "pairs": result["pairs"][name],
                    "floor ms": result["bytes"] / speed * 1e3 if name == OURS else None,
                }
            )
            print(*rows[-1].values(), sep="  ", flush=True)
    ratios = [
        (statistics.median(r["seconds"][TREE]) / statistics.median(r["seconds"][OURS]), r["case"]) for r in results
    ]
    under = [f"{case} ({ratio:.2f})" for ratio, case in ratios if ratio < LEAST]
    least = ", ".join(f"{case} ({ratio:.2f})" for ratio, case in sorted(ratios)[:3])
    verdict = (
        f"KDTree / ours: first case {ratios[0][0]:.1f} (asked: {GOAL:.0f}); under {LEAST}, the least asked: "
        f"{', '.join(under) or 'none'}; the three least: {least}."
    )
    print(f"\n{verdict}")
    if not chosen.only:
        text = (
            f"{where_and_when()}\n\n{verdict}\n\n{table(rows, DIGITS, n_words=2)}\n\nThe floor is the time to copy "
            f"what is read and written, at {speed / 1e9:.0f} GB/s. One thread; medians of {chosen.repeats} turns. "
            "smatch is that of E. Sheldon, in a process of its own: the seconds of `smatch.match` with its defaults "
            "(nside 4096) from the same arrays, measured there; STILTS: those of the whole command, reading FITS."
        )
        record("Match kernel", text, {"copy_bytes_per_second": speed, "results": results})


if __name__ == "__main__":
    main()
