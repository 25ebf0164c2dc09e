"""Classifiers on feature tables, and the bundle that carries one. The features are computed in ``features``."""

from lsdb_ts.learn.bundle import ModelBundle
from lsdb_ts.learn.taxonomy import Taxonomy
from lsdb_ts.learn.train import train

__all__ = ["ModelBundle", "Taxonomy", "train"]
