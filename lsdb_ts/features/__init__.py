"""Light curves in, numbers out: features with their sources, in sets that know their output before they run."""

from lsdb_ts.features.curves import LightCurves
from lsdb_ts.features.dpdd import dpdd_lists
from lsdb_ts.features.light_curve import from_light_curve
from lsdb_ts.features.protocol import VALUE, BandFeature, Feature, ObjectFeature, Statistic, all_features
from lsdb_ts.features.sets import FeatureSet
from lsdb_ts.kernels.periods.periodogram import MultibandModel
from lsdb_ts.kernels.periods.search import PeriodSearch

__all__ = [
    "VALUE",
    "BandFeature",
    "Feature",
    "FeatureSet",
    "LightCurves",
    "MultibandModel",
    "ObjectFeature",
    "PeriodSearch",
    "Statistic",
    "all_features",
    "dpdd_lists",
    "from_light_curve",
]
