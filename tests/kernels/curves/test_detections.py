"""Peaks of detections and what surrounds them, against loops in plain Python."""

import itertools

import numpy as np
import pytest

from lsdb_ts.kernels.curves.detections import PEAKS, SURROUNDINGS, peaks, signs, surroundings

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


def test_peaks_are_those_of_the_detections_written_out(curves):
    t, x, e, offsets = curves
    table = peaks(t, x, x / e, offsets, 3.0)

    for c, (a, b) in enumerate(itertools.pairwise(offsets)):
        seen = [(t[i], x[i]) for i in range(a, b) if x[i] / e[i] >= 3.0]
        if not seen:
            assert np.isnan(table[c]).all()
            continue
        top = max(seen, key=lambda epoch: (epoch[1], -epoch[0]))
        rise, fade = top[0] - seen[0][0], seen[-1][0] - top[0]
        slopes = [
            (top[1] - seen[0][1]) / rise if rise > 0 else np.nan,
            (seen[-1][1] - top[1]) / fade if fade > 0 else np.nan,
        ]
        np.testing.assert_allclose(table[c], [*top, rise, fade, *slopes], rtol=1e-12)
    assert np.isfinite(table).all(axis=1).sum() > 20
    assert table.shape[1] == len(PEAKS)


def test_surroundings_are_those_of_the_first_detection_in_any_band(curves):
    t, x, e, offsets = curves
    x = x - 4 * (t < 8)
    table = surroundings(t, x, x / e, offsets, BANDS, 3.0)

    for o in range(40):
        seen = [(t[i], i) for _, i in of_object(offsets, o) if abs(x[i] / e[i]) >= 3.0]
        for b in range(BANDS):
            row = table[o * BANDS + b]
            if not seen:
                assert np.isnan(row).all()
                continue
            moment, first = min(seen)
            own = np.arange(*offsets[o * BANDS + b : o * BANDS + b + 2])
            before = x[own][t[own] < moment]
            after = x[own][(t[own] >= moment) & (np.abs(x[own] / e[own]) < 3.0)]
            nothing = [np.nan] * 5
            known = [before[-1], np.median(before), before.max()] if before.size else nothing[:3]
            steps = [x[first] - known[0], x[first] - known[1]]
            later = [np.median(after), after.max()] if after.size else nothing[:2]
            np.testing.assert_allclose(row, [before.size, *known, *steps, after.size, *later], rtol=1e-12)
    assert np.isfinite(table).all(axis=1).sum() > 5
    assert table.shape[1] == len(SURROUNDINGS)


def test_signs_are_counted_and_zero_has_none(curves):
    _, x, _, offsets = curves
    x = x.round()
    expected = [[(x[a:b] < 0).sum(), (x[a:b] > 0).sum()] for a, b in itertools.pairwise(offsets)]

    assert signs(x, offsets).tolist() == expected
    assert (x == 0).any()
