"""The work of the benchmarks of light curves as the peers do it, each in an environment of its own."""

import functools
import warnings

import curves
import numpy as np
from meter import Measured, measured, serve

FLEXIBLE_FREQUENCIES = 500
"""The flexible method of astropy takes so long that only these are computed; the time is scaled up."""


def light_curve(path: str, objects: int, out: str, names: list, mixed: bool = False) -> Measured:
    """Extract features, by our names, with light-curve from Arrow.

    Each band is a row, or each object is a row with a column of bands.
    """
    extractor, rows = _prepared(path, objects, tuple(names), mixed)
    fields = {"t": "time", "m": "flux", "sigma": "error", **({"band": "band"} if mixed else {})}
    with measured() as found:
        table = extractor.many(rows, arrow_fields=fields, sorted=True, check=False, fill_value=np.nan, n_jobs=1)
    table = table.reshape(objects, -1)
    ours = [_OURS[name[:-2] if mixed else name] for name in extractor.names] * (1 if mixed else len(curves.BANDS))
    made = {name: table[:, [k for k, n in enumerate(ours) if n == name]] for name in names}
    return _kept(found, out, objects, len(names), made)


_OURS = {
    "observation_count": "n_epochs",
    "duration": "duration",
    "maximum_time_interval": "dt_max",
    "mean": "mean",
    "weighted_mean": "mean_w",
    "median": "median",
    "standard_deviation": "sigma",
    "amplitude": "amplitude",
    "median_absolute_deviation": "mad",
    "inter_percentile_range_25": "iqr",
    "chi2": "redchi2",
    "chi2_pvar": "p_const",
    "excess_variance": "excess_var",
    "mean_variance": "frac_sigma",
    "stetson_K": "stetson_k",
    "skew": "skew",
    "kurtosis": "kurt_small",
    "beyond_1_std": "beyond_1std",
    "median_buffer_range_percentage_10": "median_brp",
    "maximum_slope": "max_abs_slope",
    "linear_fit_slope": "lin_slope",
    "linear_fit_slope_sigma": "lin_slope_err",
    "linear_fit_reduced_chi2": "lin_redchi2",
    "eta": "eta",
    "eta_e": "eta_e",
    "cusum": "rcs",
    "roms": "roms",
    "percent_amplitude": "percent_amplitude",
    "percent_difference_magnitude_percentile_5": "percent_diff_fp",
    "magnitude_percentage_ratio_40_5": "fpr_mid20",
    "magnitude_percentage_ratio_32_5": "fpr_mid35",
    "magnitude_percentage_ratio_25_5": "fpr_mid50",
    "magnitude_percentage_ratio_18_5": "fpr_mid65",
    "magnitude_percentage_ratio_10_5": "fpr_mid80",
    "anderson_darling_normal": "anderson_darling",
    "otsu_mean_diff": "otsu_mean_diff",
    "otsu_std_lower": "otsu_std_lower",
    "otsu_std_upper": "otsu_std_upper",
    "otsu_lower_to_all_ratio": "otsu_lower_share",
}
"""light-curve's outputs by their names and ours."""


@functools.cache
def _prepared(path: str, objects: int, names: tuple, mixed: bool):
    import light_curve as lc
    import pyarrow as pa

    makers = [
        lc.ObservationCount, lc.Duration, lc.MaximumTimeInterval, lc.Mean, lc.WeightedMean, lc.Median,
        lc.StandardDeviation, lc.Amplitude, lc.MedianAbsoluteDeviation, lc.ReducedChi2, lc.Chi2Pvar, lc.ExcessVariance,
        lc.MeanVariance, lc.StetsonK, lc.Skew, lc.Kurtosis, lc.MaximumSlope, lc.LinearFit, lc.Eta, lc.EtaE, lc.Cusum,
        lc.Roms, lc.PercentAmplitude, lc.AndersonDarlingNormal, lc.OtsuSplit,
        functools.partial(lc.InterPercentileRange, 0.25),
        functools.partial(lc.BeyondNStd, 1.0),
        functools.partial(lc.MedianBufferRangePercentage, 0.1),
        functools.partial(lc.PercentDifferenceMagnitudePercentile, 0.05),
        *(functools.partial(lc.MagnitudePercentageRatio, q, 0.05) for q in (0.4, 0.325, 0.25, 0.175, 0.1)),
    ]  # fmt: skip
    wanted = [make for make in makers if any(_OURS[name] in names for name in make().names)]
    bands = {"bands": list(curves.BANDS)} if mixed else {}
    extractor = lc.Extractor(*(make(**bands) for make in wanted))
    given = curves.opened(path, objects)
    parts = curves.mixed(given) if mixed else {k: v.reshape(-1, v.shape[2]) for k, v in given.items()}
    rows, epochs = parts["time"].shape
    arrays = {part: pa.array(parts[part].ravel()) for part in curves.PARTS}
    if mixed:
        arrays["band"] = pa.array(np.array(list(curves.BANDS))[parts["band"].ravel()])
    epoch = pa.StructArray.from_arrays(list(arrays.values()), list(arrays))
    return extractor, pa.ListArray.from_arrays(pa.array(np.arange(rows + 1, dtype=np.int32) * epochs), epoch)


