"""Shapes of transients and lenses in flux, with their derivatives: what the fits of ``least_squares.py`` are fits of.

Every model is ``a E(t) + b`` or ``a E(t)``: the shape E has parameters that all bands of an object share, the first of
which is a time; the amplitude a, which is not negative, and the base b are the bands' own. With one band this is the
published formula. Of a chromatic model E depends on the wavelength, too, and all bands share the amplitude.
``x = t - t0`` throughout, in days.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import ArrayLike, NDArray

from lsdb_ts.errors import InputError

_BAZIN, _VILLAR, _LINEXP, _TDE, _FALLBACK, _LENS, _RAINBOW = range(7)
_FALLBACK_INDEX = -5.0 / 3.0
_KELVIN_ANGSTROM = 1.438776877e8
"""h c / k: a temperature times a wavelength."""
_LIGHT = 2.99792458e18
"""Speed of light in Angstrom per second."""


@dataclass(frozen=True)
class Model:
    """A family of light curves: its parameters, how far they may go, and where fits begin.

    >>> BAZIN.parameters
    ('t0', 'tau_rise', 'tau_fall', 'a', 'b')
    """

    name: str
    formula: str
    reference: str
    code: int
    """Which of the compiled shapes."""
    shape: tuple[str, ...]
    """The parameters of E; the first is a time, which may lie a duration of the curve outside of it."""
    own: tuple[str, ...]
    """The amplitude, and the base where there is one; of a chromatic model the base alone."""
    lower: tuple[float, ...]
    upper: tuple[float, ...]
    """Limits of the shape's parameters after the first. Those with a positive lower limit are fitted in logarithms."""
    starts: tuple[tuple[float, ...], ...]
    """Values to begin from, a tuple for each of these parameters; all combinations are looked at."""
    excess: str = ""
    """This parameter is fitted as its excess over the one before it, to which its limits and starts refer."""

    blurs_days: tuple[float, ...] = (0.0,)
    """Fits are made with the corners of the formula rounded over so many days, one after the other, the last with
    none: chi2 has a minimum for every epoch that a corner may fall on."""
    n_starts: int = 3
    """How many of the best starting points are followed for some steps; the one then ahead is followed to the end."""
    first_steps: int = 6
    """How many steps that is."""
    chromatic: bool = False
    """Whether bands differ by their wavelengths, and not by their amplitudes: then the last parameter of the shape is
    the amplitude, and every band has a base."""

    @property
    def parameters(self) -> tuple[str, ...]:
        """The parameters' names, those of the shape first."""
        return self.shape + self.own

    @property
    def excess_at(self) -> int:
        """Where the parameter stands that is fitted as an excess; -1 for none."""
        return self.shape.index(self.excess) if self.excess else -1


