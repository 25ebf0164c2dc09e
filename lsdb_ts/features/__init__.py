"""Light curves in, numbers out: features with their sources, in sets that know their output before they run."""

from lsdb_ts.features.curves import LightCurves
from lsdb_ts.features.protocol import Feature, all_features
from lsdb_ts.features.sets import FeatureSet

__all__ = ["Feature", "FeatureSet", "LightCurves", "all_features"]
