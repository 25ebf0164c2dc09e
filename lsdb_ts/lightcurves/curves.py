"""The light curves of a partition as flat arrays and offsets: taking epochs, adding parts, and back to a nested column.

What becomes of them the steps beside this module say; compiled loops live in ``kernels``.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lsdb_ts.errors import InputError
from lsdb_ts.kernels.curves.within import order_within
from lsdb_ts.lightcurves.shape import Shape
from lsdb_ts.schema import NO_MAGNITUDE, are_magnitudes


@dataclass(frozen=True, eq=False)
class Curves:
    """Light curves, epoch after epoch.

    Of the parts of the shape those are here that were asked for; a step makes of them what it can.

    >>> column = pa.array([{"mjd": [1.0, 2.0], "flux": [5.0, None]}, None, {"mjd": [], "flux": []}])
    >>> curves = Curves.of(column)
    >>> curves.offsets.tolist(), curves.numbers("flux").tolist(), curves.to_arrow().to_pylist() == column.to_pylist()
    ([0, 2, 2, 2], [5.0, nan], True)
    """

    parts: Mapping[str, pa.Array]
    """Values by part, flat: one an epoch."""
    offsets: NDArray[np.int64]
    """Shape (n_curves + 1,): where each curve begins. Curves may be empty."""
    missing: NDArray[np.bool_]
    """Shape (n_curves,): which curves are null. They have no epochs, and stay null."""
    shape: Shape
    rows: Mapping[str, pa.Array] = field(default_factory=dict)
    """Base columns that steps asked for, one value a curve; nested ones as structs of lists."""

    @classmethod
    def of(
        cls,
        column: pa.ChunkedArray | pa.StructArray,
        shape: Shape | None = None,
        rows: Mapping[str, pa.Array] | None = None,
    ) -> Curves:
        """Take the epochs of a nested column.

        Parameters
        ----------
        column : pyarrow.ChunkedArray or pyarrow.StructArray
            Structs of lists; may have only some of the parts.
        shape : Shape, optional
            All parts and their roles; by default those of the column.
        rows : mapping of str to pyarrow.Array, optional
            Base columns, one value a curve.

        Raises
        ------
        InputError
            The lists of a curve are not of one length.
        """
        array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
        shape = Shape.of(pa.field("light curve", array.type)) if shape is None else shape
        # Not `.field`: what stands below a row that is null does not count.
        lists = dict(zip((part.name for part in array.type), array.flatten(), strict=True))
        lengths = {name: _lengths(values) for name, values in lists.items()}
        first, length = next(iter(lengths.items()))
        for name, other in lengths.items():
            if not np.array_equal(other, length):
                row = int(np.flatnonzero(other != length)[0])
                raise InputError(
                    f'light curve {row}: the list "{name}" has {other[row]} items and "{first}" has {length[row]}; '
                    f"every part of a curve needs one item an epoch: nest the sources again"
                )
        offsets = np.concatenate([[0], np.cumsum(length, dtype=np.int64)])
        missing = np.asarray(array.is_null())
        flat = {name: values.flatten() for name, values in lists.items()}
        return cls(flat, offsets, missing, shape, rows or {})

    def to_arrow(self) -> pa.StructArray:
        """Return the nested column: the parts that are here, in the sequence of the shape."""
        parts = [part for part in self.shape.type if part.name in self.parts]
        arrays = [self.lists(part.name) for part in parts]
        return pa.StructArray.from_arrays(arrays, fields=parts, mask=pa.array(self.missing))

    def lists(self, part: str) -> pa.Array:
        """Return a part as a list a curve; those of null curves are empty."""
        values, kind = self.parts[part], self.shape.list_type(self.shape.field(part).type)
        values = values if values.type == kind.value_type else values.cast(kind.value_type)
        if pa.types.is_large_list(kind):
            return pa.LargeListArray.from_arrays(pa.array(self.offsets), values, type=kind)
        return pa.ListArray.from_arrays(pa.array(self.offsets).cast(pa.int32()), values, type=kind)

    def __len__(self) -> int:
        return int(self.offsets.size - 1)

    def __contains__(self, part: object) -> bool:
        """Tell whether a part is here."""
        return part in self.parts

    @property
    def n_epochs(self) -> int:
        """Number of epochs of all curves."""
        return int(self.offsets[-1])

    @functools.cached_property
    def parents(self) -> NDArray[np.int64]:
        """Curve of each epoch, shape (n_epochs,)."""
        return np.repeat(np.arange(len(self)), np.diff(self.offsets))

    def numbers(self, part: str) -> NDArray[np.float64]:
        """Return a part as float64, with NaN for null, and for what stands in the place of a magnitude: 99, -999."""
        found = as_numbers(self.parts[part])
        if part in (self.shape.roles.mag, self.shape.roles.limit) and are_magnitudes(self.shape.unit(part)):
            return np.where(np.abs(found) < NO_MAGNITUDE, found, np.nan)
        return found

    def errors(self, part: str | None) -> NDArray[np.float64]:
        """Return the errors of a part, NaN where they are not positive and finite; all 1 where there is no such part.

        Then a weight of 1 / e^2 is 1 where errors are not known.
        """
        if part is None:
            return np.ones(self.n_epochs)
        found = self.numbers(part)
        return np.where(np.isfinite(found) & (found > 0), found, np.nan)

    def codes(self, part: str) -> tuple[NDArray[np.int64], list[object]]:
        """Return a small number for each different value of a part, -1 for null, and the values; bytes become text."""
        values = self.parts[part]
        encoded = values if pa.types.is_dictionary(values.type) else values.dictionary_encode()
        numbers = encoded.indices.cast(pa.int64()).fill_null(-1).to_numpy(zero_copy_only=False)
        found = encoded.dictionary.to_pylist()
        return numbers, [v.decode(errors="replace") if isinstance(v, bytes) else v for v in found]

    def groups(self, *parts: str | None, time: str | None = None) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Sort epochs into groups of one curve with equal values of some parts, such as the band.

        Parameters
        ----------
        *parts : str or None
            What epochs of a group have in common, beside their curve; null is equal to null.
        time : str, optional
            Part to sort the epochs of each group by; missing ones last. By default they keep their sequence.

        Returns
        -------
        rows : numpy.ndarray of int64, shape (n_epochs,)
            The epochs, group after group, curve after curve.
        offsets : numpy.ndarray of int64, shape (n_groups + 1,)
            Where each group begins; none is empty.
        """
        keys = [key for part in parts if part is not None for key in self._keys(part)]
        order = order_within(self.offsets, *keys, *([] if time is None else [self.numbers(time)]))
        new = np.zeros(self.n_epochs + 1, np.bool_)
        new[self.offsets] = True
        for key in keys:
            ordered = key[order]
            new[1:-1] |= ordered[1:] != ordered[:-1]
        return order, np.flatnonzero(new)

    def _keys(self, part: str) -> list[NDArray[np.generic]]:
        """Return numbers that are equal where the values of a part are."""
        if not pa.types.is_floating(self.parts[part].type):
            return [self.codes(part)[0]]
        numbers = self.numbers(part)
        missing = np.isnan(numbers)
        return [missing, np.where(missing, 0.0, numbers)] if missing.any() else [numbers]

    def row_numbers(self, value: float | str) -> NDArray[np.float64]:
        """Return one float64 a curve: a number, or the values of a base column with NaN for null."""
        if isinstance(value, str):
            return as_numbers(self.rows[value])
        return np.full(len(self), float(value))

    def take(self, epochs: NDArray[np.int64], offsets: NDArray[np.int64]) -> Curves:
        """Return curves of some of the epochs: by their flat numbers, curve after curve, with the new offsets."""
        chosen = pa.array(epochs)
        return replace(self, parts={name: values.take(chosen) for name, values in self.parts.items()}, offsets=offsets)

    def keep(self, mask: NDArray[np.bool_]) -> Curves:
        """Return the curves with those epochs for which ``mask``, shape (n_epochs,), is true."""
        if mask.all():
            return self
        chosen, offsets = pa.array(mask), np.concatenate([[0], np.cumsum(mask, dtype=np.int64)])[self.offsets]
        return replace(
            self, parts={name: values.filter(chosen) for name, values in self.parts.items()}, offsets=offsets
        )

    def ordered(self, order: NDArray[np.int64]) -> Curves:
        """Return the curves with their epochs in another order, which keeps each in its curve."""
        if (order[1:] > order[:-1]).all():
            return self
        return self.take(order, self.offsets)

    def with_parts(self, parts: Mapping[str, pa.Array], shape: Shape | None = None) -> Curves:
        """Return the curves with more parts, or others in the place of old ones; one value an epoch.

        Parameters
        ----------
        parts : mapping of str to pyarrow.Array
            Flat values.
        shape : Shape, optional
            That of the result: parts it does not know are left out. By default the new parts are added to this one.
        """
        if shape is None:
            shape = self.shape.with_parts(
                (self.shape.field(n) if n in self.shape.names else pa.field(n, a.type)).with_type(a.type)
                for n, a in parts.items()
            )
        merged = {**self.parts, **parts}
        return replace(self, parts={n: a for n, a in merged.items() if n in shape.names}, shape=shape)

    def only(self, names: Iterable[str]) -> Curves:
        """Return the curves with some of their parts; the shape still knows the others."""
        return replace(self, parts={name: self.parts[name] for name in names if name in self.parts})


def as_numbers(values: pa.Array | pa.ChunkedArray) -> NDArray[np.float64]:
    """Return float64, with NaN for null."""
    array = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    return np.asarray(pc.cast(array, pa.float64(), safe=False).to_numpy(zero_copy_only=False), dtype=np.float64)


def nullable(values: NDArray[np.float64], kind: pa.DataType | None = None) -> pa.Array:
    """Return an Arrow array of floats in which NaN is null."""
    return pa.array(values, from_pandas=True) if kind is None else pa.array(values, from_pandas=True).cast(kind)


def floating(kind: pa.DataType) -> pa.DataType:
    """Return the type that computed values of a part have: its own if that is of floats, else float64."""
    return kind if pa.types.is_floating(kind) else pa.float64()


def _lengths(lists: pa.Array) -> NDArray[np.int64]:
    return np.asarray(pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False), dtype=np.int64)
