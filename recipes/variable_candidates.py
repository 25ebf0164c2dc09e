"""Find variable stars in a field with the cut of the Rubin platform's tutorials, then their periods, and fold them.

Question: which objects within 5 degrees of a position vary strongly, and with which periods?

Data: a HATS catalog of objects with nested forced photometry (lc, fluxes in nJy), such as Rubin's object collection.
Without one a survey is simulated here: 5,000 objects in three fields, 1.8 M forced measurements in six bands over five
years, of which the truth is known.

Expected: of the 1,662 objects in the simulated field 39 are candidates, and all of them vary: 23 RR Lyrae, 8 Cepheids
and 2 eclipsing binaries, the periods of all of which are found to within 1 %, and 6 active galaxies, whose periods are
noise.

    python recipes/variable_candidates.py [CATALOG --ra DEG --dec DEG] [--small] [--out FOLDER]

Leaves candidates/ (a HATS catalog) and candidates.png in FOLDER (default: variables).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

import lsdb_ts as lt
import partitioner
from lsdb_ts.testing import simulate_survey

RADIUS_ARCSEC = 5 * 3600.0
BRIGHTNESS = "18 < g_psfMag and g_psfMag < 23"
VARIABLE = (
    "features_g.n_epochs > 30 and features_g.stetson_j > 20 "
    "and features_g.frac_sigma > 0.25 and features_g.frac_sigma < 1.25"
)
"""Many epochs, a scatter far beyond the errors, and one that is neither slight nor an outburst's."""
PERIOD_RANGE_DAYS = (0.2, 100.0)
SHOWN = ["period", "period_evidence", "period_fap"]
DRAWN = 12


def main() -> int:
    """Run the recipe; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("catalog", nargs="?", type=Path, help="a catalog with nested light curves (one is simulated)")
    parser.add_argument("--ra", type=float, default=150.1, help="centre of the field in degrees (150.1)")
    parser.add_argument("--dec", type=float, default=2.2, help="its declination in degrees (2.2)")
    parser.add_argument("--small", action="store_true", help="simulate a tenth of the objects, for a trial run")
    parser.add_argument("--out", type=Path, default=Path("variables"), help="where to leave everything (variables)")
    options = parser.parse_args()
    if (options.out / "candidates").exists():
        print(f"{options.out} holds the candidates of another run: name another folder with --out", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as scratch:
        truth = None
        if options.catalog is None:
            options.catalog, truth = simulated(Path(scratch), n_objects=1_000 if options.small else 5_000)
        field = lt.open_catalog(options.catalog).cone_search(options.ra, options.dec, RADIUS_ARCSEC)
        candidates = find(field).write(options.out / "candidates", name="candidates")
        print(f"{len(candidates):,} candidates among {len(field):,} objects")
        report(candidates, truth)
        draw(candidates, options.out / "candidates.png")
    return 0


def simulated(folder: Path, n_objects: int) -> tuple[Path, pd.DataFrame]:
    """Simulate a survey, repartition it, and return where it is, and what is true."""
    raw = simulate_survey(folder / "raw", n_objects, n_visits=400)
    partitioner.run(partitioner.Survey.read(raw.toml), folder / "survey")
    return folder / "survey", pq.read_table(raw.truth).to_pandas().set_index("objectId")


def find(field: lt.Catalog) -> lt.Catalog:
    """Choose by brightness and by the g-band light curve; then search the chosen for periods in all bands."""
    cut = lt.FeatureSet.of(["n_epochs", "stetson_j", "frac_sigma"], bands="g")
    periods = lt.FeatureSet.of(SHOWN, search=lt.PeriodSearch(period_range_days=PERIOD_RANGE_DAYS))
    chosen = field.query(BRIGHTNESS).features(cut, keep=True).query(VARIABLE)
    return chosen.drop(["features_g"]).features(periods, keep=True)


def report(candidates: lt.Catalog, truth: pd.DataFrame | None) -> None:
    """Print the candidates whose periods are most evident; where the truth is known, what the candidates are."""
    found = candidates.assign(**{name: candidates[f"features_multiband.{name}"] for name in SHOWN})
    frame = found[["objectId", "g_psfMag", *SHOWN]].compute(progress=False).set_index("objectId")
    print(frame.nlargest(DRAWN, "period_evidence").to_string(float_format="{:.5f}".format))
    if truth is None:
        return
    known = frame.join(truth.add_prefix("true_"))
    vary = known["true_class"] != "star"
    print(f"{vary.sum():,} of {len(known):,} vary: {vary.mean():.1%}")
    ratio = known["period"] / known["true_period"]
    for kind, periods in ratio.dropna().groupby(known["true_class"]):
        right = (periods - 1).abs() < 0.01
        print(f"{kind}: {len(periods):,}, period to within 1 % for {right.mean():.1%}")


def draw(candidates: lt.Catalog, path: Path) -> None:
    """Draw some of the candidates, each folded on its period."""
    axes = lt.plot_lightcurves(
        candidates, period_days="features_multiband.period", titles="objectId", lightcurve="lc", limit=DRAWN
    )
    axes[0].figure.savefig(path, dpi=110)
    print(path)


if __name__ == "__main__":
    sys.exit(main())
