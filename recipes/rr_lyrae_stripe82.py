"""Find the periods of the RR Lyrae of SDSS Stripe 82 again, from raw tables.

Question: how many of the 483 published periods does the whole path recover, with and without knowing the class?

Data: 483 RR Lyrae, 136,196 measurements in ugriz over ten years (Sesar et al. 2010, ApJ 708, 717), as two Parquet
files: objects.parquet (id, ra, dec, type, P in days, ...) and sources.parquet (id, time in MJD, mag, magerr, band).

Expected: of all measurements 462 without knowing the class and 466 knowing it; of one band a visit 443 and 462. Of the
half not seen: 0.938, 0.955, 0.905, 0.942; among the five best periods: 0.992, 1.000, 0.992, 0.992. Not every published
period need be the right one: of the six stars missed in the half that settings were chosen on (all measurements, class
known), three are more than a million times more probable with a period that is an alias of a year.

A period is right where its frequency is within 1/3340 per day of the published one. Settings were chosen on one half of
the stars, drawn by a seed; the table has that half, the other one, and all.

    python recipes/rr_lyrae_stripe82.py DATA_FOLDER [--small] [--out FOLDER]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

import lsdb_ts as lt
import partitioner

BANDS = "ugriz"
SEARCHES = {"any star": lt.PeriodSearch(period_range_days=(0.1, 10.0)), "RR Lyrae": lt.PeriodSearch.rr_lyrae(BANDS)}
"""What is known of the stars before: nothing, or their class."""
TOLERANCE_PER_DAY = 1 / 3340
"""Of the frequency: one cycle in the length of the survey."""
N_STARS = 483
VISIT_DAYS = 0.02
"""Measurements so close are of one visit."""

SURVEY = """\
name = "stripe82"

[tables.object]
files = "object.parquet"
roles = { id = "id", ra = "ra", dec = "dec" }
max_rows = 100
margin_arcsec = 5.0
nest = { source = "lc" }

[tables.source]
files = "source-*.parquet"
roles = { parent_id = "id", time = "time", band = "band", mag = "mag", mag_error = "magerr" }
"""

MISSING = """\
{folder} does not hold objects.parquet and sources.parquet.

They are the light curves and the catalog of Sesar et al. 2010 (ApJ 708, 717; VizieR J/ApJ/708/717), each put into one
Parquet file with its values unchanged:
  sources.parquet   id, time (MJD), mag, magerr, band
                    from github.com/light-curve/test-data, folder RRLyrae/
  objects.parquet   id, ra, dec (deg), type, P (d), ...: tables 2 and 3 of the paper
                    from github.com/astroML/astroML-data, folder datasets/
