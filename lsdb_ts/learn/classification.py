"""The predictions of a trained model, as a function on tables that a plan can call. The model lives in its bundle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from lsdb_ts.learn.bundle import ModelBundle


@dataclass(frozen=True)
class Classification:
    """From a table of features to a table of classes and probabilities, row by row."""

    bundle: ModelBundle

    def __call__(self, table: pa.Table) -> pa.Table:
        """Predict."""
        return self.bundle.predict(table)

    def identity(self) -> dict[str, Any]:
        """Return the model's fingerprint, as JSON."""
        return {"bundle": self.bundle.fingerprint}
