"""Both ways of the periodogram against sums in long double, and models against least squares; unkind sampling."""

import os
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lsdb_ts.errors import InputError, PlanError
from lsdb_ts.kernels.periods import direct
from lsdb_ts.kernels.periods.fourier_transform import SIZE, transform
from lsdb_ts.kernels.periods.grid import FrequencyGrid
from lsdb_ts.kernels.periods.periodogram import METHODS, MultibandModel, multiband_power, multiband_powers
from lsdb_ts.kernels.vectors import LANES, aligned

SHARED, OWN = MultibandModel(1, 0), MultibandModel(0, 1)


def simulate(counts, seed=0, baseline=1500.0, start=60000.0, nightly=False):
    """Return times, values, weights, offsets of one object with these epochs per band, each band sorted."""
    rng = np.random.default_rng(seed)
    offsets = np.concatenate([[0], np.cumsum(counts)])
    t = rng.uniform(0, baseline, offsets[-1])
    if nightly:
        t = np.floor(t) + rng.normal(0.8, 0.1, t.size)
    t = np.concatenate([np.sort(t[a:b]) for a, b in pairwise(offsets)]) + start
    y = rng.normal(18, 1, len(counts))[np.repeat(np.arange(len(counts)), counts)]
    y = y + 0.4 * np.sin(2 * np.pi * t / 0.5673) + 0.2 * np.cos(4 * np.pi * t / 0.5673) + rng.normal(0, 0.3, t.size)
    return t, y, rng.uniform(20, 200, t.size), offsets


def power_in_long_double(t, y, w, offsets, frequencies, independent):
    """Return the power of one sinusoid by sums about the bands' means, all in long double."""
    t, y, w, f = (np.asarray(a, dtype=np.longdouble) for a in (t, y, w, frequencies))
    turn = 8 * np.arctan(np.longdouble(1)) * ((f[:, None] * (t - t.min())) % 1)
    c, s = np.cos(turn), np.sin(turn)
    parts, variance = [], np.longdouble(0)
    for a, b in pairwise(offsets):
        if a == b:
            continue
        wb = w[a:b]
        yb = y[a:b] - (wb * y[a:b]).sum() / wb.sum()
        cb, sb = (x[:, a:b] - (wb * x[:, a:b]).sum(axis=1, keepdims=True) / wb.sum() for x in (c, s))
        variance += (wb * yb * yb).sum()
        if not independent or b - a > 3:
            parts.append([(wb * p * q).sum(axis=1) for p, q in ((cb, cb), (sb, sb), (cb, sb), (yb, cb), (yb, sb))])
    sums = np.array(parts)
    if not independent:
        sums = sums.sum(axis=0, keepdims=True)
    cc, ss, cs, yc, ys = sums.transpose(1, 0, 2)
    gain = (ss * yc * yc + cc * ys * ys - 2 * cs * yc * ys) / (cc * ss - cs * cs)
    return (gain.sum(axis=0) / variance).astype(float)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("model", [SHARED, OWN])
