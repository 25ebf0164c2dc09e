"""What columns mean: Arrow schemas, units, nested columns, and the roles a survey gives its columns.

Reading and writing files, and computing with the values, live elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import pyarrow as pa

from lsdb_ts.errors import PlanError, did_you_mean

HEALPIX = "_healpix_29"
"""Name of the spatial index column: int64, order-29 NESTED HEALPix number."""

AB_NJY = 31.4
"""AB magnitude of 1 nJy, exactly: m = -48.6 - 2.5 log10(f / (erg / s / cm2 / Hz)) (Oke & Gunn 1983, ApJ 266, 713)."""
JD_OF_MJD = 2_400_000.5
"""JD at MJD 0."""
_FIRST_MJD, _LAST_MJD = 15_000.0, 88_000.0
NO_MAGNITUDE = 90.0
"""Magnitudes from here on, or as far below 0, are none: surveys write 99, 99.999 or -999 where they have no value."""
_MICRO = dict.fromkeys(("uJy", "µJy", "μJy", "microJy"), 1e3)
IN_NJY = {"nJy": 1.0, **_MICRO, "mJy": 1e6, "Jy": 1e9, "nmgy": 10**3.56, "nanomaggy": 10**3.56, "maggy": 10**12.56}
"""How many nJy the units of fluxes are, with both of the signs that are read as micro; a maggy is that of AB = 0."""
VALUE = "value"
"""What stands for the unit of fluxes or magnitudes, in units of what is made of them."""
_UNIT, _ROLE = b"unit", b"role"
DATED = b"dated"
"""Key in the metadata of numbers that tell when an object was observed, which classifiers leave out."""
_NO_ROLE = "none"
"""What stands for the role of a column that must not be given one for its name: it is of another catalog's rows."""


def are_mjd(time: Any) -> Any:
    """Tell whether a time, or each of an array, may be MJD: from 1899 to 2099."""
    return (time >= _FIRST_MJD) & (time <= _LAST_MJD)


def are_magnitudes(unit: str | None) -> bool:
    """Tell whether values with the role of a magnitude are in magnitudes, as far as their unit tells."""
    return unit is None or unit.partition("(")[0].lower() in ("mag", "abmag")


def in_njy(unit: str | None) -> float | None:
    """Return how many nJy a unit of fluxes is, a number may stand before it; None where it is no such unit.

    >>> in_njy("uJy"), in_njy("38.9 nJy"), in_njy("adu")
    (1000.0, 38.9, None)
    """
    number, _, name = (unit or "").rpartition(" ")
    try:
        scale = float(number or 1.0)
    except ValueError:
        return None
    return IN_NJY[name] * scale if name in IN_NJY and 0.0 < scale < math.inf else None


def in_unit(unit: str, of_values: str) -> str:
    """Return the unit of a feature of values that have a unit of their own.

    >>> in_unit("value/d", "nJy"), in_unit("value^2", "ct / s"), in_unit("d", "nJy")
    ('nJy/d', '(ct / s)^2', 'd')

    A number before the unit stays before the whole.

    >>> in_unit("value/d", "36.3 nJy"), in_unit("value^2", "0.5 nJy")
    ('36.3 nJy/d', '0.25 nJy^2')
    """
    number, _, name = of_values.partition(" ")
    if VALUE in unit and in_njy(of_values) is not None and name:
        scale = float(number) ** (2 if unit == f"{VALUE}^2" else 1)
        return f"{scale:.12g} {unit.replace(VALUE, name)}"
    whole = of_values if unit == VALUE or of_values.isalnum() else f"({of_values})"
    return unit.replace(VALUE, whole)


def unit_of_zero_point(zero_point: float) -> str:
    """Return the unit of fluxes whose 1 is of an AB magnitude.

    >>> unit_of_zero_point(31.4), unit_of_zero_point(27.5)
    ('nJy', '36.307805477 nJy')
    """
    return f"{10 ** (0.4 * (AB_NJY - zero_point)):.12g} nJy".removeprefix("1 ")