Then: python recipes/rr_lyrae_stripe82.py FOLDER_THAT_HOLDS_THEM"""


def main() -> int:
    """Run the recipe; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path, help="folder that holds objects.parquet and sources.parquet")
    parser.add_argument("--small", action="store_true", help="the first 40 stars only, for a trial run")
    parser.add_argument("--out", type=Path, help="new folder to keep the catalogs in (default: they are thrown away)")
    options = parser.parse_args()
    if not all((options.data / name).is_file() for name in ("objects.parquet", "sources.parquet")):
        print(MISSING.format(folder=options.data), file=sys.stderr)
        return 2
    if options.out is not None and options.out.exists() and any(options.out.iterdir()):
        print(f"{options.out} is not empty: name a new folder", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as scratch:
        run(options.data, options.out or Path(scratch), n_stars=40 if options.small else None)
    return 0


def run(data: Path, out: Path, n_stars: int | None) -> None:
    """Go from the raw tables to the recovered periods."""
    for reduced, name in ((False, "all measurements"), (True, "one band a visit")):
        folder = out / ("reduced" if reduced else "full")
        survey = write_raw(data, folder / "raw", n_stars, reduced)
        account = partitioner.run(partitioner.Survey.read(survey), folder / "stripe82")
        for table in account.tables:
            print(f"{table.table}: {table.rows_in:,} rows in, {table.rows_out:,} in the {table.became}")
        stars = lt.open_catalog(folder / "stripe82")
        print(stars)
        for known, search in SEARCHES.items():
            report(f"{known}, {name}", periods(stars, search))


def periods(stars: lt.Catalog, search: lt.PeriodSearch) -> pd.DataFrame:
    """Return ids, published periods and the five best periods of every star."""
    names = ["period", "period_2", "period_3", "period_4", "period_5"]
    features = stars.features(lt.FeatureSet.of(names, BANDS, search=search), lightcurve="lc")
    table = features[["id", "P", "features_multiband"]].to_arrow()
    found = table["features_multiband"].combine_chunks()
    columns = {name: found.field(name).to_numpy(zero_copy_only=False).astype(float) for name in names}
    return pd.DataFrame({"id": table["id"].to_numpy(), "published": table["P"].to_numpy(), **columns})


def write_raw(data: Path, raw: Path, n_stars: int | None, reduced: bool) -> Path:
    """Write the survey's raw tables without the measurements that are none; return its description."""
    raw.mkdir(parents=True)
    objects = pq.read_table(data / "objects.parquet", columns=["id", "ra", "dec", "type", "P"]).slice(0, n_stars)
    sources = pq.read_table(data / "sources.parquet", columns=["id", "time", "mag", "magerr", "band"])
    sources = sources.filter(pc.is_in(sources["id"], value_set=objects["id"].combine_chunks()))
    mag, error = sources["mag"].to_numpy(), sources["magerr"].to_numpy()
    good = (mag > 0) & (mag < 30) & (error > 0) & (error < 1)
    print(f"{good.size:,} measurements, {np.count_nonzero(~good):,} without a brightness or an error left out")
    pq.write_table(objects, raw / "object.parquet")
    kept = sources.filter(pa.array(good))
    if reduced:
        kept = kept.filter(pa.array(one_band_a_visit(kept["id"].to_numpy(), kept["time"].to_numpy())))
    half = kept.num_rows // 2
    pq.write_table(kept.slice(0, half), raw / "source-0.parquet")
    pq.write_table(kept.slice(half), raw / "source-1.parquet")
    (raw / "survey.toml").write_text(SURVEY)
    return raw / "survey.toml"


def one_band_a_visit(star: np.ndarray, time: np.ndarray, seed: int = 3) -> np.ndarray:
    """Draw one measurement of every visit to every star; return which are kept."""
    order = np.lexsort((time, star))
    new = (np.diff(star[order]) != 0) | (np.diff(time[order]) > VISIT_DAYS)
    visit = np.empty(star.size, dtype=int)
    visit[order] = np.concatenate([[0], np.cumsum(new)])
    drawn = np.random.default_rng(seed).permutation(star.size)
    _, first = np.unique(visit[drawn], return_index=True)
    kept = np.zeros(star.size, dtype=bool)
    kept[drawn[first]] = True
    return kept


def report(what: str, frame: pd.DataFrame, seed: int = 82) -> None:
    """Print how many published periods were found, in the half that settings were chosen on, and in the other."""
    frame = frame.sort_values("id")
    found = frame.filter(like="period").to_numpy()
    right = np.abs(1 / found - 1 / frame["published"].to_numpy()[:, None]) < TOLERANCE_PER_DAY
    half = np.random.default_rng(seed).permutation(N_STARS)[: N_STARS // 2]
    chosen_on = np.isin(np.arange(len(frame)), half)
    print(f"recovered ({what}): {right[:, 0].sum()} of {len(frame)} published periods")
    for half, rows in (("chosen on", chosen_on), ("not seen", ~chosen_on), ("all", chosen_on | True)):
        best, among = right[rows, 0].mean(), right[rows].any(axis=1).mean()
        print(f"  {half:10} {rows.sum():4} stars: best {best:.3f}, among five {among:.3f}")


if __name__ == "__main__":
    sys.exit(main())
