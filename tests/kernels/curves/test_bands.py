"""Epochs of two bands taken together, against loops in plain Python."""

import itertools

import numpy as np
import pytest

from lsdb_ts.errors import InputError
from lsdb_ts.kernels.curves.bands import brightest_times, colour_slopes, pair_bands, values_at, welch_stetson

BANDS = 3


@pytest.fixture(scope="module")
def curves():
    """Return objects of three bands, some empty or of one epoch, with visits in two bands, and equal times."""
    rng = np.random.default_rng(9)
    parts = []
    for o in range(40):
        visits = np.sort(rng.uniform(0, 60, 0 if o == 3 else rng.integers(1, 40))).round(1)
        for b in range(BANDS):
            seen = visits[rng.random(visits.size) < (0.0 if o % 5 == b else 0.6)]
            parts.append(np.sort(seen + rng.choice([0.0, 0.02, 0.3], seen.size)))
    offsets = np.concatenate([[0], np.cumsum([p.size for p in parts])])
    t = np.concatenate(parts)
    e = rng.uniform(0.5, 2, t.size)
    return t, 3 + 2 * np.sin(t / 5) + e * rng.normal(size=t.size), e, offsets


def of_object(offsets, o):
    """Return (band, row) of every epoch of an object."""
    return [(b, i) for b in range(BANDS) for i in range(offsets[o * BANDS + b], offsets[o * BANDS + b + 1])]


def test_the_indices_are_those_of_pairs_found_one_by_one(curves):
    t, x, e, offsets = curves
    centres = np.array([x[a:b].mean() if b > a else np.nan for a, b in itertools.pairwise(offsets)])
    pairs, j, k = welch_stetson(t, x, e, offsets, centres, BANDS, 0.05)

    for o in range(pairs.size):
        n = np.diff(offsets)[o * BANDS : (o + 1) * BANDS]
        epochs = sorted((t[i], b, i) for b, i in of_object(offsets, o) if n[b] > 1)
        deltas, waiting = [], None
        for moment, b, i in epochs:
            delta = np.sqrt(n[b] / (n[b] - 1)) * (x[i] - centres[o * BANDS + b]) / e[i]
            if waiting and waiting[1] != b and moment - waiting[0] <= 0.05:
                deltas.append((waiting[2], delta))
                waiting = None
            else:
                waiting = (moment, b, delta)
        assert pairs[o] == len(deltas)
        if deltas:
            product, each = np.prod(deltas, axis=1), np.ravel(deltas)
            assert j[o] == pytest.approx(np.mean(np.sign(product) * np.sqrt(np.abs(product))), rel=1e-12)
            assert k[o] == pytest.approx(np.abs(each).mean() / np.sqrt((each**2).mean()), rel=1e-12)
        else:
            assert np.isnan([j[o], k[o]]).all()
    assert (pairs > 5).sum() > 5
    assert (pairs == 0).sum() > 1


def test_two_bands_are_paired_with_the_nearest_and_each_epoch_once(curves):
    t, _, _, offsets = curves
    owner, rows, others = pair_bands(t, offsets, BANDS, 0, 2, 0.25)

    assert (np.abs(t[rows] - t[others]) <= 0.25).all()
    assert np.unique(rows).size == rows.size
    assert np.unique(others).size == others.size
    for o in range(40):
        blue = np.arange(*offsets[o * BANDS : o * BANDS + 2])
        red = np.arange(*offsets[o * BANDS + 2 : o * BANDS + 4])
        mine = dict(zip(rows[owner == o], others[owner == o], strict=True))
        assert set(mine) <= set(blue)
        for i in blue:
            if not red.size or np.abs(t[red] - t[i]).min() > 0.25:
                assert i not in mine
            elif i in mine:
                assert np.abs(t[red] - t[i]).min() == abs(t[mine[i]] - t[i])
            else:
                nearest = red[np.abs(t[red] - t[i]) == np.abs(t[red] - t[i]).min()]
                assert set(nearest) & set(mine.values())


@pytest.mark.parametrize("near", [0.0, 1.0])
def test_a_value_lies_on_the_line_between_its_neighbours_or_is_the_nearest(curves, near):
    t, x, _, offsets = curves
    moments = np.random.default_rng(0).uniform(0, 60, 40)
    moments[::3] = [t[of_object(offsets, o)[0][1]] if of_object(offsets, o) else np.nan for o in range(0, 40, 3)]
    moments[4] = np.nan
    found = values_at(t, x, offsets, BANDS, moments, 2.0, near)

    for o, b in itertools.product(range(40), range(BANDS)):
        own = slice(*offsets[o * BANDS + b : o * BANDS + b + 2])
        times, values, moment = t[own], x[own], moments[o]
        before, after = np.flatnonzero(times < moment), np.flatnonzero(times > moment)
        distance = np.abs(times - moment)
        if moment in times:
            expected = values[times == moment].mean()
        elif before.size and after.size and times[after[0]] - times[before[-1]] <= 2.0:
            ends = [before[-1], after[0]]
            expected = np.interp(moment, times[ends], values[ends])
        elif times.size and distance.min() <= near:
            expected = values[before[-1] if before.size and distance[before[-1]] == distance.min() else after[0]]
        else:
            expected = np.nan
        assert found[o, b] == pytest.approx(expected, rel=1e-9, nan_ok=True)
    assert np.isfinite(found).any(axis=0).all()


def test_bands_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match="5 curves are not those of objects with 2 bands"):
        pair_bands(np.empty(0), np.zeros(6, int), 2, 0, 1, 1.0)


def test_the_brightest_epoch_is_found_over_all_bands(curves):
    t, x, e, offsets = curves
    x = x.round()
    found = brightest_times(t, x, x / e, offsets, BANDS, 2.0)

    for o in range(40):
        seen = [(-x[i], t[i]) for _, i in of_object(offsets, o) if x[i] / e[i] >= 2.0]
        assert found[o] == (pytest.approx(min(seen)[1]) if seen else pytest.approx(np.nan, nan_ok=True))
    assert np.isnan(found).any()


@pytest.mark.parametrize("is_flux", [True, False])
def test_slopes_of_colours_are_those_of_polyfit(curves, is_flux):
    t, x, e, offsets = curves
    pairs = pair_bands(t, offsets, BANDS, 1, 2, 0.5)
    found = colour_slopes(t + 60000, x, e, offsets, BANDS, pairs, is_flux)

    for o in range(40):
        i, j = (rows[pairs[0] == o] for rows in pairs[1:])
        if is_flux:
            i, j = i[(x[i] > 0) & (x[j] > 0)], j[(x[i] > 0) & (x[j] > 0)]
        colour = -2.5 * np.log10(x[i] / x[j]) if is_flux else x[i] - x[j]
        error = np.hypot(e[i] / x[i], e[j] / x[j]) if is_flux else np.hypot(e[i], e[j])
        if np.unique(t[i] + t[j]).size < 2:
            assert np.isnan(found[o])
        else:
            assert found[o] == pytest.approx(np.polyfit(0.5 * (t[i] + t[j]), colour, 1, w=1 / error)[0], rel=1e-6)
    assert np.isfinite(found).sum() > 10
    assert np.isnan(found).sum() > 2
