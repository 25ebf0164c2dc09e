"""Find gravitationally lensed type Ia supernovae by their colours, and by the galaxies they lie on.

Question: which supernovae are redder than any near one, and too luminous for the galaxy in front of which they are?

Data: light curves of supernovae, and galaxies with photometric redshifts, partly real and partly made here.
Real: 185 near, unlensed type Ia of the Foundation survey (Foley et al. 2018, MNRAS 475, 193), as in the DES five-year
release (Sanchez et al. 2024, arXiv:2406.05046): light curves in griz, positions, redshifts (below 0.11).
Made: 500 lensed ones, of the simulated type Ia at redshifts 0.5 to 1 of the Supernova Photometric Classification
Challenge (Kessler et al. 2010, arXiv:1008.1024). They are magnified 4 to 50 times (log-uniform; nature has more of the
weak), fluxes and errors both: so does a survey see them that is so much shallower. All images of one are a single point
without delays, at a random place of the same sky.
Made: all galaxies. Hosts lie some 2.5 arcsec from the real supernovae, at their redshifts; lenses within 1.5 arcsec of
the lensed ones, at redshifts 0.2 to 0.45, and what is behind them is too faint to be seen; others around both, 4 in a
square arcminute, about those brighter than r = 22.5. The errors of all their redshifts are 0.03 (1 + z).

The limits of the colours are those of T2GetLensSNParameters by A. Townsend (github.com/AmpelAstro/Ampel-HU-astro), of
the platform AMPEL on which Townsend et al. 2025 (A&A 694, A146) searched. There one colour above its limit is enough,
measured at epochs near the phases, and the model fitted must be brighter than -19.5 in rest-frame B. Here all nine are
above, as a Gaussian process has them, and the brightest of g, r and i is brighter than -20 in absolute magnitude.

Expected: 102 candidates, all of them lensed. All nine colours are known of 307 lensed and 164 unlensed supernovae, and
redder than the limits are 290 and 0; one colour at least is redder in 495 and 98. Brighter than -20 where the nearest
galaxy is are 244 and 51, with a probability above 0.9 in view of its redshift 184 and 13: 9 of these 13 because the
redshift of the host is 1.7 sigma too high or more, and 4 because another galaxy is nearer than the host.

    python recipes/lensed_supernovae.py DATA_FOLDER [--small] [--out FOLDER]

Leaves supernovae/ and candidates/ (HATS catalogs), colours.png and candidates.png in FOLDER (default: lensed).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from astropy.cosmology import FlatLambdaCDM
from numpy.typing import NDArray
from scipy.stats import norm

import lsdb_ts as lt
import partitioner

FOUNDATION, CHALLENGE = "des_sn5yr_lowz_foundation", "snpcc2010_sim"
FILES = [
    *(f"{FOUNDATION}/foundation_{name}.parquet" for name in ("objects", "sources")),
    *(f"{CHALLENGE}/{name}.parquet" for name in ("objects", "sources")),
]
SEED = 42
MEASURED = ["name", "mjd", "band", "flux", "flux_error"]
MAGNIFICATIONS = (4.0, 50.0)
FIELD_PER_ARCMIN2 = 4.0

BANDS = "gri"
PHASES = {"before": -7.0, "peak": 0.0, "after": 7.0}
"""Days from the peak, as observed, one as far from the next as from the last."""
LIMITS = {"g_r": (-0.08, 0.12, 0.33), "g_i": (-0.08, 0.06, 0.33), "r_i": (-0.34, -0.28, -0.23)}
"""Colours at these phases that near type Ia stay below."""
ABOVE = {
    f"{colour}_{phase}": limit for colour, limits in LIMITS.items() for phase, limit in zip(PHASES, limits, strict=True)
}
REDDER = " and ".join(f"{name} > {limit}" for name, limit in ABOVE.items())
COLOURS = [*ABOVE, *(f"{name}_error" for name in ABOVE), "peak_mag", "peak_mag_error"]
KNOWN_MAG = 0.3
"""Colours and magnitudes with larger errors are not known."""
SEEN_SIGMA = 3.0
"""A flux below so many errors is not seen, and is no more than that."""
EXTINCTION = np.array([3.172, 2.271, 1.682])
"""Magnitudes in g, r and i for each of E(B-V): Schlafly & Finkbeiner 2011, ApJ 737, 103, for Pan-STARRS."""

RADIUS_ARCSEC = 5.0
BRIGHTEST = -20.0
"""Absolute magnitude that no unlensed type Ia has."""
LUMINOUS = f"absolute_mag < {BRIGHTEST} and p_luminous > 0.9"
LUMINOSITY = ["absolute_mag", "p_luminous"]
COSMOLOGY = FlatLambdaCDM(H0=70.0, Om0=0.3)
DRAWN = 12

SURVEY = """\
name = "survey"