BAZIN = Model(
    "bazin",
    "a exp(-x / tau_fall) / (1 + exp(-x / tau_rise)) + b, with tau_rise < tau_fall",
    "Bazin et al. 2011, A&A 534, A43, eq. 1",
    _BAZIN,
    ("t0", "tau_rise", "tau_fall"),
    ("a", "b"),
    (1e-2, 1e-2),
    (1e3, 1e4),
    ((1.5, 5.0), (8.0, 25.0, 80.0)),
    excess="tau_fall",
)
VILLAR = Model(
    "villar",
    "a (1 - beta x / gamma) / (1 + exp(-x / tau_rise)) where x < gamma, "
    "a (1 - beta) exp(-(x - gamma) / tau_fall) / (1 + exp(-x / tau_rise)) after",
    "Villar et al. 2019, ApJ 884, 83, eq. 1, its slope as the share beta that the plateau loses as in "
    "Sanchez-Saez et al. 2021, AJ 161, 141",
    _VILLAR,
    ("t0", "beta", "gamma", "tau_rise", "tau_fall"),
    ("a",),
    (0.0, 1.0, 1e-2, 1e-1),
    (1.0, 300.0, 300.0, 1e4),
    ((0.5,), (10.0, 60.0), (1.5, 5.0), (10.0, 40.0)),
    blurs_days=(10.0, 3.0, 0.0),
)
LINEXP = Model(
    "linexp",
    "a (x / tau) exp(1 - x / tau) + b where x > 0, b before: a linear rise into an exponential decay, its peak a at "
    "x = tau",
    "Malanchev et al. 2021, MNRAS 502, 5147, LinexpFit of their package, normalised to the peak",
    _LINEXP,
    ("t0", "tau"),
    ("a", "b"),
    (1e-1,),
    (1e4,),
    ((3.0, 10.0, 30.0, 100.0),),
)
TDE = Model(
    "tde",
    "a exp(-x^2 / (2 sigma^2)) where x < 0, a (1 + x / t_decay)^index after, x = t - t_peak",
    "van Velzen et al. 2021, ApJ 908, 4, their rise and power-law decay",
    _TDE,
    ("t_peak", "sigma", "t_decay", "index"),
    ("a",),
    (1e-1, 1.0, -10.0),
    (1e3, 1e4, -0.1),
    ((5.0, 15.0), (20.0, 60.0), (_FALLBACK_INDEX,)),
)
FALLBACK = Model(
    "fallback",
    "a exp(-x^2 / (2 sigma^2)) where x < 0, a (1 + x / t_decay)^(-5/3) after, x = t - t_peak: matter falling back",
    "van Velzen et al. 2021, ApJ 908, 4; Rees 1988, Nature 333, 523",
    _FALLBACK,
    ("t_peak", "sigma", "t_decay"),
    ("a",),
    (1e-1, 1.0),
    (1e3, 1e4),
    ((5.0, 15.0), (20.0, 60.0)),
)
LENS = Model(
    "ulens",
    "fs (u^2 + 2) / (u sqrt(u^2 + 4)) + fb with u^2 = u0^2 + (x / te)^2: flux fs of the source, fb of what is blended",
    "Paczynski 1986, ApJ 304, 1; blending as in Wozniak and Paczynski 1997, ApJ 487, 55",
    _LENS,
    ("t0", "te", "u0"),
    ("fs", "fb"),
    (1e-1, 1e-3),
    (3e3, 5.0),
    ((5.0, 20.0, 80.0), (0.1, 0.6)),
)
RAINBOW = Model(
    "rainbow",
    "a exp(-x / tau_fall) / (1 + exp(-x / tau_rise)) pi B(nu, T) / (sigma T^4) + b, with tau_rise < tau_fall and "
    "T = temp_min + delta_temp / (1 + exp(x / tau_temp)): a black body that cools, B Planck's function of frequency, "
    "sigma Stefan's constant, a the scale of its bolometric flux",
    "Russeil et al. 2024, A&A 683, A251",
    _RAINBOW,
    ("t0", "tau_rise", "tau_fall", "temp_min", "delta_temp", "tau_temp", "a"),
    ("b",),
    (1e-2, 1e-2, 1e3, 0.0, 1e-1, 0.0),
    (1e3, 1e4, 1e5, 1e5, 1e3, math.inf),
    ((1.5, 5.0), (8.0, 25.0, 80.0), (4000.0, 8000.0), (4000.0,), (10.0,), (1.0,)),
    excess="tau_fall",
    n_starts=10,
    first_steps=15,
    chromatic=True,
)
MODELS = {model.name: model for model in (BAZIN, VILLAR, LINEXP, TDE, FALLBACK, LENS, RAINBOW)}


def evaluate(
    model: Model, time_days: ArrayLike, parameters: ArrayLike, angstrom: float = math.nan
) -> NDArray[np.float64]:
    """Return a model's flux at some times.

    Parameters
    ----------
    model : Model
    time_days : array_like of float
    parameters : array_like of float
        In the sequence of ``model.parameters``.
    angstrom : float
        The wavelength, for a chromatic model.

    Returns
    -------
    numpy.ndarray of float64

    >>> evaluate(LINEXP, [-1.0, 3.0], [0.0, 3.0, 5.0, 1.0]).tolist()
    [1.0, 6.0]
    """
    q = np.array(parameters, np.float64)
    if q.shape != (len(model.parameters),):
        raise InputError(f"{model.name} has the parameters {', '.join(model.parameters)}; got {q.tolist()}")
    if model.excess:
        q[model.excess_at] -= q[model.excess_at - 1]
    times = np.asarray(time_days, np.float64)
    values = np.empty(times.size)
    values_and_slopes(model.code, times, q, 0.0, angstrom, values, np.empty((q.size, times.size)))
    return values


