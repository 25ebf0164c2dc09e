"""How long the multiband power of one object takes, and how exact it is, beside the peers.

    python benchmarks/periods.py [--data FOLDER] [--epochs 15 50 140] [--stars FOLDER] [--sides WORD,WORD] [--anew]

Six bands, 1e5 frequencies, one thread; the sides take turns, each in its own process and environment. The power of
those that compute the same model is compared with the sum itself in long double, at some of the frequencies. With the
folder of the Stripe 82 stars, the periods that the recipe finds again are counted, too. Writes a section of RESULTS.md.
"""

import argparse
import contextlib
import io
import os
import re
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

for variable in ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    # Read by the sides when they load their libraries.
    os.environ[variable] = "1"

import curves  # noqa: E402  (what follows is found from the root)
import numpy as np  # noqa: E402
from features_page import judged, median  # noqa: E402
from report import record, recorded, table, where_and_when  # noqa: E402
from sides import ASTROPY, CUPERIOD, NIFTY, OURS, Case, carry_out  # noqa: E402

from tests.interop.environment import LIGHT_CURVE_PINS  # noqa: E402

SECTION = "Periods"
STRIPE82 = Path(os.environ.get("LSDB_TS_DATA", HERE.parents[1] / "shared" / "data")) / "s82_rrlyrae"
COUNT, EVERY = 100_000, 200
LINE = [0.01, 9.99 / COUNT, COUNT]
"""First frequency, step, number: cycles per day."""
SHARED, EACH, REFINED = f"{OURS}, shared phase", f"{OURS}, each band", f"{OURS}, 3 harmonics refined"
DIRECT, BY_NUFFT = f"{SHARED}, direct", f"{SHARED}, NUFFT"
"""What the kernel chooses from."""
WITH_NIFTY, FLEXIBLE = f"{ASTROPY}, fast with nifty-ls", f"{ASTROPY}, flexible"
PER_BAND, CU_SHARED, CU_EACH = f"{NIFTY}, each band", f"{CUPERIOD}, shared phase", f"{CUPERIOD}, each band"
SHARED_PHASE, INDEPENDENT = "shared phase (1, 0)", "each band (0, 1)"
MODELS = {
    SHARED: SHARED_PHASE,
    DIRECT: SHARED_PHASE,
    BY_NUFFT: SHARED_PHASE,
    CU_SHARED: SHARED_PHASE,
    EACH: INDEPENDENT,
    PER_BAND: INDEPENDENT,
    CU_EACH: INDEPENDENT,
}
"""Sides whose power is that of a model."""
LIKE = {**MODELS, f"{ASTROPY}, fast": INDEPENDENT, WITH_NIFTY: INDEPENDENT, FLEXIBLE: SHARED_PHASE}
"""Sides whose power is at least like it."""
UNSEEN, BEST, FIVE = "not seen", "best", "of five"
STARS = {
    ("any star, all measurements", BEST): 0.93,
    ("any star, all measurements", FIVE): 0.99,
    ("RR Lyrae, all measurements", BEST): 0.97,
    ("RR Lyrae, all measurements", FIVE): 0.99,
    ("RR Lyrae, one band a visit", BEST): 0.93,
    ("RR Lyrae, one band a visit", FIVE): 0.99,
}
"""Share of the stars not seen whose period is found again, by search, at least."""
DIGITS = {"ms / object": ",.2f", "CPU ms": ",.2f", "peer / ours": ",.1f", "error": ".1e"}


def case(data: Path, epochs: int) -> Case:
    """Return who computes the power of objects of so many epochs a band, and of how many objects."""
    path = curves.drawn(data, 24, epochs)
    outs = data / "out"
    outs.mkdir(exist_ok=True)

    def asked(job: str, objects: int, **more) -> dict:
        named = "_".join(map(str, (job, epochs, *more.values())))
        return {
            "job": job,
            "path": str(path),
            "objects": objects,
            "line": LINE,
            "out": str(outs / f"{named}.npy"),
            **more,
        }

    sides = {
        SHARED: asked("power", 24, every=EVERY, independent=False, method="fastest"),
        EACH: asked("power", 24, every=EVERY, independent=True, method="fastest"),
        DIRECT: asked("power", 24, every=EVERY, independent=False, method="direct"),
        BY_NUFFT: asked("power", 24, every=EVERY, independent=False, method="nufft"),
        REFINED: asked("refined", 24, n_harmonics=3),
        f"{ASTROPY}, fast": asked("astropy", 1, every=EVERY, sb_method="fast"),
        WITH_NIFTY: asked("astropy", 8, every=EVERY, sb_method="fastnifty"),
        FLEXIBLE: asked("astropy", 1, every=EVERY, sb_method=None),
        PER_BAND: asked("nifty", 8, every=EVERY),
        CU_SHARED: asked("cuperiod", 8, every=EVERY, model="offsets"),
        CU_EACH: asked("cuperiod", 8, every=EVERY, model="perband"),
    }
    return Case(_title(epochs), sides, made=f"{datetime.now(tz=UTC):%Y-%m-%d %H:%M}")


