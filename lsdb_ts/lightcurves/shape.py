"""What light curves are made of: the fields of their parts and the roles these play. The epochs are next door."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace

import pyarrow as pa

from lsdb_ts.errors import PlanError, did_you_mean
from lsdb_ts.schema import Roles, in_njy, is_nested, unit_of, with_role, without_role

BRIGHTNESS = (("flux", "flux_error"), ("mag", "mag_error"))
"""Roles of values and of their errors: what is binned, clipped and detrended."""


@dataclass(frozen=True, eq=False)
class Shape:
    """The parts of light curves: one field a part, whose type is that of one epoch's value.

    >>> lists = [pa.field("mjd", pa.list_(pa.float64())), pa.field("psfFlux", pa.list_(pa.float32()))]
    >>> shape = Shape.of(pa.field("lc", pa.struct(lists)))
    >>> shape.names, shape.roles.time, shape.role("flux", "bin")
    (('mjd', 'psfFlux'), 'mjd', 'psfFlux')
    """

    parts: tuple[pa.Field, ...]
    roles: Roles
    large: bool = False
    """Whether the lists have 64-bit offsets."""

    @classmethod
    def of(cls, column: pa.Field) -> Shape:
        """Read the shape of a nested column: roles as they are stored, the others guessed by name.

        Raises
        ------
        PlanError
            It is not a struct of lists.
        """
        if not is_nested(column):
            raise PlanError(f'"{column.name}" is {column.type} and not a light curve (a struct of lists)')
        parts = tuple(part.with_type(part.type.value_type) for part in column.type)
        large = any(pa.types.is_large_list(part.type) for part in column.type)
        return cls(parts, Roles.find(pa.schema(parts)), large)

    @functools.cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the parts."""
        return tuple(part.name for part in self.parts)

    @functools.cached_property
    def type(self) -> pa.StructType:
        """The struct of lists these curves are, with roles and units in the metadata of its fields."""
        parts, told = list(self.parts), {column: role for role, column in self.roles.items()}
        guessed = {column for _, column in Roles.find(pa.schema(parts)).items()} - told.keys()
        for i, part in enumerate(parts):
            tagged = with_role(part, told[part.name]) if part.name in told else part
            tagged = without_role(part) if part.name in guessed else tagged
            parts[i] = tagged.with_type(self.list_type(part.type))
        return pa.struct(parts)

    def list_type(self, kind: pa.DataType) -> pa.DataType:
        """Return the type of lists of these values."""
        return pa.large_list(kind) if self.large else pa.list_(kind)

    def field(self, name: str) -> pa.Field:
        """Return the field of a part."""
        return self.parts[self.names.index(name)]

    def role(self, role: str, verb: str) -> str:
        """Return the part that plays a role.

        Raises
        ------
        PlanError
            None does.
        """
        name: str | None = getattr(self.roles, role)
        if name is None:
            raise PlanError(
                f'{verb} needs a part with the role "{role}"; these light curves have the parts '
                f"{', '.join(self.names)} and the roles {dict(self.roles.items())}: store it with "
                f"Roles({role}=...).tag(...), or give the part a name that a survey uses"
            )
        return name

    def part(self, name: str, verb: str) -> str:
        """Return a part that is named itself, or by its role; raises PlanError where there is no such part."""
        if name in self.names:
            return name
        if name in Roles.names():
            return self.role(name, verb)
        raise PlanError(f'{verb}: the light curves have no part "{name}"; {did_you_mean(name, self.names)}')

    def number(self, role: str, verb: str) -> str:
        """Return the part that plays a role as :meth:`role` does, if its values are numbers; else raises PlanError."""
        found = self.role(role, verb)
        kind = self.field(found).type
        if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
            raise PlanError(f'{verb} needs numbers, and the part "{found}" is {kind}')
        return found

    def brightness(self, verb: str) -> tuple[str, str | None]:
        """Return the part of fluxes, or of magnitudes where there are none, and that of their errors, if any.

        Raises
        ------
        PlanError
            There are neither fluxes nor magnitudes.
        """
        value, error = BRIGHTNESS[1] if self.roles.flux is None and self.roles.mag is not None else BRIGHTNESS[0]
        return self.number(value, verb), None if getattr(self.roles, error) is None else self.number(error, verb)

    @property
    def scaled(self) -> bool:
        """Whether the fluxes are in units of which a zero point tells epoch by epoch, and not in one that is known."""
        flux = self.roles.flux
        return flux is not None and self.roles.zero_point is not None and in_njy(self.unit(flux)) is None

    def compared(self, verb: str) -> tuple[str, str | None]:
        """Return the parts of :meth:`brightness` to verbs that compare the values of epochs.

        Raises
        ------
        PlanError
            The fluxes are in units of which a zero point tells epoch by epoch.
        """
        if self.scaled:
            raise PlanError(
                f'{verb}: the fluxes "{self.roles.flux}" are in units that "{self.roles.zero_point}" tells epoch by '
                f"epoch: bring them to one with .to_flux() first"
            )
        return self.brightness(verb)

    def measured(self, verb: str) -> tuple[str, str]:
        """Return the parts of :meth:`brightness`; raises PlanError where there are no errors, too."""
        value, error = self.brightness(verb)
        return value, error or self.number("mag_error" if self.roles.flux is None else "flux_error", verb)

    def unit(self, name: str) -> str | None:
        """Return the unit of a part, or None."""
        return unit_of(self.field(name))

    def with_parts(self, parts: Iterable[pa.Field], **roles: str | None) -> Shape:
        """Return a shape with more parts, or others in the place of old ones, and with some other roles."""
        new: Mapping[str, pa.Field] = {part.name: part for part in parts}
        kept = [new.get(part.name, part) for part in self.parts]
        added = [part for name, part in new.items() if name not in self.names]
        return replace(self, parts=(*kept, *added), roles=replace(self.roles, **roles))

    def only(self, names: Iterable[str]) -> Shape:
        """Return the shape of some of the parts; roles of the others are gone."""
        wanted = set(names)
        lost = {f.name: None for f in fields(Roles) if (c := getattr(self.roles, f.name)) and c not in wanted}
        return replace(self, parts=tuple(p for p in self.parts if p.name in wanted), roles=replace(self.roles, **lost))

    @property
    def narrowest(self) -> str:
        """The part that is the least to read: any of them tells how many epochs there are."""
        widths: dict[str, int] = {
            p.name: p.type.bit_width if pa.types.is_primitive(p.type) else 1000 for p in self.parts
        }
        return min(widths, key=lambda name: widths[name])
