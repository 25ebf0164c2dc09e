"""Light curves as flat arrays grouped by object and band: what every feature is computed from.

Reading the nested column happens here; the statistics themselves live in ``kernels``, their meaning with the features.
"""

from __future__ import annotations

import functools
import itertools
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lsdb_ts.errors import InputError, PlanError, did_you_mean
from lsdb_ts.kernels.curves.grouping import far_in_time, group_by_band, usable
from lsdb_ts.kernels.curves.statistics import curve_statistics, sorted_within
from lsdb_ts.kernels.periods.search import Periods, PeriodSearch, search_periods
from lsdb_ts.schema import NO_MAGNITUDE, Roles, are_magnitudes, is_nested, unit_of

MAX_BASELINE_DAYS = 36525.0
"""An epoch further than a century from its object's median epoch is an error of the time column."""
_TELLING_EPOCHS = 1000
"""A table of so many epochs without one in the wanted bands is worth a warning; it may be chance, and is no error."""


@dataclass(frozen=True)
class Inputs:
    """The parts of a nested column that features need."""

    time: str
    band: str | None
    """None where all epochs are of one band."""
    value: str
    error: str
    quality: str | None
    is_flux: bool

    @classmethod
    def of(cls, roles: Roles, bands: Sequence[str]) -> Inputs:
        """Choose fluxes where there are any, else magnitudes; raises PlanError naming the missing role."""
        if roles.flux and roles.flux_error:
            value, error, is_flux = roles.flux, roles.flux_error, True
        elif roles.mag and roles.mag_error:
            value, error, is_flux = roles.mag, roles.mag_error, False
        else:
            raise PlanError(
                f"features need flux and flux_error, or mag and mag_error; the roles are {roles.items()}: give them by "
                'Roles(time=..., band=..., flux=..., flux_error=...).tag(schema), or name the columns like "psfFlux"'
            )
        if not roles.time or (not roles.band and len(bands) != 1):
            raise PlanError(
                f"features need a time and a band; the roles are {roles.items()}: name both with Roles(...), or give "
                "light curves of a single band a set of a single one, as in FeatureSet.fast(['V'])"
            )
        return cls(roles.time, roles.band, value, error, roles.quality, is_flux)

    @property
    def names(self) -> tuple[str, ...]:
        """The parts' names."""
        parts = (self.time, self.band, self.value, self.error, self.quality)
        return tuple(part for part in parts if part)


