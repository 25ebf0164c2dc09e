"""What tests of features share."""

import numpy as np
import pyarrow as pa
import pytest

from lsdb_ts.schema import Roles


def _nest(*bands, is_flux=True):
    n_objects = len(bands[0])
    columns = {"t": [], "band": [], "x": [], "e": []}
    for k in range(n_objects):
        mine = [(band, *curves[k]) for band, curves in zip("griz", bands, strict=False)]
        columns["t"].append(np.concatenate([t for _, t, _, _ in mine]))
        columns["band"].append([band for band, t, _, _ in mine for _ in t])
        columns["x"].append(np.concatenate([x for _, _, x, _ in mine]))
        columns["e"].append(np.concatenate([e for _, _, _, e in mine]))
    nested = pa.StructArray.from_arrays([pa.array(c) for c in columns.values()], names=list(columns))
    kind = {"flux": "x", "flux_error": "e"} if is_flux else {"mag": "x", "mag_error": "e"}
    return nested, Roles(time="t", band="band", **kind)


@pytest.fixture(scope="session")
def nested_curves():
    """Return a function that makes a nested column, and its roles, of curves (t, x, e): for g, r, ... one an object."""
    return _nest
