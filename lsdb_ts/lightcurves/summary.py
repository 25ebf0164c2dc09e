"""What one number, or a few, are made of each light curve: the end of a pipeline. Features live in their own room."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.compute as pc

from lsdb_ts.lightcurves.curves import Curves
from lsdb_ts.lightcurves.shape import Shape


@dataclass(frozen=True)
class Summary(ABC):
    """Values of a row computed from its light curve: a struct of numbers, or a new nested column."""

    version: ClassVar[int] = 1
    """Raised with every change of what comes out; part of the fingerprint."""

    @property
    def copies(self) -> float:
        """How many times it holds the epochs at once, where that is more than once: memory is planned with it."""
        return 1.0

    @abstractmethod
    def type(self, before: Shape) -> pa.DataType:
        """Return the type of what comes out, with units in its fields; raises PlanError where a role is missing."""

    def unit(self, before: Shape) -> str | None:
        """Return the unit of what comes out, where it is no struct."""
        return None

    @abstractmethod
    def inputs(self, before: Shape) -> tuple[str, ...]:
        """Return the parts it is computed from."""

    @abstractmethod
    def __call__(self, curves: Curves) -> pa.Array:
        """Return one value a curve, of the type above; null for null curves."""

    def identity(self) -> Mapping[str, Any]:
        """Return class, version and parameters as JSON."""
        return {"summary": type(self).__name__, "version": self.version, **asdict(self)}


@dataclass(frozen=True)
class Values(Summary):
    """The values of a part, as a column of lists; null for null curves."""

    part: str

    def type(self, before: Shape) -> pa.DataType:
        """Return lists of the part's values."""
        return before.list_type(before.field(before.part(self.part, "values")).type)

    def unit(self, before: Shape) -> str | None:
        """Return that of the part."""
        return before.unit(self.part)

    def inputs(self, before: Shape) -> tuple[str, ...]:
        """Return the part."""
        return (self.part,)

    def __call__(self, curves: Curves) -> pa.Array:
        """Return the lists."""
        lists = curves.lists(self.part)
        return (
            pc.if_else(pa.array(curves.missing), pa.scalar(None, lists.type), lists) if curves.missing.any() else lists
        )