def feets(path: str, objects: int, out: str) -> Measured:
    """Extract what feets has without a period, an autoregression or a map, band by band, in this process."""
    from feets import FeatureSpace

    space = FeatureSpace(only=_FEETS, dask_options={"scheduler": "synchronous"})
    rows = [
        {"time": t, "magnitude": x, "error": e} for t, x, e in zip(*_bands_apart(path, objects), strict=True)
    ]  # fmt: skip
    with measured() as found, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        features = space.extract_many(*rows).features
    theirs = {"mean": "Mean", "sigma": "Std", "mad": "MedianAbsDev", "max_abs_slope": "MaxSlope"}
    made = {ours: np.array([row[name] for row in features]).reshape(objects, -1) for ours, name in theirs.items()}
    return _kept(found, out, objects, len(_FEETS), made)


_FEETS = (
    "Amplitude", "AndersonDarling", "BeyondNStd", "Con", "Cusum", "Duration", "Eta", "EtaE", "ExcessVariance", "Gskew",
    "InterPercentileRange", "LinearFit_ReducedChi2", "LinearFit_Sigma", "LinearFit_Slope", "LinearTrend",
    "LinearTrend_ReducedChi2", "LinearTrend_Sigma", "MaxSlope", "MaxTimeInterval", "Mean", "MeanVariance",
    "MedianAbsDev", "MedianAmplitude", "MedianBRP", "MinTimeInterval", "PairSlopeTrend", "PercentAmplitude",
    "PercentDiffPercentile", "PercentageRatio", "Q31", "Rcs", "ReducedChi2", "Roms", "Skew", "SmallKurtosis", "Std",
    "StetsonK", "TimeMean", "TimeStd", "WeightedBeyondNStd", "WeightedMean",
)  # fmt: skip


def cesium(path: str, objects: int, out: str) -> Measured:
    """Extract cesium's general features, but those of its quasar model, band by band."""
    from cesium import featurize
    from cesium.features import GENERAL_FEATS

    # A period and a model of quasars are no statistics.
    chosen = [name for name in GENERAL_FEATS if not name.startswith(("period", "qso"))]
    with measured() as found, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        table = featurize.featurize_time_series(
            *(list(part) for part in _bands_apart(path, objects)),
            features_to_use=chosen,
            scheduler=_synchronous(),
        )
    theirs = {"mean_w": "weighted_average", "median": "median", "max": "maximum"}
    made = {ours: table[name].to_numpy(dtype=float).reshape(objects, -1) for ours, name in theirs.items()}
    return _kept(found, out, objects, len(chosen), made)


def _synchronous():
    from dask.local import get_sync

    return get_sync


def alerce(path: str, objects: int, out: str) -> Measured:
    """Extract the 26 features that ALeRCE's pipeline asks of its turbofats, band by band, from frames."""
    import pandas as pd
    from turbofats import FeatureSpace

    space = FeatureSpace(_ALERCE)
    rows = [
        pd.DataFrame({"brightness": x, "mjd": t, "e_brightness": e})
        for t, x, e in zip(*_bands_apart(path, objects), strict=True)
    ]
    with measured() as found, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        features = [dict(space.calculate_features(row)) for row in rows]
    theirs = {"mean": "Mean", "mad": "MedianAbsDev", "stetson_k": "StetsonK"}
    made = {ours: np.array([row[name] for row in features]).reshape(objects, -1) for ours, name in theirs.items()}
    return _kept(found, out, objects, len(_ALERCE), made)


_ALERCE = [
    "Amplitude", "AndersonDarling", "Autocor_length", "Beyond1Std", "Con", "Eta_e", "Gskew", "MaxSlope", "Mean",
    "Meanvariance", "MedianAbsDev", "MedianBRP", "PairSlopeTrend", "PercentAmplitude", "Q31", "Rcs", "Skew",
    "SmallKurtosis", "Std", "StetsonK", "Pvar", "ExcessVar", "SF_ML_amplitude", "SF_ML_gamma", "IAR_phi", "LinearTrend",
]  # fmt: skip