@pytest.mark.parametrize("counts", [[15] * 6, [140] * 6, [300], [1, 0, 4, 33, 2]])
def test_the_power_is_that_of_long_double_sums(counts, model, method):
    t, y, w, offsets = simulate(counts)
    grid = FrequencyGrid(0.01, 1 / 7500, 100_000)
    some = np.random.default_rng(1).choice(grid.count, 300, replace=False)
    some[:4] = 0, 1, grid.count - 2, grid.count - 1
    powers = multiband_powers(t, y, w, offsets, len(counts), grid, model, method)[0]
    expected = power_in_long_double(t, y, w, offsets, grid.frequencies[some], model is OWN)

    np.testing.assert_allclose(powers[some], expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("method", ["direct", "nufft"])
@pytest.mark.parametrize("model", [SHARED, OWN])
def test_nights_at_one_hour_cost_no_digits_that_matter(model, method):
    t, y, w, offsets = simulate([25, 40, 60], nightly=True)
    grid = FrequencyGrid(0.002, 1 / 7500, 30_000)
    powers = multiband_powers(t, y, w, offsets, 3, grid, model, method)[0]
    expected = power_in_long_double(t, y, w, offsets, grid.frequencies, model is OWN)

    np.testing.assert_allclose(powers, expected, rtol=0, atol=1e-8)


@pytest.mark.parametrize("method", ["direct", "nufft"])
def test_a_million_frequencies_lose_no_digits(method):
    t, y, w, offsets = simulate([40, 50], baseline=3650.0)
    grid = FrequencyGrid(0.001, 2e-5, 1_000_000)
    some = np.r_[0:3, 400_000:400_010, grid.count - 3 : grid.count]
    powers = multiband_powers(t, y, w, offsets, 2, grid, SHARED, method)[0]

    np.testing.assert_allclose(
        powers[some], power_in_long_double(t, y, w, offsets, grid.frequencies[some], False), rtol=0, atol=1e-9
    )


@pytest.mark.parametrize("method", ["direct", "nufft"])
def test_times_from_julian_day_0_give_numbers(method):
    t, y, w, offsets = simulate([30, 30])
    t[0] = -2409998.5
    grid = FrequencyGrid.spanning(np.ptp(t), (0.1, 1000.0))
    powers = multiband_powers(t, y, w, offsets, 2, grid, SHARED, method)[0]
    some = np.arange(0, grid.count, 997)

    assert grid.count == 100_000
    expected = power_in_long_double(t, y, w, offsets, grid.frequencies[some], False)
    np.testing.assert_allclose(powers[some], expected, rtol=0, atol=1e-6)


def test_real_light_curves_with_julian_day_0_among_them_are_searched_on_bounded_grids():
    folder = Path(os.environ.get("LSDB_TS_DATA", Path(__file__).parents[4] / "shared" / "data")) / "crts_periodic"
    if not folder.exists():
        pytest.skip(f"no light curves of CRTS in {folder}: set LSDB_TS_DATA to the folder that holds crts_periodic")
    table = pyarrow.parquet.read_table(folder / "sources.parquet", columns=["id", "mjd", "mag", "magerr"])
    ids, mjd = table["id"].to_numpy(), table["mjd"].to_numpy()
    ancient = np.unique(ids[mjd < 0])
    assert ancient.size
    for chosen in (*ancient[:3], *np.unique(ids)[:3]):
        own = ids == chosen
        t, y, e = (np.asarray(table[name].to_numpy()[own], dtype=float) for name in ("mjd", "mag", "magerr"))
        grid = FrequencyGrid.spanning(np.ptp(t), (0.1, 100.0), max_frequencies=50_000)
        direct, nufft = (multiband_powers(t, y, e**-2, [0, t.size], 1, grid, SHARED, m)[0] for m in METHODS[1:])

        assert grid.count <= 50_000
        np.testing.assert_allclose(direct, nufft, rtol=0, atol=1e-6 if chosen in ancient else 1e-9)


def test_duplicate_times_in_one_band_are_summed_like_others():
    t, y, w, offsets = simulate([20, 20])
    t[3:6], t[30] = t[3], t[31]
    grid = FrequencyGrid(0.02, 0.003, 700)
    for method in ("direct", "nufft"):
        powers = multiband_powers(t, y, w, offsets, 2, grid, OWN, method)[0]
        np.testing.assert_allclose(
            powers, power_in_long_double(t, y, w, offsets, grid.frequencies, True), rtol=0, atol=1e-9
        )


def test_the_order_of_epochs_within_a_band_does_not_matter():
    t, y, w, offsets = simulate([30, 41])
    grid = FrequencyGrid(0.02, 0.003, 700)
    mixed = np.concatenate([np.random.default_rng(1).permutation(30), 30 + np.random.default_rng(2).permutation(41)])

    np.testing.assert_allclose(
        multiband_power(t[mixed], y[mixed], w[mixed], offsets, grid),
        multiband_power(t, y, w, offsets, grid),
        rtol=0,
        atol=1e-10,
    )


def penalised_power(t, y, w, offsets, frequencies, model):
    """Solve each frequency's penalised linear model as it stands, with a dense matrix."""
    n_bands = len(offsets) - 1
    band = np.repeat(np.arange(n_bands), np.diff(offsets))
    regularised = model.n_base > 0 or model.reg_band > 0
    used = [b for b in range(n_bands) if (band == b).sum() >= (1 if regularised else 2 * model.n_band + 2)]
    W = w[np.isin(band, used)].sum()
    trace = W * (2 + model.n_base + model.n_band)
    means = (band[:, None] == np.arange(n_bands)).astype(float)[:, np.unique(band)]
    centred = y - means @ (((means * w[:, None]).T @ y) / (means * w[:, None]).sum(axis=0))
    variance = (w * centred**2).sum()
    power = []
    for f in frequencies:

        def waves(K, f=f):
            k = np.arange(1, K + 1)
            phase = 2 * np.pi * f * (t - t[0])[:, None] * k
            return np.concatenate([np.cos(phase), np.sin(phase)], axis=1)

        columns = [waves(model.n_base)] + [waves(model.n_band) * (band == b)[:, None] for b in used]
        X = np.concatenate(columns, axis=1)
        penalty = np.concatenate([np.full(columns[0].shape[1], model.reg_base * trace)] + [
            np.full(c.shape[1], model.reg_band * trace) for c in columns[1:]
        ])  # fmt: skip
        X = X - means @ (((means * w[:, None]).T @ X) / (means * w[:, None]).sum(axis=0)[:, None])
        rows = np.concatenate([X * np.sqrt(w)[:, None], np.diag(np.sqrt(penalty))])
        right = np.concatenate([centred * np.sqrt(w), np.zeros(len(penalty))])
        solution = np.linalg.lstsq(rows, right, rcond=None)[0]
        power.append(1 - ((right - rows @ solution) ** 2).sum() / variance)
    return np.array(power)


@pytest.mark.parametrize("method", ["direct", "nufft"])
@pytest.mark.parametrize(
    "model",
    [
        MultibandModel(2, 0),
        MultibandModel(4, 0),
        MultibandModel(0, 3),
        MultibandModel(1, 0, reg_base=0.01),
        MultibandModel(0, 1, reg_band=0.01),
        MultibandModel(1, 1, reg_band=1e-3),
        MultibandModel(3, 1, reg_band=1e-2),
        MultibandModel(1, 2, reg_base=1e-4, reg_band=1e-2),
        MultibandModel(2, 2, reg_band=1e-6),
    ],
)
def test_any_model_is_the_dense_least_squares_of_the_paper(model, method):
    t, y, w, offsets = simulate([30, 0, 12, 1, 25], seed=3, baseline=200.0)
    grid = FrequencyGrid(0.31, 0.0137, 300)
    powers = multiband_powers(t, y, w, offsets, 5, grid, model, method)[0]

    np.testing.assert_allclose(powers, penalised_power(t, y, w, offsets, grid.frequencies, model), rtol=0, atol=1e-8)


@pytest.mark.parametrize("n_terms", [1, 2, 3])
def test_one_band_of_several_harmonics_is_the_lomb_scargle_of_astropy(n_terms):
    from astropy.timeseries import LombScargle

    t, y, w, offsets = simulate([150], baseline=300.0)
    grid = FrequencyGrid(0.05, 0.003, 1000)
    expected = LombScargle(t, y, w**-0.5, fit_mean=True, nterms=n_terms).power(
        grid.frequencies, method="cython" if n_terms == 1 else "chi2"
    )
    for model in (MultibandModel(n_terms, 0), MultibandModel(0, n_terms)):
        for method in ("direct", "nufft"):
            powers = multiband_powers(t, y, w, offsets, 1, grid, model, method)[0]
            np.testing.assert_allclose(powers, expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("terms", [(2, 0), (0, 2), (1, 1), (2, 1)])
def test_models_are_the_flexible_multiband_lomb_scargle_of_astropy(terms):
    from astropy.timeseries import LombScargleMultiband

    t, y, w, offsets = simulate([40, 35, 30], baseline=200.0)
    bands = np.repeat(["g", "r", "i"], np.diff(offsets))
    grid = FrequencyGrid(0.4, 0.011, 60)
    both = min(terms) > 0
    peer = LombScargleMultiband(
        t, y, bands, w**-0.5, nterms_base=terms[0], nterms_band=terms[1], reg_base=None,
        reg_band=1e-6 if both else None, regularize_by_trace=both,
    )  # fmt: skip
    expected = peer.power(grid.frequencies, method="flexible")
    model = MultibandModel(*terms, reg_band=1e-6 if both else 0.0)
    # astropy's means of the bands are regularised too, which is a little of the power.
    np.testing.assert_allclose(
        multiband_powers(t, y, w, offsets, 3, grid, model)[0], expected, rtol=0, atol=1e-5 if both else 1e-8
    )


def test_many_objects_in_one_call_are_each_as_alone():
    curves = [simulate(c, seed=k) for k, c in enumerate([[20, 30], [0, 0], [90, 120], [5, 0], [1, 1]])]
    t, y, w = (np.concatenate([c[k] for c in curves]) for k in range(3))
    offsets = np.concatenate([[0], np.cumsum(np.concatenate([np.diff(c[3]) for c in curves]))])
    grid = FrequencyGrid(0.05, 0.0007, 3000)
    for model in (SHARED, OWN, MultibandModel(2, 1, reg_band=0.1)):
        together = multiband_powers(t, y, w, offsets, 2, grid, model)
        for k, (tk, yk, wk, ok) in enumerate(curves):
            assert (together[k] == multiband_powers(tk, yk, wk, ok, 2, grid, model)[0]).all()
    assert (multiband_powers(t, y, w, offsets, 2, grid)[[1, 4]] == 0).all()


def test_float32_columns_are_taken_as_the_numbers_they_are():
    t, y, w, offsets = simulate([30, 30], start=0.0)
    t32, y32, w32 = (a.astype(np.float32) for a in (t, y, w))
    grid = FrequencyGrid(0.05, 0.01, 500)

    np.testing.assert_array_equal(
        multiband_power(t32, y32, w32, offsets, grid),
        multiband_power(t32.astype(float), y32.astype(float), w32.astype(float), offsets, grid),
    )


def test_the_cheaper_method_is_chosen_by_the_epochs_and_the_lanes():
    grid = FrequencyGrid(0.05, 0.001, 2000)
    for counts, expected in (([15] * 6, "direct"), ([140] * 6, "nufft"), ([30], "direct"), ([1000], "nufft")):
        curve = simulate(counts)
        chosen = multiband_power(*curve, grid)
        assert (chosen == multiband_powers(*curve, len(counts), grid, method=expected)[0]).all()


def test_epochs_of_weight_0_take_no_part():
    t, y, w, offsets = simulate([20, 15, 4])
    w[offsets[2] :], w[:5], y[2] = 0.0, 0.0, 1e6
    kept = w > 0
    grid = FrequencyGrid(0.05, 0.01, 500)
    for model in (SHARED, OWN, MultibandModel(2, 1, reg_band=0.1)):
        for method in ("direct", "nufft"):
            np.testing.assert_allclose(
                multiband_powers(t, y, w, offsets, 3, grid, model, method)[0],
                multiband_powers(t[kept], y[kept], w[kept], [0, 15, 30, 30], 3, grid, model, method)[0],
                rtol=0,
                atol=1e-10,
            )


@pytest.mark.parametrize("method", ["direct", "nufft"])
@pytest.mark.parametrize("model", [SHARED, OWN])
def test_few_epochs_that_hardly_constrain_the_sinusoid_are_summed_exactly(model, method):
    t, y, w, offsets = simulate([5, 6, 4], seed=8, baseline=30.0, nightly=True)
    grid = FrequencyGrid(0.03, 0.002, 8000)
    powers = multiband_powers(t, y, w, offsets, 3, grid, model, method)[0]
    expected = power_in_long_double(t, y, w, offsets, grid.frequencies, model is OWN)
    # Where a band does not constrain it at all, by the determinant, the band takes nothing away.
    close = np.abs(powers - expected) < 1e-8

    assert close.mean() > 0.999
    assert (powers[~close] < expected[~close]).all()


@pytest.mark.parametrize("name", ["time_days", "values", "weights"])
def test_an_epoch_that_is_no_number_is_named(name):
    curve = dict(zip(("time_days", "values", "weights", "offsets"), simulate([9, 9]), strict=True))
    curve[name][4] = np.nan
    with pytest.raises(InputError, match=f"{name} of epoch 4 is nan"):
        multiband_power(**curve, grid=FrequencyGrid(0.1, 0.1, 5))


def test_too_few_epochs_for_the_unknowns_have_no_power():
    t, y, w, offsets = simulate([5])
    grid = FrequencyGrid(0.05, 0.01, 50)

    assert (multiband_powers(t, y, w, offsets, 1, grid, MultibandModel(1, 0))[0] > 0).all()
    assert (multiband_powers(t, y, w, offsets, 1, grid, MultibandModel(2, 0)) == 0).all()
    assert (multiband_powers(t, y, w, offsets, 1, grid, MultibandModel(0, 2)) == 0).all()
    assert (multiband_powers(t, y, w, offsets, 1, grid, MultibandModel(0, 2, reg_band=0.1)) > 0).all()


@settings(max_examples=60, deadline=None)
@given(
    counts=st.lists(st.integers(0, 12), min_size=1, max_size=4),
    seed=st.integers(0, 10_000),
    span=st.floats(1e-3, 1e5),
    count=st.integers(1, 600),
    terms=st.sampled_from([(1, 0), (0, 1), (2, 0), (1, 1)]),
)
def test_power_is_a_share_whatever_the_epochs_and_both_methods_agree(counts, seed, span, count, terms):
    t, y, w, offsets = simulate(counts, seed=seed, baseline=span)
    model = MultibandModel(*terms, reg_band=1e-3 if min(terms) else 0.0)
    grid = FrequencyGrid(1 / span, 1 / (5 * span), count)
    direct, nufft = (multiband_powers(t, y, w, offsets, len(counts), grid, model, m)[0] for m in ("direct", "nufft"))

    assert ((direct > -1e-6) & (direct < 1 + 1e-6)).all()
    # With hardly more epochs than unknowns the normal equations of several harmonics lose half their digits.
    free, unknowns = sum(max(n - 1, 0) for n in counts), 2 * (terms[0] + terms[1] * len(counts))
    if sum(terms) == 1 or free >= 2 * unknowns:
        np.testing.assert_allclose(direct, nufft, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"n_base": 0}, "needs harmonics"),
        ({"n_base": -1, "n_band": 1}, "needs harmonics"),
        ({"reg_base": -1.0}, "0 or more"),
        ({"reg_band": np.nan}, "0 or more"),
        ({"n_band": 1}, "not told apart"),
    ],
)
def test_a_model_that_makes_no_sense_is_refused(wrong, message):
    with pytest.raises(PlanError, match=message):
        MultibandModel(**wrong)