@dataclass(frozen=True, eq=False)
class LightCurves:
    """The good epochs of many objects, object after object, band after band, sorted by time."""

    time_mjd: NDArray[np.float64]
    """Shape (n_epochs,), days."""
    values: NDArray[np.float64]
    """Shape (n_epochs,): fluxes or magnitudes."""
    errors: NDArray[np.float64]
    """Shape (n_epochs,): their standard errors, positive."""
    offsets: NDArray[np.int64]
    """Shape (n_objects * n_bands + 1,): where each band of each object begins."""
    dropped: NDArray[np.int64]
    """Shape (n_objects, n_bands): epochs that were left out."""
    bands: tuple[str, ...]
    is_flux: bool
    search: PeriodSearch | None = None
    """How periods are searched, where a feature asks for them."""
    second: LightCurves | None = None
    """The same epochs in a second flux, such as that on the science image, where the set has one."""
    _known: dict[str, NDArray[np.float64]] = field(default_factory=dict, init=False, repr=False)

    @classmethod
    def of(
        cls,
        lightcurves: pa.StructArray | pa.ChunkedArray,
        roles: Roles,
        bands: tuple[str, ...],
        search: PeriodSearch | None = None,
        first_row: int = 0,
    ) -> LightCurves:
        """Group the epochs of a nested column, whose first row is called so in errors.

        Left out, and counted in ``dropped``, are epochs that are flagged (or whose flag is null), whose time, value or
        error is null, NaN or infinite, whose magnitude is none (99, -999), whose error is not positive or has no finite
        weight ``1 / e^2``, or that lie more than a century from the object's median epoch. Epochs of other bands are
        not looked at. A null curve has no epochs.
        """
        inputs = Inputs.of(roles, bands)
        chunks = lightcurves.chunks if isinstance(lightcurves, pa.ChunkedArray) else [lightcurves]
        rows_before = np.cumsum([first_row, *map(len, chunks)])
        read = [_flatten(chunk, inputs, bands, row) for chunk, row in zip(chunks, rows_before, strict=False)]
        lengths = np.concatenate([np.empty(0, np.int64), *(r[0] for r in read)])
        band = np.concatenate([np.empty(0, np.int8), *(r[1] for r in read)])
        good = np.concatenate([np.empty(0, np.bool_), *(r[2] for r in read)])
        time, value, error = (np.concatenate([np.empty(0), *(r[3][k] for r in read)]) for k in range(3))
        starts = np.concatenate([[0], np.cumsum(lengths)])
        good &= usable(time, value, error)
        if not inputs.is_flux and are_magnitudes(unit_of(lightcurves.type.field(inputs.value))):
            good &= np.abs(value) < NO_MAGNITUDE
        good &= ~far_in_time(time, starts, MAX_BASELINE_DAYS)
        rows, offsets, dropped = group_by_band(starts, band, good, len(bands))
        time = time[rows]
        if not sorted_within(time, offsets):
            order = np.lexsort((time, np.repeat(np.arange(offsets.size - 1), np.diff(offsets))))
            rows, time = rows[order], time[order]
        return cls(time, value[rows], error[rows], offsets, dropped, bands, inputs.is_flux, search)

    @property
    def n_objects(self) -> int:
        """Number of objects."""
        return int(self.dropped.shape[0])

    @functools.cached_property
    def counts(self) -> NDArray[np.int64]:
        """Good epochs per object and band, shape (n_objects, n_bands)."""
        return np.diff(self.offsets).reshape(self.n_objects, len(self.bands))

    @functools.cached_property
    def signal_to_noise(self) -> NDArray[np.float64]:
        """Flux over its error, shape (n_epochs,); of magnitudes by the relative error, ``0.4 ln(10) e``."""
        return self.values / self.errors if self.is_flux else 2.5 / np.log(10.0) / self.errors

    def statistic(self, name: str) -> NDArray[np.float64]:
        """Return one of ``kernels.curves.statistics.STATISTICS`` per object and band, shape (n_objects, n_bands)."""
        if name not in self._known:
            self.prepare([name])
        return self._known[name]

    def prepare(self, names: Iterable[str]) -> None:
        """Compute these statistics in one pass over the epochs; asked for one by one, each takes a pass of its own."""
        new = [name for name in dict.fromkeys(names) if name not in self._known]
        if new:
            arrays = (self.time_mjd, self.values, self.errors, self.offsets)
            table = curve_statistics(*arrays, new, len(self.bands))
            self._known.update((name, table[k].T) for k, name in enumerate(new))

    @functools.cached_property
    def periods(self) -> Periods:
        """What the period search found; computed once, when first asked for."""
        if self.search is None:
            raise PlanError("these light curves were opened without a period search: LightCurves.of(..., search=...)")
        arrays = (self.time_mjd, self.values, self.errors, self.offsets)
        return search_periods(*arrays, len(self.bands), self.search, relative=self.is_flux)


