"""A catalog as the views see it: a plan and what follows from it."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pytest

from lsdb_ts.plan.node import Node
from lsdb_ts.plan.scan import Scan
from lsdb_ts.schema import Roles, with_unit
from lsdb_ts.sky import propagate
from lsdb_ts.store.memory import MemorySource


@dataclass(frozen=True)
class Seen:
    """The public surface of a catalog that views use."""

    plan: Node

    @property
    def name(self):
        return self.plan.name

    @property
    def schema(self):
        return self.plan.schema

    @property
    def layout(self):
        return self.plan.layout


@pytest.fixture(scope="session")
def seen_table():
    def make(table, ra, dec, name, max_rows=500):
        return Seen(Scan(MemorySource.of_table(table, ra, dec, name, max_rows)))

    return make


@pytest.fixture(scope="session")
def catalog_of(seen_table):
    def make(ra, dec, name="made up", max_rows=500):
        return seen_table(pa.table({"ra": ra, "dec": dec}), "ra", "dec", name, max_rows)

    return make


@pytest.fixture(scope="session")
def two_patches(catalog_of):
    """2000 rows within 2 degrees of (0, -2), across RA 0, and 1000 within 1 degree of the north pole."""
    rng = np.random.default_rng(5)
    parts = []
    for n, ra, dec, radius in ((2000, 0.0, -2.0, 2.0), (1000, 0.0, 90.0, 1.0)):
        turn, reach = rng.uniform(0, 2 * np.pi, n), radius * np.sqrt(rng.random(n)) * 3.6e6
        parts.append(propagate(np.full(n, ra), np.full(n, dec), reach * np.cos(turn), reach * np.sin(turn), 1.0))
    return catalog_of(*(np.concatenate(c) for c in zip(*parts, strict=True)), name="two patches")


@pytest.fixture(scope="session")
def lightcurve_schema():
    """Columns of an object table with light curves nested at rest."""
    roles = Roles(time="midpointMjdTai", band="band", flux="psfFlux", flux_error="psfFluxErr")
    parts = roles.tag(
        pa.schema(
            [
                with_unit(pa.field("midpointMjdTai", pa.list_(pa.float64())), "d"),
                pa.field("band", pa.list_(pa.dictionary(pa.int8(), pa.string()))),
                with_unit(pa.field("psfFlux", pa.list_(pa.float32())), "nJy"),
                with_unit(pa.field("psfFluxErr", pa.list_(pa.float32())), "nJy"),
            ]
        )
    )
    fields = [
        pa.field("objectId", pa.int64()),
        with_unit(pa.field("coord_ra", pa.float64()), "deg"),
        with_unit(pa.field("coord_dec", pa.float64()), "deg"),
        pa.field("lc", pa.struct(list(parts))),
    ]
    return Roles(id="objectId", ra="coord_ra", dec="coord_dec").tag(pa.schema(fields))
