"""Pure geometry of the sky: pixels, layouts, borders, regions. No tables, no files, no dask."""

from lsdb_ts.sky.align import align
from lsdb_ts.sky.box import Box
from lsdb_ts.sky.cones import Cones
from lsdb_ts.sky.halo import border, dilated, halo_members
from lsdb_ts.sky.layout import Layout
from lsdb_ts.sky.moc import Moc
from lsdb_ts.sky.motion import propagate
from lsdb_ts.sky.pixel import Pixel, bad_positions, spatial_index
from lsdb_ts.sky.polygon import Polygon
from lsdb_ts.sky.ranges import Ranges
from lsdb_ts.sky.region import Cone, Region
from lsdb_ts.sky.sphere import separation_arcsec

__all__ = [
    "Box",
    "Cone",
    "Cones",
    "Layout",
    "Moc",
    "Pixel",
    "Polygon",
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