def test_an_unknown_method_half_an_object_and_offsets_that_fall_are_refused():
    curve, grid = simulate([9, 9]), FrequencyGrid(0.1, 0.1, 5)
    with pytest.raises(PlanError, match="there are fastest, direct, nufft"):
        multiband_powers(*curve, 2, grid, method="fft")
    with pytest.raises(PlanError, match="not a whole number of objects"):
        multiband_powers(*curve, 3, grid)
    for wrong in ([0, 12, 9, 18], [1, 9, 18, 18]):
        with pytest.raises(PlanError, match="offsets begin at 0 and never fall"):
            multiband_powers(*curve[:3], wrong, 3, grid)


def test_the_transform_of_4096_points_is_that_of_numpy():
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=(2, SIZE + 16))
    scale = rng.uniform(1, 2, SIZE // 2)
    whole = np.fft.ifft(x[:SIZE] + 1j * y[:SIZE]) * SIZE
    C, S = np.zeros((2, 3, SIZE // 2))
    transform(x, y, np.empty(SIZE), np.empty(SIZE), scale, C, S, SIZE // 2)
    expected = np.concatenate([whole[-SIZE // 4 :], whole[: SIZE // 4]]) * scale

    np.testing.assert_allclose(C[1] + 1j * S[1], expected, atol=1e-12)
    assert (C[[0, 2]] == 0).all()


@pytest.mark.parametrize("pair", ["_pair_in_many_registers", "_pair_in_few_registers"])
def test_sums_are_the_same_with_many_registers_and_with_few(pair):
    rng = np.random.default_rng(6)
    n, start, stop = 24, 3, 20
    angle, weight = rng.uniform(0, 6, (2, n)), rng.uniform(1, 2, n)
    step = rng.uniform(0, 0.3, n)
    rows = np.concatenate([f(angle[k]) * weight for k in range(2) for f in (np.cos, np.sin)])
    offset = np.arange(16) + 0.5
    table = np.concatenate([np.cos(step[:, None] * offset), np.sin(step[:, None] * offset)], axis=1)
    C, S = np.zeros((2, 1, 128))
    getattr(direct, pair)(rows, n, table, start, stop, C, S, 64)
    use = slice(start, stop)
    waves = angle[:, None, use] + step[use] * np.concatenate([-offset[::-1], offset])[:, None]

    np.testing.assert_allclose(C[0, 64:], (weight[use] * np.cos(waves)).sum(axis=-1).ravel(), atol=1e-12)
    np.testing.assert_allclose(S[0, 64:], (weight[use] * np.sin(waves)).sum(axis=-1).ravel(), atol=1e-12)
    assert (C[0, :64] == 0).all()


def test_aligned_arrays_begin_at_a_cache_line():
    for size in (8, 24, 1000):
        a = aligned(1, 2, size)
        assert a.shape == (1, 2, size)
        assert a.ctypes.data % (8 * LANES) == 0
        assert (a == 0).all()
