"""What the columns of a catalog are, in words: name, type, unit, role, parts of nested ones. Text is made next door."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa

from lsdb_ts.schema import Roles, is_nested, unit_of

_SHORT = {
    "double": "float64",
    "float": "float32",
    "halffloat": "float16",
    "large_string": "string",
    "date32[day]": "date",
}
_MEASUREMENT = ("time", "band", "flux", "flux_error", "mag", "mag_error", "quality")
_MAX_PARTS = 4


@dataclass(frozen=True)
class Column:
    """One line of a table of columns."""

    name: str
    kind: str
    unit: str = ""
    role: str = ""
    parts: tuple[Column, ...] = ()
    """Of a nested column: its own columns."""

    def to_json(self) -> dict[str, object]:
        """Return a JSON form; what is empty is left out."""
        told = {"name": self.name, "type": self.kind, "unit": self.unit, "role": self.role}
        parts = {"parts": [part.to_json() for part in self.parts]} if self.parts else {}
        return {key: value for key, value in told.items() if value} | parts

    @property
    def text(self) -> str:
        """Type of the column, with the first parts of a nested one; those that describe a measurement go before ids."""
        if not self.parts:
            return self.kind
        order = {role: i for i, role in enumerate(_MEASUREMENT)}
        ranked = sorted(self.parts, key=lambda part: order.get(part.role, len(order)))
        shown = [f"{part.name}: {part.kind} {part.unit}".rstrip() for part in ranked[:_MAX_PARTS]]
        more = [f"... {len(self.parts) - _MAX_PARTS} more"] if len(self.parts) > _MAX_PARTS else []
        return f"nested<{', '.join(shown + more)}>"


def columns_of(schema: pa.Schema) -> list[Column]:
    """Describe the columns of a schema.

    >>> [c.text for c in columns_of(pa.schema([("ra", pa.float64()), ("flag", pa.bool_())]))]
    ['float64', 'bool']
    """
    roles = {column: role for role, column in Roles.of(schema).items()}
    return list(_columns(schema, roles))


def _columns(fields: pa.Schema | pa.StructType, roles: dict[str, str]) -> Iterator[Column]:
    for field in fields:
        role, unit = roles.get(field.name, ""), unit_of(field) or ""
        if is_nested(field):
            inner = {column: part for part, column in Roles.of(field.type).items()}
            yield Column(field.name, "nested", unit, role, tuple(_columns(field.type, inner)))
        else:
            # Parts of a nested column are lists of one value an epoch.
            of_epochs = isinstance(fields, pa.StructType) and _is_list(field.type)
            yield Column(field.name, type_name(field.type.value_type if of_epochs else field.type), unit, role)


def type_name(kind: pa.DataType) -> str:
    """Return the short name of a type.

    >>> type_name(pa.dictionary(pa.int8(), pa.string())), type_name(pa.list_(pa.float32()))
    ('string', 'list<float32>')
    """
    if pa.types.is_dictionary(kind):
        return type_name(kind.value_type)
    if _is_list(kind):
        return f"list<{type_name(kind.value_type)}>"
    if pa.types.is_struct(kind):
        names = [f.name for f in kind]
        more = [f"... {len(names) - _MAX_PARTS} more"] if len(names) > _MAX_PARTS else []
        return f"struct<{', '.join(names[:_MAX_PARTS] + more)}>"
    return _SHORT.get(str(kind), str(kind))


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind))
