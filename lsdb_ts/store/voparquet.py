"""Units, UCDs and descriptions of columns in the words of the Virtual Observatory: a VOTable inside Parquet metadata.

The convention is VOParquet 1.0 (IVOA Note "Parquet in the VO", 2025): two keys of a Parquet file, one with the text
of a VOTable without rows. What columns are, their schema knows; files are written next door.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from xml.etree import ElementTree

import pyarrow as pa

from lsdb_ts.schema import Roles, is_nested, plain, unit_of

KEYS = _VERSION, _CONTENT = b"IVOA.VOTable-Parquet.version", b"IVOA.VOTable-Parquet.content"
"""Keys of the metadata: those of one catalog must not travel to another, whose columns are others."""
_NAMESPACE = "http://www.ivoa.net/xml/VOTable/v1.3"
_UCDS: Mapping[str, str] = {
    "id": "meta.id;meta.main",
    "parent_id": "meta.id.parent",
    "ra": "pos.eq.ra;meta.main",
    "dec": "pos.eq.dec;meta.main",
    "time": "time.epoch",
    "band": "meta.id;instr.bandpass",
    "flux": "phot.flux",
    "flux_error": "stat.error;phot.flux",
    "mag": "phot.mag",
    "mag_error": "stat.error;phot.mag",
    "quality": "meta.code.qual",
    "zero_point": "phot.mag;arith.zp",
    "limit": "phot.mag;stat.max",
    "pm_ra": "pos.pm;pos.eq.ra",
    "pm_dec": "pos.pm;pos.eq.dec",
    "ref_epoch": "meta.ref;time.epoch",
    "ra_error": "stat.error;pos.eq.ra",
    "dec_error": "stat.error;pos.eq.dec",
}
"""UCD (IVOA UCD1+ controlled vocabulary 1.5) of a column that has none of its own, by the role it plays."""
_POSITIONS = {"ra", "dec"}


def voparquet(schema: pa.Schema) -> pa.Schema:
    """Return a schema with what its fields tell of themselves as VOParquet metadata, in place of what was there.

    Parameters
    ----------
    schema : pyarrow.Schema
        Units, UCDs, descriptions and roles are in the metadata of its fields, and of the parts of nested ones.

    >>> from lsdb_ts.schema import with_unit
    >>> told = voparquet(pa.schema([with_unit(pa.field("psfFlux", pa.float32()), "nJy")]))
    >>> b'<FIELD ID="psfFlux" name="psfFlux" datatype="float" unit="nJy" />' in told.metadata[_CONTENT]
    True
    """
    root = ElementTree.Element("VOTABLE", {"version": "1.4", "xmlns": _NAMESPACE})
    table = ElementTree.SubElement(ElementTree.SubElement(root, "RESOURCE", {"type": "meta"}), "TABLE")
    columns = list(_columns(schema))
    ids = _ids([name for name, _, _ in columns])
    table.extend(_field(name, column, ucd, ids[name]) for name, column, ucd in columns)
    table.extend(_group(column, ids) for column in schema if is_nested(column))
    text = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    kept = {key: value for key, value in (schema.metadata or {}).items() if key not in KEYS}
    return schema.with_metadata({**kept, _VERSION: b"1.0", _CONTENT: text})


def _columns(schema: pa.Schema) -> Iterator[tuple[str, pa.Field, str]]:
    """Yield (name, field, UCD or nothing) of each column, the parts of structs one by one."""
    roles = {column: role for role, column in Roles.of(schema).items()}
    for column in schema:
        if not pa.types.is_struct(column.type):
            yield column.name, column, _UCDS.get(roles.get(column.name, ""), "")
            continue
        inner = {name: role for role, name in Roles.of(column.type).items()}
        for part in column.type:
            # An epoch has a position, but not that of the row.
            role = inner.get(part.name, "")
            ucd = _UCDS.get(role, "").removesuffix(";meta.main") if role in _POSITIONS | {"id"} else _UCDS.get(role, "")
            kind = part.type.value_type if is_nested(column) else part.type
            yield f"{column.name}.{part.name}", part.with_type(kind), ucd


def _field(name: str, column: pa.Field, ucd: str, field_id: str) -> ElementTree.Element:
    told = {key.decode(): value.decode() for key, value in (column.metadata or {}).items() if key != b"role"}
    meant = {"unit": unit_of(column) or "", "ucd": told.get("ucd", ucd)}
    attributes = {"ID": field_id, "name": name, **_datatype(column.type)}
    field = ElementTree.Element("FIELD", {**attributes, **{key: value for key, value in meant.items() if value}})
    if told.get("description"):
        ElementTree.SubElement(field, "DESCRIPTION").text = told["description"]
    return field


def _group(column: pa.Field, ids: Mapping[str, str]) -> ElementTree.Element:
    """Return what says which columns are the parts of a nested one."""
    group = ElementTree.Element("GROUP", {"name": column.name})
    told = (column.metadata or {}).get(b"description", b"multi-column nested format")
    ElementTree.SubElement(group, "DESCRIPTION").text = told.decode()
    ElementTree.SubElement(group, "PARAM", {"name": "is_nested_column", "datatype": "boolean", "value": "t"})
    for part in column.type:
        ElementTree.SubElement(group, "FIELDref", {"ref": ids[f"{column.name}.{part.name}"]})
    return group


def _ids(names: Sequence[str]) -> dict[str, str]:
    """Return, for each column, what XML takes for an identifier: its name, where that is one, else like it."""
    found: dict[str, str] = {}
    taken = set(names)
    for name in names:
        made = "".join(c if c.isascii() and (c.isalnum() or c in "_.-") else "_" for c in name)
        made = made if made[:1].isalpha() or made.startswith("_") else f"_{made}"
        while made != name and made in taken:
            made += "_"
        taken.add(made)
        found[name] = made
    return found


def _datatype(kind: pa.DataType) -> dict[str, str]:
    """Return the VOTable type of an Arrow type; what VOTable has no word for is text."""
    kind = plain(kind)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        # VOTable has no list of texts of any length.
        return {"datatype": _datatype(kind.value_type)["datatype"], "arraysize": "*"}
    for is_kind, name in _KINDS:
        if is_kind(kind):
            return {"datatype": name}
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return {"datatype": "unsignedByte", "arraysize": "*"}
    if pa.types.is_timestamp(kind):
        return {"datatype": "char", "arraysize": "*", "xtype": "timestamp"}
    return {"datatype": "char", "arraysize": "*"}


_KINDS = (
    (pa.types.is_boolean, "boolean"),
    (pa.types.is_uint8, "unsignedByte"),
    (lambda kind: pa.types.is_int8(kind) or pa.types.is_int16(kind), "short"),
    (lambda kind: pa.types.is_uint16(kind) or pa.types.is_int32(kind), "int"),
    (pa.types.is_integer, "long"),
    (lambda kind: pa.types.is_float16(kind) or pa.types.is_float32(kind), "float"),
    (lambda kind: pa.types.is_float64(kind) or pa.types.is_decimal(kind), "double"),
)
