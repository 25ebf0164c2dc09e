"""The features of one nested column, as a function on tables that a plan can call. What they mean stands next door."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from lsdb_ts.features.sets import FeatureSet
from lsdb_ts.schema import Roles


@dataclass(frozen=True)
class Extraction:
    """From a table with light curves to a table of their features, row by row."""

    feature_set: FeatureSet
    lightcurve: str
    """Name of the nested column."""
    roles: Roles
    """Roles of its parts."""

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