@dataclass(frozen=True)
class Roles:
    """Which column plays which part in a table of a survey.

    Every role is optional. They are stored in the metadata of the Arrow fields, so a catalog written once knows
    them ever after.

    >>> Roles(id="objectId", ra="coord_ra", dec="coord_dec").items()
    [('id', 'objectId'), ('ra', 'coord_ra'), ('dec', 'coord_dec')]
    """

    id: str | None = None
    parent_id: str | None = None
    ra: str | None = None
    dec: str | None = None
    time: str | None = None
    """Time of the measurement, MJD in days."""
    band: str | None = None
    flux: str | None = None
    flux_error: str | None = None
    mag: str | None = None
    mag_error: str | None = None
    quality: str | None = None
    """Flag column: 0 or False means good."""
    zero_point: str | None = None
    """Magnitude of one unit of the flux, for fluxes of no known unit."""
    limit: str | None = None
    """Faintest magnitude that would have been detected: what a non-detection tells."""
    pm_ra: str | None = None
    """Proper motion in right ascension, times cos(dec); mas/yr where the field has no unit."""
    pm_dec: str | None = None
    ref_epoch: str | None = None
    """Epoch of the position, in Julian years."""
    ra_error: str | None = None
    """Standard error of the position along right ascension, times cos(dec); an angle."""
    dec_error: str | None = None

    @classmethod
    def named(cls, columns: Mapping[str, str]) -> Roles:
        """Return the roles that a user names; raises PlanError with the nearest for one that there is not."""
        for role, column in columns.items():
            if role not in cls.names():
                raise PlanError(f'there is no role "{role}"; {did_you_mean(role, cls.names())}')
            if not isinstance(column, str):
                raise PlanError(f'the role "{role}" is played by a column, named by its name, and not by {column!r}')
            if list(columns.values()).count(column) > 1:
                raise PlanError(f'the column "{column}" cannot play two roles')
        return cls(**columns)

    def items(self) -> list[tuple[str, str]]:
        """Return the roles that are filled, as (role, column) pairs."""
        return [(f.name, value) for f in fields(self) if (value := getattr(self, f.name)) is not None]

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Return every role there is."""
        return tuple(f.name for f in fields(cls))

    @classmethod
    def of(cls, columns: pa.Schema | pa.StructType) -> Roles:
        """Read the roles out of the metadata of fields (a schema, or the struct of a nested column)."""
        found: dict[str, str] = {}
        for column in columns:
            role = (column.metadata or {}).get(_ROLE)
            if role is not None and role.decode() in cls.names():
                found[role.decode()] = column.name
        return cls(**found)

    @classmethod
    def find(cls, schema: pa.Schema) -> Roles:
        """Read the stored roles, and guess the others by name; columns of :func:`without_role` play none."""
        free = [f.name for f in schema if _ROLE not in (f.metadata or {})]
        return cls(**{**dict(cls.guess(free).items()), **dict(cls.of(schema).items())})

    @classmethod
    def guess(cls, names: Iterable[str]) -> Roles:
        """Find the roles of a foreign table by the column names that the known surveys use."""
        present = set(names)
        found: dict[str, str] = {}
        for role, candidates in _KNOWN_NAMES.items():
            hit = next((c for c in candidates if c in present), None)
            if hit is not None:
                found[role] = hit
        return cls(**found)

    def tag(self, schema: pa.Schema) -> pa.Schema:
        """Return the schema with these roles written into its fields' metadata; who played one before, plays none."""
        by_column = {column: role for role, column in self.items()}
        missing = [c for c in by_column if c not in schema.names]
        if missing:
            raise PlanError(
                f'the role "{by_column[missing[0]]}" names the column "{missing[0]}", which the table '
                f"does not have; {did_you_mean(missing[0], schema.names)}"
            )
        before = {column for role, column in Roles.of(schema).items() if getattr(self, role) not in (None, column)}
        tagged = [
            with_role(f, by_column[f.name]) if f.name in by_column else without_role(f) if f.name in before else f
            for f in schema
        ]
        return pa.schema(tagged, metadata=schema.metadata)