[tables.object]
files = "object.parquet"
roles = { id = "id", ra = "ra", dec = "dec" }
max_rows = 100
margin_arcsec = 10.0
nest = { source = "lc" }

[tables.source]
files = "source.parquet"
roles = { parent_id = "id", time = "mjd", band = "band", flux = "flux", flux_error = "flux_error", zero_point = 27.5 }
units = { mjd = "d" }

[tables.galaxy]
files = "galaxy.parquet"
roles = { id = "galaxy_id", ra = "ra", dec = "dec" }
max_rows = 1000
margin_arcsec = 10.0
"""

MISSING = """\
{folder} does not hold {missing}.

They are light curves of type Ia supernovae, each table put into one Parquet file with its values unchanged:
  des_sn5yr_lowz_foundation/foundation_objects.parquet, foundation_sources.parquet
      headers and photometry of the Foundation sample, from github.com/des-science/DES-SN5YR, folder 0_DATA
  snpcc2010_sim/objects.parquet, sources.parquet
      headers (snid, mwebv, sim_type, sim_z, ...) and measurements (snid, mjd, band, flux, fluxerr) of the unblinded
      simulation of the Supernova Photometric Classification Challenge (SIMGEN_PUBLIC_DES)
Then: python recipes/lensed_supernovae.py FOLDER_THAT_HOLDS_BOTH"""


def main() -> int:
    """Run the recipe; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path, help=f"folder that holds {FOUNDATION}/ and {CHALLENGE}/")
    parser.add_argument("--small", action="store_true", help="60 supernovae of each kind only, for a trial run")
    parser.add_argument("--out", type=Path, default=Path("lensed"), help="where to leave everything (lensed)")
    options = parser.parse_args()
    missing = [name for name in FILES if not (options.data / name).is_file()]
    if missing:
        print(MISSING.format(folder=options.data, missing=", ".join(missing)), file=sys.stderr)
        return 2
    if (options.out / "supernovae").exists():
        print(f"{options.out} holds the supernovae of another run: name another folder with --out", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as scratch:
        survey = write_raw(options.data, Path(scratch), *((60, 60) if options.small else (185, 500)))
        partitioner.run(partitioner.Survey.read(survey), Path(scratch) / "survey")
        supernovae = lt.open_catalog(Path(scratch) / "survey")
        galaxies = lt.open_catalog(Path(scratch) / "survey" / "galaxy")
        print(f"{len(supernovae):,} supernovae, {len(galaxies):,} galaxies around them")
        measured = measure(supernovae, galaxies).write(options.out / "supernovae", name="supernovae")
    candidates = measured.query(REDDER).query(LUMINOUS).write(options.out / "candidates", name="candidates")
    report(measured, candidates)
    draw_colours(measured, options.out / "colours.png")
    draw_candidates(candidates, options.out / "candidates.png")
    return 0


def write_raw(data: Path, raw: Path, n_unlensed: int, n_lensed: int) -> Path:
    """Write raw tables of supernovae, their measurements, and galaxies; return the survey's description."""
    rng = np.random.default_rng(SEED)
    near, near_sources = unlensed(data / FOUNDATION, n_unlensed)
    far, far_sources = magnified(data / CHALLENGE, n_lensed, rng)
    far["ra"] = rng.uniform(0.0, 360.0, len(far))
    heights = np.sin(np.radians([near["dec"].min(), near["dec"].max()]))
    far["dec"] = np.degrees(np.arcsin(rng.uniform(*heights, len(far))))
    objects = pd.concat([near, far], ignore_index=True)
    objects.insert(0, "id", np.arange(len(objects)))
    sources = pd.concat([near_sources, far_sources]).merge(objects[["id", "name"]], on="name").drop(columns="name")
    galaxies = galaxies_around(objects, rng)
    for name, table in (("object", objects), ("source", sources), ("galaxy", galaxies)):
        table.to_parquet(raw / f"{name}.parquet", index=False)
    (raw / "survey.toml").write_text(SURVEY)
    return raw / "survey.toml"


def unlensed(folder: Path, n: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the first of the real supernovae, and their measurements."""
    headers = pq.read_table(folder / "foundation_objects.parquet").to_pandas().head(n)
    headers = headers.rename(columns={"snid": "name", "redshift_final": "z"})
    sources = pq.read_table(folder / "foundation_sources.parquet").to_pandas()
    sources = sources.rename(columns={"snid": "name", "fluxcal": "flux", "fluxcalerr": "flux_error"})
    return headers[["name", "ra", "dec", "mwebv", "z"]].assign(lensed=False, magnification=1.0), sources[MEASURED]


def magnified(folder: Path, n: int, rng: np.random.Generator) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return some far supernovae of the simulation, not yet placed on the sky, and their magnified measurements."""
    headers = pq.read_table(folder / "objects.parquet").to_pandas()
    far = headers[(headers["sim_type"] == "Ia") & headers["sim_z"].between(0.5, 1.0)]
    far = far.sample(n, random_state=rng).rename(columns={"sim_z": "z"})
    far = far.assign(
        name="lensed " + far["snid"].astype(str),
        lensed=True,
        magnification=np.exp(rng.uniform(*np.log(MAGNIFICATIONS), n)),
    )
    sources = pq.read_table(folder / "sources.parquet").to_pandas().rename(columns={"fluxerr": "flux_error"})
    sources = sources.merge(far[["snid", "name", "magnification"]], on="snid")
    sources[["flux", "flux_error"]] = sources[["flux", "flux_error"]].mul(sources["magnification"], axis=0)
    return far[["name", "mwebv", "z", "lensed", "magnification"]], sources[MEASURED]


def galaxies_around(objects: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Make a host or a lens for each supernova, and others within half an arcminute."""
    n, lensed = len(objects), objects["lensed"].to_numpy()
    others = np.repeat(np.arange(n), rng.poisson(FIELD_PER_ARCMIN2 * np.pi * 0.5**2, n))
    centre = np.concatenate([np.arange(n), others])
    apart = np.where(lensed, rng.uniform(0.0, 1.5, n), rng.rayleigh(2.0, n))
    apart = np.concatenate([apart, 30.0 * np.sqrt(rng.uniform(size=others.size))]) / 3600
    z = np.where(lensed, rng.uniform(0.2, 0.45, n), objects["z"])
    # A depth of r = 22.5: n(z) ~ z^2 exp(-(z / 0.35)^1.5), with its middle at 0.5.
    z = np.concatenate([z, 0.35 * rng.gamma(2.0, size=others.size) ** (2 / 3)])
    z_error = 0.03 * (1 + z)
    angle, ra, dec = rng.uniform(0.0, 2 * np.pi, centre.size), objects["ra"].to_numpy(), objects["dec"].to_numpy()
    return pd.DataFrame(
        {
            "galaxy_id": np.arange(centre.size),
            "ra": (ra[centre] + apart * np.sin(angle) / np.cos(np.radians(dec[centre]))) % 360.0,
            "dec": dec[centre] + apart * np.cos(angle),
            "z_phot": np.maximum(rng.normal(z, z_error), 0.001),
            "z_phot_error": z_error,
            "galaxy_kind": [*np.where(lensed, "lens", "host"), *["other"] * others.size],
        }
    )


def measure(supernovae: lt.Catalog, galaxies: lt.Catalog) -> lt.Catalog:
    """Return the supernovae with their colours at the three phases, and how luminous their galaxies make them."""
    daily = supernovae.curves().interpolate(-30.0, 30.0, 61, BANDS).in_bands("r")
    top = daily.query("flux - flux_error == (flux - flux_error).max()").assign("top")
    peaked = top.assign(peak_mjd=top["top.mjd"].max()).drop(["top"])
    days = list(PHASES.values())
    phases = peaked.curves().interpolate(days[0], days[-1], len(days), BANDS, since="peak_mjd")
    grid = phases.to_magnitude(limit_sigma=SEEN_SIGMA).assign("grid").query("len(grid) > 0")
    parts = ("mwebv", "grid.mag", "grid.mag_error", "grid.limit")
    coloured = grid.reduce(colours, *parts, meta=dict.fromkeys(COLOURS, "float64"), append=True).drop(["grid"])
    matched = coloured.crossmatch(galaxies, RADIUS_ARCSEC, how="left", suffixes=("", "_galaxy"))
    numbers = ("peak_mag", "peak_mag_error", "z_phot", "z_phot_error")
    return matched.reduce(luminosity, *numbers, meta=dict.fromkeys(LUMINOSITY, "float64"), append=True)


def colours(mwebv: float, *grid: NDArray[np.float64]) -> dict[str, float]:
    """Return colours and their errors, free of the dust of the Milky Way, and the magnitude at the peak.

    The grid is magnitudes, errors and limits, of each band at all phases. Where the bluer band is not seen, the colour
    is the least that it can be, and has no error.
    """
    mag, error, limit = (part.reshape(len(BANDS), len(PHASES)) for part in grid)
    seen = mag < limit
    at_most = np.where(seen, mag, limit) - EXTINCTION[:, None] * mwebv
    error = np.where(seen, error, np.nan)
    found = dict.fromkeys(COLOURS, np.nan)
    for colour in LIMITS:
        blue, red = (BANDS.index(band) for band in colour.split("_"))
        sigma = np.hypot(error[blue], error[red])
        known = np.where(seen[blue], sigma, error[red]) < KNOWN_MAG
        for i in np.flatnonzero(known):
            name = f"{colour}_{list(PHASES)[i]}"
            found |= {name: at_most[blue, i] - at_most[red, i], f"{name}_error": sigma[i]}
    peak = list(PHASES).index("peak")
    for mag, sigma in sorted(zip(at_most[:, peak], error[:, peak], strict=True), reverse=True):
        if sigma < KNOWN_MAG:
            found |= {"peak_mag": mag, "peak_mag_error": sigma}
    return found


def luminosity(mag: float, mag_error: float, z: float, z_error: float) -> dict[str, float]:
    """Return the absolute magnitude at a redshift, and the probability that it is beyond the brightest.

    The probability is over the errors of both. Spectra are taken to be flat in f_nu.
    """
    if not np.isfinite([mag, z]).all():
        return dict.fromkeys(LUMINOSITY, np.nan)
    near = z + z_error * np.linspace(-4.0, 4.0, 81)
    near = near[near > 0]
    chances = norm.cdf(BRIGHTEST, absolute(mag, near), mag_error)
    return {
        "absolute_mag": float(absolute(mag, z)),
        "p_luminous": float(np.average(chances, weights=norm.pdf(near, z, z_error))),
    }


def absolute(mag: float, z: Any) -> Any:
    """Return the absolute AB magnitude in the band that the observed one is at a redshift."""
    return mag - COSMOLOGY.distmod(z).value + 2.5 * np.log10(1 + z)


def report(measured: lt.Catalog, candidates: lt.Catalog) -> None:
    """Print how many supernovae of both kinds pass which test, and some of the candidates."""
    frame = measured[["lensed", "galaxy_kind", *LUMINOSITY, *ABOVE]].compute(progress=False)
    cuts = (REDDER.replace("and", "or"), REDDER, LUMINOUS)
    some, red, luminous = (frame.eval(cut).fillna(False).astype(bool) for cut in cuts)
    passed = {
        "supernovae": frame["lensed"].notna(),
        "all nine colours known": frame[list(ABOVE)].notna().all(axis=1),
        "redder than one limit": some,
        "redder than all nine": red,
        f"a galaxy within {RADIUS_ARCSEC:g} arcsec": frame["galaxy_kind"].notna(),
        "the nearest is the host or lens": frame["galaxy_kind"].isin(["host", "lens"]),
        f"brighter than {BRIGHTEST:g} there": (frame["absolute_mag"] < BRIGHTEST).fillna(False).astype(bool),
        "so with a probability above 0.9": luminous,
        "redder than all nine, and so": red & luminous,
    }
    counts = pd.DataFrame(passed).groupby(np.where(frame["lensed"], "lensed", "unlensed")).sum()
    print(counts.T.to_string())
    shown = ["name", "g_r_peak", "r_i_peak", "peak_mag", "z_phot", "absolute_mag", "p_luminous", "magnification"]
    chosen = candidates[shown].compute(progress=False).nsmallest(DRAWN, "absolute_mag")
    print(chosen.to_string(index=False, float_format="{:.2f}".format))


def draw_colours(measured: lt.Catalog, path: Path) -> None:
    """Draw two colours at the three phases; the third is their sum, so its limit is a slope."""
    import matplotlib.pyplot as plt

    frame = measured[["lensed", *COLOURS]].compute(progress=False).astype(float)
    lensed = frame["lensed"] == 1
    figure, axes = plt.subplots(1, len(PHASES), figsize=(12, 4.6), sharex=True, sharey=True, layout="constrained")
    x = np.linspace(-0.7, 2.7, 400)
    for i, (ax, (phase, day)) in enumerate(zip(axes, PHASES.items(), strict=True)):
        g_r, g_i, r_i = (limits[i] for limits in LIMITS.values())
        ax.fill_between(x, np.maximum(r_i, g_i - x), 1.6, where=x > g_r, color="0.92", lw=0, label="above the limits")
        least = frame[f"g_r_{phase}_error"].isna()
        kinds = {
            "lensed": (lensed & ~least, "o", "#c2410c"),
            "lensed, g not seen": (lensed & least, ">", "#c2410c"),
            "unlensed": (~lensed & ~least, "o", "#1d4ed8"),
        }
        for kind, (rows, marker, ink) in kinds.items():
            points = frame.loc[rows, [f"g_r_{phase}", f"r_i_{phase}"]].to_numpy()
            ax.plot(*points.T, marker, ms=4, mew=0, alpha=0.6, color=ink, label=kind)
        ax.set(title=f"{day:+g} days from the peak" if day else "at the peak", xlabel="g - r")
    axes[0].set(xlim=(x[0], x[-1]), ylim=(-1.2, 1.6), ylabel="r - i")
    axes[0].legend(loc="lower right", frameon=False, fontsize=9)
    figure.savefig(path, dpi=110)
    print(path)


def draw_candidates(candidates: lt.Catalog, path: Path) -> None:
    """Draw some of the candidates around their peaks."""
    near = candidates.curves().first_days(80.0, since="peak_mjd", before_days=40.0).assign()
    axes = lt.plot_lightcurves(near, titles="name", lightcurve="lc", limit=DRAWN)
    axes[0].figure.savefig(path, dpi=110)
    print(path)


if __name__ == "__main__":
    sys.exit(main())
