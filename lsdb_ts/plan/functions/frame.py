"""The edge where Arrow tables become pandas frames and back: what user functions see and what compute returns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from lsdb_ts.errors import PlanError
from lsdb_ts.identity import identify, settled
from lsdb_ts.schema import HEALPIX, Roles, is_nested, plain, unit_of
from lsdb_ts.sky.pixel import Pixel

if TYPE_CHECKING:
    import nested_pandas
    import pandas


def to_frame(table: pa.Table) -> nested_pandas.NestedFrame:
    """Return a NestedFrame.

    Arrow-backed columns, nested columns packed, and ``_healpix_29`` as index where there is one. Columns keep no
    metadata: the roles of the parts of nested ones are in ``.attrs["roles"]``, by column, and the units of columns and
    parts in ``.attrs["units"]``, by name (``"lc.flux"``).
    """
    import nested_pandas
    import pandas
    from nested_pandas.series.ext_array import NestedExtensionArray

    columns: dict[str, Any] = {}
    for column in table.schema:
        if column.name == HEALPIX:
            continue
        values = table.column(column.name)
        if is_nested(column):
            columns[column.name] = NestedExtensionArray(values.cast(plain(column.type)))
        else:
            columns[column.name] = pandas.arrays.ArrowExtensionArray(values.cast(plain(column.type)))
    index = pandas.RangeIndex(table.num_rows)
    if HEALPIX in table.column_names:
        index = pandas.Index(table.column(HEALPIX).to_numpy(), name=HEALPIX)
    frame = nested_pandas.NestedFrame(columns, index=index, copy=False)
    roles = {c.name: told for c in table.schema if is_nested(c) and (told := dict(Roles.of(c.type).items()))}
    if roles:
        frame.attrs["roles"] = roles
    if units := _units(table.schema):
        frame.attrs["units"] = units
    return frame


def _units(schema: pa.Schema) -> dict[str, str]:
    """Return the units that are stored with columns, and with the parts of light curves, by name."""
    fields = {column.name: column for column in schema}
    fields |= {f"{column.name}.{part.name}": part for column in schema if is_nested(column) for part in column.type}
    return {name: unit for name, column in fields.items() if (unit := unit_of(column)) is not None}


def from_frame(frame: pandas.DataFrame) -> pa.Table:
    """Return the Arrow table of a frame; an index called ``_healpix_29`` becomes that column.

    Numpy has no other mark for a missing float than NaN: there it becomes null. Arrow tells the two apart, so the
    columns of :func:`to_frame` come back as they are, NaN and null; what pandas computes of them has no NaN.
    """
    import pandas
    from nested_pandas import NestedDtype

    if not isinstance(frame, pandas.DataFrame):
        raise PlanError(f"the function returned a {type(frame).__name__}; need a pandas DataFrame or NestedFrame")
    twice = frame.columns[frame.columns.duplicated()]
    if len(twice):
        raise PlanError(f'the frame has two columns called "{twice[0]}": rename one of them')
    arrays: dict[str, Any] = {}
    if frame.index.name == HEALPIX:
        arrays[HEALPIX] = pa.array(np.asarray(frame.index, dtype=np.int64))
    for name in frame.columns:
        series = frame[name]
        if isinstance(series.dtype, NestedDtype):
            arrays[str(name)] = pa.chunked_array(series.array.struct_array)
        else:
            array = pa.Array.from_pandas(series)
            arrays[str(name)] = array.cast(pa.string()) if pa.types.is_large_string(array.type) else array
    return pa.table(arrays)


FIRST_PIXEL = Pixel(0, 0)
"""What a function that wants to know its pixel is given until it is called for one."""


class FrameFunction:
    """A user's function on frames, made a function on tables.

    Parameters
    ----------
    function : callable
        ``function(frame, *args, **kwargs)`` from a NestedFrame to a DataFrame.
    pixel : Pixel, optional
        Given to the function after the frame; :meth:`at` exchanges it for another one.
    """

    def __init__(
        self,
        function: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
        pixel: Pixel | None = None,
    ) -> None:
        self.function, self.args, self.kwargs, self.pixel = function, args, kwargs or {}, pixel

    def at(self, pixel: Pixel) -> FrameFunction:
        """Return the function for the frame of a pixel."""
        return self if self.pixel is None else FrameFunction(self.function, self.args, self.kwargs, pixel)

    def __call__(self, table: pa.Table) -> pa.Table:
        """Call it on a table."""
        place = () if self.pixel is None else (self.pixel,)
        return from_frame(self.function(to_frame(table), *place, *self.args, **self.kwargs))

    def identity(self) -> dict[str, Any]:
        """Return code and arguments."""
        return {
            "function": identify(self.function),
            "args": settled(self.args),
            "kwargs": settled(self.kwargs),
            "include_pixel": self.pixel is not None,
        }
