"""Shapes of kinds of stars: conditional Gaussians, turned to the phase of a fundamental, and curves in fluxes."""

import json
from dataclasses import asdict

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from lsdb_ts.errors import InputError, PlanError
from lsdb_ts.kernels.periods.kinds import RR_LYRAE, StarKind, arrays
from lsdb_ts.kernels.periods.templates import LEAST_LOG_DENSITY, expected_shape, in_flux, turn_to_fundamental


def rows(matrix):
    return tuple(tuple(row[: i + 1]) for i, row in enumerate(np.asarray(matrix).tolist()))


def full(kind):
    n = len(kind.mean)
    return np.array([[kind.covariance[max(i, j)][min(i, j)] for j in range(n)] for i in range(n)])


@pytest.mark.parametrize("place", [0, 1])
def test_the_shape_expected_is_that_of_the_gaussian_given_period_and_amplitude(place):
    kind, known = RR_LYRAE[place], np.add(RR_LYRAE[place].mean[:2], [0.1, -0.2])
    mean, C = np.array(kind.mean), full(kind)
    density, shape = expected_shape(arrays(RR_LYRAE), place, *known, False)
    rest = C[2:, 2:] - C[2:, :2] @ np.linalg.solve(C[:2, :2], C[:2, 2:])

    assert density == pytest.approx(np.log(kind.share) + multivariate_normal(mean[:2], C[:2, :2]).logpdf(known))
    np.testing.assert_allclose(shape, mean[2:] + C[2:, :2] @ np.linalg.solve(C[:2, :2], known - mean[:2]))
    np.testing.assert_allclose(np.linalg.inv(arrays(RR_LYRAE)[4][place]), rest, atol=1e-12)


def test_a_period_of_no_star_of_the_kind_has_a_least_density_and_a_shape_not_far_from_the_mean():
    kinds, mean = arrays(RR_LYRAE), np.array(RR_LYRAE[0].mean)
    density, shape = expected_shape(kinds, 0, 9.0, -1.1, False)
    widths = np.sqrt(np.diag(full(RR_LYRAE[0])))[2:]

    assert density == pytest.approx(np.log(0.8) + LEAST_LOG_DENSITY)
    assert (np.abs(shape - mean[2:]) <= 3.0 * widths).all()


def test_a_shape_turns_with_the_fundamental_of_its_series():
    rng = np.random.default_rng(1)
    series, shape = rng.normal(size=10), rng.normal(0, 0.3, 6)
    root = rng.normal(size=(6, 6))
    precision = root @ root.T + np.eye(6)
    belief = (np.diag(np.full(10, 7.0)), np.zeros(10))
    turn_to_fundamental(series, shape, precision, belief)
    first = series[0] - 1j * series[1]
    size, k = abs(first), np.arange(2, 5)

    def turned(numbers):
        harmonics = size * (numbers[0::2] + 1j * numbers[1::2]) * (first / size) ** k
        return np.stack([harmonics.real, -harmonics.imag], axis=1).ravel()

    T = np.stack([turned(unit) for unit in np.eye(6)], axis=1)
    np.testing.assert_allclose(belief[1][2:8], turned(shape), atol=1e-12)
    np.testing.assert_allclose(belief[0][2:8, 2:8], np.linalg.inv(T @ np.linalg.inv(precision) @ T.T), atol=1e-9)
    assert (belief[1][[0, 1, 8, 9]] == 0.0).all()
    assert (np.diag(belief[0])[[0, 1, 8, 9]] == 7.0).all()


def test_the_shape_in_fluxes_is_that_of_the_curve_in_fluxes():
    shape = np.array([-0.26, -0.34, -0.13, 0.24, 0.14, 0.03])
    rho = shape[0::2] + 1j * shape[1::2]
    phase = np.arange(4096) / 4096
    curve = np.cos(2 * np.pi * phase) + sum((r * np.exp(2j * np.pi * k * phase)).real for k, r in enumerate(rho, 2))
    harmonics = np.fft.fft(10 ** (-0.4 * 0.35 * curve))[1:5]
    wanted = harmonics[1:] / abs(harmonics[0]) * (harmonics[0] / abs(harmonics[0])) ** -np.arange(2.0, 5.0)

    np.testing.assert_allclose(in_flux(shape, 0.35), np.stack([wanted.real, wanted.imag], axis=1).ravel(), atol=1e-9)
    faint = in_flux(shape, 1e-6)
    np.testing.assert_allclose(faint, shape * [-1, -1, 1, 1, -1, -1], atol=1e-5)


def test_a_kind_is_measured_from_its_stars():
    rng = np.random.default_rng(2)
    stars = rng.multivariate_normal(RR_LYRAE[0].mean, full(RR_LYRAE[0]), 4000)
    shapes = stars[:, 2::2] + 1j * stars[:, 3::2]
    kind = StarKind.measured(0.5, np.exp(stars[:, 0]), np.exp(stars[:, 1]), shapes)

    np.testing.assert_allclose(kind.mean, RR_LYRAE[0].mean, atol=0.02)
    np.testing.assert_allclose(full(kind), full(RR_LYRAE[0]) + 0.03**2 * np.eye(8), atol=0.005)
    assert kind.n_harmonics == 4
    assert StarKind(**json.loads(json.dumps(asdict(kind)))) == kind
    with pytest.raises(InputError, match=r"3 periods, 4000 amplitudes and shapes of shape \(4000, 3\)"):
        StarKind.measured(0.5, [0.5, 0.6, 0.7], np.exp(stars[:, 1]), shapes)


@pytest.mark.parametrize(
    ("share", "mean", "covariance", "said"),
    [
        (0.0, np.zeros(4), np.eye(4), "a share above 0"),
        (1.0, np.zeros(4), -np.eye(4), "least eigenvalue -1"),
        (1.0, [np.nan, 0, 0, 0], np.eye(4), "finite means"),
        (1.0, np.zeros(3), np.eye(3), "got 3 means"),
        (1.0, np.zeros(4), np.eye(5), r"got 4 means and rows of \[1, 2, 3, 4, 5\]"),
    ],
)
def test_a_kind_that_is_no_gaussian_is_refused(share, mean, covariance, said):
    with pytest.raises(PlanError, match=said):
        StarKind(share, tuple(mean), rows(covariance))