def nested_pandas(path: str, objects: int, out: str) -> Measured:
    """Call a function of one row for every row of a nested frame."""
    import pandas as pd
    from nested_pandas import NestedDtype, NestedFrame

    column = curves.nested(curves.opened(path, objects))
    frame = NestedFrame({"id": np.arange(objects)})
    frame["lc"] = pd.Series(column, dtype=NestedDtype(column.type))
    with measured() as found:
        made = frame.map_rows(
            curves.of_row, columns=[f"lc.{part}" for part in (*curves.PARTS, "band")], row_container="args"
        )
    table = {n: np.stack([made[f"{n}_{b}"].to_numpy() for b in curves.BANDS], axis=1) for n in curves.BY_ROW}
    return _kept(found, out, objects, len(curves.BY_ROW), table)


def astropy(path: str, objects: int, out: str, line: list, every: int, sb_method: str | None) -> Measured:
    """Compute astropy's multiband power, by a method of single bands, or by the flexible one at a few frequencies."""
    from astropy.timeseries import LombScargleMultiband

    if sb_method == "fastnifty":
        import nifty_ls  # noqa: F401  (gives astropy the method)
    flexible = sb_method is None
    frequencies = _frequencies(line)[:FLEXIBLE_FREQUENCIES] if flexible else _frequencies(line)
    how = {"method": "flexible"} if flexible else {"method": "fast", "sb_method": sb_method}
    data = list(_objects(path, objects))
    with measured() as found, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for time, flux, error, band in data:
            LombScargleMultiband(time, flux, band, error, nterms_base=1, nterms_band=1).power(frequencies, **how)
    found.rows = objects
    if flexible:
        found.seconds *= line[2] / FLEXIBLE_FREQUENCIES
        found.own_cpu_seconds *= line[2] / FLEXIBLE_FREQUENCIES
    return found


def nifty(path: str, objects: int, out: str, line: list, every: int) -> Measured:
    """Compute the power of each band by nifty-ls, and add them up with the weight of their variance."""
    import nifty_ls

    first, step, count = line
    given = curves.opened(path, objects)
    powers = []
    with measured() as found:
        for parts in zip(*(given[part] for part in curves.PARTS), strict=True):
            whole, variance = np.zeros(count), 0.0
            for time, flux, error in zip(*parts, strict=True):
                made = nifty_ls.lombscargle(
                    time,
                    flux,
                    error,
                    fmin=first,
                    fmax=first + step * (count - 1),
                    Nf=count,
                    backend="finufft",
                    nthreads=1,
                )
                weight = error**-2.0
                scatter = (weight * (flux - np.average(flux, weights=weight)) ** 2).sum()
                whole += scatter * made.power
                variance += scatter
            powers.append(whole / variance)
    found.rows = objects
    np.save(out, np.stack([p[::every] for p in powers]))
    return found


def cuperiod(path: str, objects: int, out: str, line: list, every: int, model: str) -> Measured:
    """Compute cuPeriod's multiband power by its NUFFT on the processor."""
    from cuperiod.core.config import GLSSettings
    from cuperiod.core.grid import GridSpec
    from cuperiod.core.lightcurve import Domain, LightCurve, MultiBandLightCurve
    from cuperiod.multiband.gls_mb import gls_multiband_power

    grid = GridSpec("frequency", _frequencies(line), uniform=True)
    settings = GLSSettings(mb_model=model)
    given = curves.opened(path, objects)
    data = [
        MultiBandLightCurve(
            {b: LightCurve(*band, domain=Domain.FLUX) for b, *band in zip(curves.BANDS, *parts, strict=True)}
        )
        for parts in zip(*(given[part] for part in curves.PARTS), strict=True)
    ]
    with measured() as found:
        powers = [gls_multiband_power(grid, each, settings, "finufft").power for each in data]
    found.rows = objects
    np.save(out, np.stack([p[::every] for p in powers]))
    return found


def _frequencies(line: list) -> np.ndarray:
    first, step, count = line
    return first + step * np.arange(count)


def _objects(path: str, objects: int):
    given = curves.opened(path, objects)
    band = np.repeat(list(curves.BANDS), given["time"].shape[2])
    for parts in zip(*(given[part].reshape(objects, -1) for part in curves.PARTS), strict=True):
        yield *parts, band


@functools.cache
def _bands_apart(path: str, objects: int) -> tuple[np.ndarray, ...]:
    given = curves.opened(path, objects)
    return tuple(given[part].reshape(-1, given[part].shape[2]) for part in curves.PARTS)


def _kept(found: Measured, out: str, objects: int, outputs: int, made: dict[str, np.ndarray]) -> Measured:
    found.rows, found.outputs = objects, outputs
    np.savez(out, **made)
    return found


if __name__ == "__main__":
    of_features = (light_curve, feets, cesium, alerce, nested_pandas)
    serve({job.__name__: job for job in (*of_features, astropy, nifty, cuperiod)})