def _title(epochs: int) -> str:
    return f"{len(curves.BANDS)} x {epochs}"


def exact(path: str, objects: int) -> dict[str, np.ndarray]:
    """Return the power of both models, shape (objects, frequencies), from sums of sines in long double."""
    given = curves.opened(path, objects)
    turns = np.longdouble(2.0) * np.arccos(np.longdouble(-1.0))
    frequencies = np.longdouble(LINE[0]) + np.longdouble(LINE[1]) * np.arange(COUNT)[::EVERY]
    found = {SHARED_PHASE: [], INDEPENDENT: []}
    for parts in zip(*(given[part].astype(np.longdouble) for part in curves.PARTS), strict=True):
        sums, variance, apart = np.zeros((5, frequencies.size), np.longdouble), np.longdouble(0.0), 0.0
        start = parts[0].min()
        for time, flux, error in zip(*parts, strict=True):
            weight = error**-2.0
            centred = flux - (weight * flux).sum() / weight.sum()
            phase = turns * np.outer(frequencies, time - start)
            c, s = np.cos(phase), np.sin(phase)
            # About the weighted mean of the band: its level is free at every frequency.
            c -= (c @ weight)[:, None] / weight.sum()
            s -= (s @ weight)[:, None] / weight.sum()
            own = np.stack(
                [(c * c) @ weight, (s * s) @ weight, (c * s) @ weight, c @ (weight * centred), s @ (weight * centred)]
            )
            apart = apart + _explained(own)
            sums += own
            variance += (weight * centred**2).sum()
        found[SHARED_PHASE].append(_explained(sums) / variance)
        found[INDEPENDENT].append(apart / variance)
    return {model: np.stack(powers) for model, powers in found.items()}


def _explained(sums: np.ndarray) -> np.ndarray:
    cc, ss, cs, yc, ys = sums
    return (ss * yc**2 + cc * ys**2 - 2 * cs * yc * ys) / (cc * ss - cs**2)


def checked(found: Case) -> Case:
    """Compare the power of each side with the sums; stop where one differs by more than its method explains."""
    truth: dict[int, dict[str, np.ndarray]] = {}
    for name, model in MODELS.items():
        if name not in found.sides:
            continue
        request = found.sides[name]
        objects = min(request["objects"], 4)
        if objects not in truth:
            truth[objects] = exact(request["path"], objects)
        error = float(np.abs(np.load(request["out"])[:objects] - truth[objects][model]).max())
        if error > 1e-4:
            raise SystemExit(f"{found.title}: the power of {name} differs from the sum by {error:.1e}")
        found.warm[name][-1]["error"] = error
    return found


def summary(found: Case) -> list[dict]:
    """Return one row a side; the ratio is to ours of the same model, or of that which is like it."""
    own = {name: median(calls, "own_cpu_seconds") / calls[-1]["rows"] for name, calls in found.warm.items()}
    rows = []
    for name, calls in found.warm.items():
        ours = own.get(EACH if LIKE.get(name) == INDEPENDENT else SHARED)
        rows.append(
            {
                "bands x epochs": found.title,
                "side": name + (", extrapolated" if name == FLEXIBLE else ""),
                "ms / object": median(calls, "seconds") / calls[-1]["rows"] * 1e3,
                "CPU ms": own[name] * 1e3,
                "peer / ours": None if name.startswith(OURS) or ours is None else own[name] / ours,
                "error": next((call["error"] for call in calls[::-1] if "error" in call), None),
            }
        )
    return rows


def goals(found: Mapping[str, Case], stars: list[dict]) -> list[dict]:
    """Return one row a goal of issue 5; times are of the processor, which others on it do not lengthen."""
    rows = {(row["bands x epochs"], row["side"]): row for each in found.values() for row in summary(each)}

    def of(epochs: int, side: str, number: str) -> float | None:
        return rows.get((_title(epochs), side), {}).get(number)

    nufft = [v for side in (PER_BAND, CU_SHARED, CU_EACH) if (v := of(140, side, "CPU ms")) is not None]
    errors = [v for (_, side), row in rows.items() if side.startswith(OURS) and (v := row["error"]) is not None]
    many = max((v for side in (SHARED, EACH) if (v := of(140, side, "CPU ms")) is not None), default=None)
    unseen = {(row["search"], number): row[number] for row in stars if row["half"] == UNSEEN for number in (BEST, FIVE)}
    return [
        judged("6 x 15", "ms per object, shared phase, at most", of(15, SHARED, "CPU ms"), 5.0, at_least=False),
        judged("6 x 15", "astropy's multiband with nifty-ls / ours, at least", of(15, WITH_NIFTY, "peer / ours"), 10.0),
        judged("6 x 15", "ms with 3 harmonics refined, at most", of(15, REFINED, "CPU ms"), 8.0, at_least=False),
        judged("6 x 140", "the fastest NUFFT / ours, at least", min(nufft) / many if nufft and many else None, 1.0),
        judged("sums", "largest error in power, at most", max(errors, default=None), 1e-8, at_least=False),
        *(
            judged("Stripe 82", f"{search}, {number}, at least", unseen.get((search, number)), wanted)
            for (search, number), wanted in STARS.items()
        ),
    ]