_KNOWN_NAMES: Mapping[str, tuple[str, ...]] = {
    "time": ("midpointMjdTai", "midPointMjdTai", "expMidptMJD", "hmjd", "mjd", "time"),
    "band": ("band", "filter", "filterName", "fid", "filterid", "filtercode"),
    "flux": ("psfFlux", "psfDiffFlux", "flux"),
    "flux_error": ("psfFluxErr", "psfDiffFluxErr", "fluxerr", "flux_err"),
    "mag": ("psfMag", "mag"),
    "mag_error": ("psfMagErr", "magerr", "mag_err"),
    "quality": ("psfFlux_flag", "pixelFlags", "catflags"),
    "zero_point": ("magzpsci", "magzp", "zeroPoint"),
    "limit": ("diffmaglim", "limitmag", "magLim"),
    "pm_ra": ("pmra", "pmRA", "pmRa", "pm_ra"),
    "pm_dec": ("pmdec", "pmDE", "pmDec", "pm_dec"),
    "ref_epoch": ("ref_epoch",),
    "ra_error": ("ra_error", "raErr", "coord_raErr"),
    "dec_error": ("dec_error", "decErr", "coord_decErr"),
}

_ASTROMETRIC = ("pm_ra", "pm_dec", "ref_epoch", "ra_error", "dec_error")
_KNOWN_UNITS: Mapping[str, str] = {
    **dict.fromkeys(("ra_error", "dec_error"), "mas"),
    **dict.fromkeys(("raErr", "decErr", "coord_raErr", "coord_decErr"), "deg"),
}
"""Units that Gaia and Rubin give these columns, where a file does not tell."""

COORDINATES = (
    ("ra", "dec"),
    ("RA", "DEC"),
    ("coord_ra", "coord_dec"),
    ("ra_deg", "dec_deg"),
    ("RA_ICRS", "DE_ICRS"),
    ("RAJ2000", "DEJ2000"),
)
"""Names under which tables in memory are looked through for ICRS positions."""


def unit_of(column: pa.Field) -> str | None:
    """Return the unit stored with a field, or None."""
    unit = (column.metadata or {}).get(_UNIT)
    return unit.decode() if unit is not None else None


def with_unit(column: pa.Field, unit: str) -> pa.Field:
    """Return the field with a unit stored in its metadata.

    >>> unit_of(with_unit(pa.field("psfFlux", pa.float32()), "nJy"))
    'nJy'
    """
    return column.with_metadata({**(column.metadata or {}), _UNIT: unit.encode()})


def angle_unit_of(column: pa.Field) -> str | None:
    """Return the unit stored with a field, or the one its name stands for in a known survey, or None."""
    return unit_of(column) or _KNOWN_UNITS.get(column.name)


def with_astrometry(schema: pa.Schema) -> pa.Schema:
    """Store the roles and units of motions and errors that names alone tell, so that they outlast other names."""
    told = {c: r for r, c in Roles.find(schema).items() if r in _ASTROMETRIC}
    fields = [with_role(f, told[f.name]) if f.name in told else f for f in schema]
    units = {f.name: unit for f in fields if unit_of(f) is None and (unit := angle_unit_of(f)) is not None}
    fields = [with_unit(f, units[f.name]) if f.name in units else f for f in fields]
    return pa.schema(fields, metadata=schema.metadata)


def without_astrometry(schema: pa.Schema) -> pa.Schema:
    """Mark columns that tell where some rows are, but not all of them, as playing no role."""
    told = [c for r, c in Roles.find(schema).items() if r in (*_ASTROMETRIC, "ra", "dec")]
    return pa.schema([without_role(f) if f.name in told else f for f in schema], metadata=schema.metadata)


def with_role(column: pa.Field, role: str) -> pa.Field:
    """Return the field with a role stored in its metadata.

    >>> Roles.of(pa.schema([with_role(pa.field("alpha", pa.float64()), "ra")])).ra
    'alpha'
    """
    return column.with_metadata({**(column.metadata or {}), _ROLE: role.encode()})


def without_role(column: pa.Field) -> pa.Field:
    """Return the field marked as playing no role, whatever its name; the roles of a nested column's parts stay."""
    return with_role(column, _NO_ROLE)


def like(schema: pa.Schema, known: pa.Schema) -> pa.Schema:
    """Return a schema whose fields have the units and roles that fields of the same name and kind are known to have.

    So have the parts of nested columns. Lists and texts of either size are of one kind, and what they call their items
    is of no matter: pandas changes both.
    """
    fields = [_like(f, known.field(f.name)) if f.name in known.names else f for f in schema]
    return pa.schema(fields, metadata=schema.metadata)


