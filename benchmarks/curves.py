"""The light curves that features and periods are measured on: drawn once, the same for all sides; nothing is timed.

Runs in every environment of the benchmarks, so it needs nothing but numpy, and pyarrow where a table is asked for.
"""

import itertools
from pathlib import Path

import numpy as np

BANDS = "ugrizy"
BASELINE_DAYS = 1500.0
PARTS = ("time", "flux", "error")
STARRED_OF_BANDS = (
    "n_epochs", "t_first", "t_last", "duration", "dt_median", "dt_max", "mean_w", "mean_w_err", "mean", "median", "min",
    "max", "sigma", "err_mean", "p05", "p10", "p25", "p75", "p90", "p95", "mad", "iqr", "amplitude", "chi2", "redchi2",
    "p_const", "excess_var", "excess_var_raw", "frac_sigma", "stetson_j", "stetson_k", "skew", "kurt_small",
    "beyond_1std", "median_brp", "max_slope", "max_abs_slope", "lin_slope", "lin_slope_err", "lin_redchi2", "eta",
    "eta_e", "rcs", "roms", "t_peak", "f_peak", "rise_time", "fade_time", "rise_slope", "fade_slope", "n_neg",
    "positive_fraction", "n_non_det_before", "last_flux_before", "median_flux_before", "max_flux_before",
    "dflux_first_det",
)  # fmt: skip
"""The most wanted features that go through the epochs of a band one by one."""
STARRED = (
    *STARRED_OF_BANDS, "sf_amp", "sf_gamma", "mhps_low", "mhps_high", "mhps_ratio",
    "welch_stetson_j", "welch_stetson_l",
    *(
        f"{name}_{blue}_{red}"
        for name in ("colour", "colour_max", "colour_peak", "colour_slope", "amp_ratio")
        for blue, red in itertools.pairwise(BANDS)
    ),
)  # fmt: skip
"""All of the most wanted that need neither a period nor a fit: those of pairs of epochs, of time scales, of bands, too.
"""
STARRED_IN_COMMON = (
    "n_epochs", "duration", "dt_max", "mean", "mean_w", "median", "sigma", "amplitude", "mad", "iqr", "redchi2",
    "p_const", "excess_var", "frac_sigma", "stetson_k", "skew", "kurt_small", "beyond_1std", "median_brp",
    "max_abs_slope", "lin_slope", "lin_slope_err", "lin_redchi2", "eta", "eta_e", "rcs", "roms",
)  # fmt: skip
"""Features of a band, by our names, that light-curve's Arrow path has, too: by its definitions where there are others.
"""
IN_COMMON = (
    *STARRED_IN_COMMON, "percent_amplitude", "fpr_mid20", "fpr_mid35", "fpr_mid50", "fpr_mid65", "fpr_mid80",
    "percent_diff_fp", "anderson_darling", "otsu_mean_diff", "otsu_std_lower", "otsu_std_upper", "otsu_lower_share",
)  # fmt: skip
"""All such features."""
BY_ROW = ("n_epochs", "mean", "mean_w", "sigma", "median", "mad", "skew", "redchi2")
"""What the function of one row computes, for each band."""


def drawn(folder: Path, objects: int, epochs: int) -> Path:
    """Return a file of light curves: time (d), flux and error (nJy), each of shape (objects, bands, epochs).

    Every band has its own epochs, sorted. A third of the objects are constant, a third vary by a few errors, a third by
    many: a sawtooth of the object's own period.
    """
    path = folder / f"curves_{objects}_{epochs}.npz"
    if path.exists():
        return path
    rng = np.random.default_rng([objects, epochs])
    shape = (objects, len(BANDS), epochs)
    time = np.sort(60_000.0 + rng.uniform(0.0, BASELINE_DAYS, shape), axis=2)
    period, level = rng.uniform(0.2, 1.2, (objects, 1, 1)), rng.lognormal(9.0, 1.0, (objects, 1, 1))
    error = level * rng.uniform(0.01, 0.04, shape)
    phase = (time / period) % 1.0
    range_ = rng.permutation(objects).reshape(-1, 1, 1) % 3 * np.array(0.15)
    flux = level * (1.0 + range_ * (0.5 - phase)) + error * rng.normal(size=shape)
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(path, time=time, flux=flux, error=error)
    return path


def opened(path: str, objects: int) -> dict[str, np.ndarray]:
    """Return the first objects of a file, part by part."""
    found = np.load(path)
    return {part: np.ascontiguousarray(found[part][:objects]) for part in PARTS}


def mixed(curves: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the epochs of each object in time, whatever their band, as surveys store them; with their bands' codes."""
    objects, bands, epochs = curves["time"].shape
    order = np.argsort(curves["time"].reshape(objects, -1), axis=1)
    code = np.broadcast_to(np.repeat(np.arange(bands, dtype=np.int8), epochs), order.shape)
    parts = {part: np.take_along_axis(values.reshape(objects, -1), order, 1) for part, values in curves.items()}
    return {**parts, "band": np.take_along_axis(code, order, 1)}


def nested(curves: dict[str, np.ndarray]):
    """Return one struct of lists an object, epochs of all bands in time: a nested column of pyarrow."""
    import pyarrow as pa

    parts = mixed(curves)
    objects, epochs = parts["time"].shape
    offsets = pa.array(np.arange(objects + 1, dtype=np.int32) * epochs)
    flat = {part: pa.array(parts[part].ravel()) for part in PARTS}
    flat["band"] = pa.DictionaryArray.from_arrays(pa.array(parts["band"].ravel()), list(BANDS))
    return pa.StructArray.from_arrays([pa.ListArray.from_arrays(offsets, v) for v in flat.values()], list(flat))


def of_row(time: np.ndarray, flux: np.ndarray, error: np.ndarray, band: np.ndarray) -> dict[str, float]:
    """Return ``BY_ROW`` of each band of one object, as a user would write it in numpy."""
    found: dict[str, float] = {}
    for name in BANDS:
        here = band == name
        x, weight = flux[here], error[here] ** -2.0
        n = x.size
        mean, deviation, mean_w = x.mean(), x.std(ddof=1), np.average(x, weights=weight)
        median = np.median(x)
        values = (
            n,
            mean,
            mean_w,
            deviation,
            median,
            np.median(np.abs(x - median)),
            n / ((n - 1) * (n - 2)) * (((x - mean) / deviation) ** 3).sum(),
            (weight * (x - mean_w) ** 2).sum() / (n - 1),
        )
        found.update(zip((f"{feature}_{name}" for feature in BY_ROW), values, strict=True))
    return found