def page(found: Mapping[str, Case], stars: list[dict]) -> str:
    """Return the section's text."""
    rows = [row for each in found.values() for row in summary(each)]
    pins = ", ".join(p.replace("==", " ") for name in ("periodograms", "cuperiod") for p in LIGHT_CURVE_PINS[name])
    digits = {BEST: ".3f", FIVE: ".3f"}
    counted = f"Published periods of Stripe 82 found again:\n\n{table(stars, digits, 2)}\n\n" if stars else ""
    return f"""{where_and_when()}

{table(rows, DIGITS, 2)}

Against the goals (times in processor time):

{table(goals(found, stars), {"wanted": "g", "found": ".4g"}, 3)}

{counted}* 1e5 frequencies from 0.01 to 10 per day, weighted, a floating mean in every band, one thread. "error": the
  largest difference in power (0 to 1) from the sums in long double, at {COUNT // EVERY} frequencies of four objects.
  Ours refined: the shared phase at all frequencies, then 3 harmonics at the highest peaks and their halves.
* astropy's `fast` weighs bands in another way, and its flexible model (1, 1) is another one: their power is not
  compared. The flexible method is timed at 500 frequencies and scaled up. cuPeriod: its NUFFT on the processor.
* Peers: {pins}.
"""


def stripe82(folder: Path) -> list[dict]:
    """Run the recipe; return the shares of published periods that it says it found."""
    sys.path.insert(0, str(HERE.parent / "recipes"))
    import rr_lyrae_stripe82

    said = io.StringIO()
    with tempfile.TemporaryDirectory() as out, contextlib.redirect_stdout(said):
        rr_lyrae_stripe82.run(folder, Path(out), n_stars=None)
    rows = []
    for search, block in re.findall(r"^recovered \((.*?)\): .*\n((?:  .*\n)+)", said.getvalue(), re.MULTILINE):
        told = re.findall(r"^  (.*?) +(\d+) stars: best (\S+), among five (\S+)$", block, re.MULTILINE)
        for half, n, *shares in told:
            # The shares are rounded; the stars are whole ones.
            best, of_five = (round(float(share) * int(n)) / int(n) for share in shares)
            rows.append({"search": search, "half": half, "stars": int(n), BEST: best, FIVE: of_five})
    return rows


def write(found: Mapping[str, Case], stars: list[dict]) -> None:
    """Put what is there so far into the page."""
    record(SECTION, page(found, stars), {"cases": {k: asdict(c) for k, c in found.items()}, "stripe82": stars})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="keep the light curves here, and use them again")
    parser.add_argument("--epochs", type=int, nargs="*", default=[15, 50, 140], help="a band")
    parser.add_argument("--stars", type=Path, default=STRIPE82, help="folder of the Stripe 82 stars (%(default)s)")
    parser.add_argument("--sides", default="", help="sides with one of these words in their names (default: all)")
    parser.add_argument("--rounds", type=int, default=2, help="fresh processes of each side (default %(default)s)")
    parser.add_argument("--calls", type=int, default=4, help="calls of each after the first (default %(default)s)")
    parser.add_argument("--anew", action="store_true", help="forget what earlier runs found")
    asked = parser.parse_args()
    raw = {} if asked.anew else recorded(SECTION)
    found = {title: Case(**each) for title, each in raw.get("cases", {}).items()}
    stars = stripe82(asked.stars) if asked.stars.is_dir() else raw.get("stripe82", [])
    with tempfile.TemporaryDirectory(prefix="lsdb_ts-bench-") as temporary:
        for epochs in asked.epochs:
            each = case(asked.data or Path(temporary), epochs)
            each.sides = {n: r for n, r in each.sides.items() if any(word in n for word in asked.sides.split(","))}
            carry_out(each, asked.rounds, asked.calls, 10.0)
            checked(each)
            earlier = found.get(each.title)
            found[each.title] = each if earlier is None else earlier.with_sides_of(each)
            print(table(summary(found[each.title]), DIGITS, 2), end="\n\n", flush=True)
            write(found, stars)
        if found:
            write(found, stars)


if __name__ == "__main__":
    main()