def _like(column: pa.Field, known: pa.Field) -> pa.Field:
    if _kind(column.type) == _kind(known.type):
        as_known = known.type == column.type or plain(known.type) == known.type
        return known.with_nullable(True) if as_known else column.with_metadata(known.metadata)
    if not (pa.types.is_struct(column.type) and pa.types.is_struct(known.type)):
        return column
    parts = {part.name: part for part in known.type}
    return column.with_type(pa.struct([_like(f, parts[f.name]) if f.name in parts else f for f in column.type]))


def _kind(kind: pa.DataType) -> pa.DataType:
    """Return a type with nothing in it that says how values are held, rather than what they are."""
    kind = plain(kind)
    if pa.types.is_large_string(kind):
        return pa.string()
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return pa.list_(_kind(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([(f.name, _kind(f.type)) for f in kind])
    return kind


def is_nested(column: pa.Field) -> bool:
    """Tell whether a field holds light curves at rest: a struct whose members are all lists."""
    kind = column.type
    return bool(
        pa.types.is_struct(kind)
        and kind.num_fields > 0
        and all(pa.types.is_list(f.type) or pa.types.is_large_list(f.type) for f in kind)
    )


def has_parts(column: pa.Field) -> bool:
    """Tell whether a field is a struct, the parts of which can be asked for one by one: light curves, or features."""
    return bool(pa.types.is_struct(column.type) and column.type.num_fields > 0)


def find(schema: pa.Schema, name: str) -> pa.Field | None:
    """Return the field of a base column (``ra``) or of a part of a nested one (``lc.psfFlux``), or None."""
    base, dot, part = name.partition(".")
    if name in schema.names:
        return schema.field(name)
    if dot and base in schema.names and pa.types.is_struct(schema.field(base).type):
        kind = schema.field(base).type
        index = kind.get_field_index(part)
        return kind.field(index) if index >= 0 else None
    return None


def require(schema: pa.Schema, names: Iterable[str], where: str) -> None:
    """Raise PlanError with the nearest names unless every name is a column (or nested part) of the schema."""
    for name in names:
        if find(schema, name) is None:
            base = name.partition(".")[0]
            known = (
                [f"{base}.{f.name}" for f in schema.field(base).type]
                if "." in name and base in schema.names and pa.types.is_struct(schema.field(base).type)
                else schema.names
            )
            raise PlanError(f'{where} has no column "{name}"; {did_you_mean(name, known)}')


def project(schema: pa.Schema, names: Iterable[str]) -> pa.Schema:
    """Return the schema of the named columns, in the schema's own order; ``lc.t`` keeps that part of ``lc`` only.

    >>> lc = pa.struct([pa.field("t", pa.list_(pa.float64())), pa.field("x", pa.list_(pa.float64()))])
    >>> project(pa.schema([("id", pa.int64()), ("lc", lc)]), ["lc.t"]).field("lc").type.num_fields
    1
    """
    wanted = set(names)
    kept: list[pa.Field] = []
    for column in schema:
        if column.name in wanted:
            kept.append(column)
            continue
        if not pa.types.is_struct(column.type):
            continue
        parts = [f for f in column.type if f"{column.name}.{f.name}" in wanted]
        if parts:
            kept.append(column.with_type(pa.struct(parts)))
    return pa.schema(kept, metadata=schema.metadata)


def plain(kind: pa.DataType) -> pa.DataType:
    """Return a type with every dictionary in it, at any depth, replaced by the type of its values.

    >>> plain(pa.list_(pa.dictionary(pa.int8(), pa.string())))
    ListType(list<item: string>)
    """
    if pa.types.is_dictionary(kind):
        return kind.value_type
    if pa.types.is_list(kind):
        return pa.list_(kind.value_field.with_type(plain(kind.value_type)))
    if pa.types.is_large_list(kind):
        return pa.large_list(kind.value_field.with_type(plain(kind.value_type)))
    if pa.types.is_struct(kind):
        return pa.struct([f.with_type(plain(f.type)) for f in kind])
    return kind


def plain_nested(schema: pa.Schema) -> pa.Schema:
    """Return a schema without dictionaries inside nested columns, which Arrow cannot read from several row groups."""
    fields = [f if pa.types.is_dictionary(f.type) else f.with_type(plain(f.type)) for f in schema]
    return pa.schema(fields, metadata=schema.metadata)
