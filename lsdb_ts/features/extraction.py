"""The features of one nested column, as a function on tables that a plan can call. What they mean stands next door."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import pyarrow as pa

from lsdb_ts.errors import PlanError
from lsdb_ts.features.protocol import VALUE, unit_of_values
from lsdb_ts.features.sets import FeatureSet
from lsdb_ts.lightcurves.shape import BRIGHTNESS, Shape
from lsdb_ts.schema import Roles, in_unit, is_nested, unit_of, with_unit


@dataclass(frozen=True)
class Extraction:
    """From a table with light curves to a table of their features, row by row."""

    __name__: ClassVar[str] = "features"
    """What messages call it."""

    feature_set: FeatureSet
    lightcurve: str
    """Name of the nested column."""
    roles: Roles
    """Roles of its parts."""
    unit: str = VALUE
    """Unit of its fluxes or magnitudes."""

    @classmethod
    def of(cls, feature_set: FeatureSet, column: pa.Field, where: str) -> Extraction:
        """Plan the extraction from a nested column.

        Raises
        ------
        PlanError
            It is no light curve, lacks a role, or has fluxes whose unit changes from epoch to epoch.
        """
        if not is_nested(column):
            raise PlanError(f'"{column.name}" of {where} is {column.type} and not a light curve (a struct of lists)')
        shape = Shape.of(column)
        feature_set.require_second(shape.names)
        maybe = [p.name for p in shape.parts if pa.types.is_string(p.type) or pa.types.is_dictionary(p.type)]
        if shape.roles.band is None and maybe:
            raise PlanError(
                f'the part "{maybe[0]}" of {column.name} may be the band, and none is known: say so, '
                f'{where}.with_roles("{column.name}", band="{maybe[0]}"), or drop it'
            )
        for role in ("time", *BRIGHTNESS[shape.roles.flux is None]):
            if getattr(shape.roles, role) is not None:
                shape.number(role, "features")
        if shape.roles.flux is None and all(feature.fluxes_only for feature in feature_set.features):
            raise PlanError(
                f"the features of the set {feature_set.name} are of fluxes, and {column.name} has magnitudes: "
                f'{where}.curves("{column.name}").to_flux().features(...)'
            )
        return cls(feature_set, column.name, shape.roles, unit_of_values(shape))

    @property
    def inputs(self) -> tuple[str, ...]:
        """The parts of the column that are read, with its name in front."""
        return tuple(f"{self.lightcurve}.{part}" for part in self.feature_set.inputs(self.roles))

    @property
    def fields(self) -> tuple[pa.Field, ...]:
        """The output, in the units of the light curves."""
        return tuple(
            column.with_type(pa.struct([self._in_unit(part) for part in column.type]))
            if pa.types.is_struct(column.type)
            else column
            for column in self.feature_set.fields
        )

    def __call__(self, table: pa.Table) -> pa.Table:
        """Extract."""
        return self.feature_set.extract(table.column(self.lightcurve), self.roles)

    def identity(self) -> dict[str, Any]:
        """Return feature set, column and roles, as JSON."""
        return {
            "features": self.feature_set.fingerprint,
            "lightcurve": self.lightcurve,
            "roles": dict(self.roles.items()),
        }

    def _in_unit(self, part: pa.Field) -> pa.Field:
        return with_unit(part, in_unit(unit_of(part) or "", self.unit))
