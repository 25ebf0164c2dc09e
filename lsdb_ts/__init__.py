"""Time-domain astronomy at survey scale.

Lazy catalogs on HEALPix-sharded Parquet, crossmatch, light curves, features, classifiers.

The public names, and nothing else; each is imported when it is first used, so that importing the package is cheap.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lsdb_ts.catalog import Catalog, concat, crossmatch, from_dataframe, open_catalog
    from lsdb_ts.features import FeatureSet, MultibandModel, PeriodSearch
    from lsdb_ts.learn import ModelBundle, train
    from lsdb_ts.plan.matching.algorithm import Algorithm, Pairs
    from lsdb_ts.run.cluster import cluster
    from lsdb_ts.schema import Roles
    from lsdb_ts.sky import Box, Cone, Cones, Moc, Pixel, Polygon, propagate
    from lsdb_ts.views import (
        plot_confusion,
        plot_folded,
        plot_lightcurve,
        plot_lightcurves,
        plot_periodogram,
        plot_sky,
        show,
    )

_HOMES = {
    "Catalog": "catalog",
    "concat": "catalog",
    "crossmatch": "catalog",
    "from_dataframe": "catalog",
    "open_catalog": "catalog",
    "FeatureSet": "features",
    "MultibandModel": "features",
    "ModelBundle": "learn",
    "train": "learn",
    "Algorithm": "plan.matching.algorithm",
    "Pairs": "plan.matching.algorithm",
    "cluster": "run.cluster",
    "Box": "sky",
    "Cone": "sky",
    "Cones": "sky",
    "Moc": "sky",
    "PeriodSearch": "features",
    "Pixel": "sky",
    "Roles": "schema",
    "Polygon": "sky",
    "propagate": "sky",
    "plot_confusion": "views",
    "plot_folded": "views",
    "plot_lightcurve": "views",
    "plot_lightcurves": "views",
    "plot_periodogram": "views",
    "plot_sky": "views",
    "show": "views",
}

__all__ = [
    "Algorithm",
    "Box",
    "Catalog",
    "Cone",
    "Cones",
    "FeatureSet",
    "Moc",
    "ModelBundle",
    "MultibandModel",
    "Pairs",
    "PeriodSearch",
    "Pixel",
    "Polygon",
    "Roles",
    "cluster",
    "concat",
    "crossmatch",
    "from_dataframe",
    "open_catalog",
    "plot_confusion",
    "plot_folded",
    "plot_lightcurve",
    "plot_lightcurves",
    "plot_periodogram",
    "plot_sky",
    "propagate",
    "show",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from lsdb_ts.kernels.loading import uncollected

    with uncollected():
        value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