@numba.njit(cache=True, nogil=True, error_model="numpy")
def values_and_slopes(code, t, q, blur, angstrom, values, slopes):  # type: ignore[no-untyped-def]
    """Fill the fluxes at some times, and their derivatives by the parameters (an excess being one), shape (p, n).

    Corners are rounded over ``blur`` days. Only chromatic models look at the wavelength.
    """
    if code == _BAZIN:
        for i in range(t.size):
            values[i] = _bazin(t[i] - q[0], q, slopes, i)
    elif code == _VILLAR:
        for i in range(t.size):
            values[i] = _villar(t[i] - q[0], q, blur, slopes, i)
    elif code == _LINEXP:
        for i in range(t.size):
            values[i] = _linexp(t[i] - q[0], q, slopes, i)
    elif code == _TDE:
        for i in range(t.size):
            values[i] = _tde(t[i] - q[0], q, q[3], slopes, i)
    elif code == _FALLBACK:
        for i in range(t.size):
            values[i] = _tde(t[i] - q[0], q, _FALLBACK_INDEX, slopes, i)
    elif code == _RAINBOW:
        for i in range(t.size):
            values[i] = _rainbow(t[i] - q[0], q, angstrom, slopes, i)
    else:
        for i in range(t.size):
            values[i] = _lens(t[i] - q[0], q, slopes, i)