def blocks_of(lightcurves: pa.ChunkedArray, time: str, epochs: int) -> Iterator[tuple[int, pa.ChunkedArray]]:
    """Yield parts of whole curves, with the row where each begins: a part ends with the curve that fills it.

    Epochs are counted by the part ``time``.
    """
    if len(lightcurves) == 0:
        yield 0, lightcurves
        return
    lengths = [_lengths(_parts(chunk, [time])[time]) for chunk in lightcurves.chunks]
    before = np.cumsum(np.concatenate([[0], *lengths]))[:-1]
    starts = np.concatenate([[0], np.flatnonzero(np.diff(before // epochs)) + 1, [len(lightcurves)]])
    for start, stop in itertools.pairwise(starts.tolist()):
        yield start, lightcurves.slice(start, stop - start)


def warn_of_other_bands(
    lightcurves: pa.ChunkedArray, roles: Roles, bands: tuple[str, ...], epochs: NDArray[np.int64]
) -> None:
    """Warn that a wanted band has no epochs in a table of many, where others have: it may have another name.

    Not an error: what is one must not depend on how the sky is cut.

    Parameters
    ----------
    lightcurves : pyarrow.ChunkedArray
        The nested column.
    roles : Roles
        Of its parts.
    bands : tuple of str
        The wanted ones.
    epochs : numpy.ndarray of int64, shape (n_bands,)
        How many epochs of each there are.
    """
    part = Inputs.of(roles, bands).band
    lists = [chunk.field(part).flatten() for chunk in lightcurves.chunks if part]
    if epochs.all() or sum(map(len, lists)) < _TELLING_EPOCHS:
        return
    found = [_band_name(band) for band in pc.unique(pa.chunked_array(lists)).to_pylist() if band is not None]
    others = [band for band in found if band not in bands][:8]
    if others:
        missing = [band for band, n in zip(bands, epochs, strict=True) if n == 0]
        warnings.warn(
            f"none of {sum(map(len, lists))} epochs is in the bands {', '.join(missing)} of the feature set, whose "
            f"features are null; not in the set are {', '.join(others)}: if one is the other, name it as it is stored, "
            f"FeatureSet.full(bands=[...])",
            stacklevel=3,
        )


def _flatten(chunk, inputs, bands, first_row):  # type: ignore[no-untyped-def]
    """Return lengths, band codes, unflagged, and (times, values, errors) of one chunk."""
    parts = _parts(chunk, inputs.names)
    lengths = _lengths(parts[inputs.time])
    for name in inputs.names:
        differ = np.flatnonzero(_lengths(parts[name]) != lengths)
        if differ.size:
            row = int(differ[0])
            items = _lengths(parts[name])[row]
            raise InputError(
                f'light curve {first_row + row}: the list "{name}" has {items} items and "{inputs.time}" has '
                f"{lengths[row]}; every part of a curve needs one item an epoch: nest the sources again"
            )
    numbers = tuple(_floats(parts[name].flatten()) for name in (inputs.time, inputs.value, inputs.error))
    good = np.ones(numbers[0].size, np.bool_)
    if inputs.quality:
        flag = _floats(pc.cast(parts[inputs.quality].flatten(), pa.int64()))
        good = flag == 0
    codes = _band_codes(parts[inputs.band].flatten(), bands) if inputs.band else np.zeros(good.size, np.int8)
    return lengths, codes, good, numbers


def _parts(chunk, names):  # type: ignore[no-untyped-def]
    """Return the lists of a struct by name; raises PlanError where it has no such parts."""
    if not is_nested(pa.field("lightcurve", chunk.type)):
        raise PlanError(f"a light curve is a struct of lists, the column given is {chunk.type}: nest the sources first")
    # flatten() hides the lists of null structs, and of its lists the items of null lists; field() does neither.
    parts = dict(zip((f.name for f in chunk.type), chunk.flatten(), strict=True))
    for name in names:
        if name not in parts:
            raise PlanError(f'the light curves have no part "{name}"; {did_you_mean(name, parts)}')
    return parts


def _lengths(lists):  # type: ignore[no-untyped-def]
    return pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False).astype(np.int64)


def _floats(array):  # type: ignore[no-untyped-def]
    """Return float64, with NaN for null."""
    return pc.cast(array, pa.float64(), safe=False).to_numpy(zero_copy_only=False)


def _band_codes(array, bands):  # type: ignore[no-untyped-def]
    """Return the place of each epoch's band among the set's bands, -1 for others and null."""
    letters = _single_bytes(array)
    if letters is not None:
        of_byte = np.full(256, -1, np.int8)
        for code, name in enumerate(bands):
            if len(name.encode()) == 1:
                of_byte[ord(name)] = code
        return of_byte[letters]
    encoded = array if pa.types.is_dictionary(array.type) else array.dictionary_encode()
    place = {band: code for code, band in enumerate(bands)}
    codes = [place.get(_band_name(band), -1) for band in encoded.dictionary.to_pylist()]
    # The last code is for null.
    lookup = np.array([*codes, -1], dtype=np.int8)
    return lookup[pc.fill_null(encoded.indices.cast(pa.int64()), len(codes)).to_numpy(zero_copy_only=False)]


def _band_name(band: object) -> str:
    return band.decode(errors="replace") if isinstance(band, bytes) else str(band)


def _single_bytes(array):  # type: ignore[no-untyped-def]
    """Return the bytes of texts of one byte each, None where any is longer, empty or null: no dictionary is needed."""
    if array.type != pa.string() or array.null_count or not len(array):
        return None
    _, offsets, data = array.buffers()
    bounds = np.frombuffer(offsets, np.int32)[array.offset : array.offset + len(array) + 1]
    if bounds[-1] - bounds[0] != len(array) or not (np.diff(bounds) == 1).all():
        return None
    return np.frombuffer(data, np.uint8)[bounds[0] : bounds[-1]]
