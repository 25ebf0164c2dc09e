"""Verbs that sum up a catalog: counts, limits, samples. Whole results are next door."""

from __future__ import annotations

from lsdb_ts.catalog.base import CatalogBase


class StatisticVerbs(CatalogBase):
    """Numbers that describe a catalog."""