@numba.njit(cache=True, nogil=True)
def peak_delay(code, q):  # type: ignore[no-untyped-def]
    """Return how long after its first parameter a model is about brightest."""
    if code in (_BAZIN, _RAINBOW):
        return q[1] * math.log(q[2] / q[1])
    if code == _VILLAR:
        return 2.0 * q[3]
    if code == _LINEXP:
        return q[1]
    return 0.0


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _pulse(x, rise, fall, excess):  # type: ignore[no-untyped-def]
    """Return Bazin's function, and ``1 / (1 + exp(x / rise))``.

    Written so that no exponent is positive: before t0 both exponentials of the formula overflow.
    """
    if x >= 0.0:
        down = math.exp(-x / rise)
        return math.exp(-x / fall) / (1.0 + down), down / (1.0 + down)
    up = math.exp(x / rise)
    return math.exp(x * (excess / (rise * fall))) / (1.0 + up), 1.0 / (1.0 + up)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _bazin(x, q, slope, i):  # type: ignore[no-untyped-def]
    rise, fall, a = q[1], q[1] + q[2], q[3]
    E, late = _pulse(x, rise, fall, q[2])
    by_fall = a * E * x / (fall * fall)
    slope[0, i] = a * E * (1.0 / fall - late / rise)
    slope[1, i] = by_fall - a * E * late * x / (rise * rise)
    slope[2, i] = by_fall
    slope[3, i], slope[4, i] = E, 1.0
    return a * E + q[4]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _villar(x, q, blur, slope, i):  # type: ignore[no-untyped-def]
    beta, gamma, rise, fall, a = q[1], q[2], q[3], q[4], q[5]
    if x >= 0.0:
        down = math.exp(-x / rise)
        s, late = 1.0 / (1.0 + down), down / (1.0 + down)
    else:
        up = math.exp(x / rise)
        s, late = up / (1.0 + up), 1.0 / (1.0 + up)
    # Time on the plateau, min(x, gamma) with its corner rounded, and its derivative by x.
    over = x - gamma
    plateau, before = (x, 1.0) if over < 0.0 else (gamma, 0.0)
    if abs(over) < 30.0 * blur:
        plateau = min(x, gamma) - blur * math.log1p(math.exp(-abs(over) / blur))
        before = 1.0 / (1.0 + math.exp(over / blur))
    decay = math.exp((plateau - x) / fall)
    share = 1.0 - beta * plateau / gamma
    h = share * decay
    by_plateau = -beta / gamma * decay + h / fall
    slope[0, i] = -a * s * (h * late / rise + by_plateau * before - h / fall)
    slope[1, i] = -a * s * decay * plateau / gamma
    slope[2, i] = a * s * (by_plateau * (1.0 - before) + decay * beta * plateau / (gamma * gamma))
    slope[3, i] = -a * s * h * late * x / (rise * rise)
    slope[4, i] = a * s * h * (x - plateau) / (fall * fall)
    slope[5, i] = s * h
    return a * s * h


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _linexp(x, q, slope, i):  # type: ignore[no-untyped-def]
    z, a = x / q[1], q[2]
    slope[0, i] = slope[1, i] = slope[2, i] = 0.0
    slope[3, i] = 1.0
    if z <= 0.0:
        return q[3]
    decay = math.exp(1.0 - z)
    slope[0, i] = -a * (1.0 - z) * decay / q[1]
    slope[1, i] = z * slope[0, i]
    slope[2, i] = z * decay
    return a * z * decay + q[3]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _tde(x, q, index, slope, i):  # type: ignore[no-untyped-def]
    sigma, decay, at = q[1], q[2], slope.shape[0] - 1
    a = q[at]
    for k in range(at):
        slope[k, i] = 0.0
    if x < 0.0:
        E = math.exp(-0.5 * (x / sigma) ** 2)
        slope[0, i] = a * E * x / (sigma * sigma)
        slope[1, i] = slope[0, i] * x / sigma
    else:
        log_z = math.log1p(x / decay)
        E = math.exp(index * log_z)
        slope[0, i] = -a * index * E / (decay + x)
        slope[2, i] = slope[0, i] * x / decay
        if at == 4:
            slope[3, i] = a * E * log_z
    slope[at, i] = E
    return a * E


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _lens(x, q, slope, i):  # type: ignore[no-untyped-def]
    te, u0, a = q[1], q[2], q[3]
    z = x / te
    u2 = u0 * u0 + z * z
    u = math.sqrt(u2)
    root = math.sqrt(u2 + 4.0)
    E = (u2 + 2.0) / (u * root)
    # dE/du divided by u.
    by_u = -8.0 * a / (u2 * u * root * root * root)
    slope[0, i], slope[1, i], slope[2, i] = -by_u * z / te, -by_u * z * z / te, by_u * u0
    slope[3, i], slope[4, i] = E, 1.0
    return a * E + q[4]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _rainbow(x, q, angstrom, slope, i):  # type: ignore[no-untyped-def]
    rise, fall, delta, tau, a = q[1], q[1] + q[2], q[4], q[5], q[6]
    E, late = _pulse(x, rise, fall, q[2])
    cooling = math.exp(-abs(x) / tau)
    hot = (cooling if x > 0.0 else 1.0) / (1.0 + cooling)
    by_time = delta * hot * (1.0 - hot) / tau
    T = q[3] + delta * hot
    # pi B(nu, T) / (sigma T^4) is 15 / (pi^4 nu) times z^4 / (exp(z) - 1), and this its derivative by T over itself.
    z = _KELVIN_ANGSTROM / (angstrom * T)
    down = math.exp(-z)
    E *= 15.0 / math.pi**4 * angstrom / _LIGHT * z**4 * down / (1.0 - down)
    by_T = (z / (1.0 - down) - 4.0) / T
    flux = a * E
    by_fall = flux * x / (fall * fall)
    slope[0, i] = flux * (1.0 / fall - late / rise + by_T * by_time)
    slope[1, i] = by_fall - flux * late * x / (rise * rise)
    slope[2, i] = by_fall
    slope[3, i], slope[4, i], slope[5, i] = flux * by_T, flux * by_T * hot, flux * by_T * by_time * x / tau
    slope[6, i], slope[7, i] = E, 1.0
    return flux + q[7]
