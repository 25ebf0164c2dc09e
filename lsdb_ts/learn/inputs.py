"""Feature tables as matrices: which numbers a classifier eats, of what type, in what order. Learning is next door."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lsdb_ts.errors import PlanError, SchemaError
from lsdb_ts.schema import DATED, find
from lsdb_ts.store.journal import fingerprint

_FEATURE_SET = b"feature_set"
"""Key in the metadata of a feature column under which the fingerprint of its `FeatureSet` is kept."""


@dataclass(frozen=True)
class FeatureColumns:
    """The inputs of a classifier: columns, the numbers inside them with their types, and the sets that computed them.

    >>> FeatureColumns.of(pa.schema([("f", pa.struct([("mean", pa.float32()), ("n", pa.int32())]))])).names
    ('f.mean', 'f.n')
    """

    columns: tuple[str, ...]
    """Top-level columns of the table."""
    names: tuple[str, ...]
    """One name for each number: ``column.field`` inside a struct, else the column."""
    types: tuple[str, ...]
    feature_sets: tuple[str, ...]
    """Fingerprint of the feature set of each column; empty where the table does not tell."""

    @classmethod
    def of(cls, schema: pa.Schema, columns: Sequence[str] | None = None) -> FeatureColumns:
        """Describe the feature columns of a table.

        Parameters
        ----------
        schema : pyarrow.Schema
        columns : sequence of str, optional
            Structs of numbers, or numbers. By default every struct of numbers, as feature extraction makes them: a
            plain number may be an id or a position, and is taken only when named. Of structs, numbers that tell when an
            object was observed are left out.

        Raises
        ------
        PlanError
            There is no such column, or it does not hold numbers.
        """
        chosen = tuple(columns) if columns is not None else tuple(f.name for f in schema if _is_feature_struct(f.type))
        if not chosen:
            raise PlanError(
                "the table has no column of features (a struct of numbers); extract them first with "
                f"catalog.features(FeatureSet.full()), or name number columns with columns=. It has: {schema.names}"
            )
        return cls._described(schema, chosen)

    @classmethod
    def _described(cls, schema: pa.Schema, columns: tuple[str, ...]) -> FeatureColumns:
        numbers = list(_numbers(schema, columns))
        sets = tuple((schema.field(c).metadata or {}).get(_FEATURE_SET, b"").decode() for c in columns)
        return cls(columns, tuple(name for name, _ in numbers), tuple(str(kind) for _, kind in numbers), sets)

    @property
    def fingerprint(self) -> str:
        """SHA-256 over names, types and feature sets."""
        return fingerprint(self.to_json())

    def matrix(self, table: pa.Table) -> NDArray[np.float32]:
        """Return the numbers of a table, shape (rows, names); null becomes NaN.

        Raises
        ------
        SchemaError
            The table's features are not these; lists what differs.
        """
        self.require(table.schema)
        out = np.empty((table.num_rows, len(self.names)), dtype=np.float32)
        for place, name in enumerate(self.names):
            out[:, place] = _values(table, name)
        # Features may overflow float32 to infinity, which is as little of a measurement as null.
        out[~np.isfinite(out)] = np.nan
        return out

    def known(self, matrix: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Tell which rows of a matrix hold a measurement: a number that is more than a count of epochs."""
        from lsdb_ts.features.sets import always_defined

        counts = always_defined()
        measured = [place for place, name in enumerate(self.names) if name.rpartition(".")[2] not in counts]
        return np.asarray(np.isfinite(matrix[:, measured]).any(axis=1))

    def require(self, schema: pa.Schema) -> None:
        """Raise SchemaError, listing every difference, unless a table has just these features."""
        missing = [c for c in self.columns if c not in schema.names]
        found = self._described(schema, tuple(c for c in self.columns if c in schema.names))
        differences = [f"  missing column {c}" for c in missing]
        differences += list(_differences(self._typed(), found._typed(), skip=missing))
        theirs = dict(zip(found.columns, found.feature_sets, strict=True))
        for column, wanted in zip(self.columns, self.feature_sets, strict=True):
            if column in theirs and wanted and theirs[column] and wanted != theirs[column]:
                differences.append(f"  {column}: made by feature set {theirs[column][:12]}, trained on {wanted[:12]}")
        if differences:
            listed = differences[:20] + ([f"  ... and {len(differences) - 20} more"] if len(differences) > 20 else [])
            raise SchemaError(
                "the table's features are not those the model was trained on:\n"
                + "\n".join(listed)
                + "\nExtract the features with the same FeatureSet and version, or train a model on these."
            )

    def to_json(self) -> dict[str, Any]:
        """Return the description as plain JSON values."""
        return {name: list(values) for name, values in vars(self).items()}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> FeatureColumns:
        """Build a description from what `to_json` returned."""
        return cls(**{name: tuple(values) for name, values in value.items()})

    def _typed(self) -> dict[str, str]:
        return dict(zip(self.names, self.types, strict=True))


def _differences(wanted: Mapping[str, str], found: Mapping[str, str], skip: Iterable[str]) -> Iterator[str]:
    gone = set(skip)
    for name, kind in wanted.items():
        if name.partition(".")[0] in gone:
            continue
        if name not in found:
            yield f"  missing {name} ({kind})"
        elif found[name] != kind:
            yield f"  {name}: {found[name]} here, {kind} in training"
    for name, kind in found.items():
        if name not in wanted:
            yield f"  unknown {name} ({kind})"


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind))


def _is_feature_struct(kind: pa.DataType) -> bool:
    return pa.types.is_struct(kind) and kind.num_fields > 0 and all(_is_number(f.type) for f in kind)


def _numbers(schema: pa.Schema, columns: Iterable[str]) -> Iterator[tuple[str, pa.DataType]]:
    for column in columns:
        field = find(schema, column)
        if field is None or not (_is_number(field.type) or _is_feature_struct(field.type)):
            kind = "is not there" if field is None else f"is {field.type}"
            raise PlanError(f'the feature column "{column}" {kind}; need a number or a struct of numbers')
        if pa.types.is_struct(field.type):
            parts = (part for part in field.type if DATED not in (part.metadata or {}))
            yield from ((f"{column}.{part.name}", part.type) for part in parts)
        else:
            yield column, field.type


def _values(table: pa.Table, name: str) -> NDArray[np.float32]:
    column, dot, part = name.partition(".")
    values = table.column(name if name in table.column_names else column)
    if dot and name not in table.column_names:
        values = pc.struct_field(values, part)
    numbers = values.cast(pa.float64()).to_numpy()
    with np.errstate(over="ignore"):
        return np.asarray(numbers, dtype=np.float32)
