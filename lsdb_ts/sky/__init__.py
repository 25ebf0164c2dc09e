"""Pure geometry of the sky: pixels, layouts, borders, regions. No tables, no files, no dask."""

from lsdb_ts.sky.align import align
from lsdb_ts.sky.halo import border, dilated, halo_members
from lsdb_ts.sky.layout import Layout
from lsdb_ts.sky.motion import propagate
from lsdb_ts.sky.pixel import Pixel, bad_positions, spatial_index
from lsdb_ts.sky.ranges import Ranges
from lsdb_ts.sky.region import Cone, Region
from lsdb_ts.sky.sphere import separation_arcsec

__all__ = [
    "Cone",
    "Layout",
    "Pixel",
    "Ranges",
    "Region",
    "align",
    "bad_positions",
    "border",
    "dilated",
    "halo_members",
    "propagate",
    "separation_arcsec",
    "spatial_index",
]
