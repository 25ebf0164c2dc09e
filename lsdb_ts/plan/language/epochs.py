"""Light curves at rest as flat arrays and offsets: taking epochs out, putting them back, and one value a curve.

Which epochs are wanted, and what is computed of them, expressions say.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lsdb_ts.errors import InputError, PlanError

_EXTREMES: Mapping[str, Any] = {"min": np.minimum, "max": np.maximum, "any": np.logical_or, "all": np.logical_and}


@dataclass(frozen=True, eq=False)
class Epochs:
    """The epochs of a nested column of n rows, all curves in one row of flat arrays.

    >>> curves = pa.array([{"t": [1.0, 2.0]}, None, {"t": [3.0]}])
    >>> Epochs.of(curves).offsets.tolist(), Epochs.of(curves).flat("t").to_pylist()
    ([0, 2, 2, 3], [1.0, 2.0, 3.0])
    """

    curves: pa.StructArray

    @classmethod
    def of(cls, column: pa.ChunkedArray | pa.StructArray) -> Epochs:
        """Take the epochs of a struct of lists."""
        return cls(column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column)

    @functools.cached_property
    def _lists(self) -> Mapping[str, pa.Array]:
        # Not `.field`: what stands below a row that is null does not count.
        return dict(zip((part.name for part in self.curves.type), self.curves.flatten(), strict=True))

    @functools.cached_property
    def offsets(self) -> NDArray[np.int64]:
        """Place of the first epoch of each curve, and the number of all; shape (n + 1,)."""
        lengths = next(iter(self._lists.values())).value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
        return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])

    @functools.cached_property
    def parents(self) -> NDArray[np.int64]:
        """Row of each epoch."""
        return np.repeat(np.arange(len(self.curves)), np.diff(self.offsets))

    def flat(self, part: str) -> pa.Array:
        """Return a part, epoch after epoch.

        Raises
        ------
        InputError
            The curves of this part are not as long as those of the others.
        """
        values = self._lists[part].flatten()
        if len(values) != self.offsets[-1]:
            raise InputError(
                f'the parts of a nested column are of different lengths: "{part}" has {len(values)} epochs where '
                f'"{next(iter(self._lists))}" has {self.offsets[-1]}'
            )
        return values

    def kept(self, keep: NDArray[np.bool_]) -> pa.StructArray:
        """Return the curves with some of their epochs; ``keep`` tells it of each epoch."""
        offsets = np.concatenate([[0], np.cumsum(keep, dtype=np.int64)])[self.offsets]
        mask = pa.array(keep)
        arrays = [_listed(offsets, self.flat(part.name).filter(mask), part.type) for part in self.curves.type]
        return self._rebuilt(arrays, list(self.curves.type))

    def with_part(self, name: str, values: pa.Array) -> pa.StructArray:
        """Return the curves with one part more, or another one in its place; one value an epoch."""
        kind = pa.list_(values.type)
        parts = {part.name: part for part in self.curves.type}
        arrays = {part: self.curves.field(part) for part in parts}
        parts[name], arrays[name] = pa.field(name, kind), _listed(self.offsets, values, kind)
        return self._rebuilt(list(arrays.values()), list(parts.values()))

    def _rebuilt(self, arrays: list[pa.Array], fields: list[pa.Field]) -> pa.StructArray:
        mask = self.curves.is_null() if self.curves.null_count else None
        return pa.StructArray.from_arrays(arrays, fields=fields, mask=mask)


def _listed(offsets: NDArray[np.int64], values: pa.Array, kind: pa.DataType) -> pa.Array:
    if pa.types.is_large_list(kind):
        return pa.LargeListArray.from_arrays(pa.array(offsets), values, type=kind)
    return pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32)), values, type=kind)


def reduced(how: str, values: pa.Array, offsets: NDArray[np.int64]) -> pa.Array:
    """Return one value a curve; missing values and NaN do not count.

    Parameters
    ----------
    how : {"min", "max", "mean", "sum", "count", "any", "all"}
        As in pandas: of no values, ``min``, ``max`` and ``mean`` are null, ``sum`` and ``count`` are 0, ``any`` is
        false and ``all`` is true. ``mean``, and ``sum`` of floats, are float64.
    values : pyarrow.Array
        Epoch after epoch.
    offsets : numpy.ndarray of int64, shape (n + 1,)
        Where each curve begins.
    """
    present = ~np.asarray(pc.is_null(values, nan_is_null=True))
    places = np.concatenate([[0], np.cumsum(present, dtype=np.int64)])[offsets]
    counts = np.diff(places)
    if how == "count":
        return pa.array(counts)
    _check(how, values.type)
    flat = values.filter(pa.array(present)).to_numpy(zero_copy_only=False)
    seen = counts > 0
    if how in ("sum", "mean"):
        wide = np.result_type(flat.dtype, np.int64 if flat.dtype.kind in "bi" else np.uint64)
        total = np.zeros(counts.size, np.float64 if how == "mean" or flat.dtype.kind == "f" else wide)
        total[seen] = _segments(np.add, flat.astype(total.dtype), places, seen)
        return pa.array(total) if how == "sum" else pa.array(total / np.maximum(counts, 1), mask=~seen)
    answer = (
        np.full(counts.size, how == "all", flat.dtype) if how in ("any", "all") else np.zeros(seen.size, flat.dtype)
    )
    answer[seen] = _segments(_EXTREMES[how], flat, places, seen)
    return pa.array(answer) if how in ("any", "all") else pa.array(answer, values.type, mask=~seen)


def _segments(function: Any, flat: NDArray[Any], places: NDArray[np.int64], seen: NDArray[np.bool_]) -> NDArray[Any]:
    """Reduce each segment that is not empty: the empty ones between them take no room."""
    result: NDArray[Any] = function.reduceat(flat, places[:-1][seen]) if seen.any() else flat[:0]
    return result


def _check(how: str, kind: pa.DataType) -> None:
    number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
    possible: Mapping[str, bool] = {
        "any": pa.types.is_boolean(kind),
        "all": pa.types.is_boolean(kind),
        "sum": number,
        "mean": number,
    }
    if not possible.get(how, number or pa.types.is_timestamp(kind)):
        needed = "true or false" if how in ("any", "all") else "numbers"
        raise PlanError(f"{how} is of {needed}, and not of {kind}")
